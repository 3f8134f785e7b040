"""Each attribute of a Gaussian as bytes and back, and how coarsely it may be stored."""
