"""Version 1 files, as the first public SOG writer made them: everything linear between bounds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaceport.splats.sog.attributes import rotations
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.reader import read_sog


def linear(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.round((values - low) / (high - low) * 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """64 Gaussians of one SH band with a palette of 64, written straight from the description of the format."""
    random = np.random.default_rng(4)
    q = random.integers(0, 65536, (64, 3))
    quats, labels = random.normal(size=(64, 4)), random.permutation(64)
    scales, colour = random.uniform(-6, -2, (64, 3)), random.uniform(-2, 2, (64, 4))
    palette = random.uniform(-0.5, 0.5, (64, 3, 3))
    pixels = {
        "means_l": q & 255,
        "means_u": q >> 8,
        "quats": rotations.encode(quats),
        "scales": linear(scales, np.full(3, -6.0), np.full(3, -2.0)),
        "sh0": linear(colour, np.full(4, -2.0), np.full(4, 2.0)),
        "shN_labels": np.stack([labels & 255, labels >> 8, 0 * labels], axis=1),
    }
    for name, values in pixels.items():
        (tmp_path / f"{name}.webp").write_bytes(images.encode(values.astype(np.uint8).reshape(8, 8, -1)))
    codes = linear(palette, -0.5, 0.5)
    (tmp_path / "shN_centroids.webp").write_bytes(images.encode(codes.reshape(1, 192, 3)))
    part = {"dtype": "float32"}
    meta = {
        "means": part | {"shape": [64, 3], "mins": [-1, -2, -3], "maxs": [1, 2, 3],
                         "files": ["means_l.webp", "means_u.webp"]},
        "scales": part | {"shape": [64, 3], "mins": [-6] * 3, "maxs": [-2] * 3, "files": ["scales.webp"]},
        "quats": {"shape": [64, 4], "dtype": "uint8", "encoding": "quaternion_packed", "files": ["quats.webp"]},
        "sh0": part | {"shape": [64, 1, 4], "mins": [-2] * 4, "maxs": [2] * 4, "files": ["sh0.webp"]},
        "shN": part | {"shape": [64, 3], "mins": -0.5, "maxs": 0.5, "quantization": 8,
                       "files": ["shN_centroids.webp", "shN_labels.webp"]},
    }  # fmt: skip
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    truth: dict[str, Any] = {"q": q, "quats": quats, "scales": scales, "colour": colour, "shN": palette[labels]}
    np.savez(tmp_path / "truth.npz", **truth)
    return tmp_path


def test_version_1_is_decoded(folder: Path) -> None:
    model, truth = read_sog(folder), np.load(folder / "truth.npz")
    logs = np.array([-1, -2, -3]) * (1 - 2 * truth["q"] / 65535)
    assert np.allclose(model.means, np.sign(logs) * np.expm1(np.abs(logs)), atol=1e-5)
    assert np.allclose(model.scales, truth["scales"], atol=4 / 510 + 1e-6)
    assert np.allclose(model.sh0[:, 0], truth["colour"][:, :3], atol=4 / 510 + 1e-6)
    assert np.allclose(model.opacities, truth["colour"][:, 3], atol=4 / 510 + 1e-6)
    assert np.allclose(model.shN, truth["shN"], atol=1 / 510 + 1e-6)
    cosine = (rotations.normalise(truth["quats"]) * model.quats).sum(axis=1)
    assert (np.abs(cosine) > 0.9999).all()


def test_version_1_is_checked(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    meta["means"]["shape"] = [0, 3]
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(BrokenSog, match="empty"):
        read_sog(folder)
    meta["means"]["shape"] = [64, 3]
    meta["quats"]["encoding"] = "euler"
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(BrokenSog, match="encoding"):
        read_sog(folder)
