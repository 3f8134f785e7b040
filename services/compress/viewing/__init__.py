"""How a model is looked at first: the view, the flight, a poster and a video of it."""
