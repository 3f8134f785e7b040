"""The models of each stage's `report.json`, and `schemas.py`, which writes the JSON Schemas of all that leaves a process."""
