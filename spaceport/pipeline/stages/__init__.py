"""The frame that every service runs in: stage, worker, lease and heartbeat, checkpoint, limits."""
