"""`compressed/viewer.json`: how a viewer shows the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate, Coordinate]
FieldOfView = Annotated[float, Field(gt=0, lt=180)]
Uncertainty = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class View(_Model):
    """Where to stand, in the model's own coordinates."""

    position: Point
    target: Point
    """What is in the middle of the picture."""
    fov: FieldOfView
    """Degrees, along the picture's longer side."""


class FlightKey(View):
    """Where the flight is at a time."""

    time: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Seconds."""


class Flight(_Model):
    """A way around the model or along it; between keys it is a smooth curve."""

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    keys: Annotated[list[FlightKey], Field(min_length=2)]


class Metric(_Model):
    """Whether lengths may be called metres."""

    is_metric: bool
    unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Metres in a unit of the model."""
    scale_uncertainty: Uncertainty | None = None
    """Of lengths, relative, two standard deviations; null where it is not known."""
    uncertainty_m: Uncertainty | None = None
    """The same over the whole survey, in metres."""
    why_not: str | None = None
    """Why lengths may not be called metres, a sentence; null where they may."""


class ViewerSettings(_Model):
    """`jobs/ID/compressed/viewer.json`: how a viewer shows the model first, and what it can be measured in."""

    schema_version: Literal[1] = 1
    up: Point
    """The direction away from the ground, of length 1."""
    view: View
    """Where a visitor stands first."""
    flight: Flight
    metric: Metric
