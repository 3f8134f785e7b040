"""Hostile zips, options and names, made at random from a seed."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

from fuzz_targets import zips
from test_cloud_uploads import HOSTILE
from zip_cases import CENTRAL, END, THREE, as_zip64, claiming, patched, with_entry, zipped

from spaceport.pipeline.options import resolve

Random = random.Random

NAMES = (
    *(
        "../evil{}.jpg",
        "/etc/evil{}.jpg",
        "..\\..\\evil{}.jpg",
        "C:\\evil{}.jpg",
        "//host/evil{}.jpg",
        "a/../../e{}.jpg",
    ),
    *("nul\0byte{}.jpg", "line\nbreak{}.jpg", "\x1b[2J\x1b]0;title\x07{}.jpg", "tab\t{}.jpg", "\x7f{}.jpg", "\r{}.jpg"),
    *("\u202egpj.{}.jpg", "\u2066isolate{}.jpg", "\u200bzero{}.jpg", "\ufeffbom{}.jpg", "a\u0301{}.jpg", "Å{}.jpg"),
    *(
        "[/oops]{}.jpg",
        "[bold]{}.jpg",
        "<script>alert(1)</script>{}.jpg",
        "{{job}}{}.jpg",
        "%n%s%x{}.jpg",
        "%2e%2e{}.jpg",
    ),
    *("$(reboot){}.jpg", "`id`{}.jpg", "'; DROP TABLE jobs;--{}.jpg", "-rf {}.jpg", "* {}.jpg", "a|b;c&d{}.jpg"),
    *("CON{}.jpg", "aux.{}.jpg", "trailing. {}.jpg ", " {}.jpg", "~{}.jpg", ".hidden{}.jpg", "Thumbs.db/{}.jpg"),
    *(
        "Screenshot 9.41.00\u202fAM {}.jpg",
        "写真{}.jpg",
        "фото{}.jpg",
        "😀{}.jpg",
        "\U000e0001{}.jpg",
        "ſ{}.jpg",
        "İ{}.jpg",
    ),
    *("x" * 240 + "{}.jpg", "d/" * 60 + "{}.jpg", "manifest.json/{}.jpg", "spaceport.json/{}.jpg", "a//b{}.jpg"),
)


def hostile_name(choose: Random) -> str:
    """A name of a photo; two of them are hardly ever the same."""
    return choose.choice(NAMES).replace("{}", str(choose.randrange(10**6)))


def named_zip(choose: Random) -> bytes:
    """Two photos with hostile names: too few, if the names are not refused before."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(2):
            info = zipfile.ZipInfo("placeholder")
            info.filename = hostile_name(choose)  # the constructor cuts at NUL
            archive.writestr(info, b"a photo, said its name %d" % number)
    return out.getvalue()


def hostile_zip(choose: Random) -> bytes:
    """A zip that lies, is damaged, or is none."""
    make: Callable[[Random], bytes] = choose.choice((_damaged, _damaged, _patched, _known, _claiming, _linked, _junk))
    return make(choose)


def hostile_options(choose: Random) -> bytes:
    """What somebody may write into `spaceport.json`, or into the body of a call."""
    make: Callable[[Random], str | bytes] = choose.choice((_wrong_value, _wrong_value, _odd_json, _nested, _odd_bytes))
    text = make(choose)
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def with_options(text: bytes) -> bytes:
    """A zip of three photos and a `spaceport.json`."""
    return zipped(THREE | {"spaceport.json": text}).getvalue()


def damaged(choose: Random, data: bytes) -> bytes:
    """Bytes with a few bits flipped, a piece cut out, doubled or overwritten, or the end missing."""
    if not data:
        return data
    raw, at = bytearray(data), choose.randrange(len(data))
    match choose.randrange(5):
        case 0:
            for _ in range(choose.randint(1, 8)):
                raw[choose.randrange(len(raw))] ^= 1 << choose.randrange(8)
        case 1:
            del raw[at:]
        case 2:
            raw[at : at + choose.randint(1, 64)] = b""
        case 3:
            raw[at:at] = raw[at : at + choose.randint(1, 64)]
        case _:
            raw[at : at + 4] = choose.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
    return bytes(raw)


def _damaged(choose: Random) -> bytes:
    seeds = zips()
    return damaged(choose, seeds[choose.choice(sorted(seeds))])


def _patched(choose: Random) -> bytes:
    """One field of one record set to something else."""
    signature, fields = choose.choice(((CENTRAL, range(4, 46, 2)), (END, range(4, 22, 2))))
    value = choose.choice((0, 1, 0xFFFF, 0x7FFF, choose.randrange(65536)))
    nth = choose.randrange(3) if signature == CENTRAL else 0
    return patched(zipped(THREE), signature, choose.choice(fields), "<H", value, nth).getvalue()


def _known(choose: Random) -> bytes:
    return HOSTILE[choose.choice(sorted(set(HOSTILE) - {"many-entries"}))][0]


def _claiming(choose: Random) -> bytes:
    if choose.random() < 0.5:
        return claiming(zipped(THREE), choose.choice((2**63, 2**40, 2**64 - 1, 2**32))).getvalue()
    return as_zip64(
        zipped(THREE), count=choose.choice((2, 4, 2**32, 2**64 - 1)), length_more=choose.randrange(3)
    ).getvalue()


def _linked(choose: Random) -> bytes:
    """A link, a device, a pipe or a socket among the photos."""
    kind = choose.choice((0o120777, 0o060666, 0o020666, 0o010666, 0o140777))
    return with_entry(f"link-{choose.randrange(999)}.jpg", kind).getvalue()


def _junk(choose: Random) -> bytes:
    begin = choose.choice(
        (b"", b"PK\3\4", b"PK\5\6", b"Rar!\x1a\7", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"%PDF-1.7")
    )
    return begin + choose.randbytes(choose.randrange(2000))


def _wrong_value(choose: Random) -> str:
    """Options whose value is of another type, out of its bounds, or unknown."""
    tree = resolve({}).model_dump(mode="json")
    stage = choose.choice(("sfm", "train", "compress"))
    field = choose.choice([*tree[stage], "unknown\u202e", "__proto__", "[/x]"])
    odd: list[Any] = [-1, 10**400, 1e308, "text", [], {}, [1, [2]], "\x1b[2J", "\ud800", True, "9" * 5000, None, 0.5]
    options = {stage: {field: choose.choice(odd)}}
    shape = choose.choice((options, {"options": options}, {"name": choose.choice(odd), "options": options}))
    return json.dumps(shape)


def _odd_json(choose: Random) -> str:
    texts = ("NaN", "Infinity", "[]", '"text"', "1", "null", "true", '{"options": [1]}', '{"options": "draft"}', "{")
    more = (
        '{"name": "\\ud800", "options": {}}',
        '{"preset": null, "preset": "dr\\u0000aft"}',
        '{"a": 1e999}',
        "{}}",
        "",
    )
    return choose.choice(texts + more) + " " * choose.randrange(50)


def _nested(choose: Random) -> str:
    depth = choose.choice((100, 900, 5000, 100_000))
    opened, closed = choose.choice((('{"a":', "}"), ("[", "]"), ('{"options":', "}"), ('{"sfm":{"x":[', "]}}")))
    return opened * depth + "1" + closed * depth


def _odd_bytes(choose: Random) -> bytes:
    good = b'{"preset": "draft"}'
    return choose.choice(
        (
            good.decode().encode("utf-16"),
            b"\xff" + good,
            good[:-1],
            good + b"\0",
            choose.randbytes(40),
            b"\xc0\xaf" + good,
        )
    )
