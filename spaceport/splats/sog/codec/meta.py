"""`meta.json` of SOG versions 2 and 1, strictly read. Unknown keys are ignored, as the format says."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from spaceport.splats.sog.codec.errors import BrokenSog

GENERATOR = "spaceport"
LARGEST_COUNT = 100_000_000
LARGEST_JSON = 1 << 20
CODEBOOK = 256  # numbers

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
"""A plain name: no folder, no parent, no URL."""
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT, strict=True)]
Three = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Four = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
OneFile = Annotated[list[FileName], Field(min_length=1, max_length=1)]
TwoFiles = Annotated[list[FileName], Field(min_length=2, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Bounds(_Part):
    mins: Any
    maxs: Any

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = [(self.mins, self.maxs)] if isinstance(self.mins, float) else zip(self.mins, self.maxs, strict=True)
        if any(low > high for low, high in pairs):
            raise ValueError("mins lie above maxs")
        return self


class Means(_Bounds):
    """Bounds of the log positions; the low and the high byte's image."""

    mins: Three
    maxs: Three
    files: TwoFiles

    @model_validator(mode="after")
    def _within_float32(self) -> Self:
        if max(map(abs, self.mins + self.maxs)) > 89:  # exp(89) is past the largest float32
            raise ValueError("the bounds are beyond every position that a float can hold")
        return self


class _WithCodebook(_Part):
    codebook: Annotated[list[FiniteFloat], Field(min_length=CODEBOOK, max_length=CODEBOOK)]

    @field_validator("codebook", mode="before")
    @classmethod
    def _mended(cls, values: Any) -> Any:
        """A null in the first place, as early writers left it, becomes what PlayCanvas' engine makes of it."""
        match values:
            case [None, float() | int() as second, *_, float() | int() as last] if len(values) == CODEBOOK:
                return [second + (second - last) / (CODEBOOK - 1), *values[1:]]
        return values

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a > b for a, b in zip(self.codebook, self.codebook[1:], strict=False)):
            raise ValueError("the codebook is not ascending")
        if max(map(abs, self.codebook)) > 3e38:
            raise ValueError("the codebook holds a number that no float can hold")
        return self


class Values(_WithCodebook):
    """An image of codebook indices."""

    files: OneFile


class Files(_Part):
    files: OneFile


class Palette(_WithCodebook):
    """Higher SH: `count` entries of `bands` bands."""

    count: Annotated[int, Field(ge=1, le=65536, strict=True)]
    bands: Annotated[int, Field(ge=1, le=3, strict=True)]
    files: TwoFiles


class MetaV2(_Part):
    """Version 2."""

    version: Literal[2]
    count: Count
    means: Means
    scales: Values
    quats: Files
    sh0: Values
    shN: Palette | None = None
    antialias: bool = False


class _Shaped(_Part):
    shape: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_COUNT)]], Field(min_length=1, max_length=4)]


class MeansV1(Means, _Shaped):
    pass


class LinearV1(_Bounds):
    mins: Three
    maxs: Three
    files: OneFile


class ColourV1(_Bounds):
    mins: Four
    maxs: Four
    files: OneFile


class QuatsV1(Files):
    encoding: Literal["quaternion_packed"] = "quaternion_packed"


class PaletteV1(_Bounds):
    mins: FiniteFloat
    maxs: FiniteFloat
    quantization: Literal[8] = 8
    files: TwoFiles


class MetaV1(_Part):
    """Version 1: everything linear between bounds, the opacity a logit, the count in `means.shape`."""

    version: Literal[1] | None = None
    means: MeansV1
    scales: LinearV1
    quats: QuatsV1
    sh0: ColourV1
    shN: PaletteV1 | None = None

    @property
    def count(self) -> int:
        return self.means.shape[0]

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.count < 1:
            raise ValueError("the model is empty")
        return self


class _Version(_Part):
    version: Any = None


Model = TypeVar("Model", bound=BaseModel)


def parse_meta(raw: bytes) -> MetaV2 | MetaV1:
    """Read meta.json.

    Raises:
        BrokenSog: naming the first field that is wrong.
    """
    if len(raw) > LARGEST_JSON:
        raise BrokenSog(f"meta.json has {len(raw)} bytes; no SOG needs more than {LARGEST_JSON}.")
    if validated(_Version, raw, "meta.json").version == 2:
        return validated(MetaV2, raw, "meta.json")
    return validated(MetaV1, raw, "meta.json")


def validated(kind: type[Model], raw: bytes, name: str) -> Model:
    """JSON as what it must be.

    Raises:
        BrokenSog: naming the first field of the file `name` that is wrong.
    """
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BrokenSog(f"{name} breaks the format at {where[:80]}: {first['msg'].lower()}.") from None
    except (RecursionError, OverflowError):
        raise BrokenSog(f"{name} is nested too deeply or holds numbers out of all bounds.") from None
