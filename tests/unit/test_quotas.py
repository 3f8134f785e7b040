"""The counters of tenants: no limit is passed, nothing is counted twice, and no place is lost for good."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

import boto3
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.quotas import Quotas, Reservation
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.tenants import Limits

NOON = 1_795_694_400.0  # 2026-11-26T12:00:00Z
DAY = 86_400.0


class Clock:
    """Seconds since the epoch that a test moves on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quotas(table: JobTable, clock: Clock) -> Quotas:
    return Quotas(JobTable(table.table.name, clock=clock))


def is_refused(quotas: Quotas, tenant: str, job_id: str, limits: Limits, usd: float = 0.0) -> str:
    """The sentence with which a job is refused; empty when it is not."""
    try:
        quotas.reserve_job(tenant, limits, job_id, usd)
    except Refused as refusal:
        assert refusal.slug is Slug.OVER_QUOTA
        return str(refusal)
    return ""


def test_jobs_are_refused_beyond_100(quotas: Quotas) -> None:
    quotas.restore_jobs("acme", {f"job-{number}" for number in range(95)})
    sentences = [is_refused(quotas, "acme", f"job-{number}", Limits(), 0.01) for number in range(90, 110)]
    assert [bool(sentence) for sentence in sentences] == [False] * 10 + [True] * 10
    assert sentences[-1] == (
        "Your team has reached one of its limits: 100 unfinished jobs at once. Wait until one has ended, or stop one."
        " Whoever operates this service can raise it."
    )
    quotas.release_job("acme", "job-7")
    assert not is_refused(quotas, "acme", "job-200", Limits())


def test_a_limit_of_none_lets_no_job_in(quotas: Quotas) -> None:
    assert "0 unfinished jobs" in is_refused(quotas, "acme", "job-1", Limits(open_jobs=0))
    assert quotas.open_jobs("acme") == frozenset()


def test_the_dollars_of_a_day_are_spent_once_and_not_given_back(quotas: Quotas, clock: Clock) -> None:
    limits = Limits(usd_per_day=1.0)
    assert not is_refused(quotas, "acme", "job-1", limits, 0.7)
    assert not is_refused(quotas, "acme", "job-1", limits, 0.7)
    assert "estimated to cost $0.40" in is_refused(quotas, "acme", "job-2", limits, 0.4)
    assert quotas.open_jobs("acme") == {"job-1"}
    assert not is_refused(quotas, "acme", "job-3", limits, 0.3)
    quotas.release_job("acme", "job-1")
    assert is_refused(quotas, "acme", "job-2", limits, 0.4)
    clock.now += DAY
    assert not is_refused(quotas, "acme", "job-2", limits, 0.4)
    assert is_refused(quotas, "acme", "job-4", limits, 1.01)


def test_a_job_that_a_late_clock_reserves_is_counted_on_the_later_day(quotas: Quotas, clock: Clock) -> None:
    limits = Limits(usd_per_day=1.0)
    clock.now += DAY
    assert not is_refused(quotas, "acme", "job-1", limits, 0.7)
    clock.now -= DAY
    assert is_refused(quotas, "acme", "job-2", limits, 0.7)
    assert not is_refused(quotas, "acme", "job-2", limits, 0.3)


def test_tenants_do_not_share_limits(quotas: Quotas) -> None:
    limits = Limits(open_jobs=1)
    quotas.reserve_job("acme", limits, "job-1", 0)
    quotas.reserve_job("borealis", limits, "job-2", 0)
    assert [quotas.open_jobs(tenant) for tenant in ("acme", "borealis")] == [{"job-1"}, {"job-2"}]


def test_bytes_are_counted_once_for_each_upload(quotas: Quotas, clock: Clock) -> None:
    limits = Limits(gigabytes_per_day=1.0)
    for _ in range(2):
        quotas.reserve_upload("acme", limits, "job-1", 600_000_000)
    with pytest.raises(Refused, match="uploads of 1 GB a day"):
        quotas.reserve_upload("acme", limits, "job-2", 500_000_000)
    with pytest.raises(Refused, match="uploads of 1 GB a day"):
        quotas.check_upload("acme", limits, 500_000_000)
    quotas.check_upload("acme", limits, 400_000_000)
    clock.now += DAY
    quotas.reserve_upload("acme", limits, "job-2", 500_000_000)


def test_an_upload_is_not_signed_for_a_tenant_without_a_place(quotas: Quotas) -> None:
    quotas.reserve_job("acme", Limits(), "job-1", 0)
    with pytest.raises(Refused, match="1 unfinished jobs"):
        quotas.check_upload("acme", Limits(open_jobs=1), 1)


def test_mails_are_counted_once_and_end(quotas: Quotas) -> None:
    limits = Limits(mails_per_day=2)
    answers = [quotas.reserve_mail("acme", limits, mail) for mail in ("a", "a", "b", "c", "a", "b")]
    made, known, refused = Reservation.MADE, Reservation.KNOWN, Reservation.REFUSED
    assert answers == [made, known, made, refused, known, known]
    assert quotas.reserve_mail("acme", Limits(mails_per_day=0), "d") is refused


def test_rows_of_days_expire(quotas: Quotas, table: JobTable) -> None:
    quotas.reserve_mail("acme", Limits(), "a")
    row: Any = table.table.get_item(Key={"job_id": "tenant#acme", "record": "mails#2026-11-26"})["Item"]
    assert int(row["expiration"]) == NOON + 40 * DAY


def test_counters_that_were_lost_begin_with_the_jobs_that_are_there(quotas: Quotas) -> None:
    for _ in range(2):
        quotas.restore_jobs("acme", {"job-1", "job-2"})
    assert is_refused(quotas, "acme", "job-3", Limits(open_jobs=2))
    assert not is_refused(quotas, "acme", "job-2", Limits(open_jobs=2))


class Counters(RuleBasedStateMachine):
    """Jobs begin and end, calls are doubled and killed between any two of their steps, and a sweep comes now and then.

    A call's steps are: reserve, write the job's manifest. An end's: write the end manifest, release.
    """

    LIMIT = 3
    JOBS = st.integers(0, 7).map("job-{}".format)

    numbers: ClassVar[Iterator[int]] = count()

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.tenant = f"tenant-{next(self.numbers)}"
        self.quotas = Quotas(JobTable("jobs", boto3.resource("dynamodb"), self.clock))
        self.reserved: set[str] = set()
        self.begun: set[str] = set()
        self.ended: set[str] = set()

    @rule(job=JOBS, dies=st.booleans(), usd=st.sampled_from([0.0, 0.4]))
    def call(self, job: str, *, dies: bool, usd: float) -> None:
        """As accept.py does: a job that has a manifest is not begun again."""
        if job in self.begun:
            return
        if not is_refused(self.quotas, self.tenant, job, Limits(open_jobs=self.LIMIT, usd_per_day=2.0), usd):
            self.reserved.add(job)
            if not dies:
                self.begun.add(job)

    @rule(job=JOBS)
    def second_delivery_that_looked_before_the_manifest_was_there(self, job: str) -> None:
        if job in self.begun and not is_refused(self.quotas, self.tenant, job, Limits(open_jobs=self.LIMIT)):
            self.reserved.add(job)

    @rule(job=JOBS, dies=st.booleans())
    def end(self, job: str, *, dies: bool) -> None:
        if job in self.begun:
            self.ended.add(job)
            if not dies:
                self.quotas.release_job(self.tenant, job)

    @rule(seconds=st.sampled_from([60.0, DAY]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.quotas.open_jobs(self.tenant))
    @rule()
    def sweep(self) -> None:
        """As the sweeper does, when no call is in flight."""
        for job in self.quotas.open_jobs(self.tenant):
            if job in self.ended or job not in self.begun:
                self.quotas.release_job(self.tenant, job)
        assert self.quotas.open_jobs(self.tenant) == self.begun - self.ended

    @invariant()
    def no_limit_is_passed_and_every_open_job_has_its_place(self) -> None:
        open_jobs = self.quotas.open_jobs(self.tenant)
        assert len(open_jobs) <= self.LIMIT
        assert self.begun - self.ended <= open_jobs <= self.reserved


def test_no_place_is_lost_or_used_twice(table: JobTable) -> None:
    """On one table: each example is a tenant of its own."""
    checks = settings(
        max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(Counters, settings=checks)


def test_the_clock_of_these_tests_is_that_day() -> None:
    assert time.strftime("%Y-%m-%dT%H", time.gmtime(NOON)) == "2026-11-26T12"
