"""A COLMAP model that came with the photos: its records, their validation, and which photo each image is."""
