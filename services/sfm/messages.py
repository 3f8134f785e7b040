"""What the stage and the COLMAP worker process send each other as JSON: a task, then lines of progress and a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from spaceport.pipeline.errors import Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.reports.sfm import CameraReport, Finding, Georeference, MatchingReport, ReconstructionReport

MASKS: Final = "masks"
"""Below the folder of photos: `FILE.png` for each photo that has a mask, black where no features are extracted."""

NOT_FOR_COLMAP: Final = "COLMAP itself cannot work with it"
"""Why a prior model is refused that made COLMAP raise, or abort."""


@dataclass(frozen=True)
class TaskPhoto:
    """A photo as COLMAP sees it: `file` is its plain name in the folder of photos, `name` the user's."""

    file: str
    name: str
    dense_name: str
    camera: int
    """Photos with the same number share one camera."""
    width: int
    height: int
    position: tuple[float, float, float | None] | None
    position_std_m: tuple[float, float, float] | None = None
    """East, north, up."""
    rtk_flag: int | None = None
    taken_at: float | None = None
    """Seconds, by the camera's clock; only differences mean anything."""
    orientation: int = 1
    """EXIF orientation, 1-8."""
    gimbal: tuple[float, float | None, float | None] | None = None
    """Pitch, roll and yaw in degrees, as in `PhotoMetadata`."""
    relative_altitude_m: float | None = None
    absolute_altitude_m: float | None = None
    original: tuple[int, int] | None = None
    """Width and height of the user's photo, where they are not those of COLMAP's."""

    @property
    def scale(self) -> float:
        """Pixels of COLMAP's photo to one of the user's."""
        return self.width / self.original[0] if self.original else 1.0


@dataclass(frozen=True)
class TaskCamera:
    """What is known of a camera before COLMAP begins. Pixels are those of COLMAP's photos, `width` x `height`."""

    name: str
    """Make and model for people; empty where unknown."""
    width: int
    height: int
    model: str
    """COLMAP's name of the camera model to begin with."""
    params: list[float]
    """In COLMAP's order of that model; empty where the focal length is not known."""
    source: Literal["calibration", "exif", "unknown"]
    """Where the focal length comes from: the drone's own calibration, EXIF, or nowhere."""
    focal_std: float | None = None
    """Relative standard deviation of the focal length as it is known beforehand; None where it is unknown."""
    final_model: str = "SIMPLE_RADIAL"
    """The richest of COLMAP's models that the last adjustment may use, where the views determine it."""
    exif_focal: float | None = None
    """EXIF's focal length in pixels, also where the calibration outranks it."""
    exif_focal_std: float | None = None
    """Its relative standard deviation."""
    dewarped: bool = False
    """Whether the camera has removed the distortion already."""

    @property
    def is_calibrated(self) -> bool:
        """Whether focal length and distortion are known so well that mapping would only make them worse."""
        return self.source == "calibration" and (self.model == "OPENCV" or self.dewarped)


@dataclass(frozen=True)
class TaskControlPoint:
    """A ground control point.

    `position`: latitude, longitude (degrees, WGS84) and height (m). `observations`: file of a photo and the point's
    x, y in it (pixels).
    """

    name: str
    position: tuple[float, float, float]
    observations: list[tuple[str, float, float]]
    check: bool = False
    """Whether it is held out: it decides nothing, and its residual tells how good the model is."""
    std_m: tuple[float, float] = (0.02, 0.03)
    """Standard deviation of the position, horizontal and vertical."""
    mark_std_px: float = 1.0
    """Standard deviation of the marks, in pixels of COLMAP's photos."""


@dataclass(frozen=True)
class PriorModelTask:
    """A COLMAP model that came with the photos: the folder of its files, and image ids by `TaskPhoto.file`."""

    folder: Path
    image_ids: dict[str, int]


@dataclass(frozen=True)
class ColmapTask:
    """All that the worker needs. `photos_folder` and `scratch` are the worker's own; `colmap` is published.

    `ordered`: the photos come in the order in which they were taken. `checkpoint`: a file that outlives this try.
    `prior_model`: is published in place of a new model; the photos then have their original size.
    """

    photos: list[TaskPhoto]
    cameras: list[TaskCamera]
    photos_folder: Path
    scratch: Path
    colmap: Path
    options: SfmOptions
    ordered: bool = False
    checkpoint: Path | None = None
    control_points: list[TaskControlPoint] = field(default_factory=list)
    prior_model: PriorModelTask | None = None

    def to_json(self) -> str:
        return _TASK.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> ColmapTask:
        """Raises `pydantic.ValidationError` for anything but the JSON of a task."""
        return _TASK.validate_json(text)


Phase = Literal["features", "matching", "mapping", "undistortion"]


@dataclass(frozen=True)
class PhaseProgress:
    """`done` of `total` photos or pairs of a phase."""

    phase: Phase
    done: int
    total: int
    kind: Literal["progress"] = "progress"


@dataclass(frozen=True)
class LogLine:
    """A sentence for the stage's log."""

    text: str
    kind: Literal["log"] = "log"


@dataclass(frozen=True)
class Refusal:
    """The photos cannot be reconstructed: a slug, and the values of its sentence."""

    slug: Slug
    facts: dict[str, object]
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True)
class PhotoResult:
    """What COLMAP made of one photo."""

    features: int
    partners: int | None
    """Photos that share verified matches with it; None for a prior model, as are `matches`."""
    matches: int | None
    registered: bool
    points: int
    """3D points that it observes."""


@dataclass(frozen=True)
class ColmapResult:
    """The finished reconstruction in figures. Photos are named by `TaskPhoto.file`.

    `models`: the best, which is published, first. `separate_parts`: the photos of each part that shares nothing with
    it.
    """

    matching: MatchingReport
    models: list[ReconstructionReport]
    photos: dict[str, PhotoResult]
    cameras: list[CameraReport]
    georeference: Georeference
    separate_parts: list[list[str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """What the finished model contradicts or cannot tell, in sentences for people."""
    kind: Literal["result"] = "result"


WorkerMessage = PhaseProgress | LogLine | Refusal | ColmapResult

_TASK: Final = TypeAdapter(ColmapTask)
_MESSAGE: Final[TypeAdapter[WorkerMessage]] = TypeAdapter(
    Annotated[WorkerMessage, Field(discriminator="kind")], config=ConfigDict(ser_json_inf_nan="constants")
)


def encode_message(message: WorkerMessage) -> str:
    """The message as JSON on one line."""
    return _MESSAGE.dump_json(message).decode()


def decode_message(line: bytes) -> WorkerMessage:
    """What `encode_message` wrote.

    Raises:
        pydantic.ValidationError: the line is no message.
    """
    return _MESSAGE.validate_json(line)
