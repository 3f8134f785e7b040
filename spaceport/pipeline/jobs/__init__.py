"""The job: its states, its table, accepting, tracking, ending, recovery, and its Batch jobs."""
