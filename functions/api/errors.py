"""The API's error responses: a slug for machines, a sentence for people."""

from __future__ import annotations

import json

from aws_lambda_powertools.event_handler import Response, content_types


class Forbidden(Exception):
    """403: the caller may not do this. `str(error)` says who may."""


def error_response(status: int, slug: str, sentence: str, **more: object) -> Response[str]:
    """An error as JSON."""
    body = json.dumps({"slug": slug, "sentence": sentence, **more})
    return Response(status_code=status, content_type=content_types.APPLICATION_JSON, body=body)
