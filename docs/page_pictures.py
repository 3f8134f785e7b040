"""Pictures of every state of the page, to be looked at: 1280 x 800 and a phone, light and dark.

    spaceport demo --state STATE
    python docs/page_pictures.py --state STATE --job ID OUT [--only look,report] [--renew]

The job with that id is the one that has a model; the jobs in other states are added to the same cloud, so STATE should
be one that nobody needs. `--renew` puts what is then in OUT into docs/pictures: the README's four, and for
each device and theme a sheet of all states.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), *(str(ROOT / "tests" / name) for name in ("unit", "fuzz", "browser", "page"))]

from browser_fixtures import launched  # noqa: E402
from page_scene import Scene, add_jobs  # noqa: E402
from page_states import STATES  # noqa: E402

from spaceport.cli.connect import deployment_of  # noqa: E402
from spaceport.local.cloud import EmbeddedCloud  # noqa: E402

DEVICES: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 800}},
    "390": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SHOWN = {
    "new": ("1280", "light"),
    "look": ("1280", "dark"),
    "report": ("1280", "light"),
    "job-running": ("390", "dark"),
}
"""The states that the README shows, each on one device and in one theme."""
SHEET_WIDTH = 2400
TILES: dict[str, int] = {"1280": 400, "390": 200}
"""Width of a picture on its sheet."""
MOST_BYTES = 80_000
MOST_SHEET_BYTES = 250_000
MOST_PHOTO_BYTES = 20_000_000
GAP, CAPTION = 8, 28
"""Pixels between pictures of a sheet, and above each."""
SETTLED_MS = 1200
"""Until what glides and fades in has come to rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures; made if need be")
    parser.add_argument("--state", type=Path, required=True, help="of an embedded cloud with a finished job")
    parser.add_argument("--job", required=True, help="the id of that job")
    parser.add_argument("--only", default=",".join(STATES), help="states, with commas between them (default: all)")
    parser.add_argument("--renew", action="store_true", help="into docs/pictures, from all that is in OUT")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    states = arguments.only.split(",")
    with tempfile.TemporaryDirectory() as scratch, EmbeddedCloud(arguments.state) as cloud, launched() as browser:
        photos = _photos_of(cloud, arguments.job, Path(scratch))
        add_jobs(cloud)
        for device, settings in DEVICES.items():
            with browser.new_context(**settings, reduced_motion="reduce") as context:
                context.set_default_timeout(120_000)
                scene = Scene(context.new_page(), cloud, photos, arguments.job)
                _take(scene, states, arguments.out, device)
    if arguments.renew:
        _renew(arguments.out)


def _renew(out: Path) -> None:
    kept = ROOT / "docs/pictures"
    for state, (device, theme) in SHOWN.items():
        _keep(Image.open(out / f"{state}-{device}-{theme}.png"), kept / f"page-{state}.webp", MOST_BYTES)
    for device in DEVICES:
        for theme in THEMES:
            _keep(_sheet(out, device, theme), kept / f"page-states-{device}-{theme}.webp", MOST_SHEET_BYTES)


def _sheet(out: Path, device: str, theme: str) -> Image.Image:
    """All states on one device, in rows, each under its name."""
    width = TILES[device]
    tiles = [Image.open(out / f"{state}-{device}-{theme}.png").convert("RGB") for state in STATES]
    height = max(width * tile.height // tile.width for tile in tiles)
    columns = SHEET_WIDTH // (width + GAP)
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (width + GAP), rows * (height + CAPTION + GAP)), "grey")
    pen = ImageDraw.Draw(sheet)
    for number, (state, tile) in enumerate(zip(STATES, tiles, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * (width + GAP), row * (height + CAPTION + GAP)
        pen.text((left + GAP, top + GAP), state, fill="white", font_size=14)
        sheet.paste(tile.resize((width, height), Image.Resampling.LANCZOS), (left, top + CAPTION))
    return sheet


def _photos_of(cloud: EmbeddedCloud, job_id: str, folder: Path) -> list[Path]:
    """The photos of the finished job, to drop again."""
    bucket = deployment_of(cloud.access).bucket
    prefix = f"jobs/{job_id}/extracted/"
    keys = [each.key for each in bucket.list_objects(prefix) if each.key.endswith(".JPG")]
    for key in keys:
        (folder / key.removeprefix(prefix)).write_bytes(bucket.read_small(key, MOST_PHOTO_BYTES) or b"")
    return sorted(folder.iterdir())


def _take(scene: Scene, states: list[str], out: Path, device: str) -> None:
    for state in states:
        STATES[state](scene)
        scene.page.wait_for_timeout(SETTLED_MS)
        for theme in THEMES:
            scene.page.emulate_media(color_scheme=theme)
            path = out / f"{state}-{device}-{theme}.png"
            path.write_bytes(scene.page.screenshot(timeout=120_000))
            print(path, flush=True)


def _keep(picture: Image.Image, path: Path, most_bytes: int) -> None:
    """The picture, as fine as so many bytes allow."""
    image = picture.convert("RGB")
    for quality in range(90, 20, -5):
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        if file.tell() <= most_bytes:
            path.write_bytes(file.getvalue())
            return
    raise ValueError(f"{path.name} does not fit into {most_bytes} bytes")


if __name__ == "__main__":
    main()
