"""`spaceport compress`: what is written where, how many at once, and the table at the end."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_models import gaussians
from rich.console import Console
from sog_cases import made

from services.compress.attribute_psnr import attribute_psnr
from services.compress.proving.proof import Proof, Prover, ViewPsnr
from services.compress.proving.views import views_of_model
from services.compress.rate_control.allocation import Target
from services.compress.rate_control.windows import Windows
from services.compress.verdict import explain_missed_target
from spaceport.cli.analytics import bytes_table
from spaceport.cli.compress import plan_jobs, size_of
from spaceport.cli.concurrency import BASE_BYTES, estimate_memory, free_memory, max_workers
from spaceport.cli.convert import describe_kinds
from spaceport.cli.many import ModelBars, ModelLines
from spaceport.pipeline.reports.compress import ViewKind
from spaceport.progress import Silent
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.sog import memory
from spaceport.splats.sog.attributes.positions import bounds
from spaceport.splats.sog.attributes.quantise import Prepared

GIB = 1 << 30


@pytest.mark.parametrize(
    ("needs", "free", "cores", "count"),
    [
        ([GIB] * 8, 100 * GIB, 4, 4),  # by cores
        ([GIB] * 8, 3 * GIB, 4, 3),  # by memory
        ([GIB] * 8, 3 * GIB - 1, 4, 2),
        ([GIB] * 2, 100 * GIB, 4, 2),  # by models
        ([9 * GIB, GIB, GIB], 2 * GIB, 4, 1),  # one is always tried
        ([GIB, 9 * GIB, GIB], 10 * GIB, 4, 2),  # the largest ones may come together
        ([], GIB, 4, 1),
    ],
)
def test_as_many_at_once_as_fit(needs: list[int], free: int, cores: int, count: int) -> None:
    assert max_workers(needs, free, cores) == count


@pytest.mark.parametrize(
    ("name", "size", "measured_mib"),
    [("brighton.ply", 4_706_338, 259), ("biker.compressed.ply", 2_487_573, 344), ("model.ply", 248_001_532, 1_356)],
)
def test_more_memory_is_reckoned_than_was_measured(name: str, size: int, measured_mib: int) -> None:
    assert measured_mib << 20 < estimate_memory(Path(name), size) < (measured_mib << 20) * 3


def test_memory_grows_with_what_is_packed_in_a_byte() -> None:
    sizes = [
        estimate_memory(Path(f"m{suffix}"), 10**6) for suffix in (".ply", ".splat", ".COMPRESSED.PLY", ".spz", ".sog")
    ]
    assert sizes == sorted(sizes) and sizes[0] > BASE_BYTES


def test_memory_of_a_ply_is_that_of_its_gaussians(tmp_path: Path) -> None:
    model = made(1, 500, 3, "plain")
    write_ply(tmp_path / "a.ply", model)
    assert estimate_memory(tmp_path / "a.ply", 10**9) == memory.estimate_memory(500, 1) < BASE_BYTES * 2


def test_free_memory_is_read_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  99 kB\nMemAvailable:  2048 kB\n")
    assert free_memory(tmp_path / "meminfo") == 2 << 20
    (tmp_path / "meminfo").write_text("MemAvailable: much\n")
    assert free_memory(tmp_path / "meminfo") == free_memory(tmp_path / "none") > 1 << 26


def test_files_go_beside_the_models_or_together(tmp_path: Path) -> None:
    (tmp_path / "set.v2").mkdir()
    for name in ("a.ply", "b.compressed.ply", "c.old.spz", "set.v2/meta.json"):
        (tmp_path / name).write_bytes(b"12345")
    models = [tmp_path / name for name in ("a.ply", "b.compressed.ply", "c.old.spz", "set.v2/meta.json")]
    names = ["a.sog", "b.sog", "c.old.sog", "set.v2.sog"]
    assert [work.target for work in plan_jobs(models, None)] == [tmp_path / name for name in names]
    assert [work.target for work in plan_jobs(models, Path("o"))] == [Path("o") / name for name in names]
    assert plan_jobs([tmp_path / "set.v2"], None)[0].target == tmp_path / "set.v2.sog"
    assert size_of(tmp_path / "set.v2") == size_of(models[3]) == size_of(models[0]) == 5
    (tmp_path / "big" / "0_0").mkdir(parents=True)
    for name in ("big/lod-meta.json", "big/0_0/meta.json"):
        (tmp_path / name).write_bytes(b"12345")
    assert plan_jobs([tmp_path / "big/lod-meta.json"], None)[0].target == tmp_path / "big.sog"
    assert size_of(tmp_path / "big") == size_of(tmp_path / "big/lod-meta.json") == 10


def test_nothing_is_written_twice_or_over_a_model(tmp_path: Path) -> None:
    for name in ("a.ply", "a.spz", "b.sog"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.ply and .*a\.spz would both become"):
        plan_jobs([tmp_path / "a.ply", tmp_path / "a.spz"], None)
    with pytest.raises(ValueError, match="both become"):
        plan_jobs([tmp_path / "a.ply", tmp_path / "a.ply"], None)
    with pytest.raises(ValueError, match=r"over itself.*--out"):
        plan_jobs([tmp_path / "b.sog"], None)
    assert plan_jobs([tmp_path / "b.sog"], tmp_path / "out")[0].target == tmp_path / "out" / "b.sog"


def shown(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False, soft_wrap=True)


def text_of(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_table_tells_bytes_share_and_likeness() -> None:
    console = shown(terminal=False)
    parts = {"means": 600, "scales": 100, "shN_centroids": 150, "shN_labels": 100, "meta": 50}
    console.print(bytes_table(parts, {"means": 53.25, "scales": 50.0, "shN": 46.44}, 45.1))
    rows = [line.split() for line in text_of(console).splitlines()]
    assert rows[1:] == [
        ["means", "600", "60.0", "%", "53.2"],
        ["scales", "100", "10.0", "%", "50.0"],
        ["SH", "palette", "150", "15.0", "%", "46.4"],
        ["SH", "labels", "100", "10.0", "%", "″"],
        ["meta,", "zip", "50", "5.0", "%"],
        ["all", "1,000", "100.0", "%", "45.1"],
    ]


def test_the_table_tells_what_leaving_sh_out_costs() -> None:
    console = shown(terminal=False)
    console.print(bytes_table({"means": 900, "meta": 100}, {"means": 53.0, "shN": 41.5}, 41.2))
    rows = [line.split() for line in text_of(console).splitlines()]
    assert rows[2] == ["SH,", "left", "out", "0", "0.0", "%", "41.5"] and len(rows) == 5


def test_lines_come_each_quarter_and_at_the_end() -> None:
    console = shown(terminal=False)
    with ModelLines(console, ["a.ply", "[b].ply"]) as lines:
        for percent in range(0, 101, 5):
            lines.show(0, percent / 100, "Working")
        lines.end(0, "done")
        lines.end(1, "failed")
    lines_shown = text_of(console).splitlines()
    assert lines_shown == [
        *(f"a.ply: {part:3} %  Working" for part in (0, 25, 50, 75)),
        "a.ply: done",
        "[b].ply: failed",
    ]


def test_bars_name_each_model_and_what_happens() -> None:
    console = shown(terminal=True)
    with ModelBars(console, ["a.ply", f"/{'x' * 60}/[b].ply", "c.ply"]) as bars:
        bars.show(0, 0.5, "Working")
        bars.end(1, "failed")
    last = text_of(console)
    assert "50%" in last and "Working" in last and "xx/[b].ply" in last and "failed" in last and "waiting" in last


def test_likeness_of_one_attribute_alone() -> None:
    random = np.random.default_rng(4)
    model = gaussians(
        means=random.normal(0, 1, (200, 3)),
        quats=random.normal(size=(200, 4)),
        scales=np.full((200, 3), -1.5),
        opacities=random.normal(0, 1, 200),
        sh0=random.normal(0, 1, (200, 1, 3)),
        shN=random.normal(0, 0.1, (200, 3, 3)),
    )
    worse = replace(model, means=model.means + np.float32(0.02), shN=np.zeros((200, 0, 3), np.float32))
    prepared = Prepared(model, np.ones(200), bounds(model.means), {})
    windows = Windows(prepared, Prover(model, views_of_model(model), Silent()), Silent())
    alone = attribute_psnr(windows, worse.subset(windows.index))
    assert {name: round(value) for name, value in alone.items() if value > 99} == {
        "scales": 100, "quats": 100, "sh0_opacity": 100,
    }  # fmt: skip
    assert alone["means"] < 60 and alone["shN"] < 60


def proof(mean: float, worst: float) -> Proof:
    """Of three views."""
    picture = np.zeros((1, 1, 3), np.float32)
    views = [ViewPsnr(ViewKind.ORBIT, "", False, psnr) for psnr in (worst, mean, 2 * mean - worst)]
    return Proof(views, (picture, picture))


@pytest.mark.parametrize(
    ("target", "ceiling", "words"),
    [
        (Target(44.0), None, None),
        (Target(None, 5), None, None),
        (Target(44.0, 9000), None, None),
        (
            Target(46.0),
            proof(45.9, 43.0),
            "Reached 45.00 dB where 46.00 dB were asked for: with everything stored as finely as a SOG can, this model"
            " comes to 45.90 dB (43.00 dB in the worst view). Ask for at most 45.8 dB, or keep the PLY",
        ),
        (Target(46.0), proof(50.0, 41.0), "Ask for at most 44.9 dB"),  # the worst view decides
        (Target(46.0, 9000), None, "no better file of at most 9,000 bytes was found. Allow more bytes"),
    ],
)
def test_a_missed_target_is_explained(target: Target, ceiling: Proof | None, words: str | None) -> None:
    sentence = explain_missed_target(target, proof(45.0, 43.0), ceiling)
    assert sentence is None if words is None else words in (sentence or "")


def test_a_target_is_missed_in_the_worst_view_alone() -> None:
    sentence = explain_missed_target(Target(45.0), proof(46.0, 40.5), proof(46.1, 40.6)) or ""
    assert sentence.startswith("Reached 46.00 dB, but 40.50 dB in the worst view, where 45.00 dB were asked for and so")
    assert "41.00 dB in each view" in sentence


def test_the_views_are_told_by_kind() -> None:
    kinds = {"orbit": {"mean": 46.1, "worst": 46.1}, "near": {"mean": 44.22, "worst": 43.0}}
    assert describe_kinds(kinds) == " (orbit 46.1; near 44.2, at worst 43.0)" and not describe_kinds({})
