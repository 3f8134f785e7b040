"""After the storm: what was lost, what came twice, what is wrong."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from inputs import Garbage, Upload
from ledger import Ledger
from results import faults_of_result
from watch import UNREACHABLE, mails_waiting
from world import Life, World

from spaceport.cli.doctor import examine
from spaceport.demo.truth import Truth
from spaceport.pipeline import layout
from spaceport.pipeline.contract import EndManifest
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.batch import unfinished_jobs
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.storage import MAX_MANIFEST_BYTES, Bucket, StoredManifest, UnreadableManifest
from spaceport.pipeline.text import visible

GIVEN_UP = frozenset(
    {Slug.MACHINE_LOST, Slug.DISK_FULL, Slug.OUT_OF_MEMORY, Slug.INPUT_MISSING, Slug.NEVER_STARTED, Slug.TIMED_OUT}
)
"""Honest ends of a job whose machines were lost more often than it has tries."""
MAIL_SECONDS = 10.0
"""From a manifest to its event in the queue, and from there to the mailbox, as far as no queue shows it."""
QUIET_SECONDS = 15.0
"""For so long nothing must be left to do; longer than a mail takes."""

Jobs = dict[str, list[StoredManifest]]


@dataclass
class Verdict:
    """Each list holds a sentence for each case."""

    jobs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    """Mails that were sent again, as who sent them first was killed before it could record that: better than none."""
    mails: int = 0
    mails_unknown: int = 0
    """Jobs whose mail nobody saw, in a cloud that was killed with events or mails in its memory."""
    mails_again: int = 0
    """Jobs with a mail in more than one life: the embedded DynamoDB forgets what was sent when it is killed."""


def settle(world: World, ledger: Ledger, seconds: float) -> None:
    """Wait until every upload has an end, no mail waits and no Batch job is left; at most so many seconds."""
    deadline = time.monotonic() + seconds
    quiet_since = time.monotonic()
    ended: Jobs = {}
    while time.monotonic() < deadline and time.monotonic() - quiet_since < QUIET_SECONDS:
        try:
            deployment = world.deployment
            jobs = read_jobs(deployment.bucket, ended)
            ended = {job_id: manifests for job_id, manifests in jobs.items() if manifests[-1].manifest.kind == "end"}
            is_quiet = not (
                _without_end(ledger, jobs)
                or mails_waiting(world.access)
                or any(unfinished_jobs(deployment.batch, deployment.queues))
            )
        except Exception as error:
            if world.is_up and not isinstance(error, UNREACHABLE):
                raise
            is_quiet = False
        if not is_quiet:
            quiet_since = time.monotonic()
        time.sleep(5)


def read_jobs(bucket: Bucket, known: Jobs | None = None) -> Jobs:
    """The manifests of all jobs, but for those that are known; those that cannot be read are left out."""
    jobs = dict(known or {})
    for job_id in bucket.list_folders(layout.JOBS):
        if job_id in jobs:
            continue
        try:
            manifests = read_manifests(bucket, job_id)
        except UnreadableManifest:
            continue
        if manifests:
            jobs[job_id] = manifests
    return jobs


def judge(world: World, ledger: Ledger, truth: Truth) -> Verdict:
    """Compare what there is with what was dropped."""
    deployment = world.deployment
    jobs = read_jobs(deployment.bucket)
    verdict = Verdict(jobs=len(jobs), wrong=list(ledger.wrong), mails=len(ledger.mails))
    verdict.lost += [f"{key} has no end" for key in _without_end(ledger, jobs)]
    verdict.twice += _twice(ledger, jobs)
    _judge_mails_of_one_life(ledger, verdict, jobs)
    by_key = _by_upload(jobs)
    for upload in ledger.uploads:
        for job_id in by_key[upload.key]:
            _judge_job(world, verdict, upload, job_id, jobs[job_id], truth)
    _judge_mails(world, ledger, verdict, jobs)
    named = "\n".join(check.sentence for check in examine(deployment))
    for garbage in ledger.garbage:
        verdict.wrong += _faults_of_garbage(deployment.bucket, garbage, named)
    return verdict


def _by_upload(jobs: Jobs) -> defaultdict[str, list[str]]:
    """Job ids by the key of the upload they began with."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for job_id, manifests in jobs.items():
        if upload := manifests[0].manifest.request.upload:
            ids[upload.key].append(job_id)
    return ids


def _without_end(ledger: Ledger, jobs: Jobs) -> list[str]:
    ended = {
        manifests[-1].manifest.request.upload.key
        for manifests in jobs.values()
        if isinstance(manifests[-1].manifest, EndManifest) and manifests[-1].manifest.request.upload
    }
    return [upload.key for upload in ledger.uploads if upload.key not in ended]


def _twice(ledger: Ledger, jobs: Jobs) -> Iterator[str]:
    for key, ids in _by_upload(jobs).items():
        if len(ids) > 1:
            yield f"{key} began {len(ids)} jobs: {', '.join(ids)}"
    for key, etags in ledger.etags.items():
        if len(etags) > 1 and "/garbage-" not in key:
            yield f"{key} was written {len(etags)} times, each time something else"


def _judge_mails_of_one_life(ledger: Ledger, verdict: Verdict, jobs: Jobs) -> None:
    """A second mail is one too many, unless a sender was killed between the two while the first was unrecorded."""
    for job_id in jobs:
        kills = [kill.at for kill in ledger.senders_killed if job_id in kill.unrecorded]
        for life, times in ledger.mails_of(job_id).items():
            for first, second in pairwise(times):
                sentence = f"{job_id} got a mail in life {life}, and another one {second - first:.1f} s later"
                if killed := next((at for at in kills if first <= at < second), None):
                    when = f"{killed - first:.3f} s after it"
                    verdict.unrecorded.append(f"{sentence}; a sender was killed {when}, when it was not yet recorded")
                else:
                    verdict.twice.append(sentence)


def _judge_job(
    world: World, verdict: Verdict, upload: Upload, job_id: str, manifests: list[StoredManifest], truth: Truth
) -> None:
    end = manifests[-1].manifest
    if not isinstance(end, EndManifest):  # counted as lost
        return
    slug = end.failure.slug if end.failure else None
    verdict.ends[f"{end.state} {slug or ''}".strip()] += 1
    row = world.deployment.table.get(job_id)
    if row is None or row.state is not end.state:
        verdict.wrong.append(f"{job_id} ended as {end.state}, and its row says {row.state if row else 'nothing'}")
    if slug in GIVEN_UP and slug is not upload.expected.slug:
        verdict.given_up.append(f"{job_id}: {slug}")
        return
    expected = upload.expected
    is_right_slug = slug is expected.slug if expected.slug or expected.is_model else slug not in {None, Slug.INTERNAL}
    if end.state not in expected.states or not is_right_slug:
        wanted = "/".join(sorted(expected.states))
        verdict.wrong.append(f"{job_id}: {end.state} {slug} instead of {wanted} {expected.slug}: {end.message}")
    elif expected.is_model:
        verdict.wrong += faults_of_result(world.deployment.bucket, job_id, truth, expected.photos)


def _judge_mails(world: World, ledger: Ledger, verdict: Verdict, jobs: Jobs) -> None:
    for job_id, manifests in jobs.items():
        end = manifests[-1].manifest
        if not isinstance(end, EndManifest) or not end.request.email:
            continue
        mails = ledger.mails_of(job_id)
        verdict.mails_again += len(mails) > 1
        if mails:
            continue
        ended_at = ledger.written_at.get(layout.end_key(job_id), 0.0)
        if _were_all_sent_after(world.lives, ledger.all_sent_at, ended_at):
            verdict.lost.append(f"the mail of {job_id}, which ended as {end.state}")
        else:
            verdict.mails_unknown += 1


def _were_all_sent_after(lives: list[Life], all_sent_at: Mapping[int, float], moment: float) -> bool:
    """Whether no mail was left to be sent, at some time after this moment and in the same life of the cloud.

    Otherwise the cloud was killed with the event, or with the mailbox.
    """
    life = next(life for life in reversed(lives) if life.began <= moment or life is lives[0])
    return all_sent_at.get(life.number, 0.0) > moment + MAIL_SECONDS


def _faults_of_garbage(bucket: Bucket, garbage: Garbage, named: str) -> Iterator[str]:
    if bucket.read_small(garbage.key, MAX_MANIFEST_BYTES) != garbage.body:
        yield f"{garbage.key} was changed"
    job_id = layout.split_key(garbage.key)[0]
    others = [item.key for item in bucket.list_objects(layout.job_prefix(job_id)) if item.key != garbage.key]
    if others:
        yield f"beside the garbage {garbage.key} lie {', '.join(others)}"
    if visible(garbage.key) not in named:
        yield f"doctor does not name {garbage.key}"
