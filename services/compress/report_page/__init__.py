"""`report.html`: all that the three stages say of a job, for people, in one file that needs nothing else."""
