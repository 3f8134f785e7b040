"""`report.html`: what stands on it, that names stay text, and that whatever is missing or broken is left out."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compress_reports import COMPRESSED, OWN
from PIL import Image
from pipeline_cases import staged

from services.compress.report_page import page as report_page
from services.compress.report_page.inputs import read_earlier
from services.compress.report_page.page import build_page, write_page
from services.compress.report_page.tables import MOST_PHOTOS, SO_FAR
from spaceport.pipeline.contract import StageName
from spaceport.splats.cameras import Camera

REPORTS = Path(__file__).parents[1] / "data/sfm_reports"
HOSTILE = '</style><script>alert(1)</script><img src=x onerror="alert(1)">\u202egpj.exe'


class Outline(HTMLParser):
    """Its elements with their attributes, its headings and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.elements and self.elements[-1][0] == "h2" and data.strip():
            self.headings.append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def jpeg(width: int = 1900, height: int = 500) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()


def camera(name: str, x: float) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = -x
    return Camera(name, 400, 300, 300.0, 300.0, 200.0, 150.0, pose)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """As the stages before have left it, with hostile names."""
    for folder, stage in (("colmap", StageName.SFM), ("gaussian", StageName.TRAIN)):
        (tmp_path / folder).mkdir()
        manifest = staged(stage, name=HOSTILE).model_copy(update={"instance_type": "g5.xlarge"})
        (tmp_path / folder / "manifest.json").write_text(manifest.model_dump_json())
    sfm = survey()
    sfm["photos"][0] |= {"name": HOSTILE, "thumb": 3}
    sfm["findings"] = [{"level": "stop", "sentence": f"{HOSTILE} is blurred."}]
    write_survey(tmp_path, sfm)
    Image.new("RGB", (1280, 96), (9, 99, 9)).save(tmp_path / "colmap/thumbs-0.webp")
    (tmp_path / "gaussian/preview.jpg").write_bytes(jpeg())
    return tmp_path


def survey() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((REPORTS / "gps.json").read_text())
    return loaded


def write_survey(folder: Path, sfm: dict[str, Any]) -> None:
    (folder / "colmap/report.json").write_text(json.dumps(sfm))


def outline(source: Path, cameras: list[Camera] | None = None) -> Outline:
    return Outline(build_page(read_earlier(source, cameras or []), COMPRESSED, jpeg(), OWN))


def test_everything_stands_on_it_and_names_are_text(source: Path) -> None:
    names = [photo["dense_name"] for photo in survey()["photos"] if photo["registered"]]
    page = outline(source, [camera(name, at) for at, name in enumerate(names)])
    assert page.headings == [
        "Findings", "Where the photos were taken", "Photos", "Photo, model, difference", "Where the bytes go",
        "Time and cost",
    ]  # fmt: skip
    assert {"script", "iframe", "link", "form", "a"}.isdisjoint(page.tags())
    visible = HOSTILE.replace("\u202e", "\\u202e")
    assert page.text.count(visible) >= 4, "title, heading, its row, its mark"
    assert "\u202egpj" not in page.text.replace(f"{HOSTILE} is blurred", "")
    assert page.text.index("is blurred.") < page.text.index("It is <larger> than was wanted.")
    assert "60 %" in page.text and "under 1 %" not in page.text.partition("Attribute")[0]
    images = [attributes["src"] or "" for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 2 and all(address.startswith("data:image/jpeg;base64,") for address in images)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    marks = [
        attributes for _, attributes in page.elements if (attributes.get("transform") or "").startswith("translate")
    ]
    assert len(marks) >= len(names)
    tiles = [attributes["style"] for _, attributes in page.elements if attributes.get("class") == "thumb s0"]
    assert tiles == ["background-position:-192px 0px"]


def test_without_what_came_before_it_says_less(tmp_path: Path) -> None:
    page = outline(tmp_path)
    assert page.headings == ["Findings", "Photo, model, difference", "Where the bytes go"]
    assert "3D model" in page.text and "9.0 times smaller" in page.text
    assert "matched to 28.2 dB by the compressed model and to 28.4 dB by the full one" in page.text
    assert "compression costs 0.24 dB." in page.text and "By a million Gaussians111.1 MB" in page.text


def test_what_levels_of_detail_cost_is_a_sentence(tmp_path: Path) -> None:
    levels = {"lod_levels": 4, "lod_bytes": [2_000_000, 1_000_000, 500_000, 250_000], "lod_meta_bytes": 50_000}
    report = COMPRESSED.model_copy(update=levels)
    text = Outline(build_page(read_earlier(tmp_path, []), report, jpeg(), OWN)).text
    assert "in 4 levels of detail (3.8 MB more in storage): the first 300.0 kB show all of it." in text
    assert "levels of detail" not in outline(tmp_path).text


def test_how_like_the_full_model_it_is_stands_by_where_one_looks_from(tmp_path: Path) -> None:
    rows = ("Where photos were taken244.5 dB43.0 dB", "Halfway down to what they show143.0 dB43.0 dB")
    assert f"Seen fromViewsMeanWorst{''.join(rows)}All344.0 dB43.0 dB" in outline(tmp_path).text
    without = COMPRESSED.model_copy(update={"views": [], "kinds": {}})
    assert "Seen from" not in Outline(build_page(read_earlier(tmp_path, []), without, jpeg(), OWN)).text


@pytest.mark.parametrize(
    "broken", ["colmap/report.json", "colmap/thumbs-0.webp", "gaussian/preview.jpg", "colmap/manifest.json"]
)
def test_what_is_broken_is_left_out(source: Path, broken: str) -> None:
    whole = outline(source)
    (source / broken).write_bytes(b"{" + (source / broken).read_bytes()[:50])
    page = outline(source)
    assert "Findings" in page.headings and "Where the bytes go" in page.headings
    assert len(page.text) < len(whole.text) or len(page.elements) <= len(whole.elements)


@pytest.mark.parametrize(
    ("text", "seconds", "names"),
    [
        ('{"seconds": 12.5, "held_out_photos": ["a.jpg"], "more": 1}', 12.5, ["a.jpg"]),
        ('{"seconds": 3}', 3.0, []),
        ('{"held_out_photos": null}', 0.0, []),
        *((text, 0.0, []) for text in ("", "[]", "{", "[" * 100_000, '{"seconds": "nan"}', '{"seconds": -1}')),
        *((text, 0.0, []) for text in ('{"held_out_photos": "a.jpg', '{"held_out_photos": "a.jpg"}')),
    ],
)
def test_of_a_training_of_another_version_its_time_and_photos_count(
    source: Path, text: str, seconds: float, names: list[str]
) -> None:
    (source / "gaussian/report.json").write_text(text)
    earlier = read_earlier(source, [])
    assert earlier.train is None
    assert (earlier.training_seconds, earlier.held_out_photos) == (seconds, names)


def test_a_page_that_cannot_be_made_loses_no_model(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError

    monkeypatch.setattr(report_page, "build_page", fail)
    write_page(source / "report.html", read_earlier(source, []), COMPRESSED, jpeg(), 9.0)
    assert not (source / "report.html").exists()


def test_what_compression_has_cost_so_far_stands_beside_the_stages_before(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACEPORT_INSTANCE_TYPE", "c6i.2xlarge")
    (source / "model.sog").write_bytes(bytes(24_000_000))
    page = source / "report.html"
    write_page(page, read_earlier(source, []), COMPRESSED, jpeg(), 180.0)
    text = Outline(page.read_bytes()).text
    assert "Compress3 min$0.03" in text, "1.7 cents of the machine, 0.2 of its disk, 0.7 of a year in S3"
    assert SO_FAR in text
    monkeypatch.setenv("SPACEPORT_INSTANCE_TYPE", "local")
    write_page(page, read_earlier(source, []), COMPRESSED, jpeg(), 9.0)
    assert "Compress9 s$0.00$0.00" in Outline(page.read_bytes()).text


def test_thousands_of_photos_are_a_few_hundred_kilobytes(source: Path) -> None:
    sfm = survey()
    first = next(photo for photo in sfm["photos"] if photo["registered"])
    lost = {"name": "lost.jpg", "registered": False, "reason": "it is blurred"}
    sfm["photos"] = [first | {"name": f"{number}.jpg", "thumb": number} for number in range(3000)] + [lost]
    write_survey(source, sfm)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (960, 1280, 3), dtype=np.uint8))
    for number in range(30):
        noise.save(source / f"colmap/thumbs-{number}.webp", quality=60)
    page = build_page(read_earlier(source, []), COMPRESSED, jpeg(300, 90), OWN)
    assert len(page) < 500_000
    text = Outline(page).text.partition("Likeness")[2]
    assert f"And {3001 - MOST_PHOTOS:,} photos more" in text
    assert text.index("lost.jpg") < text.index("0.jpg"), "those that are not placed come first"
