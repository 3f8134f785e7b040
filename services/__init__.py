"""The three services. Each can be read alone; none knows the others."""
