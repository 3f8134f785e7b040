"""What `spaceport convert` may change of a model on its way: in a fixed order, whatever the order of the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from services.compress.proving.proof import Prover
from services.compress.proving.views import views_of_model
from spaceport.progress import Progress
from spaceport.splats import edit
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.formats.table import read_model
from spaceport.splats.frame import Vec3
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.sanitise import sanitise
from spaceport.splats.sog.lod.merge import reduce_to

Coordinates = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
DECIMATING = "Merging Gaussians"


class Edit(BaseModel):
    """The changes, in the order in which they are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    merge: Annotated[tuple[Path, ...], Field(max_length=100)] = ()
    """Further models, whose Gaussians are added."""
    rotate: Coordinates = (0.0, 0.0, 0.0)
    """Degrees about x, then y, then z."""
    scale: Annotated[FiniteFloat, Field(gt=0, ge=1e-6, le=1e6)] = 1.0
    move: Coordinates = (0.0, 0.0, 0.0)
    crop: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    """The lowest and the highest corner of a box."""
    decimate: Annotated[int, Field(ge=1)] | None = None
    """Gaussians to be left."""
    decimate_percent: Annotated[FiniteFloat, Field(gt=0, le=100)] | None = None
    """The same as a share of what is there before."""

    @model_validator(mode="after")
    def _box_in_order(self) -> Self:
        if self.crop is not None and any(low > high for low, high in zip(self.crop[:3], self.crop[3:], strict=True)):
            raise ValueError("the first corner of the box must be the lower one on each axis")
        return self

    @property
    def moves(self) -> bool:
        """Whether the model leaves its place, so that cameras beside it no longer fit."""
        return (self.rotate, self.scale, self.move) != ((0, 0, 0), 1, (0, 0, 0))


def apply(change: Edit, model: Gaussians, progress: Progress) -> tuple[Gaussians, list[str]]:
    """The changed model, and sentences on what was changed and how much it shows.

    Raises:
        BrokenFile: nothing is left, or a model to be added cannot be used.
    """
    notes: list[str] = []
    if change.merge:
        try:
            model = edit.join([model, *(read_model(path)[0] for path in change.merge)])
        except OSError as error:
            raise BrokenFile(f"{Path(str(error.filename)).name} cannot be read ({error.strerror}).") from None
    if change.moves:
        model = edit.transform(model, edit.rotation_about_axes(change.rotate), change.scale, change.move)
    if change.crop is not None:
        before = len(model)
        model = edit.crop(model, *_corners(change.crop))
        notes.append(f"{before - len(model):,} Gaussians lay outside the box and were cut off.")
    if not len(model):
        raise BrokenFile("Nothing lies in the box: no Gaussian is left.")
    if target := _target(change, len(model)):
        model, note = _decimated(model, target, progress)
        notes.append(note)
    return model, notes


def _corners(box: tuple[float, ...]) -> tuple[Vec3, Vec3]:
    x, y, z, x_high, y_high, z_high = box
    return (x, y, z), (x_high, y_high, z_high)


def _target(change: Edit, count: int) -> int | None:
    if change.decimate is not None:
        return change.decimate
    if change.decimate_percent is not None:
        return max(1, round(count * change.decimate_percent / 100))
    return None


def _decimated(model: Gaussians, target: int, progress: Progress) -> tuple[Gaussians, str]:
    """At most `target` Gaussians, and how alike they look."""
    whole, _ = sanitise(model)  # what cannot be shown cannot be merged either
    if len(whole) <= target:
        return model, f"{len(whole):,} Gaussians are there to be seen, no more than {target:,}: none were merged."
    progress.update(0.1, DECIMATING, gaussians=len(whole))
    fewer = reduce_to(whole, target)
    proof = Prover(whole, views_of_model(whole), progress).compare(fewer)
    note = f"{len(whole):,} Gaussians were merged into {len(fewer):,}"
    return fewer, f"{note}: {proof.mean:.1f} dB against all of them, {proof.worst:.1f} dB in the worst view."
