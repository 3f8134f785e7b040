"""What the functions share: clients, made once per process, and the check of a manifest's key."""

from __future__ import annotations

import os
import time
import warnings
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from spaceport.pipeline import layout
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Tenants, read_tenants

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_s3 import S3Client

NAMESPACE = os.environ.get("SPACEPORT_METRICS", "Spaceport")
"""Of all CloudWatch metrics. Each stack has its own, or two in one account would count as one."""
LINKS: Final = Config(
    signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
)
"""They name the bucket's own host in its region, which is the one that the page's policy lets it read."""
TENANTS_SECONDS = 60
"""How long a change of `tenants.json` may take to be noticed."""
warnings.filterwarnings("ignore", "No application metrics to publish")  # most invocations have nothing to count


@cache
def s3() -> S3Client:
    return boto3.client("s3", config=LINKS)


@cache
def bucket() -> Bucket:
    return Bucket(os.environ["SPACEPORT_PIPELINE_BUCKET"], s3())


@cache
def uploads() -> Bucket:
    return Bucket(os.environ["SPACEPORT_UPLOADS_BUCKET"], s3())


@cache
def table() -> JobTable:
    return JobTable(os.environ["SPACEPORT_TABLE"])


def tenants() -> Tenants:
    """The deployment's tenants. Raises `UnreadableTenants`."""
    return _read_tenants(int(time.monotonic() // TENANTS_SECONDS))


@lru_cache(maxsize=1)
def _read_tenants(_: int) -> Tenants:
    return read_tenants(bucket())


@cache
def batch() -> BatchClient:
    return boto3.client("batch")


def queues() -> list[str]:
    """The job queues of the stages; empty where there are none."""
    return [queue for queue in os.environ.get("SPACEPORT_QUEUES", "").split(",") if queue]


def job_of_manifest(key: str) -> tuple[str, str] | None:
    """Job id and folder (request, colmap, …) of a manifest's key, or None when it is not a manifest of a job.

    A rule knows only how keys end, so `jobs/ID/extracted/colmap/manifest.json` arrives here too.
    """
    try:
        job_id, rest = layout.split_key(key)
    except ValueError:
        return None
    folder = rest.removesuffix(f"/{layout.MANIFEST}")
    return (
        (job_id, folder) if layout.manifest_key(job_id, folder) == key and folder in layout.MANIFEST_FOLDERS else None
    )
