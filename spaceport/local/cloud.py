"""The embedded cloud as a whole: start it, adopt what an earlier run left, shut it down without leftovers.

Only S3 survives a shutdown, orderly or not. So every start is the same: end what still runs from the last time, deploy
the template, adopt the buckets, rebuild the table from the manifests, and write each pending manifest again.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.local.access import Access, new_secret
from spaceport.local.address import PublishedAddress
from spaceport.local.batch.events import StateChanges, state_change
from spaceport.local.batch.model import Job, JobDefinition
from spaceport.local.batch.runner import Runner
from spaceport.local.batch.server import BatchServer
from spaceport.local.batch.submission import batch_consumers
from spaceport.local.children import end_survivors
from spaceport.local.deploy import CODE, deploy
from spaceport.local.functions import function_consumers
from spaceport.local.logs import cloud_log, prune_job_logs
from spaceport.local.ministack import Ministack
from spaceport.local.package import package
from spaceport.local.page import PREFIX, write_config
from spaceport.local.poller import Poller
from spaceport.local.roles import LOG, Roles, deployed_policies
from spaceport.local.state import as_state_unusable, lock, prepare
from spaceport.local.translate import Translation, fill, translate
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.jobs.accept import accept_upload
from spaceport.pipeline.jobs.recovery import accepted_uploads, pending_among, recover_jobs
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import UPLOADS
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Tenants, UnreadableTenants, read_tenants
from spaceport.pipeline.text import visible
from spaceport.web import is_built

STACK = "spaceport"
ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / ("template.yaml" if (ROOT / "template.yaml").exists() else "spaceport/template.yaml")
"""The second is an installed wheel's."""
PARAMETERS = {"MailFrom": "spaceport@localhost.localdomain", "MailDomains": "*", "WebOrigin": "*"}
"""Of the template. Mails go into a mailbox on this machine, to whatever address. `cross_origin.py` says which pages are
let in; this lets the API and the buckets answer them."""
DELIVERY_PAUSES = (0.2, 1.0)
"""Seconds before a state change of a Batch job is sent again; the sweeper makes up for one that is lost."""
NOTICE_SECONDS = 2.0
"""A dead embedded AWS refuses connections a moment before its end is noticed."""

log = logging.getLogger(__name__)


class EmbeddedCloud:
    """A context manager: inside the block the cloud runs, and `access` says how to reach it.

    Args:
        state: folder of its buckets, logs and scratch; created if missing. Two clouds need two folders.
        template: the SAM template to deploy.
    """

    access: Access

    def __init__(self, state: Path, template: Path = TEMPLATE) -> None:
        self.state = state.resolve()
        self._template = template
        self._stack = ExitStack()
        self._changes: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def __enter__(self) -> EmbeddedCloud:
        """Raises `StateInUse` when another cloud runs on the same folder, `StateUnusable` when none can."""
        with as_state_unusable(self.state), self._stack as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Raises `CloudDied` instead of an error that its death caused."""
        with self._stack:
            if isinstance(error, BotoCoreError):
                self._ministack.check(NOTICE_SECONDS)

    def check(self) -> None:
        """Raises `CloudDied` when it no longer runs."""
        self._ministack.check()

    def _start(self, stack: ExitStack) -> None:
        prepare(self.state)
        stack.enter_context(lock(self.state))
        end_survivors(self.state)
        for name in ("work", "tmp"):
            shutil.rmtree(self.state / name, ignore_errors=True)
            (self.state / name).mkdir(exist_ok=True)
        prune_job_logs(self.state / "logs")
        (self.state / "logs" / LOG).unlink(missing_ok=True)
        stack.enter_context(cloud_log(self.state / "logs"))
        translation = translate(self._template, CODE)
        secret = new_secret()
        server = BatchServer(secret)
        stack.callback(server.close)
        self._ministack = Ministack(self.state, server.endpoint, secret)
        stack.callback(self._ministack.stop)
        self.access = self._ministack.access
        outputs = deploy(self.access, STACK, translation, package(ROOT), self._parameters())
        write_config(self.state, outputs["ApiUrl"])
        runner = self._batch(stack, translation, outputs, server)
        self._recover(outputs)
        consumers = batch_consumers(translation.batch_targets, outputs, runner)
        consumers += function_consumers(self.access, translation.function_targets, outputs)
        stack.callback(Poller(lambda: self.access.client("sqs"), consumers).close)
        stack.callback(PublishedAddress(self.state, self.access).close)

    def _parameters(self) -> dict[str, str]:
        """With the page, if there is one, so that mails link to it: on this machine, while this cloud runs."""
        return PARAMETERS | ({"WebUrl": f"{self.access.endpoint}{PREFIX}"} if is_built() else {})

    def _batch(
        self, stack: ExitStack, translation: Translation, outputs: dict[str, str], server: BatchServer
    ) -> Runner:
        filled = {arn: fill(properties, outputs) for arn, properties in translation.job_definitions.items()}
        job_definitions = {arn: JobDefinition.of(arn, properties) for arn, properties in filled.items()}
        deliverer = threading.Thread(target=self._deliver, args=(StateChanges(self.access),))
        deliverer.start()
        stack.callback(deliverer.join)
        stack.callback(self._changes.put, None)
        runner = Runner(self.state, ROOT, job_definitions, translation.job_queues, self._on_change)
        runner.set_environment(lambda role: self.access.as_role(role).environment())
        stack.callback(runner.close)
        server.serve(runner, Roles(partial(deployed_policies, self.access.client("iam")), self.state / "logs" / LOG))
        return runner

    def _deliver(self, changes: StateChanges) -> None:
        while (event := self._changes.get()) is not None:
            for pause in (*DELIVERY_PAUSES, None):
                try:
                    changes.deliver(event)
                    break
                except (ClientError, BotoCoreError) as error:
                    log.warning("a state change was not delivered%s: %s", "" if pause else ", and is lost", error)
                    time.sleep(pause or 0)

    def _on_change(self, job: Job) -> None:
        self._changes.put(state_change(job))

    def _recover(self, outputs: dict[str, str]) -> None:
        """Recover from the last run: the table, pending manifests, uploads for which no job was begun."""
        bucket = Bucket(outputs["PipelineBucket"], self.access.client("s3"))
        uploads = Bucket(outputs["UploadsBucket"], self.access.client("s3"))
        resource = self.access.session.resource("dynamodb", endpoint_url=self.access.endpoint)
        table = JobTable(outputs["JobTable"], resource)
        accepted: set[str] = set()
        for job in recover_jobs(bucket, table):
            if job.problem:
                log.warning("the job %s is left alone: %s", visible(job.job_id), job.problem)
                continue
            accepted |= accepted_uploads(job.manifests)
            pending = pending_among(job.manifests)
            if pending:
                bucket.nudge(pending.key)
        missed = [item.key for item in uploads.list_objects(UPLOADS) if item.key not in accepted]
        try:
            tenants = read_tenants(bucket)
        except UnreadableTenants as error:
            log.warning("no uploads are accepted: %s", error)
            return
        for key in missed:
            if key.lower().endswith(".zip"):
                _accept_again(bucket, table, uploads, key, tenants)


def _accept_again(bucket: Bucket, table: JobTable, uploads: Bucket, key: str, tenants: Tenants) -> None:
    """Begin the job of an upload whose event was lost. What goes wrong with it keeps no other upload waiting."""
    try:
        accept_upload(bucket, table, uploads, key, tenants.of_upload(key), tenants=tenants)
    except Refused:  # deleted since the listing
        return
    except (ValueError, TypeError, TimeoutError, ClientError, BotoCoreError) as error:
        log.warning("no job is begun for the upload %s: %s", visible(key), error)
