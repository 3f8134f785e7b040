"""Pictures of every state of the page, to be looked at: 1280 x 800 and a phone, light and dark.

    spaceport demo --state STATE
    python docs/page_pictures.py --state STATE --job ID OUT [--only look,report] [--renew]

The job with that id is the one that has a model; the jobs in other states are added to the same cloud, so STATE should
be one that nobody needs. `--renew` renews the four pictures of docs/pictures that the README shows, instead of all.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Literal

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), *(str(ROOT / "tests" / name) for name in ("unit", "fuzz", "browser", "page"))]

from browser_fixtures import launched  # noqa: E402
from page_states import STATES, Scene, add_jobs  # noqa: E402
from surveys import shared_survey  # noqa: E402

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
MOST_BYTES = 80_000
SETTLED_MS = 1200
"""Until what glides and fades in has come to rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures; made if need be")
    parser.add_argument("--state", type=Path, required=True, help="of an embedded cloud with a finished job")
    parser.add_argument("--job", required=True, help="the id of that job")
    parser.add_argument("--only", default=",".join(STATES), help="states, with commas between them (default: all)")
    parser.add_argument("--renew", action="store_true", help="only what the README shows, into docs/pictures too")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    states = list(SHOWN) if arguments.renew else arguments.only.split(",")
    with tempfile.TemporaryDirectory() as scratch, EmbeddedCloud(arguments.state) as cloud, launched() as browser:
        with zipfile.ZipFile(shared_survey(30, 1024, 768).zip_path) as archive:
            archive.extractall(scratch)
        add_jobs(cloud)
        photos = sorted(Path(scratch).rglob("*.JPG"))
        for device, settings in DEVICES.items():
            for theme in THEMES:
                chosen = [state for state in states if not arguments.renew or SHOWN[state] == (device, theme)]
                with browser.new_context(**settings, color_scheme=theme, reduced_motion="reduce") as context:
                    context.set_default_timeout(120_000)
                    scene = Scene(context.new_page(), cloud, photos, arguments.job)
                    _take(scene, chosen, arguments.out, f"{device}-{theme}")
    if arguments.renew:
        for state, (device, theme) in SHOWN.items():
            _keep(arguments.out / f"{state}-{device}-{theme}.png", ROOT / f"docs/pictures/page-{state}.webp")


def _take(scene: Scene, states: list[str], out: Path, kind: str) -> None:
    for state in states:
        STATES[state](scene)
        scene.page.wait_for_timeout(SETTLED_MS)
        path = out / f"{state}-{kind}.png"
        path.write_bytes(scene.page.screenshot(timeout=120_000))
        print(path, flush=True)


def _keep(picture: Path, path: Path) -> None:
    """The picture, as fine as so many bytes allow."""
    image = Image.open(picture).convert("RGB")
    for quality in range(90, 20, -5):
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        if file.tell() <= MOST_BYTES:
            path.write_bytes(file.getvalue())
            return
    raise ValueError(f"{picture} does not fit into {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
