"""What a stack may be called. Buckets are named after it, and names of buckets are short and lower case.

CloudFormation's own rules cannot see the stack's name; without `spaceport doctor` the first to say it is S3, when it
refuses a bucket in the middle of a deploy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spaceport.cli.preflight.checks import Check, failed, ok

MAX_CHARACTERS: Final = 26
"""So that `NAME-pipeline-123456789012-ap-southeast-1` has the 63 characters that a bucket's name may have."""
_FORM: Final = re.compile(r"[a-z][a-z0-9-]*")
_RESERVED: Final = ("xn--", "sthree-", "amzn-s3-demo-")
"""Prefixes that S3 keeps for itself."""


def problems(name: str) -> Iterator[str]:
    """What is wrong with a stack's name, as ends of a sentence."""
    if not _FORM.fullmatch(name):
        yield "must begin with a lower-case letter, and have only lower-case letters, digits and hyphens"
    if len(name) > MAX_CHARACTERS:
        yield f"has {len(name)} characters, and may have {MAX_CHARACTERS}"
    for prefix in _RESERVED:
        if name.startswith(prefix):
            yield f"begins with `{prefix}`, which S3 does not allow"


def check_stack_name(name: str) -> Iterator[Check]:
    wrong = list(problems(name))
    if wrong:
        yield failed("stack name", f"`{name}` {', and '.join(wrong)}: buckets are named after it", "Take another name.")
    else:
        yield ok("stack name", f"`{name}` fits into all names that the template makes")
