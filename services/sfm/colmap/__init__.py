"""COLMAP in a process of its own: `worker.py` and what it calls. `process.py` is the parent's end."""
