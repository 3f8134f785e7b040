"""The process that decodes untrusted files: `python -m services.sfm.photos.decoder_process PARENT_PID`.

A process of its own with little memory, since decoders written in C crash, hang or allocate without end on files made
for that. Reads JSON lines, answers each with one: `{"metadata", "size", "traits"}`, `{"levels", "of"}` or `{}` for the
levels of a photo, `{"frames", "stretches"}`, `{}` for a mask, `{"reason"}` where it is left out, `{"errno"}` where
the disk is full; for a video also `{"done", "total"}` before that.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
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
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # what is wrong with a file goes into the report, not into the log

    def send(reply: dict[str, Any]) -> None:
        out.write(json.dumps(reply, default=str) + "\n")

    for line in sys.stdin:
        send(answer(json.loads(line), send))
    return 0


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each of its threads reserves addresses
    sys.exit(main(int(sys.argv[1])))
