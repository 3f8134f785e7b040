"""What is known of each photo before anything is computed from it. Plain values: no image library is needed here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Position = tuple[float, float, float | None]


@dataclass(frozen=True)
class LensCalibration:
    """A lens as its maker calibrated it, in pixels of the photo's stored grid: OpenCV's model with k3.

    From DJI's XMP: `DewarpData`, or `CalibratedFocalLength` and `CalibratedOpticalCenterX/Y` without distortion.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    has_distortion: bool = False
    """Whether the distortion is known; false where only the focal length is."""


@dataclass(frozen=True)
class PhotoMetadata:
    """One readable photo, or one frame of a video.

    Every field but name, format and size comes from what the camera wrote (EXIF, DJI's XMP) and is empty or None where
    it wrote nothing plausible. Numbers are finite. Sizes are of the pixel grid as it is stored, whatever the
    orientation tag says.
    """

    name: str
    """Path below `extracted/`, with `/`."""
    format: str
    """JPEG, MPO, PNG, TIFF, WEBP, HEIF or DNG; JPEG for frames of a video."""
    width: int
    height: int
    make: str = ""
    model: str = ""
    serial: str = ""
    """Of the camera's body."""
    lens_model: str = ""
    focal_mm: float | None = None
    focal_px: float | None = None
    """EXIF's focal length in pixels of the stored grid, from the 35 mm equivalent or the density of the sensor, with
    the digital zoom."""
    focal_35mm: float | None = None
    """EXIF's 35 mm equivalent."""
    digital_zoom: float = 1.0
    calibration: LensCalibration | None = None
    dewarped: bool | None = None
    """Whether the camera has removed the distortion already. DJI's `DewarpFlag`."""
    position: Position | None = None
    """Latitude and longitude in degrees (WGS84), altitude in metres if known; `geo.txt` outranks EXIF."""
    orientation: int = 1
    """EXIF orientation, 1-8: how a viewer turns the stored grid."""
    taken_at: datetime | None = None
    """When, by the camera's clock, without a time zone."""
    exposure_s: float | None = None
    f_number: float | None = None
    iso: float | None = None
    gimbal_pitch: float | None = None
    """Degrees; -90 looks straight down, 0 at the horizon. DJI's `GimbalPitchDegree`."""
    gimbal_yaw: float | None = None
    """Degrees clockwise from north."""
    gimbal_roll: float | None = None
    """Degrees; 180 where the gimbal is mounted upside down."""
    relative_altitude_m: float | None = None
    """Metres above the place of take-off. DJI's `RelativeAltitude`."""
    absolute_altitude_m: float | None = None
    """Metres, by the drone's own reckoning. DJI's `AbsoluteAltitude`."""
    rtk_flag: int | None = None
    """How the position was fixed, by DJI's codes: 0 not, 16 alone (metres), 32-49 float, 50 fixed (centimetres)."""
    position_std_m: tuple[float, float, float] | None = None
    """Standard deviation of the position east, north and up, in metres. DJI's `RtkStd…`, or `geo.txt`'s accuracies."""
    video: str = ""
    """The video that this is a frame of."""

    @property
    def body_key(self) -> tuple[object, ...]:
        """Photos with another key are certainly of another camera, lens or pixel grid."""
        body = self.make, self.model, self.serial, self.lens_model, self.width, self.height
        return *body, self.dewarped, self.calibration is None, bool(self.video)

    @property
    def camera_key(self) -> tuple[object, ...]:
        """Photos with the same key share one camera: same lens, same zoom, same pixel grid."""
        return *self.body_key, self.focal_mm, self.focal_35mm, round(self.digital_zoom, 2), self.calibration

    @property
    def known_focal_px(self) -> float | None:
        """Focal length in pixels of the stored grid: the calibrated one, else EXIF's."""
        return (self.calibration.fx + self.calibration.fy) / 2 if self.calibration else self.focal_px

    @property
    def camera_name(self) -> str:
        """Make and model, empty where neither is known. A make that the model says again is left out."""
        model = self.model.casefold()
        for word in self.make.casefold().split():
            if model.startswith(word) and not model[len(word) : len(word) + 1].isalnum():
                return self.model
        return " ".join(part for part in (self.make, self.model) if part)


@dataclass(frozen=True)
class Unreadable:
    """A file that is left out, and why."""

    name: str
    reason: str
    is_unsuitable: bool = False
    """Whether it can be read, but is of a kind that no model is made from."""
