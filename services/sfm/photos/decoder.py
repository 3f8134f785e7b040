"""The parent's side of one decoder process: starts it, sends it one file at a time, and judges how it ended."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from services.sfm.child import CRASHES, lacked_memory, was_killed

CPU_SECONDS: Final = {"video": 2400}
"""Of computing that a file may cost, by the kind of its request: of a video its twenty minutes on two threads."""
PHOTO_CPU_SECONDS: Final = 60  # of anything else; the largest photos take twenty
MAX_REPLY_BYTES: Final = 1 << 20
_START_SECONDS: Final = 120.0
_EXIT_SECONDS: Final = 10.0
_LOG_TAIL: Final = 4000
_NO_PROCESS: Final = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)

Request = dict[str, Any]
Reply = dict[str, Any]


class DecoderLost(Exception):
    """The decoder ended in the middle of a file. `was_killed`: from outside, which need not be the file's fault."""

    def __init__(self, *, was_killed: bool) -> None:
        self.was_killed = was_killed
        super().__init__("killed" if was_killed else "crashed")


class Decoder:
    """One process that decodes, started when it is needed, and again after it was lost.

    Args:
        seconds: that pass without a reply about a file before the process is killed.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._closed = False
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def decode(self, request: Request, on_share: Callable[[float], None]) -> Reply:
        """Its reply; for a video `on_share` gets the share that is decoded, 0-1.

        A file that takes too long has a `reason` for reply, and `is_lost`.

        Raises:
            DecoderLost: the process crashed on the file, or was killed.
            MemoryError: it cannot be started for want of memory or processes.
            RuntimeError: it cannot be started for another reason.
        """
        cpu_seconds = CPU_SECONDS.get(request.get("kind", ""), PHOTO_CPU_SECONDS)
        child = self._start()
        try:
            assert child.stdin is not None  # noqa: S101 - opened with PIPE
            child.stdin.write(json.dumps({**request, "cpu_seconds": cpu_seconds}).encode() + b"\n")
            child.stdin.flush()
            return self._last_reply(child, on_share)
        except TimeoutError:
            self.end()
            return {"reason": f"it takes more than {self._seconds:.0f} seconds to decode", "is_lost": True}
        except (OSError, ValueError) as error:  # its end of the pipe is closed, or its reply is no JSON
            code = self._exit_code(child) if isinstance(error, OSError) else None
            self.end()
        if code == -signal.SIGXCPU:
            return {"reason": f"it takes more than {cpu_seconds} seconds of computing to decode", "is_lost": True}
        raise DecoderLost(was_killed=code is not None and was_killed(code))

    def close(self) -> None:
        """Kill the process, in the middle of its work too, for good."""
        self._closed = True
        self.end()

    def end(self) -> None:
        """Kill the process, if there is one."""
        child, self._child, self._buffer = self._child, None, b""
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout, child.stderr):
                with suppress(OSError):
                    pipe.close() if pipe else None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise DecoderLost(was_killed=False)
        if self._child is not None:
            return self._child
        command = [sys.executable, "-m", "services.sfm.photos.decoder_process", str(os.getpid())]
        pipe = subprocess.PIPE
        try:
            child = self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603 - our own module
        except OSError as error:
            if error.errno in _NO_PROCESS:
                raise MemoryError(f"no decoder can be started: {error.strerror}") from error
            raise
        try:
            self._next_reply(child, time.monotonic() + _START_SECONDS)  # it is ready
        except (OSError, ValueError) as error:
            failure = self._why_not_started(child, error)
            self.end()
            raise failure from error
        return child

    def _why_not_started(self, child: subprocess.Popen[bytes], error: Exception) -> Exception:
        code = None if isinstance(error, TimeoutError) else self._exit_code(child)
        if self._closed:
            return DecoderLost(was_killed=False)
        if code is None:
            return MemoryError(f"no decoder starts within {_START_SECONDS:.0f} seconds")
        log = child.stderr.read().decode("utf-8", "replace") if child.stderr else ""
        if lacked_memory(code, log) or -code in CRASHES:  # libraries crash where they get no memory or thread
            return MemoryError(f"a decoder ended with code {code} while it started")
        return RuntimeError(f"a decoder ended with code {code} while it started: {log[-_LOG_TAIL:]}")

    def _last_reply(self, child: subprocess.Popen[bytes], on_share: Callable[[float], None]) -> Reply:
        """The last line of an answer; each line before it restarts the time-out."""
        while "done" in (reply := self._next_reply(child, time.monotonic() + self._seconds)):
            on_share(float(reply["done"] / reply["total"]))
        return reply

    def _next_reply(self, child: subprocess.Popen[bytes], until: float) -> Reply:
        assert child.stdout is not None  # noqa: S101 - opened with PIPE
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_REPLY_BYTES:
                raise ValueError("a reply without an end")
            if not select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            data = os.read(child.stdout.fileno(), 1 << 16)
            if not data:
                raise BrokenPipeError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply

    @staticmethod
    def _exit_code(child: subprocess.Popen[bytes]) -> int | None:
        """Of a process that has closed its end; None where it does not end by itself."""
        try:
            return child.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None
