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
        if error.errno == errno.ENOMEM:  # of a process that could not be started
            raise LostResource(Slug.OUT_OF_MEMORY, stage=stage) from error
        raise
    except RuntimeError as error:
        if str(error) == "can't start new thread":  # CPython's words, which have no number
            raise LostResource(Slug.OUT_OF_MEMORY, stage=stage) from error
        raise
    except Exception as error:
        if _is_insufficient_storage(error):
            raise LostResource(Slug.DISK_FULL, stage=stage) from error
        raise


def _is_insufficient_storage(error: BaseException | None) -> bool:
    """Whether the disk of a bucket is full: the embedded S3 answered 507. An upload's error has that as its context.

    It is told by its attributes, so that a stage without a cloud need not import boto3.
    """
    while error is not None and not hasattr(error, "response"):
        error = error.__context__
    return error is not None and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 507
