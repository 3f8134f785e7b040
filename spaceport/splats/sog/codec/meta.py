"""`meta.json` of SOG versions 2 and 1, and of `sogs` 1.0.0 before them, strictly read.

Unknown keys are ignored, as the format says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from spaceport.splats.sog.attributes.codebook import CODEBOOK_SIZE
from spaceport.splats.sog.codec.errors import BrokenSog

GENERATOR = "spaceport"
LARGEST_COUNT = 100_000_000
LARGEST_JSON = 1 << 20

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
"""A plain name: no folder, no parent, no URL."""
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT, strict=True)]
Three = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Four = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
OneFile = Annotated[list[FileName], Field(min_length=1, max_length=1)]
OneNumber = Annotated[list[FiniteFloat], Field(min_length=1, max_length=1)]
ThreeFiles = Annotated[list[FileName], Field(min_length=3, max_length=3)]
TwoFiles = Annotated[list[FileName], Field(min_length=2, max_length=2)]


class MetaModel(BaseModel):
    """A part of a JSON file of the format."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Bounds(MetaModel):
    mins: Any
    maxs: Any

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = [(self.mins, self.maxs)] if isinstance(self.mins, float) else zip(self.mins, self.maxs, strict=True)
        if any(low > high for low, high in pairs):
            raise ValueError("mins lie above maxs")
        return self


class MeansMeta(_Bounds):
    """Bounds of the log positions; the low and the high byte's image."""

    mins: Three
    maxs: Three
    files: TwoFiles

    @model_validator(mode="after")
    def _within_float32(self) -> Self:
        if max(map(abs, self.mins + self.maxs)) > 89:  # exp(89) is past the largest float32
            raise ValueError("the bounds are beyond every position that a float can hold")
        return self


class _WithCodebook(MetaModel):
    codebook: Annotated[list[FiniteFloat], Field(min_length=CODEBOOK_SIZE, max_length=CODEBOOK_SIZE)]

    @field_validator("codebook", mode="before")
    @classmethod
    def _fill_first(cls, values: Any) -> Any:
        """A null in the first place, as early writers left it, is replaced as PlayCanvas' engine does."""
        match values:
            case [None, float() | int() as second, *_, float() | int() as last] if len(values) == CODEBOOK_SIZE:
                return [second + (second - last) / (CODEBOOK_SIZE - 1), *values[1:]]
        return values

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a > b for a, b in zip(self.codebook, self.codebook[1:], strict=False)):
            raise ValueError("the codebook is not ascending")
        if max(map(abs, self.codebook)) > 3e38:
            raise ValueError("the codebook holds a number that no float can hold")
        return self


class CodebookMeta(_WithCodebook):
    """`scales` and `sh0`: an image of codebook indices."""

    files: OneFile


class QuatsMeta(MetaModel):
    """Packed rotations."""

    files: OneFile


class ShNMeta(_WithCodebook):
    """Higher SH: `count` centroids of `bands` bands."""

    count: Annotated[int, Field(ge=1, le=65536, strict=True)]
    bands: Annotated[int, Field(ge=1, le=3, strict=True)]
    files: TwoFiles


class MetaV2(MetaModel):
    """Version 2."""

    version: Literal[2]
    count: Count
    means: MeansMeta
    scales: CodebookMeta
    quats: QuatsMeta
    sh0: CodebookMeta
    shN: ShNMeta | None = None
    antialias: bool = False
    extras: Any = None


class _Shaped(MetaModel):
    shape: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_COUNT)]], Field(min_length=1, max_length=4)]


class MeansV1(MeansMeta, _Shaped):
    pass


class ScalesV1(_Bounds):
    mins: Three
    maxs: Three
    files: OneFile


class Sh0V1(_Bounds):
    mins: Four
    maxs: Four
    files: OneFile


class QuatsV1(QuatsMeta):
    encoding: Literal["quaternion_packed"] = "quaternion_packed"


class ShNV1(_Bounds):
    mins: FiniteFloat
    maxs: FiniteFloat
    quantization: Literal[8] = 8
    files: TwoFiles


class _CountedByShape(MetaModel):
    """A file that says only in the shape of its positions how many Gaussians it holds."""

    means: MeansV1

    @property
    def count(self) -> int:
        return self.means.shape[0]

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.count < 1:
            raise ValueError("the model is empty")
        return self


class MetaV1(_CountedByShape):
    """Version 1: everything linear between bounds, the opacity a logit, the count in `means.shape`."""

    version: Literal[1] | None = None
    scales: ScalesV1
    quats: QuatsV1
    sh0: Sh0V1
    shN: ShNV1 | None = None


class OpacitiesSogs(_Shaped, _Bounds):
    mins: OneNumber
    maxs: OneNumber
    files: OneFile


class ShNSogs(_Bounds):
    """Centroids, and the low and the high byte of the labels."""

    mins: FiniteFloat
    maxs: FiniteFloat
    quantization: Literal[8] = 8
    files: ThreeFiles


class MetaSogs(_CountedByShape):
    """What `sogs` 1.0.0 writes, before versions: as version 1, but for opacities, quats and labels."""

    opacities: OpacitiesSogs
    scales: ScalesV1
    quats: ScalesV1
    """w, x and y of the rotations whose z is not negative."""
    sh0: ScalesV1
    shN: ShNSogs | None = None


class _Kind(MetaModel):
    """What tells the versions apart."""

    version: Any = None
    opacities: Any = None


Model = TypeVar("Model", bound=BaseModel)


def parse_meta(raw: bytes) -> MetaV2 | MetaV1 | MetaSogs:
    """Read meta.json.

    Raises:
        BrokenSog: naming the first field that is wrong.
    """
    if len(raw) > LARGEST_JSON:
        raise BrokenSog(f"meta.json has {len(raw)} bytes; no SOG needs more than {LARGEST_JSON}.")
    kind = parse_model(_Kind, raw, "meta.json")
    if kind.version == 2:
        return parse_model(MetaV2, raw, "meta.json")
    if kind.version not in (None, 1):
        raise BrokenSog(f"meta.json says version {str(kind.version)[:20]!r}; versions 1 and 2 are read.")
    if kind.version is None and kind.opacities is not None:
        return parse_model(MetaSogs, raw, "meta.json")
    return parse_model(MetaV1, raw, "meta.json")


def parse_model(kind: type[Model], raw: bytes, name: str) -> Model:
    """Parse JSON to a model.

    Raises:
        BrokenSog: naming the first field of the file `name` that is wrong.
    """
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(map(str, first["loc"])) or "the file"
        raise BrokenSog(f"{name} breaks the format at {location[:80]}: {first['msg'].lower()}.") from None
    except (RecursionError, OverflowError):
        raise BrokenSog(f"{name} is nested too deeply or holds numbers out of all bounds.") from None
