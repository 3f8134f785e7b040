"""The models of each stage's `report.json`; `schemas.py` writes the JSON Schemas of all that leaves a process."""
