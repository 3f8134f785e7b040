"""What `sogs` 1.0.0 writes, the first public program for SOG: its layout is older than version 1."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spaceport.splats.formats.table import SOG_FOLDER, read_model
from spaceport.splats.sog.codec.errors import BrokenSog

SIDE, PALETTE = 8, 64


def image(values: np.ndarray) -> bytes:
    """As `sogs` saves it: grey for one channel, RGB for three."""
    stream = io.BytesIO()
    pixels = values.astype(np.uint8)
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(stream, "webp", lossless=True)
    return stream.getvalue()


def linear(params: np.ndarray, steps: int = 255) -> tuple[np.ndarray, dict[str, Any]]:
    """Values [N, D] as integers between the bounds of each column, in a square; and their part of meta.json."""
    low, high = params.min(axis=0), params.max(axis=0)
    codes = np.round((params - low) / (high - low) * steps).astype(int).reshape(SIDE, SIDE, -1)
    return codes, {"shape": list(params.shape), "dtype": "float32", "mins": low.tolist(), "maxs": high.tolist()}


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    quats = random.normal(size=(SIDE**2, 4))
    return {
        "means": random.normal(0, 20, (SIDE**2, 3)),
        "opacities": random.normal(size=SIDE**2),
        "scales": random.uniform(-6, -2, (SIDE**2, 3)),
        "quats": quats / np.linalg.norm(quats, axis=1, keepdims=True),
        "sh0": random.normal(size=(SIDE**2, 3)),
        "palette": random.uniform(-0.5, 0.5, (PALETTE, 15, 3)),
        "labels": random.integers(0, PALETTE, SIDE**2),
    }


@pytest.fixture
def folder(tmp_path: Path, truth: dict[str, np.ndarray]) -> Path:
    upper = truth["quats"] * np.where(truth["quats"][:, 3:] < 0, -1, 1)
    logs = np.sign(truth["means"]) * np.log1p(np.abs(truth["means"]))
    codes, meta = linear(logs, 65535)
    files = {"means_l": codes & 255, "means_u": codes >> 8}
    document = {"means": meta | {"files": ["means_l.webp", "means_u.webp"]}}
    parts = {
        "opacities": truth["opacities"][:, None],
        "scales": truth["scales"],
        "quats": upper[:, :3],
        "sh0": truth["sh0"],
    }
    for name, values in parts.items():
        files[name], meta = linear(values)
        document[name] = meta | {"files": [f"{name}.webp"]}
    low, high = truth["palette"].min(), truth["palette"].max()
    files["shN_centroids"] = np.round((truth["palette"] - low) / (high - low) * 255).reshape(-1, 15 * 64, 3)
    labels = truth["labels"].reshape(SIDE, SIDE)
    files |= {"shN_labels_l": labels & 255, "shN_labels_u": labels >> 8}
    document["shN"] = {"shape": [SIDE**2, 45], "dtype": "float32", "mins": low, "maxs": high, "quantization": 8}
    document["shN"]["files"] = [f"shN_{part}.webp" for part in ("centroids", "labels_l", "labels_u")]
    for name, values in files.items():
        (tmp_path / f"{name}.webp").write_bytes(image(values))
    (tmp_path / "meta.json").write_text(json.dumps(document, indent=2))
    return tmp_path


def test_it_is_read(folder: Path, truth: dict[str, np.ndarray]) -> None:
    model, form = read_model(folder)
    assert form is SOG_FOLDER and model.sh_degree == 3
    np.testing.assert_allclose(model.means, truth["means"], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(model.opacities, truth["opacities"], atol=0.03)
    np.testing.assert_allclose(model.scales, truth["scales"], atol=0.02)
    np.testing.assert_allclose(model.sh0[:, 0], truth["sh0"], atol=0.03)
    np.testing.assert_allclose(model.shN, truth["palette"][truth["labels"]], atol=0.01)
    cosines = np.abs((model.quats * truth["quats"]).sum(axis=1)) / np.linalg.norm(model.quats, axis=1)
    assert cosines.min() > 0.99


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document["shN"]["files"].pop(), r"shN\.files"),
        (lambda document: document["opacities"].update(mins=[9]), "mins lie above maxs"),
        (lambda document: document["means"].update(shape=[0, 3]), "empty"),
        (lambda document: document.pop("quats"), "quats"),
    ],
)
def test_it_is_checked(folder: Path, change: Any, words: str) -> None:
    document = json.loads((folder / "meta.json").read_text())
    change(document)
    (folder / "meta.json").write_text(json.dumps(document))
    with pytest.raises(BrokenSog, match=words):
        read_model(folder)
