"""What the API answers when it cannot do as it was told: a slug for machines, a sentence for people."""

from __future__ import annotations

import json

from aws_lambda_powertools.event_handler import Response, content_types


class Conflict(Exception):
    """409: the job is not in a state in which that could be done."""


def answer(status: int, slug: str, sentence: str, **more: str) -> Response[str]:
    """An error as JSON."""
    body = json.dumps({"slug": slug, "sentence": sentence, **more})
    return Response(status_code=status, content_type=content_types.APPLICATION_JSON, body=body)
