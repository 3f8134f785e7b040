"""Where the model lies: metres, up, and the earth."""
