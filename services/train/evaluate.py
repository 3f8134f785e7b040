"""How well renders match the photos: PSNR and SSIM, raw and after a fit of each photo's colours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from services.train.dataset import Photos
from services.train.rasterisers.protocol import Rasteriser, Tensors
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import correct_colours, psnr, ssim

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ViewScore:
    """One photo's scores, PSNR in dB; `cc`: after the best affine map of the render's colours."""

    name: str
    held_out: bool
    psnr: float
    ssim: float
    psnr_cc: float
    ssim_cc: float


def mean_psnr(
    rasteriser: Rasteriser,
    parameters: Tensors,
    cameras: list[Camera],
    photos: Photos,
    sh_degree: int,
    *,
    colour_correct: bool = False,
) -> float:
    """PSNR in dB, the mean over views (not of squared errors).

    `colour_correct` fits the render's colours to each photo first: what is left is not a matter of exposure.
    """
    scores = []
    for camera in cameras:
        photo = _to_float(photos.at(camera))
        render = rasteriser.render(parameters, camera, sh_degree)
        scores.append(_finite_psnr(correct_colours(render, photo) if colour_correct else render, photo))
    return fmean(scores)


def score_views(
    rasteriser: Rasteriser,
    parameters: Tensors,
    cameras: list[Camera],
    photos: Photos,
    sh_degree: int,
    progress: Progress,
) -> list[ViewScore]:
    """All scores of each camera's photo, at the cameras' sizes (training frame)."""
    scores = []
    for done, camera in enumerate(cameras):
        progress.update(done / len(cameras), f"Evaluating the model: photo {done + 1} of {len(cameras)}")
        progress.check()
        photo = _to_float(photos.at(camera))
        render = rasteriser.render(parameters, camera, sh_degree)
        corrected = correct_colours(render, photo)
        scores.append(
            ViewScore(
                camera.name,
                camera.held_out,
                psnr=_finite_psnr(render, photo),
                ssim=ssim(render, photo),
                psnr_cc=_finite_psnr(corrected, photo),
                ssim_cc=ssim(corrected, photo),
            )
        )
    return scores


def summarise_scores(scores: list[ViewScore]) -> dict[str, float]:
    """Means under the names of a stage's outcome: psnr_held_out, psnr_held_out_cc, ssim_held_out, psnr_train…"""
    means: dict[str, float] = {}
    for suffix, held_out in (("held_out", True), ("train", False)):
        rows = [asdict(score) for score in scores if score.held_out == held_out]
        if rows:
            means |= {f"{kind}_{suffix}": fmean(row[kind] for row in rows) for kind in ("psnr", "ssim")}
            means |= {f"{kind}_{suffix}_cc": fmean(row[f"{kind}_cc"] for row in rows) for kind in ("psnr", "ssim")}
    return means


def _to_float(photo: npt.NDArray[np.uint8]) -> FloatImage:
    return np.multiply(photo, np.float32(1 / 255), dtype=np.float32)


def _finite_psnr(render: FloatImage, photo: FloatImage) -> float:
    """PSNR in dB; a perfect render counts as 100 dB, because JSON has no infinity."""
    return min(psnr(render, photo), 100.0)
