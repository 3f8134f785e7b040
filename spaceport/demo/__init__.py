"""A demo survey with known truth: drone photos of a hamlet that never was, ray-cast in under a minute."""

from spaceport.demo.survey import Survey, make_survey
from spaceport.demo.truth import Truth, load_truth

__all__ = ["Survey", "Truth", "load_truth", "make_survey"]
