"""The four Batch calls that boto3 makes here, as HTTP on loopback: submit, describe, list, terminate."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spaceport.local.access import ACCOUNT
from spaceport.local.batch.runner import Runner
from spaceport.local.cross_origin import is_cross_origin
from spaceport.local.door import REFUSAL
from spaceport.local.signatures import Credentials, SignedRequest, is_signed_by_header

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


CALLS: dict[str, Call] = {
    "/v1/submitjob": _submit,
    "/v1/describejobs": _describe,
    "/v1/listjobs": _list,
    "/v1/terminatejob": _terminate,
}


class BatchServer:
    """Serves a runner on a free port of 127.0.0.1 until `close`."""

    def __init__(self, secret: str) -> None:
        """`secret`: with which requests must be signed."""
        self._server = ThreadingHTTPServer((HOST, 0), _Handler)
        self._server.credentials = Credentials(ACCOUNT, secret)  # type: ignore[attr-defined]  # for the handlers
        self._server.daemon_threads = True
        self.endpoint = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="batch", daemon=True)

    def serve(self, runner: Runner) -> None:
        self._server.runner = runner  # type: ignore[attr-defined]  # how handlers of http.server get at an object
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name is http.server's
        body = self._signed_body()
        if body is None:
            self._respond(403, {"message": REFUSAL})
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

    def _signed_body(self) -> bytes | None:
        """The request's body; None if it is too long, or the request is not signed by our secret."""
        server: Any = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if is_cross_origin(headers, server.server_port) or not length.isdecimal() or int(length) > MAX_BODY:
            return None
        body = self.rfile.read(int(length))
        request = SignedRequest("POST", self.path, {}, headers)
        return body if is_signed_by_header(request, body, server.credentials) else None

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status >= 400:
            self.send_header("x-amzn-ErrorType", "ClientException")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: jobs have logs of their own."""
