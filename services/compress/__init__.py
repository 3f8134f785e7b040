"""The compress service: a trained model in, a proven SOG file out. Needs neither torch nor a GPU."""
