"""What became of every photo, in sentences and pictures."""
