"""What every part of the pipeline shares: contracts, keys, options, the job table, storage, the frame of a stage."""
