"""One HTML page that carries a SOG and the program that draws it: opens from a disk or a server, fetches nothing.

The page is `viewer/page.html` with the model in pieces of base64; browsers unpack WebP themselves. See decision 6.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from spaceport.files import write_atomic
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians

PIECE = 96 * 1024  # bytes; a multiple of three, so that each piece is base64 of its own
FIELD = np.radians(25)  # half of the page's field of view along its shorter side
ELEVATION = np.radians(40)
FLAT = 0.3  # thinnest to middle extent, under which a model is taken for land
BULK = (0.05, 0.95)  # quantiles of the positions that tell which way is up
SEEN = (0.01, 0.99)  # and of those that the first view holds: what lies beyond are floaters
SHOWN_LOGIT = -1.4  # opacity 0.2; fainter ones do not say where the model is

Three = tuple[float, float, float]


@dataclass(frozen=True)
class FirstView:
    """Where the page's camera stands, looks, and what is up: model coordinates."""

    eye: Three
    target: Three
    up: Three


def likely_up(gaussians: Gaussians) -> Three:
    """The upward axis of a model that came without cameras; a guess, since no format tells.

    Trainers keep COLMAP's axes, with y downwards. Land seen from above is flat instead, and flat along that axis.
    """
    low, high = np.quantile(gaussians.means.astype(np.float64), BULK, axis=0)
    spread = high - low
    thinnest = int(np.argmin(spread))
    up = np.zeros(3)
    up[thinnest if spread[thinnest] < FLAT * np.median(spread) else 1] = -1.0
    return _three(up)


def first_view(gaussians: Gaussians, up: Three, cameras: Sequence[Camera] = ()) -> FirstView:
    """From where a photo was taken, since a model looks best there; without cameras from above one side.

    Either way the page's camera turns about the visible bulk of the model, or what lies before the photo's camera.
    """
    shown = gaussians.means[gaussians.opacities > SHOWN_LOGIT].astype(np.float64)
    low, high = np.quantile(shown if len(shown) else gaussians.means, SEEN, axis=0)
    middle, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-3)
    if cameras:
        camera = cameras[len(cameras) // 2]
        ahead = camera.world_to_camera[2, :3]
        depth = max(float(ahead @ (middle - camera.position)), 0.1 * radius)
        return FirstView(_three(camera.position), _three(camera.position + depth * ahead), up)
    side = np.roll(np.asarray(up, float), 1)
    direction = np.cos(ELEVATION) * side + np.sin(ELEVATION) * np.asarray(up)
    return FirstView(_three(middle + direction * radius / np.sin(FIELD)), _three(middle), up)


def write(
    path: Path, sog: Mapping[str, bytes], view: FirstView, title: str, background: Three = (0.05, 0.06, 0.07)
) -> None:
    """Write the page at once or not at all. `sog` maps the names of an unbundled SOG's files to their bytes."""
    meta = json.loads(sog["meta.json"])
    pieces = [line for name, data in sog.items() if name != "meta.json" for line in _pieces(name, data)]
    scene = {"meta": meta, **asdict(view), "background": background}
    sources = {"vertex": _text("splat.vert"), "fragment": _text("splat.frag"), "sorter": _text("sorter.js")}
    page = _filled(
        _text("page.html"),
        title=html.escape(title),
        pieces=len(pieces),
        scene=_inline(scene),
        model="\n".join(pieces),
        script=_filled(_text("viewer.js"), sources=_inline(sources)),
    )
    write_atomic(path, page.encode())


def _filled(text: str, **values: object) -> str:
    """Put values in for names between two @; in one pass, so that nothing in a value is taken for a name."""
    return re.sub("@([a-z]+)@", lambda found: str(values[found[1]]), text)


def _pieces(name: str, data: bytes) -> Iterator[str]:
    for start in range(0, len(data), PIECE):
        text = base64.b64encode(data[start : start + PIECE]).decode()
        yield f'<script type="text/plain" class="piece" data-file="{html.escape(name)}">{text}</script>'


def _inline(value: object) -> str:
    """JSON that ends no script element, whatever is in it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (files("spaceport.splats.formats") / "viewer" / name).read_text("utf-8")


def _three(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Three:
    x, y, z = (float(value) for value in values)
    return x, y, z
