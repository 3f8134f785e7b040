"""Draws docs/pictures/architecture.svg from the imports of the code: `make architecture`.

A box is a folder, an arrow the imports from one into another, with the number of pairs of modules that it stands for.
Only the places of the boxes are written down here. Arrows go down, or to the right; one that goes up is drawn in red.
"""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"
WIDTH, HEIGHT = 800, 774
TOPS = ("spaceport", "functions", "services")
SHORTEST_ROW = 8  # pixels by which two boxes must lie above each other for a straight arrow between them


@dataclass
class Box:
    """A folder: its place in pixels, what it is for, and the boxes inside it."""

    folder: str
    x: int
    y: int
    width: int
    height: int
    purpose: str = ""
    lists: str = ""  # "folders" or "modules": what of it is named in the box
    inner: list[Box] = field(default_factory=list)

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def right(self) -> int:
        return self.x + self.width


class Arrow(NamedTuple):
    source: Box
    target: Box
    pairs: int


BOXES = [
    Box("spaceport/cli", 152, 44, 632, 62, "the command line: run, demo, up, jobs, compress, convert …"),
    Box("functions", 16, 152, 120, 186, "five Lambda handlers, thin: parse, call, answer", "folders"),
    Box("spaceport/local", 152, 152, 136, 186, "the embedded cloud: the same template, on one machine"),
    Box("services", 304, 152, 330, 186, "one container each; none imports another", inner=[
        Box("services/sfm", 312, 200, 126, 112, "photos to cameras", "folders"),
        Box("services/train", 446, 200, 86, 112, "cameras to Gaussians"),
        Box("services/compress", 540, 200, 86, 112, "Gaussians to SOG", "folders"),
    ]),
    Box("spaceport/demo", 650, 152, 134, 186, "a survey with known truth, ray-cast"),
    Box("spaceport/pipeline", 16, 384, 376, 254, "jobs and the contract between their stages", inner=[
        Box("spaceport/pipeline/stages", 26, 432, 84, 94, "worker, lease, heartbeat, checkpoint"),
        Box("spaceport/pipeline/jobs", 134, 432, 76, 94, "state, table, tracker, ending"),
        Box("spaceport/pipeline/uploads", 234, 432, 70, 94, "zips: check, unpack"),
        Box("spaceport/pipeline/reports", 316, 432, 66, 94, "schema of each report"),
        Box("spaceport/pipeline", 26, 568, 356, 58, "", "modules"),
    ]),
    Box("spaceport/splats", 408, 384, 376, 254, "Gaussians: rendered, read and written", inner=[
        Box("spaceport/splats/formats", 418, 432, 104, 94, "PLY, SPZ, glTF, splat, HTML, COLMAP"),
        Box("spaceport/splats/sog", 546, 432, 102, 94, "PlayCanvas SOG: codec, palette, levels, PLAS"),
        Box("spaceport/splats/render", 672, 432, 102, 94, "the CPU rasteriser, forward and backward"),
        Box("spaceport/splats", 418, 568, 356, 58, "", "modules"),
    ]),
    Box("spaceport", 16, 684, 500, 58, "", "modules"),
    Box("spaceport/simd", 532, 684, 252, 58, "", "modules"),
]  # fmt: skip


def modules() -> dict[str, Path]:
    """The dotted name and path of every module, but for `__main__`, which only starts what it names."""
    paths = (path for top in TOPS for path in sorted((ROOT / top).rglob("*.py")) if path.name != "__main__.py")
    return {_dotted(path.relative_to(ROOT)): path.relative_to(ROOT) for path in paths}


def imports(known: dict[str, Path]) -> Iterator[tuple[Path, Path]]:
    """Every pair of modules of which the first imports the second, also inside a function."""
    for path in known.values():
        names: set[str] = set()
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                dotted = (f"{node.module}.{alias.name}" for alias in node.names)
                names |= {name if name in known else node.module for name in dotted}
        yield from ((path, known[name]) for name in sorted(names & set(known)))


def arrows(boxes: list[Box], pairs: list[tuple[Path, Path]]) -> list[Arrow]:
    """The imports between boxes of one level, counted."""
    folders = {box.folder: box for box in boxes}
    counts = Counter((_home(source, folders), _home(target, folders)) for source, target in pairs)
    return [
        Arrow(folders[source], folders[target], count)
        for (source, target), count in sorted(counts.items(), key=str)
        if source is not None and target is not None and source != target
    ]


def draw() -> str:
    """The picture's SVG text."""
    known = modules()
    pairs = list(imports(known))
    body = [*_level(BOXES, pairs, known, "outer")]
    for box in BOXES:
        body += _level(box.inner, pairs, known, "inner")
    return _HEAD + "\n".join(body) + "\n</svg>\n"


def _level(boxes: list[Box], pairs: list[tuple[Path, Path]], known: dict[str, Path], style: str) -> Iterator[str]:
    found = arrows(boxes, pairs)
    for box in boxes:
        drawn = [line for arrow in found if arrow.source is box for line in _arrow(arrow, boxes)]
        yield from _box(box, style, known)
        yield from drawn
        hidden = [arrow for arrow in found if arrow.source is box and not _arrow(arrow, boxes)]
        if hidden:
            also = " · ".join(f"{arrow.target.folder.removeprefix('spaceport/')} {arrow.pairs}" for arrow in hidden)
            lines = textwrap.wrap(f"also {also}", _columns(box, 6.0))
            for row, line in enumerate(reversed(lines)):
                yield _text(box.x + box.width / 2, box.bottom - 9 - 13 * row, line, "also")


def _box(box: Box, style: str, known: dict[str, Path]) -> Iterator[str]:
    yield f'<rect class="{style}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"/>'
    middle, y = box.x + box.width / 2, box.y + 20
    title = (
        f"{box.folder}/" if style == "outer" else f"{Path(box.folder).name}/{'*.py' if box.lists == 'modules' else ''}"
    )
    yield _text(middle, y, title, "title")
    for line in textwrap.wrap(box.purpose, _columns(box, 6.6)):
        y += 15
        yield _text(middle, y, line, "purpose")
    for line in textwrap.wrap(", ".join(_contents(box, known)), _columns(box, 6.2), break_long_words=False):
        y += 15
        yield _text(middle, y + 4 * bool(box.purpose), line, "contents")


def _arrow(arrow: Arrow, boxes: list[Box]) -> list[str]:
    """A straight arrow down into the next row, or to the neighbour on the right; nothing where there is no such way."""
    source, target, pairs = arrow
    left, right = max(source.x, target.x), min(source.right, target.right)
    rows = sorted({box.y for box in boxes})
    step = rows.index(target.y) - rows.index(source.y)
    if abs(step) == 1 and right - left >= SHORTEST_ROW:
        x = (left + right) / 2 if step > 0 else right - 12
        start, end = (source.bottom, target.y) if step > 0 else (source.y, target.bottom)
        kind = "arrow" if step > 0 else "up"
        line = f'<path class="{kind}" marker-end="url(#{kind})" d="M{x:g} {start}V{end - 3 * step}"/>'
        return [line, _text(x + 6, (start + end) / 2 + 3, str(pairs), "count")]
    row = sorted((box for box in boxes if box.y == source.y), key=lambda box: box.x)
    if step == 0 and row.index(target) - row.index(source) == 1:
        y = source.y + source.height / 2
        line = f'<path class="arrow" marker-end="url(#arrow)" d="M{source.right} {y:g}H{target.x - 3}"/>'
        return [line, _text((source.right + target.x) / 2, y - 6, str(pairs), "count middle")]
    return []


def _contents(box: Box, known: dict[str, Path]) -> list[str]:
    folder = Path(box.folder)
    if not box.lists:
        return []
    if box.lists == "folders":
        inside = (path.relative_to(folder) for path in known.values() if path.is_relative_to(folder))
        return sorted({path.parts[0] for path in inside if len(path.parts) > 1})
    return [path.stem for path in known.values() if path.parent == folder and path.stem != "__init__"]


def _home(path: Path, folders: dict[str, Box]) -> str | None:
    """The innermost of the boxes that a module lies in."""
    return next((str(folder) for folder in path.parents if str(folder) in folders), None)


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _columns(box: Box, pixels: float) -> int:
    return int((box.width - 8) / pixels)


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}">{text.replace("&", "&amp;")}</text>'


_HEAD = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<title>Which folder of Spaceport imports which</title>
<style>
text {{ font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2937; text-anchor: middle }}
.title {{ font: 600 12.5px ui-monospace, Menlo, "DejaVu Sans Mono", monospace }}
.purpose {{ font-size: 11.5px; fill: #4b5563 }}
.contents {{ font-size: 11.5px }}
.also {{ font-size: 11px; fill: #6b7280; font-style: italic }}
.count {{ font-weight: 600; fill: #1d4ed8; text-anchor: start }}
.middle {{ text-anchor: middle }}
.outer {{ fill: #f3f4f6; stroke: #9ca3af }}
.inner {{ fill: #ffffff; stroke: #d1d5db }}
.arrow {{ stroke: #1d4ed8; stroke-width: 1.5; fill: none }}
.up {{ stroke: #b91c1c; stroke-width: 1.5; fill: none }}
</style>
<marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#1d4ed8"/></marker>
<marker id="up" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#b91c1c"/></marker>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text class="title" x="{WIDTH // 2}" y="24">Which folder imports which: an arrow, and how many pairs of modules</text>
<text class="also" x="{WIDTH // 2}" y="{HEIGHT - 12}">also: arrows left out of the drawing. \
Functions and services are started by template.yaml, in AWS as in spaceport/local.</text>
"""


if __name__ == "__main__":
    PICTURE.write_text(draw())
