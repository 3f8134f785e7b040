"""The decoded file, rendered beside the original."""
