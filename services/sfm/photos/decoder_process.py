"""The process that decodes untrusted files: `python -m services.sfm.photos.decoder_process PARENT_PID`.

A process of its own with little memory, since decoders written in C crash, hang or allocate without end on files made
for that. Writes `{}` when it is ready. Reads JSON lines, answers each with one: `{"metadata", "size", "traits"}`,
`{"levels", "of"}` or `{}` for the levels of a photo, `{"frames", "stretches"}`, `{}` for a mask, `{"reason"}` where it
is left out, `{"errno"}` where the disk is full; for a video also `{"done", "total"}` before that. Answers say how many
`cpu_seconds` they took; the kernel ends the process (SIGXCPU) where they are more than a request's.
"""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from services.sfm.child import die_with_parent, private_output

# A raw photo of 150 megapixels; addresses, of which Python and its libraries take a quarter.
MAX_MEMORY: Final = 4 << 30
TOO_MUCH: Final = "it needs too much memory to decode"
Send = Callable[[dict[str, Any]], None]


def answer(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Decode the file of the request. Whatever is in it raises nothing: it is left out with a reason."""
    from services.sfm.photos.decode import LeftOutError  # noqa: PLC0415 - after the limits are set

    path = Path(request["path"])
    try:
        return _decode(request, path, send)
    except LeftOutError as error:
        reason = str(error)
    except MemoryError:
        reason = TOO_MUCH
    except Exception as error:  # decoders raise many kinds on broken files: OSError, SyntaxError, struct.error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"errno": error.errno}  # the machine's fault, not the file's
        reason = f"it cannot be decoded: {_printable(str(error), path)}"
    return {"reason": reason}


def _decode(request: dict[str, Any], path: Path, send: Send) -> dict[str, Any]:
    from services.sfm.photos.decode import read_levels, read_photo  # noqa: PLC0415 - after the limits are set
    from services.sfm.photos.levels import FULL  # noqa: PLC0415
    from services.sfm.photos.masks import write_mask  # noqa: PLC0415
    from services.sfm.photos.video import write_frames  # noqa: PLC0415

    if request["kind"] == "photo":
        levels = tuple(request.get("levels", FULL))
        photo = read_photo(path, request["name"], Path(request["copy"]), request["longest"], levels)
        return {"metadata": asdict(photo.metadata), "size": photo.size, "traits": asdict(photo.traits)}
    if request["kind"] == "levels":
        found = read_levels(path)
        return {"levels": found[0], "of": found[1]} if found else {}
    if request["kind"] == "mask":
        write_mask(path, Path(request["copy"]), tuple(request["size"]))
        return {}
    frames, stretches = write_frames(path, Path(request["folder"]), request["max_frames"], send)
    return {"frames": [(frame.file, frame.seconds) for frame in frames], "stretches": stretches}


def _printable(message: str, path: Path) -> str:
    plain = message.replace(str(path), path.name).replace(str(path.parent), "")
    return "".join(letter for letter in plain if letter.isprintable())[:200]


def main(parent: int) -> int:
    die_with_parent(parent)
    out = private_output()
    memory = _allowed(resource.RLIMIT_AS, MAX_MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _load_decoders()
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)  # what is wrong with a file goes into the report, not into the log
    warnings.simplefilter("ignore")

    def send(reply: dict[str, Any]) -> None:
        out.write(json.dumps(reply, default=str) + "\n")

    send({})
    for line in sys.stdin:
        request = json.loads(line)
        began = time.process_time()
        _limit_cpu(began + request["cpu_seconds"])
        send(answer(request, send) | {"cpu_seconds": time.process_time() - began})
    return 0


def _load_decoders() -> None:
    """Import what decodes, after the limits are set and before there is a file that could be blamed."""
    import services.sfm.photos.masks  # noqa: PLC0415
    import services.sfm.photos.video  # noqa: F401, PLC0415


def _limit_cpu(seconds: float) -> None:
    """Have the kernel end this process when it has computed for so long since its start, on all its threads."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_allowed(resource.RLIMIT_CPU, math.ceil(seconds)), hard))


def _allowed(what: int, amount: int) -> int:
    _, hard = resource.getrlimit(what)
    return amount if hard == resource.RLIM_INFINITY else min(amount, hard)


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each of its threads reserves addresses
    sys.exit(main(int(sys.argv[1])))
