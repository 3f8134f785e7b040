"""The CUDA path without a GPU: gsplat's function is replaced by a plain float64 renderer with the same signature.

What is tested here is all that is ours: which activations, camera, SH bands, loss and exposure gsplat receives, and
that the gradients come back under the right names. The kernels themselves are compared in tests/gpu.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import dense_oracle
import seen_scene
import train_gpu

from services.train.dataset import Photo
from services.train.exposure import Exposures
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.gsplat_cuda import DevicePhotos, GsplatRasteriser
from services.train.rasterisers.photo_loss import photo_loss
from services.train.rasterisers.protocol import NAMES, TrainingView
from spaceport.splats.cameras import Camera

CPU = torch.device("cpu")
PARAMETERS, VIEW = seen_scene.scene(80, size=-2), seen_scene.view(48, 32)


def dense(**arguments: Any) -> tuple[torch.Tensor, None, dict[str, torch.Tensor]]:
    """gsplat's `rasterization`, by the plain renderer."""
    assert arguments["packed"] is False
    antialiased = {"classic": False, "antialiased": True}[arguments["rasterize_mode"]]
    intrinsics, degree = arguments["Ks"][0].tolist(), arguments["sh_degree"]
    pose = arguments["viewmats"][0].numpy().astype(np.float64)
    (fx, _, cx), (_, fy, cy), _ = intrinsics
    camera = Camera("a", arguments["width"], arguments["height"], fx, fy, cx, cy, pose)
    parameters = {
        "means": arguments["means"].double(),
        "quats": arguments["quats"].double(),
        "scales": arguments["scales"].double().log(),
        "opacities": arguments["opacities"].double().logit(),
        "sh0": arguments["colors"][:, :1].double(),
        "shN": arguments["colors"][:, 1:].double(),
    }
    picture = dense_oracle.render(parameters, camera, degree, antialiased=antialiased).float()
    centres = arguments["means"][None, :, :2] * 1
    radii = torch.ones((1, len(arguments["means"]), 2), dtype=torch.int32)
    return picture[None], None, {"means2d": centres, "radii": radii}


@pytest.mark.parametrize(("degree", "antialiased"), [(0, False), (2, False), (3, False), (3, True)])
def test_both_rasterisers_say_the_same(degree: int, antialiased: bool) -> None:
    theirs = GsplatRasteriser(dense, CPU, antialiased=antialiased).step(PARAMETERS, VIEW, degree)
    ours = CpuRasteriser(2, antialiased=antialiased).step(PARAMETERS, VIEW, degree)
    assert float(ours.loss) == pytest.approx(float(theirs.loss), rel=1e-5)
    for name in NAMES:
        scale = float(theirs.grads[name].abs().max())
        torch.testing.assert_close(ours.grads[name], theirs.grads[name], atol=1e-3 * scale + 1e-9, rtol=1e-3)
    np.testing.assert_allclose(ours.exposure_grad, theirs.exposure_grad, rtol=1e-3, atol=1e-6)
    assert (theirs.grads["shN"][:, (degree + 1) ** 2 - 1 :] == 0).all()
    assert theirs.radii.shape == ours.radii.shape == (80,)
    assert theirs.means2d_grads.shape == ours.means2d_grads.shape == (80,)


def test_both_render_the_same_picture() -> None:
    theirs = GsplatRasteriser(dense, CPU).render(PARAMETERS, VIEW.camera, 3)
    np.testing.assert_allclose(CpuRasteriser(2).render(PARAMETERS, VIEW.camera, 3), theirs, atol=1e-4)


@pytest.mark.parametrize("antialiased", [False, True])
def test_both_weigh_the_same(antialiased: bool) -> None:
    theirs = GsplatRasteriser(dense, CPU, antialiased=antialiased).blend_weights(PARAMETERS, VIEW.camera)
    ours = CpuRasteriser(2, antialiased=antialiased).blend_weights(PARAMETERS, VIEW.camera)
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.max()))


def test_the_step_leaves_the_parameters_alone() -> None:
    before = {name: value.clone() for name, value in PARAMETERS.items()}
    GsplatRasteriser(dense, CPU).step(PARAMETERS, VIEW, 1)
    for name in NAMES:
        assert torch.equal(PARAMETERS[name], before[name])
        assert not PARAMETERS[name].requires_grad


def test_pictures_too_small_for_the_window_have_an_l1_loss() -> None:
    a, b = torch.zeros((8, 40, 3)), torch.full((8, 40, 3), 0.25)
    assert float(photo_loss(a, b)) == 0.25


def plain_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """By its definition, window by window, all of it differentiated."""
    taps = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=a.dtype) / 1.5) ** 2)
    window = torch.outer(taps, taps) / taps.sum() ** 2

    def mean(x: torch.Tensor) -> torch.Tensor:
        return (x.permute(2, 0, 1).unfold(1, 11, 1).unfold(2, 11, 1) * window).sum((-1, -2))

    mean_a, mean_b = mean(a), mean(b)
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    numerator = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
    return (numerator / ((mean_a**2 + mean_b**2 + 0.01**2) * (variances + 0.03**2))).mean()


def test_the_loss_and_its_gradient_are_those_of_the_definition() -> None:
    random = torch.Generator().manual_seed(0)
    photo = torch.rand((20, 24, 3), generator=random, dtype=torch.float64)
    render = (photo + 0.2 * torch.rand((20, 24, 3), generator=random, dtype=torch.float64)).requires_grad_(True)
    loss = photo_loss(render, photo)
    expected = 0.8 * (render - photo).abs().mean() + 0.2 * (1 - plain_ssim(render, photo))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    (grad,) = torch.autograd.grad(loss, render)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, render)[0], rtol=1e-9, atol=1e-12)


def test_read_only_photos_are_uploaded_without_a_warning() -> None:
    photo = VIEW.load().copy()
    photo.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = GsplatRasteriser(dense, CPU).step(PARAMETERS, replace(VIEW, load=lambda: photo), 1).loss
    assert loss == GsplatRasteriser(dense, CPU).step(PARAMETERS, VIEW, 1).loss


def test_photos_are_loaded_once_and_the_least_recently_used_go_first() -> None:
    loaded: list[str] = []
    photo = VIEW.load()

    def view(name: str) -> TrainingView:
        def load() -> Photo:
            loaded.append(name)
            return photo

        return replace(VIEW, camera=replace(VIEW.camera, name=name), load=load)

    photos = DevicePhotos(CPU, budget=2 * photo.nbytes)
    for name in "abacb":
        assert torch.equal(photos.at(view(name)), torch.tensor(photo))
    assert loaded == ["a", "b", "c", "b"]
    assert photos.at(view("b")).dtype == torch.uint8


def flat(**arguments: Any) -> tuple[torch.Tensor, None, dict[str, torch.Tensor]]:
    """A picture of one colour that depends on every parameter, drawn without asking for a value."""
    parts = [arguments[name].mean() for name in ("means", "quats", "scales", "opacities", "colors")]
    picture = torch.stack(parts).sum().expand(1, arguments["height"], arguments["width"], 3)
    means2d = arguments["means"][None, :, :2] * 1
    picture = picture + means2d.sum() * 0
    return picture, None, {"means2d": means2d, "radii": torch.ones((1, len(arguments["means"]), 2), dtype=torch.int32)}


class NoWaiting(TorchDispatchMode):  # type: ignore[misc]  # untyped in torch
    """On a GPU the host waits where it asks for a value, or for how many there are."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert function.overloadpacket not in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero), function
        return function(*args, **(kwargs or {}))


def test_an_iteration_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    iterate = train_gpu.make_iteration(GsplatRasteriser(flat, CPU), 50, 48)
    iterate()  # the photo and the matrices are on the device from here on
    with pytest.raises(AssertionError, match="nonzero"), NoWaiting():
        iterate()
    monkeypatch.setattr("services.train.mcmc._waits", lambda _: True)
    for name in ("cpu", "numpy", "tolist", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("the host waits"))
    with NoWaiting():
        iterate()


def test_exposures_move_without_waiting() -> None:
    exposures = Exposures(3)
    with NoWaiting():
        exposures.step(1, torch.ones((2, 3)), 0.5)
    assert exposures.of(1)[1, 0] < 0 < exposures.of(0)[1, 0]


def test_the_matrices_of_a_camera_are_uploaded_once_and_are_its_own() -> None:
    cameras = [VIEW.camera, replace(VIEW.camera, fx=50.0), VIEW.camera, replace(VIEW.camera)]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def recording(**arguments: Any) -> Any:
        seen.append((arguments["viewmats"], arguments["Ks"]))
        return dense(**arguments)

    rasteriser = GsplatRasteriser(recording, CPU)
    for camera in cameras:
        rasteriser.render(PARAMETERS, camera, 0)
    assert seen[0][0] is seen[2][0] is seen[3][0]
    assert seen[0][1] is seen[2][1] is seen[3][1]
    assert [float(intrinsics[0, 0, 0]) for _, intrinsics in seen] == pytest.approx([camera.fx for camera in cameras])


class HostEvent:
    """As `torch.cuda.Event`, on the host's clock."""

    def record(self) -> None:
        self.seconds = time.perf_counter()

    def elapsed_time(self, later: HostEvent) -> float:
        return 1e3 * (later.seconds - self.seconds)


def test_the_breakdown_of_an_iteration_names_its_parts_in_order_and_they_add_up() -> None:
    timer = train_gpu.EventTimer(HostEvent, lambda: None)
    rasteriser = GsplatRasteriser(dense, CPU, mark=timer.mark)
    medians = timer.medians(train_gpu.make_iteration(rasteriser, 20, 16, timer.mark), repeats=1)
    whole = medians.pop("whole iteration")
    assert list(medians) == [
        *("photo", "rasterisation forward", "loss forward", "backward", "results"),
        *("optimiser", "noise"),
    ]
    assert sum(medians.values()) == pytest.approx(whole)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="CUDA"):
        GsplatRasteriser()
    assert train_gpu.main(["--breakdown", "--gaussians", "10"]) == 1
    assert capsys.readouterr().err == "there is no CUDA device\n"
