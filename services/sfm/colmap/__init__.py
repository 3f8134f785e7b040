"""COLMAP in a child process: `worker.py` and what it calls. `process.py` is the parent's end."""
