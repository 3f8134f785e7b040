"""What goes into a SOG comes out again, to within the steps of the format, for any model at all."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sog_cases import assert_within_steps, codebook_slack, made, models

from spaceport.progress import Silent
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import rotations
from spaceport.splats.sog.attributes.quality import FINEST, STANDARD, Quality
from spaceport.splats.sog.codec.encode import (
    EmptyModel,
    Encoded,
    EncoderSettings,
    encode,
    encode_images,
    fit_sh_palette,
    make_draft,
    prepare,
    sh_features,
)
from spaceport.splats.sog.codec.reader import read_bundle, read_sog
from spaceport.splats.sog.codec.writer import write_bundle, write_folder

EXACT = EncoderSettings(FINEST)


ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN")
quick = settings(max_examples=12)


def bundled(encoded: Encoded, folder: Path) -> bytes:
    write_bundle(folder / "model.sog", encoded.files)
    return (folder / "model.sog").read_bytes()


def encoded_or_none(gaussians: Gaussians, settings: EncoderSettings) -> Encoded | None:
    try:
        return encode(gaussians, settings, Silent())
    except EmptyModel:
        return None


@given(model=models)
@quick
def test_attributes_come_back_within_the_formats_steps(
    model: Gaussians, tmp_path_factory: pytest.TempPathFactory
) -> None:
    encoded = encoded_or_none(model, EXACT)
    if encoded is None:
        return
    stored, decoded = encoded.gaussians, read_bundle(bundled(encoded, tmp_path_factory.mktemp("sog")))
    meta = json.loads(encoded.files["meta.json"])
    assert len(decoded) == len(stored) == len(model) - sum(encoded.dropped.values()) == meta["count"]
    assert_within_steps(stored, decoded, meta)
    if decoded.shN.shape[1]:
        distinct = len(np.unique(stored.shN.reshape(len(stored), -1), axis=0))
        if distinct <= 1024:
            assert (np.abs(stored.shN - decoded.shN) <= codebook_slack(meta["shN"]["codebook"], stored.shN)).all()
        assert encoded.figures["palette_entries"] == meta["shN"]["count"] <= distinct


@given(model=models, quality=st.sampled_from([STANDARD, FINEST]), row=st.integers(0), name=st.sampled_from(ARRAYS))
@quick
def test_a_draft_is_what_a_reader_gets(model: Gaussians, quality: Quality, row: int, name: str) -> None:
    try:
        prepared = prepare(model)
    except EmptyModel:
        return
    higher = sh_features(prepared, quality.sh_bands).shape[1]
    palette = fit_sh_palette(prepared, EncoderSettings(quality), Silent()) if higher else None
    draft = make_draft(prepared, quality, palette)
    with TemporaryDirectory() as folder:
        read = read_bundle(bundled(encode_images(draft), Path(folder)))
    assert draft.equals(read)
    some = np.array([row % len(read)])
    theirs = read.subset(some).arrays()
    assert all(np.array_equal(ours, theirs[each]) for each, ours in draft.gaussians(some).arrays().items())
    other = getattr(read, name).copy()
    if other.size:
        other[row % len(read)] = np.nextafter(other[row % len(read)], np.inf)
        assert not draft.equals(replace(read, **{name: other}))


@given(model=models)
@quick
def test_the_same_model_gives_the_same_bytes(model: Gaussians, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = EncoderSettings(STANDARD)
    first, second = encoded_or_none(model, settings), encoded_or_none(model, settings)
    if first is None or second is None:
        assert first is second is None
        return
    folder = tmp_path_factory.mktemp("sog")
    assert bundled(first, folder) == bundled(second, folder)


@given(model=models)
@quick
def test_decoding_and_encoding_again_changes_no_more_than_a_step(
    model: Gaussians, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sog")
    write_ply(folder / "model.ply", model)
    once = encoded_or_none(read_ply(folder / "model.ply"), EXACT)
    if once is None:
        return
    first = read_bundle(bundled(once, folder))
    again = encode(first, EXACT, Silent())
    second = read_bundle(bundled(again, folder))
    assert len(second) == len(first) and again.dropped == {}
    stored = again.gaussians  # `first`, in the order of the second file
    assert_within_steps(stored, second, json.loads(again.files["meta.json"]))
    assert np.array_equal(np.sort(stored.opacities), np.sort(second.opacities))


def test_a_well_behaved_model_is_a_fixed_point(tmp_path: Path) -> None:
    settings = EncoderSettings(FINEST, order="morton")  # a walk turns elsewhere when a value moves by the last digit
    first = read_bundle(bundled(encode(made(3, 500, 3, "plain"), settings, Silent()), tmp_path))
    second = read_bundle(bundled(encode(first, settings, Silent()), tmp_path))
    for name in ("means", "opacities", "sh0", "shN"):
        assert np.allclose(getattr(first, name), getattr(second, name), rtol=1e-5, atol=2e-5), name
    # two of the 24 names of a rotation may be equally small, and rounding then decides: rare, and the same ellipsoid
    same = (np.abs(first.quats - second.quats) < 2e-5).all(axis=1)
    assert same.mean() > 0.98
    assert np.allclose(first.scales[same], second.scales[same], atol=2e-5)


@given(model=models)
@quick
def test_relabelled_axes_describe_the_same_ellipsoids(model: Gaussians) -> None:
    usable = np.isfinite(model.scales) & (np.abs(model.scales) < 20)
    model = model.subset(np.asarray(usable.all(axis=1)))
    quats, scales = rotations.relabel_axes(model.quats, model.scales)
    assert (np.abs(rotations.normalise(quats)).argmax(axis=1) == 0).all()
    before, after = covariance(model.quats, model.scales), covariance(quats, scales)
    size = np.abs(before).max(axis=(1, 2), keepdims=True)
    assert (np.abs(before - after) <= 1e-5 * size).all()


def covariance(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
    w, x, y, z = rotations.normalise(quats).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    half = np.moveaxis(np.array(rows), -1, 0) * np.exp(scales.astype(float))[:, None]
    return np.asarray(half @ np.swapaxes(half, 1, 2))


def test_folder_and_bundle_hold_the_same(tmp_path: Path) -> None:
    encoded = encode(made(1, 300, 8, "plain"), EncoderSettings(STANDARD), Silent())
    write_folder(tmp_path / "set", encoded.files)
    bundled(encoded, tmp_path)
    forms = [read_sog(path) for path in (tmp_path / "set", tmp_path / "set" / "meta.json", tmp_path / "model.sog")]
    for form in forms[1:]:
        assert all(np.array_equal(array, form.arrays()[name]) for name, array in forms[0].arrays().items())


def test_the_bundle_is_what_viewers_demand(tmp_path: Path) -> None:
    data = bundled(encode(made(1, 300, 15, "plain"), EncoderSettings(STANDARD), Silent()), tmp_path)
    assert data[-22:-18] == b"PK\x05\x06" and data[-2:] == b"\0\0"
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        infos = bundle.infolist()
        assert infos[-1].filename == "meta.json" and infos[-1].compress_type == zipfile.ZIP_DEFLATED
        assert all(info.compress_type == zipfile.ZIP_STORED for info in infos[:-1])
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in infos)
        assert {info.filename for info in infos} == {
            "means_l.webp", "means_u.webp", "scales.webp", "quats.webp", "sh0.webp", "shN_centroids.webp",
            "shN_labels.webp", "meta.json",
        }  # fmt: skip


def test_bands_that_are_all_zero_are_dropped() -> None:
    model = made(5, 200, 15, "plain")
    model.shN[:, 8:] = 0
    meta = json.loads(encode(model, EXACT, Silent()).files["meta.json"])
    assert meta["shN"]["bands"] == 2
    model.shN[:] = 0
    assert "shN" not in json.loads(encode(model, EXACT, Silent()).files["meta.json"])


def test_an_empty_or_invisible_model_is_refused_with_the_reason() -> None:
    model = made(1, 3, 0, "plain")
    with pytest.raises(EmptyModel, match="empty"):
        encode(model.subset(np.zeros(3, bool)), EXACT, Silent())
    model.opacities[:] = -30
    with pytest.raises(EmptyModel, match="3 invisible"):
        encode(model, EXACT, Silent())


@pytest.mark.parametrize("antialiased", [False, True])
def test_whether_a_model_is_antialiased_is_kept(tmp_path: Path, antialiased: bool) -> None:
    bundled(
        encode(replace(made(1, 300, 8, "extreme"), antialiased=antialiased), EncoderSettings(STANDARD), Silent()),
        tmp_path,
    )
    assert read_sog(tmp_path / "model.sog").antialiased is antialiased
