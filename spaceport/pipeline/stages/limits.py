"""A machine that runs out of disk or memory: one error for it, wherever it happens."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from spaceport.pipeline.errors import LostResource, Slug


@contextmanager
def machine_limits(stage: str) -> Iterator[None]:
    """Turn a full disk or memory into `LostResource`. `stage` is the name of the stage in its sentence."""
    try:
        yield
    except MemoryError as error:
        raise LostResource(Slug.OUT_OF_MEMORY, stage=stage) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LostResource(Slug.DISK_FULL, stage=stage) from error
        raise
