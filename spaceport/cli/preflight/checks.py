"""What one question about an account has as its answer, and what all answers say together. Pure, but for `answers`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.pipeline.aws_errors import error_code


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Jobs can run, but somebody should know."""
    FAILED = "failed"
    """No job can run, or the stack cannot be deployed."""
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Check:
    """One line: what was checked, how it is, and what to do next."""

    subject: str
    verdict: Verdict
    sentence: str
    remedy: str = ""
    """Commands, or sentences; one a line."""


Question = Callable[[], Iterable[Check]]


def ok(subject: str, sentence: str) -> Check:
    return Check(subject, Verdict.OK, sentence)


def warning(subject: str, sentence: str, remedy: str) -> Check:
    return Check(subject, Verdict.WARNING, sentence, remedy)


def failed(subject: str, sentence: str, remedy: str) -> Check:
    return Check(subject, Verdict.FAILED, sentence, remedy)


def unknown(subject: str, reason: str) -> Check:
    return Check(subject, Verdict.UNKNOWN, f"not known, because {reason}")


def answers(subject: str, question: Question) -> Iterator[Check]:
    """The checks of a question; one that nobody answers is not known, and says why."""
    try:
        yield from question()
    except ClientError as error:
        yield unknown(subject, f"{error.operation_name} was refused ({error_code(error)}): {error_message(error)}")
    except BotoCoreError as error:
        yield unknown(subject, f"AWS gave no answer: {error}")


def error_message(error: ClientError) -> str:
    """AWS's sentence, which of a missing permission names the action and who lacks it."""
    return str(error.response.get("Error", {}).get("Message", ""))


def summary(checks: Iterable[Check], *, deployed: bool) -> str:
    """The last line."""
    verdicts = [check.verdict for check in checks]
    count = verdicts.count(Verdict.UNKNOWN)
    unless = f", as far as is known: {count} questions have no answer" if count else ""
    if Verdict.FAILED in verdicts:
        return "No job can run: see what failed." if deployed else "Do not deploy yet: see what failed."
    return f"A job can run{unless}." if deployed else f"The stack can be deployed{unless}."
