"""A model, a camera, a loopback server and a browser: what it takes to see our files as people will."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from http_servers import serving
from PIL import Image
from playwright.sync_api import Page
from random_models import gaussians
from waiting import until

from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import render

ROOT = Path(__file__).parents[2]
NPM = ROOT / ".venv/npm/node_modules"
WEB = ROOT / "web/node_modules"
PAGES = Path(__file__).parent / "pages"
WIDTH, HEIGHT, FIELD = 320, 240, 50.0
EYE, TARGET, UP = (2.4, 2.2, 1.3), (0.0, 0.0, 0.1), (0.0, 0.0, 1.0)

Picture = npt.NDArray[np.float64]


def made(sh_degree: int = 3, seed: int = 5) -> Gaussians:
    """A ball on a floor before a backdrop, some 3,800 Gaussians; z is up.

    It fills the picture, as a captured place does: where a model ends against black, one sees how each renderer cuts
    its Gaussians off instead of what the file says.
    """
    random = np.random.default_rng(seed)
    ball, dome = (_unit(random.normal(size=(count, 3))) for count in (1200, 2400))
    dome = dome[dome @ np.array(EYE) < -0.5]  # behind the ball: none may come near the camera
    floor = np.column_stack([random.uniform(-2.5, 2.5, (1600, 2)), np.full(1600, -0.62)])
    means = np.concatenate([0.6 * ball, floor, 4 * dome])
    sizes = np.repeat([0.045, 0.07, 0.35], [len(ball), len(floor), len(dome)])
    count, rest = len(means), (sh_degree + 1) ** 2 - 1
    return gaussians(
        means=means,
        quats=random.normal(size=(count, 4)),
        scales=np.log(sizes)[:, None] + random.normal(0, 0.35, (count, 3)),
        opacities=random.uniform(1, 6, count),
        sh0=0.9 * np.sin(np.concatenate([3 * ball, 2 * floor, 2 * dome]) + np.arange(3))[:, None],
        shN=0.12 * np.sin(means @ random.normal(size=(3, rest * 3)) + np.arange(rest * 3)).reshape(count, rest, 3),
    )


def _unit(points: Picture) -> Picture:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def camera() -> Camera:
    """Where every client stands: OpenCV axes, no roll against `UP`."""
    position, target = np.array(EYE), np.array(TARGET)
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, UP)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    focal = HEIGHT / 2 / np.tan(np.radians(FIELD) / 2)
    return Camera("client", WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2, pose)


def ours(gaussians: Gaussians) -> Picture:
    """Our renderer's picture, on black."""
    return np.clip(render(gaussians, camera()), 0, 1).astype(np.float64)


def as_webgl(view: Camera) -> str:
    """The camera as engines take it: camera to world by columns, x right, y up, z backwards."""
    to_world = np.linalg.inv(view.world_to_camera) @ np.diag([1.0, -1, -1, 1])
    return json.dumps({"pose": to_world.T.ravel().tolist(), "fov": FIELD})


@contextmanager
def served(models: Path) -> Iterator[str]:
    """A server on a free loopback port: /npm, /web, /pages and the folder `models` as /models. Yields its address."""
    roots = {"npm": NPM, "web": WEB, "pages": PAGES, "models": models}
    with serving(partial(_Files, roots=roots)) as (_, address):
        yield address


class _Files(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, roots: dict[str, Path]) -> None:
        self.roots = roots
        super().__init__(*arguments)  # type: ignore[arg-type]  # request, address, server

    def translate_path(self, path: str) -> str:
        _, root, *rest = path.split("?", maxsplit=1)[0].split("/")
        return str(self.roots.get(root, PAGES).joinpath(*rest))

    def log_message(self, *arguments: object) -> None:
        pass


def wait_until_still(page: Page, holds: Callable[[Picture], bool] = lambda _: True) -> Picture:
    """The page's picture once three captures in a row are the same, show something, and something holds of them.

    The depth sort takes time, on a machine with much to do longer than three captures.
    """
    captures: list[bytes] = []

    def at_rest() -> bool:
        page.wait_for_timeout(250)
        captures.append(page.screenshot())
        if len(captures) < 3 or len(set(captures[-3:])) > 1:
            return False
        picture = _picture(captures[-1])
        return bool(picture.max() > 0.3) and holds(picture)

    until(at_rest, lambda: "the picture never came to rest as it should be")
    return _picture(captures[-1])


def _picture(png: bytes) -> Picture:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float64) / 255


def opened(page: Page, server: str, client: str, model: str, level: int = 0, view: Camera | None = None) -> Picture:
    """What a client shows of /models/`model` from `view`, or `camera()`. Fails with the client's own words if it
    cannot."""
    place = quote(as_webgl(view or camera()))
    page.goto(f"{server}/pages/{client}.html?model=/models/{model}&level={level}&camera={place}")
    page.wait_for_function("document.title")
    assert page.title() == "ready", page.title()
    return wait_until_still(page)


def picture_psnr(picture: Picture, expected: Picture) -> float:
    """PSNR in dB."""
    return psnr(picture, expected)
