"""The windows that the search measures on, and arithmetic by blocks of rows."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import gaussians

from services.compress.proving.proof import Prover
from services.compress.proving.views import View, views_of_model
from services.compress.rate_control import windows
from services.compress.rate_control.allocation import decisive_psnr
from services.compress.rate_control.windows import Windows, crop_camera
from spaceport.pipeline.reports.compress import ViewKind
from spaceport.progress import Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.positions import bounds
from spaceport.splats.sog.attributes.quantise import Prepared
from spaceport.splats.sog.attributes.rows import ROWS, map_rows


def field(count: int) -> Gaussians:
    random = np.random.default_rng(5)
    places = random.uniform(-4, 4, (count, 3)) * [1, 1, 0.05]
    return gaussians(
        means=places,
        quats=random.normal(size=(count, 4)),
        scales=np.full((count, 3), np.log(8 / np.sqrt(count))),
        opacities=np.full(count, 2.0),
        sh0=random.normal(0, 1, (count, 1, 3)),
        shN=np.zeros((count, 0, 3)),
    )


def test_a_window_is_the_same_part_of_the_picture() -> None:
    model = field(3000)
    camera = views_of_model(model)[0].camera
    part = crop_camera(camera, 0.5, 0.7, 0.3)
    assert (part.width, part.height) == (256, 192)
    prover = Prover(model, [View(ViewKind.ORBIT, camera), View(ViewKind.ORBIT, part)], Silent())
    left, top = round(camera.cx - part.cx), round(camera.cy - part.cy)
    crop = prover.originals[0][top : top + 192, left : left + 256]
    assert (
        np.abs(prover.originals[1] - crop).mean() < 1e-3
    )  # Gaussians that reach in from outside are drawn a little otherwise


@pytest.mark.parametrize(("across", "down"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
@pytest.mark.parametrize("share", [1e-6, 0.3, 1.0])
def test_a_window_lies_in_its_picture(share: float, across: float, down: float) -> None:
    camera = views_of_model(field(50))[0].camera.rescale(0.2)
    part = crop_camera(camera, share, across, down)
    left, top = camera.cx - part.cx, camera.cy - part.cy
    assert 0 <= left <= camera.width - part.width and 0 <= top <= camera.height - part.height
    assert part.width >= 64 and part.height >= 64


def test_windows_foresee_the_error_of_whole_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SHOWN_GAUSSIANS", 1000)
    model = field(20_000)
    prover = Prover(model, views_of_model(model), Silent())
    shown = Windows(Prepared(model, np.ones(20_000), bounds(model.means), {}), prover, Silent())
    assert len(shown.index) < 15_000
    noise = np.random.default_rng(6).normal(0, 0.1, model.sh0.shape).astype(np.float32)
    whole = prover.compare(replace(model, sh0=model.sh0 + noise)).decisive
    part = shown.prepared.stored
    errors = shown.squared_errors(replace(part, sh0=part.sh0 + noise[shown.index]))
    assert decisive_psnr(errors) == pytest.approx(whole, abs=1.5)
    assert np.array_equal(shown.squared_errors(part), shown.no_errors)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_blocks_give_what_the_whole_gives(count: int) -> None:
    random = np.random.default_rng(7)
    a, b = random.normal(size=(count, 3)), random.normal(size=count)
    result = map_rows(lambda x, y: (x * y[:, None]).astype(np.float32), a, b)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, (a * b[:, None]).astype(np.float32))
