"""What is dropped into the cloud, and what must come of it."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spaceport.pipeline.contract import JobState
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.submission import parse_metadata_options, parse_options_file
from spaceport.pipeline.options import resolve
from spaceport.pipeline.uploads.photo_zip import inspect


class Kind(StrEnum):
    """The kinds of inputs. All but the first are hostile."""

    SURVEY = "survey"
    ZIP = "zip"
    OPTION = "option"
    NAME = "name"
    IMAGE = "image"
    MODEL = "model"
    MANIFEST = "manifest"


@dataclass(frozen=True)
class Expected:
    """How a job must end.

    Args:
        slug: the only one that is right; None where any but `internal` is.
        photos: how many of the survey's own photos must be registered.
    """

    states: frozenset[JobState]
    slug: Slug | None = None
    photos: int = 0

    @property
    def is_model(self) -> bool:
        return JobState.COMPLETED in self.states


REFUSED_LATER = Expected(frozenset({JobState.REJECTED, JobState.FAILED}))
"""A zip whose directory is good, and nothing else of it: structure from motion says what is wrong."""


@dataclass(frozen=True)
class Upload:
    """A zip under a key of the uploads bucket."""

    key: str
    body: bytes
    metadata: dict[str, str]
    expected: Expected
    holds: Counter[Kind]


@dataclass(frozen=True)
class Call:
    """The body of a `POST /start-job` that must be refused with a 400."""

    body: bytes
    holds: Counter[Kind] = field(default_factory=lambda: Counter({Kind.OPTION: 1}))


@dataclass(frozen=True)
class Garbage:
    """What is no manifest, under a manifest's key. It must be left alone, and named by `spaceport doctor`."""

    key: str
    body: bytes
    holds: Counter[Kind] = field(default_factory=lambda: Counter({Kind.MANIFEST: 1}))


Input = Upload | Call | Garbage


def undisturbed_refusal(body: bytes, metadata: dict[str, str]) -> Slug | None:
    """The slug with which a zip is refused where nothing disturbs; None when its job begins."""
    try:
        options: dict[str, Any] = parse_metadata_options(metadata)
        resolve(parse_options_file(inspect(io.BytesIO(body)).options).options | options)
    except Refused as refusal:
        return refusal.slug
    return None


def expected_of(body: bytes, metadata: dict[str, str]) -> Expected:
    """How the job of a hostile zip must end: as it does where nothing disturbs it."""
    slug = undisturbed_refusal(body, metadata)
    return Expected(frozenset({JobState.REJECTED}), slug) if slug else REFUSED_LATER
