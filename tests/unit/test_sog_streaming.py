"""A model whose higher SH lie on disk, read in blocks, becomes the same file as one in memory, and needs little."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sog_cases import made

from spaceport.memory_limit import memory_limit
from spaceport.progress import Silent
from spaceport.splats import scratch
from spaceport.splats.formats.ply import read_ply, read_size, write_ply
from spaceport.splats.sog.attributes.quality import Quality
from spaceport.splats.sog.codec.encode import EncoderSettings, encode, prepare
from spaceport.splats.sog.codec.images import BYTES_PER_PIXEL, images_at_once
from spaceport.splats.sog.memory import PROOF_BYTES, estimate_memory
from spaceport.splats.sog.palette import growth

COUNT = 9_000
SETTINGS = EncoderSettings(Quality(palette_error=0.0, palette_size=600, sh_step=0.02, scale_step=0.05), rounds=2)


@pytest.fixture(scope="module")
def ply(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some Gaussians are dropped, and the last band of SH is zero: both make copies."""
    path = tmp_path_factory.mktemp("model") / "model.ply"
    model = made(1, COUNT, 15, "extreme")
    model.shN[:, 8:] = 0
    write_ply(path, model)
    return path


@pytest.fixture(scope="module", params=[growth.FLAT_LIMIT, COUNT * 300], ids=["flat", "groups"])
def flat_limit(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def in_memory(ply: Path, flat_limit: int) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "FLAT_LIMIT", flat_limit)
        return encode(read_ply(ply), SETTINGS, Silent()).files


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(large=st.integers(1, 200_000), block=st.integers(1_000, 2_000_000), searched=st.sampled_from([4_096, 8_192]))
def test_any_block_size_gives_the_same_bytes(
    ply: Path, flat_limit: int, in_memory: dict[str, bytes], large: int, block: int, searched: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "FLAT_LIMIT", flat_limit)
        patch.setattr(growth, "SEARCHED_ROWS", searched)
        patch.setattr(scratch, "LARGE", large)
        patch.setattr(scratch, "BLOCK_BYTES", block)
        model = read_ply(ply, ply.parent)
        assert scratch.folder_of(model.shN) == ply.parent
        encoded = encode(model, SETTINGS, Silent())
        assert encoded.files == in_memory
        assert scratch.folder_of(encoded.gaussians.shN) == ply.parent
    assert [path.name for path in ply.parent.iterdir()] == ["model.ply"]


def test_memory_for_each_gaussian_stays_within_what_is_foreseen(
    ply: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python and numpy allocate; mapped files and libwebp's buffers are not in it."""
    count = 60_000
    write_ply(tmp_path / "model.ply", made(2, count, 15, "plain"))
    monkeypatch.setattr(scratch, "LARGE", 1 << 20)
    monkeypatch.setattr(scratch, "BLOCK_BYTES", 1 << 20)
    encode(read_ply(ply), SETTINGS, Silent())  # compiles kernels, which take memory too
    tracemalloc.start()
    try:
        models = [read_ply(tmp_path / "model.ply", tmp_path)]
        after_reading = tracemalloc.get_traced_memory()[1]
        prepared = prepare(models[0], "walk")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(prepared.stored) > 0.9 * count
    assert after_reading / count < 90, "all but the higher SH takes 56 bytes"
    assert peak / count < PROOF_BYTES


@pytest.mark.parametrize(
    ("millions", "degree", "measured_mib"), [(1, 0, 642), (1, 3, 1_074), (2, 3, 1_270), (3, 3, 1_523), (10, 3, 4_002)]
)
def test_a_little_more_memory_is_foreseen_than_was_measured(millions: int, degree: int, measured_mib: int) -> None:
    """On two cores."""
    measured = measured_mib << 20
    assert measured < estimate_memory(millions * 1_000_000, degree, 2) < 1.12 * measured


def test_ten_million_gaussians_are_begun_within_four_gib() -> None:
    assert estimate_memory(10_000_000, 3, 64) == estimate_memory(10_000_000, 3, 2) < 4 << 30


def test_images_that_are_coded_side_by_side_count() -> None:
    """All seven on many cores, but no more than memory allows."""
    few, many = (estimate_memory(1_000_000, 3, cores) for cores in (2, 16))
    assert many - few == 5 * BYTES_PER_PIXEL * 1_000_000
    assert [images_at_once(pixels, 7, 16) for pixels in (0, 1, 5_000_000, 9_000_000, 99_000_000)] == [7, 7, 3, 1, 1]
    assert images_at_once(100, 7, 2) == 2 and images_at_once(100, 1, 2) == 1 == images_at_once(100, 0, 2)


def test_the_size_of_a_ply_is_what_its_header_and_its_bytes_allow(ply: Path, tmp_path: Path) -> None:
    assert read_size(ply) == (COUNT, 3)
    lying = tmp_path / "lying.ply"
    lying.write_bytes(ply.read_bytes().replace(b"element vertex 9000", b"element vertex 9000000000")[:100_000])
    count, _ = read_size(lying)
    assert count < 100_000
    write_ply(tmp_path / "plain.ply", made(1, 5, 0, "plain"))
    assert read_size(tmp_path / "plain.ply") == (5, 0)


def test_the_limit_of_a_container_counts_where_it_is_less(tmp_path: Path) -> None:
    machine = memory_limit([])
    assert machine > 1 << 26
    limits = {"none": "max\n", "some": f"{1 << 24}\n", "more": f"{machine * 2}\n", "broken": "?"}
    for name, text in limits.items():
        (tmp_path / name).write_text(text)
    seen = {name: memory_limit([tmp_path / name, tmp_path / "missing"]) for name in limits}
    assert seen == {"none": machine, "some": 1 << 24, "more": machine, "broken": machine}
