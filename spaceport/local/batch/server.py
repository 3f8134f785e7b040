"""The four Batch calls that boto3 makes here, as HTTP on loopback: submit, describe, list, terminate."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spaceport.local.access import ACCOUNT
from spaceport.local.batch.runner import Runner
from spaceport.local.calls import BATCH_ACTIONS, json_calls
from spaceport.local.cross_origin import is_cross_origin
from spaceport.local.door import REFUSAL
from spaceport.local.roles import Roles
from spaceport.local.signatures import Credentials, SignedRequest, signer_of_header

MAX_BODY = 1 << 20
MAX_LISTED = 100  # on a page, as in AWS
HOST = "127.0.0.1"

Call = Callable[[Runner, dict[str, Any]], dict[str, Any]]


def _submit(runner: Runner, body: dict[str, Any]) -> dict[str, Any]:
    overrides = body.get("containerOverrides", {}).get("environment", [])
    environment = {item["name"]: item["value"] for item in overrides}
    job = runner.submit(
        body["jobQueue"], body["jobDefinition"], body["jobName"], body.get("parameters", {}), environment
    )
    return {"jobId": job.id, "jobName": job.name, "jobArn": f"arn:aws:batch:us-east-1:000000000000:job/{job.id}"}


def _describe(runner: Runner, body: dict[str, Any]) -> dict[str, Any]:
    return {"jobs": runner.describe(body["jobs"])}


def _list(runner: Runner, body: dict[str, Any]) -> dict[str, Any]:
    max_results = int(body.get("maxResults") or MAX_LISTED)
    if not 1 <= max_results <= MAX_LISTED:
        raise ValueError(f"maxResults must be 1 to {MAX_LISTED}, not {max_results}")
    jobs, next_token = runner.list_jobs(
        body["jobQueue"], body.get("jobStatus", "RUNNING"), max_results, body.get("nextToken")
    )
    return {"jobSummaryList": jobs} | ({"nextToken": next_token} if next_token else {})


def _terminate(runner: Runner, body: dict[str, Any]) -> dict[str, Any]:
    runner.terminate(body["jobId"], body["reason"])
    return {}


CALLS: dict[str, Call] = dict(zip(BATCH_ACTIONS, (_submit, _describe, _list, _terminate), strict=True))


class BatchServer:
    """Serves a runner on a free port of 127.0.0.1 until `close`."""

    def __init__(self, secret: str) -> None:
        """`secret`: with which requests must be signed."""
        self._server = ThreadingHTTPServer((HOST, 0), _Handler)
        self._server.credentials = Credentials(ACCOUNT, secret)  # type: ignore[attr-defined]  # for the handlers
        self._server.daemon_threads = True
        self.endpoint = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="batch", daemon=True)

    def serve(self, runner: Runner, roles: Roles) -> None:
        self._server.runner = runner  # type: ignore[attr-defined]  # how handlers of http.server get at an object
        self._server.roles = roles  # type: ignore[attr-defined]
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name is http.server's
        body = self._permitted_body()
        if body is None:
            return
        call = CALLS.get(self.path)
        if call is None:
            self._respond(
                404, {"message": "the local Batch supports SubmitJob, DescribeJobs, ListJobs and TerminateJob"}
            )
            return
        try:
            runner: Runner = self.server.runner  # type: ignore[attr-defined]
            self._respond(200, call(runner, json.loads(body or b"{}")))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            self._respond(400, {"message": f"{type(error).__name__}: {error}"})

    def _permitted_body(self) -> bytes | None:
        """The request's body; None after a refusal: it is too long, not signed by us, or its role lacks a right."""
        server: Any = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if is_cross_origin(headers, server.server_port) or not length.isdecimal() or int(length) > MAX_BODY:
            self._respond(403, {"message": REFUSAL})
            return None
        body = self.rfile.read(int(length))
        request = SignedRequest("POST", self.path, {}, headers)
        signer = signer_of_header(request, body, server.credentials)
        if signer is None:
            self._respond(403, {"message": REFUSAL})
            return None
        if signer.access_key == server.credentials.access_key:
            return body
        try:
            refused = server.roles.refused(signer.access_key, json_calls(request, "batch", body, lambda *_: ""))
        except (ValueError, AttributeError) as error:
            self._respond(400, {"message": str(error)})
            return None
        if refused:
            self._respond(
                403, {"message": f"{signer.access_key} is not authorized: {refused}"}, "AccessDeniedException"
            )
        return None if refused else body

    def _respond(self, status: int, body: dict[str, Any], error: str = "ClientException") -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status >= 400:
            self.send_header("x-amzn-ErrorType", error)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: jobs have logs of their own."""
