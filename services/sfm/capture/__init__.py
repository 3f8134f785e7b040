"""The capture report: what the photos are worth as a survey, before anything expensive is done with them."""
