"""`jobs/ID/colmap/report.json`: the capture, what became of each photo, the model, and where it lies on the earth."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from spaceport.pipeline.options import SfmOptions

THUMB_SIZE: Final = (128, 96)
"""Of a tile of `colmap/thumbs-N.webp`: width and height in pixels."""
THUMB_COLUMNS, THUMB_ROWS = 10, 10
"""Of such a sheet; the last one has only the rows that it needs."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="constants",
        protected_namespaces=(),
    )


class _SparsePart(_Part):
    """Its JSON holds only the keys that were set: which ones those are depends on the photos."""

    @model_serializer(mode="wrap")
    def _omit_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


class IngestReport(_Part):
    """What was used beside the photos, and what was left out."""

    videos: list[str]
    """Videos of which frames were taken."""
    masks: int
    """Photos with a mask."""
    control_points: int
    """Points of `gcp_list.txt`."""
    left_out: dict[str, str]
    """Masks that are of no use, bands and thermal pictures beside colour photos: name to reason."""


class PriorModelReport(_Part):
    """The COLMAP model that came with the photos and was kept."""

    folder: str
    """Its folder in the upload."""
    images: int
    """Images that it held."""
    without_photo: list[str]
    """The first 50 of its images that have no photo in the upload."""
    photos_beside: int
    """Photos of the upload that are not in it."""
    sentence: str
    """The same for people."""


class Verdict(StrEnum):
    """Whether a capture is worth the cost of what follows."""

    GO = "go"
    WARN = "warn"
    STOP = "stop"


class Finding(_Part):
    """One sentence about the capture; `go` for what is only worth knowing."""

    level: Verdict
    sentence: str


class CaptureFigures(_Part):
    """What was measured of a capture. Shares are 0-1; null where the photos do not tell."""

    photos: int
    """Readable photos."""
    unreadable: int
    empty: int
    """Photos that show nothing."""
    repeated: int
    """Photos that look the same as an earlier one."""
    blurred: int
    cameras: int
    """Different cameras, lenses or sizes."""
    exposure_stops: float | None
    """Between the darkest and the brightest twentieth."""
    located: int
    """Photos with a position."""
    overlap: float | None
    """The median, over photos, of the share of the ground that the best other photo shows too."""
    views: float | None
    """Photos that show a spot, in the median over the ground."""
    thin: float | None
    """The share of the ground that fewer than three photos show."""
    longest_gap_s: float | None
    """The longest pause between photos, where it is far longer than the others."""
    rtk: int = 0
    """Photos that say how their position was fixed by RTK."""
    rtk_fixed: int = 0
    """Of these, how many were fixed to centimetres."""
    position_std_m: tuple[float, float] | None = None
    """The median standard deviation of the positions as receivers state it: horizontal and vertical."""
    control_points: int = 0
    """Ground control points that came with the photos."""

    @property
    def distinct(self) -> int:
        """Photos that show something, and something of their own."""
        return self.photos - self.empty - self.repeated


class CaptureReport(_Part):
    """What the photos are worth as a survey, from their pixels, tags and positions."""

    verdict: Verdict
    findings: list[Finding]
    """The gravest first."""
    figures: CaptureFigures
    cameras: dict[str, int]
    """Make and model to number of photos."""
    height_m: float | None
    """Median height above take-off."""
    height_range_m: tuple[float, float] | None
    gimbal_pitch: float | None
    """Median in degrees; -90 looks straight down."""
    ground_sampling_cm: float | None
    """Median size of a pixel on the ground."""
    area_m2: float | None
    """Ground that the photos show."""
    begun: str | None
    """ISO 8601, by the camera's clock."""
    ended: str | None


class RollingShutterReport(_Part):
    """How many photos were exposed row after row."""

    photos: int
    unknown: int
    """Photos of cameras in no table."""
    drones: list[str]
    advice: str | None


class MatchingReport(_Part):
    """How photos were matched with each other."""

    method: str
    """`spatial`, `exhaustive`, `sequential`, `retrieval`, two of them joined by ` + `; `given` for a prior model."""
    pairs: int
    """Pairs that were matched."""
    verified: int
    """Pairs with enough matches that fit one two-view geometry."""


class ReconstructionReport(_Part):
    """One sparse model."""

    mapper: str
    """`incremental` or `global`; `given` for a prior model."""
    photos: int
    """Registered photos."""
    points: int
    reprojection_error_px: float | None
    """The mean; null for a prior model without features."""
    track_length: float
    """Photos that see a point, in the mean."""


class CameraReport(_SparsePart):
    """One camera of the model, as COLMAP has it, and what decided about its lens."""

    model: str
    width: int
    height: int
    params: list[float]
    """In the order of COLMAP's camera model; pixels."""
    name: str = ""
    """Make and model; empty where unknown."""
    photos: int = 0
    """Registered photos that it took."""
    focal_source: Literal["calibration", "exif", "unknown"] = "unknown"
    """Where the focal length was known from beforehand."""
    expected_focal_px: float | None = None
    """Focal length as it was known beforehand."""
    focal_px: float | None = None
    """Focal length in the end: the mean of both where the model has two."""
    focal_std: float | None = None
    """Relative standard error of the focal length in the end; null where it was not estimated."""
    held: bool = False
    """Whether the views do not determine the focal length, so that it stays at what was known beforehand."""
    reason: str = ""
    """Why the camera model is what it is."""


class GeodeticOrigin(_Part):
    """The origin of the east-north-up frame: degrees on WGS84, metres of altitude as the photos have it."""

    latitude: float
    longitude: float
    altitude_m: float


class ControlPointReport(_SparsePart):
    """A ground control point: its residual, or the reason why it was not used."""

    name: str
    role: Literal["control", "check"] = "control"
    """A check point decides nothing: its residual tells how good the model is."""
    photos: int
    """Photos in which it is marked."""
    left_out: list[str] | None = None
    """Photos whose mark contradicts the others, and was not used."""
    reprojection_px: float | None = None
    """Root mean square of its marks' distances from where the model sees the point; pixels of COLMAP's photos."""
    east_m: float | None = None
    north_m: float | None = None
    up_m: float | None = None
    reason: str | None = None


class UpEvidenceReport(_Part):
    """One source that says which way is up, beside the direction that was chosen."""

    source: str
    """What says so, for people: `gimbal angles`, `positions`…"""
    angle_deg: float
    """Between what it says and the chosen up."""
    sigma_deg: float
    """Its standard deviation across its weaker axis; 90 where that axis is open."""
    contradicted: bool
    """Whether it misses the chosen up by more than its uncertainty allows, and so had no part in it."""


class UpReport(_Part):
    """Which way is up, from all that the photos and their positions say."""

    sigma_deg: float
    """Standard deviation of the chosen direction, across its weaker axis."""
    evidence: list[UpEvidenceReport]
    """The surest first."""
    ground_tilt_deg: float | None
    """Between the dominant plane of the points and the horizontal; null where the points have no such plane."""


class Georeference(_SparsePart):
    """Where the model lies on the earth. Also the content of `georeference.json`, which adds the version."""

    aligned: bool
    """False where the model is only turned upright, or not moved at all."""
    metric: bool
    """Whether lengths may be called metres."""
    method: str | None = None
    reason: str | None = None
    """Why it is not aligned."""
    axes: str
    crs: str | None = None
    origin: GeodeticOrigin | None = None
    to_ecef: list[list[float]] | None = None
    """4 x 4, row by row: model to earth-centred metres (EPSG:4978)."""
    photos: int | None = None
    """Photos whose positions were used."""
    extent_m: float | None = None
    """Diagonal of the positions that were used."""
    scale_error: float | None = None
    """Relative standard error of the scale."""
    median_residual_m: float | None = None
    max_residual_m: float | None = None
    residuals_m: dict[str, float] | None = None
    """By photo; in `georeference.json` only, the report has them in each photo."""
    scale_uncertainty: float | None = None
    """Of lengths, relative, two standard deviations: correlated errors and bending included."""
    uncertainty_m: float | None = None
    """The same over the extent."""
    height_uncertainty: float | None = None
    """The same of heights over the ground, relative: where photos look straight down the focal length adds to it."""
    metric_reason: str | None = None
    """Why lengths may not be called metres, where the model is aligned; a sentence."""
    dome_m: float | None = None
    """By how much the middle of the model stands above its rim against the positions; null where none was found."""
    heights: str | None = None
    """What heights were taken from: `position`, `absolute`, `relative` (over the take-off), or `none`."""
    clock_shift_s: float | None = None
    """By how many seconds the positions lag behind the photos; the residuals are those after it was removed."""
    outliers: dict[str, str] | None = None
    """By photo, why its position was not used; in `georeference.json` only, the report has them in each photo."""
    control_points: list[ControlPointReport] | None = None
    control_points_unused: str | None = None
    """Why control points did not decide."""
    check_rms_m: tuple[float, float] | None = None
    """Root mean square of the residuals of the check points: horizontal and vertical."""
    prior_photos: int | None = None
    """Photos whose positions were priors in the last adjustment."""
    prior_std_m: tuple[float, float] | None = None
    """The median standard deviation of those priors: horizontal and vertical."""
    unit_m: float | None = None
    """For a prior model: metres in a unit of its frame."""
    up: UpReport | None = None
    """How the direction of z was decided."""


class PhotoReport(_SparsePart):
    """One photo. A file that could not be read has only `name`, `registered` and `reason`."""

    name: str
    width: int | None = None
    height: int | None = None
    camera: str | None = None
    """Make and model; empty where EXIF has neither."""
    focal_mm: float | None = None
    focal_px: float | None = None
    position: tuple[float, float, float | None] | None = None
    """Latitude, longitude (degrees, WGS84), altitude (m)."""
    orientation: int | None = None
    """EXIF orientation, 1-8."""
    sharpness: float | None = None
    brightness: float | None = None
    """Mean grey, 0-1."""
    blurred: bool | None = None
    empty: bool | None = None
    repeats: str | None = None
    """The earlier photo that it looks the same as."""
    used: bool | None = None
    """Whether it was given to COLMAP."""
    features: int | None = None
    partners: int | None = None
    """Photos that share verified matches with it; null for a prior model."""
    matches: int | None = None
    """Verified matches in all; null for a prior model."""
    registered: bool
    points: int | None = None
    """Points of the model that it sees."""
    reason: str | None
    """Why it is not registered."""
    dense_name: str | None = None
    """Its file below `dense/images`."""
    thumb: int | None = None
    """Number of its tile, a hundred to a sheet: 123 is the 24th of `thumbs-1.webp`, row by row."""
    gps_residual_m: float | None = None
    gps_outlier: str | None = None
    """Why its position was not used."""
    gps_offset_m: tuple[float, float, float | None] | None = None
    """From its position, as it came, to where the model has the photo: east, north, up; up is null without altitude."""


class SfmReport(_Part):
    """`colmap/report.json`. Lengths in pixels unless the name says metres."""

    version: Literal[1] = 1
    options: SfmOptions
    intake: IngestReport
    given: PriorModelReport | None
    capture: CaptureReport
    rolling_shutter: RollingShutterReport
    matching: MatchingReport
    model: ReconstructionReport
    """The published model."""
    other_models: list[ReconstructionReport]
    apart: list[list[str]]
    """Photos of each part that shares nothing with the model, the largest part first."""
    cameras: list[CameraReport]
    georeference: Georeference
    findings: list[Finding] = []
    """About the finished model: what contradicts what, and what it cannot tell. Those about the capture are there."""
    photos: list[PhotoReport]
