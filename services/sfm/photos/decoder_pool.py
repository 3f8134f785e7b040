"""The decoders of a job: a few processes, each with one file at a time, within a budget of time for all of them.

What a file costs is bounded twice: by the computing and the time that it may take (`decoder.py`), and by the number of
decoders that the files of a job may lose and the computing that they may take together, here.

Whose fault is it when a decoder ends in the middle of a file? The file is tried once more, alone: all other decoders
are ended first, so that the machine's memory is its own. If the decoder crashes again, by a signal that a process
brings on itself or by an error, it is the file's: it is left out by name. If it is killed from outside again, which is
the kernel's way to say that memory is out, or cannot start, it is the machine's. A file that needs more memory than its
process may have, by its own limit, is answered as such and is not tried again.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Final

from services.sfm.photos.decoder import CPU_SECONDS, Decoder, DecoderLost, Reply, Request

__all__ = ["Reply", "Request", "decode_all"]

TIMEOUT_S: Final = 300.0  # without a reply about a file, on a machine that may have much else to do
MAX_DECODERS: Final = 3  # at once: together they fit a machine with 16 GB, whatever is in the files
MAX_LOST: Final = 20  # decoders that crashed or took too long, before the rest is not tried
BASE_CPU_SECONDS: Final = 120.0
MEAN_CPU_SECONDS: Final = 10.0  # of computing for each photo; a raw one of 50 megapixels takes four
MAX_CPU_SECONDS: Final = 6 * 3600.0  # for all files together: far more than any kind takes in the largest zip
_POLL_SECONDS: Final = 0.5
_CRASHED: Final = "its decoder crashed on it"
_NOT_TRIED: Final = "it was not tried, since too many others could not be decoded"
_OVER_BUDGET: Final = "it was not tried, since the others took too much computing to decode"


def decode_all(
    requests: list[Request],
    on_done: Callable[[int], None],
    check: Callable[[], None],
    seconds: float = TIMEOUT_S,
    on_share: Callable[[float], None] = lambda _: None,
) -> list[Reply]:
    """Have files decoded; returns the replies, in the order of the requests.

    A file that crashes its decoder twice, or takes too long, has a `reason` for reply. `on_done` is called with the
    number that are done, `check` at least twice a second, and so is `on_share` with the share of the work that is done,
    parts of videos included; exceptions from any of them propagate at once.

    Raises:
        OSError: the disk is full.
        MemoryError: the machine has no memory, or no process, for a decoder.
    """
    shares = [0.0] * len(requests)
    size = max(1, min(MAX_DECODERS, os.cpu_count() or 1, len(requests)))
    decoders = DecoderPool(size, seconds, cpu_budget(requests))

    def decode(number: int) -> Reply:
        try:
            return decoders.decode(requests[number], partial(shares.__setitem__, number))
        finally:
            shares[number] = 1.0

    def report() -> None:
        check()
        on_share(sum(shares) / len(shares))

    threads = ThreadPoolExecutor(decoders.size)
    try:
        futures = [threads.submit(decode, number) for number in range(len(requests))]
        for done, reply in enumerate(_finished(futures, report), start=1):
            if "errno" in reply:
                raise OSError(reply["errno"], os.strerror(reply["errno"]))
            on_done(done)
        return [future.result() for future in futures]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        decoders.close()
        threads.shutdown()


def cpu_budget(requests: list[Request]) -> float:
    """Seconds of computing that these files may take together."""
    each = (float(CPU_SECONDS.get(request.get("kind", ""), MEAN_CPU_SECONDS)) for request in requests)
    return min(BASE_CPU_SECONDS + sum(each), MAX_CPU_SECONDS)


def _finished(futures: list[Future[Reply]], report: Callable[[], None]) -> Iterator[Reply]:
    waiting = set(futures)
    while waiting:
        report()
        done, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
        for future in done:
            if future.exception():
                report()  # whoever ended the decoder may have asked this process to end, too
            yield future.result()


class DecoderPool:
    """`size` decoders, each of which decodes one file at a time. `decode` may be called from as many threads.

    Args:
        seconds: as `Decoder`'s.
        cpu_seconds: of computing that all files together may take.
    """

    def __init__(self, size: int, seconds: float, cpu_seconds: float) -> None:
        self.size = size
        self._decoders = [Decoder(seconds) for _ in range(size)]
        self._free: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for decoder in self._decoders:
            self._free.put(decoder)
        self._alone = threading.Lock()
        self._count = threading.Lock()
        self._lost = 0
        self._cpu_seconds = cpu_seconds

    def decode(self, request: Request, on_share: Callable[[float], None]) -> Reply:
        """As `Decoder.decode`, with a second try alone; once the limits of all files are reached no file is tried."""
        with self._one() as decoder:
            if self._lost >= MAX_LOST:
                return {"reason": _NOT_TRIED}
            if self._cpu_seconds <= 0:
                return {"reason": _OVER_BUDGET}
            try:
                return self._count_costs(decoder, request, on_share)
            except DecoderLost:
                pass
        with self._only() as decoder:
            try:
                return self._count_costs(decoder, request, on_share)
            except DecoderLost as lost:
                if lost.was_killed:
                    raise MemoryError("a decoder was killed twice on one file") from lost
        with self._count:
            self._lost += 1
        return {"reason": _CRASHED}

    def close(self) -> None:
        """Kill all processes, in the middle of their work too."""
        for decoder in self._decoders:
            decoder.close()

    def _count_costs(self, decoder: Decoder, request: Request, on_share: Callable[[float], None]) -> Reply:
        began, seconds = time.monotonic(), None
        try:
            reply = decoder.decode(request, on_share)
            seconds = reply.pop("cpu_seconds", None)
            is_lost = bool(reply.pop("is_lost", False))
        finally:
            with self._count:
                self._cpu_seconds -= time.monotonic() - began if seconds is None else seconds
        with self._count:
            self._lost += is_lost
        return reply

    @contextmanager
    def _one(self) -> Iterator[Decoder]:
        decoder = self._free.get()
        try:
            yield decoder
        finally:
            self._free.put(decoder)

    @contextmanager
    def _only(self) -> Iterator[Decoder]:
        """A decoder while no other process decodes."""
        with self._alone:
            decoders = [self._free.get() for _ in range(self.size)]
            try:
                for decoder in decoders:
                    decoder.end()
                yield decoders[0]
            finally:
                for decoder in decoders:
                    self._free.put(decoder)
