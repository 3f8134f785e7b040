"""The parent's side of the decoders: a few processes, each with one file at a time, killed when they take too long."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import Any, Final

TIMEOUT_S: Final = 90.0  # without a reply about a file; the largest photos take ten
MAX_DECODERS: Final = 3  # at once: together they fit a machine with 16 GB, whatever is in the files
MAX_LOST: Final = 20  # decoders that crashed or hung, before the rest is not tried
MAX_REPLY_BYTES: Final = 1 << 20
_POLL_SECONDS: Final = 0.5
_CRASHED: Final = "its decoder crashed on it"
_NOT_TRIED: Final = "it was not tried, since too many others could not be decoded"

Request = dict[str, Any]
Reply = dict[str, Any]


def decode_all(
    requests: list[Request],
    on_done: Callable[[int], None],
    check: Callable[[], None],
    seconds: float = TIMEOUT_S,
    on_share: Callable[[float], None] = lambda _: None,
) -> list[Reply]:
    """Have files decoded; returns the replies, in the order of the requests.

    A file that crashes its decoder, or keeps it busy for longer than `seconds`, has a `reason` for reply. `on_done` is
    called with the number that are done, `check` at least twice a second, and so is `on_share` with the share of the
    work that is done, parts of videos included; exceptions from any of them propagate at once.

    Raises:
        OSError: the disk is full.
    """
    shares = [0.0] * len(requests)
    decoders = DecoderPool(max(1, min(MAX_DECODERS, os.cpu_count() or 1, len(requests))), seconds)

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


def _finished(futures: list[Future[Reply]], report: Callable[[], None]) -> Iterator[Reply]:
    waiting = set(futures)
    while waiting:
        report()
        done, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
        for future in done:
            yield future.result()


class DecoderPool:
    """`size` decoders, each of which decodes one file at a time. `decode` may be called from as many threads."""

    def __init__(self, size: int, seconds: float) -> None:
        self.size = size
        self._decoders = [Decoder(seconds) for _ in range(size)]
        self._free: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for decoder in self._decoders:
            self._free.put(decoder)

    def decode(self, request: Request, on_share: Callable[[float], None]) -> Reply:
        """As `Decoder.decode`; after `MAX_LOST` lost decoders no file is tried any more."""
        decoder = self._free.get()
        try:
            lost = sum(each.lost for each in self._decoders)
            return decoder.decode(request, on_share) if lost < MAX_LOST else {"reason": _NOT_TRIED}
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """Kill all processes, in the middle of their work too."""
        for decoder in self._decoders:
            decoder.close()


class Decoder:
    """One process that decodes, started when it is needed, and again after it was lost."""

    def __init__(self, seconds: float) -> None:
        self.lost = 0
        self._seconds = seconds
        self._closed = False
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, request: Request, on_share: Callable[[float], None]) -> Reply:
        """Its reply, or a `reason` where there is none; for a video `on_share` gets the share that is decoded, 0-1."""
        try:
            child = self._start()
            assert child.stdin is not None  # noqa: S101 - opened with PIPE
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            return self._reply(child, on_share)
        except TimeoutError:
            reason = f"it takes more than {self._seconds:.0f} seconds to decode"
        except (OSError, ValueError):  # its end of the pipe is closed, or its reply is no JSON
            reason = _CRASHED
        self.lost += 1
        self._end()
        return {"reason": reason}

    def close(self) -> None:
        """Kill the process, in the middle of its work too."""
        self._closed = True
        self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise BrokenPipeError
        if self._child is None:
            command = [sys.executable, "-m", "services.sfm.photos.decoder_process", str(os.getpid())]
            pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
            self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing)  # noqa: S603 - our own module
        return self._child

    def _reply(self, child: subprocess.Popen[bytes], on_share: Callable[[float], None]) -> Reply:
        """The last line of an answer; each line before it restarts the time-out."""
        assert child.stdout is not None  # noqa: S101 - opened with PIPE
        buffer, until = b"", time.monotonic() + self._seconds
        while len(buffer) < MAX_REPLY_BYTES:
            if not select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            data = os.read(child.stdout.fileno(), 1 << 16)
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                reply: Reply = json.loads(line)
                if "done" not in reply:
                    return reply
                on_share(float(reply["done"] / reply["total"]))
                until = time.monotonic() + self._seconds
        raise BrokenPipeError

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    pipe.close() if pipe else None
