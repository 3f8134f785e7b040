"""One HTML page that holds a SOG and the viewer that draws it: opens from a disk or a server, and fetches nothing.

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
from spaceport.splats.frame import Vec3
from spaceport.splats.model import Gaussians

PIECE_BYTES = 96 * 1024  # bytes; a multiple of three, so that each piece is base64 of its own
HALF_FIELD_OF_VIEW = np.radians(25)  # of the page, along its shorter side
ELEVATION = np.radians(40)
FLATNESS = 0.3  # thinnest by median extent, under which a model is taken for land
BULK_QUANTILES = (0.05, 0.5, 0.95)  # of the positions, for which way is up
TALLER = 1.5  # times as far from the median height to one end as to the other: there is the sky
SEEN_QUANTILES = (0.01, 0.99)  # of the positions that the first view holds: the rest are floaters
SHOWN_LOGIT = -1.4  # opacity 0.2; fainter ones are ignored when the first view is chosen


@dataclass(frozen=True)
class FirstView:
    """Where the page's camera is, what it looks at, and which way is up: model coordinates."""

    eye: Vec3
    target: Vec3
    up: Vec3


def likely_up(gaussians: Gaussians) -> Vec3:
    """The upward axis of a model that came without cameras; a guess, where no file says.

    Trainers keep COLMAP's axes, with y downwards. Land seen from above is flat instead, and flat along that axis; what
    stands on it reaches farther from the ground than the ground is deep.
    """
    low, middle, high = np.quantile(gaussians.means.astype(np.float64), BULK_QUANTILES, axis=0)
    spread = high - low
    thinnest = int(np.argmin(spread))
    up = np.zeros(3)
    if spread[thinnest] < FLATNESS * np.median(spread):
        stands_higher = (high - middle)[thinnest] > TALLER * (middle - low)[thinnest]
        up[thinnest] = 1.0 if stands_higher else -1.0
    else:
        up[1] = -1.0
    return _vec3(up)


def first_view(gaussians: Gaussians, up: Vec3, cameras: Sequence[Camera] = ()) -> FirstView:
    """The view of one of the photos, since a model looks best from there; without cameras, one from above.

    Either way the page's camera orbits the visible bulk of the model, or what is in front of the photo's camera.
    """
    shown = gaussians.means[gaussians.opacities > SHOWN_LOGIT].astype(np.float64)
    low, high = np.quantile(shown if len(shown) else gaussians.means, SEEN_QUANTILES, axis=0)
    middle, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-3)
    if cameras:
        camera = cameras[len(cameras) // 2]
        ahead = camera.world_to_camera[2, :3]
        depth = max(float(ahead @ (middle - camera.position)), 0.1 * radius)
        return FirstView(_vec3(camera.position), _vec3(camera.position + depth * ahead), up)
    side = np.roll(np.asarray(up, float), 1)
    direction = np.cos(ELEVATION) * side + np.sin(ELEVATION) * np.asarray(up)
    return FirstView(_vec3(middle + direction * radius / np.sin(HALF_FIELD_OF_VIEW)), _vec3(middle), up)


def write(
    path: Path, sog: Mapping[str, bytes], view: FirstView, title: str, background: Vec3 = (0.05, 0.06, 0.07)
) -> None:
    """Write the page at once or not at all. `sog` maps the names of an unbundled SOG's files to their bytes."""
    meta = json.loads(sog["meta.json"])
    pieces = [line for name, data in sog.items() if name != "meta.json" for line in _pieces(name, data)]
    scene = {"meta": meta, **asdict(view), "background": background}
    sources = {"vertex": _text("splat.vert"), "fragment": _text("splat.frag"), "sorter": _text("sorter.js")}
    page = _fill(
        _text("page.html"),
        title=html.escape(title),
        pieces=len(pieces),
        scene=_inline(scene),
        model="\n".join(pieces),
        script=_fill(_text("viewer.js"), sources=_inline(sources)),
    )
    write_atomic(path, page.encode())


def _fill(text: str, **values: object) -> str:
    """Replace names between two @ by values; in one pass, so that nothing in a value is taken for a name."""
    return re.sub("@([a-z]+)@", lambda match: str(values[match[1]]), text)


def _pieces(name: str, data: bytes) -> Iterator[str]:
    for start in range(0, len(data), PIECE_BYTES):
        text = base64.b64encode(data[start : start + PIECE_BYTES]).decode()
        yield f'<script type="text/plain" class="piece" data-file="{html.escape(name)}">{text}</script>'


def _inline(value: object) -> str:
    """JSON that ends no script element, whatever is in it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (files("spaceport.splats.formats") / "viewer" / name).read_text("utf-8")


def _vec3(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Vec3:
    x, y, z = (float(value) for value in values)
    return x, y, z
