"""The Lambda functions: each a thin `app.py` that parses, calls `spaceport.pipeline` and maps errors."""
