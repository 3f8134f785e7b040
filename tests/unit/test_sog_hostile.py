"""Damaged and malicious SOG files give one plain sentence, never a crash and never a flood of memory."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from random_models import noise

from spaceport.progress import Silent
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.meta import MetaV2, parse_meta
from spaceport.splats.sog.codec.reader import read_bundle, read_sog
from spaceport.splats.sog.codec.writer import write_folder

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    return encode(noise(90, 3), EncoderSettings(STANDARD), Silent()).files


def zipped(files: Files, **changes: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
        bundle.comment = changes.get("comment", b"")
    return stream.getvalue()


def with_meta(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    meta = json.loads(files["meta.json"])
    change(meta)
    return files | {"meta.json": json.dumps(meta).encode()}


def picture(width: int, height: int, value: int = 0, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (width, height), (value,) * 4).save(
        stream, "WEBP", **({"lossless": True, "exact": True} | options)
    )
    return stream.getvalue()


def setter(*path_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = path_and_value

    def change(meta: dict[str, Any]) -> None:
        for key in path:
            meta = meta[key]
        meta[last] = value

    return change


def test_the_untouched_files_are_fine(files: Files) -> None:
    assert len(read_bundle(zipped(files))) == 90


def test_every_truncation_is_refused(files: Files) -> None:
    data = zipped(files)
    for length in list(range(0, 60)) + list(range(60, len(data), 97)) + list(range(len(data) - 60, len(data))):
        with pytest.raises(BrokenSog, match=r"\.$"):
            read_bundle(data[:length])


def test_flipped_bits_give_a_sentence_or_a_model(files: Files) -> None:
    data = zipped(files)
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(600):
        broken = bytearray(data)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            broken[at] ^= 1 << random.integers(8)
        try:
            read_bundle(bytes(broken))  # a flip in a field that nobody reads does no harm
        except BrokenSog as error:
            refused += 1
            assert str(error).endswith(".") and "\n" not in str(error)
    assert refused > 500


def test_flipped_bits_without_a_checksum_give_a_sentence_or_a_model(files: Files, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    refused = 0
    for _ in range(150):
        name = sorted(files)[random.integers(len(files))]
        broken = bytearray(files[name])
        broken[random.integers(len(broken))] ^= 1 << random.integers(8)
        write_folder(tmp_path, files | {name: bytes(broken)})
        try:
            model = read_sog(tmp_path)
            assert np.isfinite(model.means).all()
        except BrokenSog as error:
            refused += 1
            assert str(error).endswith(".")
    assert refused > 50


NAN = float("nan")
BAD_META: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no Gaussians": (setter("count", 0), "count"),
    "a negative count": (setter("count", -1), "count"),
    "a count that is no number": (setter("count", "many"), "count"),
    "more Gaussians than pixels": (setter("count", 10_000), "fewer than"),
    "too many Gaussians": (setter("count", 90_000_000), "memory limit"),
    "more than a count can be": (setter("count", 10**30), "count"),
    "a short codebook": (setter("scales", "codebook", [0.0] * 255), "codebook"),
    "a long codebook": (setter("scales", "codebook", [0.0] * 257), "codebook"),
    "a null in a codebook": (setter("sh0", "codebook", [0.0, None] + [0.0] * 254), "codebook"),
    "a null and huge integers": (setter("sh0", "codebook", [None, 10**400, *[0.0] * 253, -(10**400)]), "out of all"),
    "a codebook of nulls": (setter("sh0", "codebook", [None] * 256), "codebook"),
    "a codebook of null and lists": (setter("sh0", "codebook", [None] + [[]] * 255), "codebook"),
    "NaN in a codebook": (setter("sh0", "codebook", [NAN] * 256), "sh0"),
    "a descending codebook": (setter("shN", "codebook", [-float(i) for i in range(256)]), "not ascending"),
    "a codebook beyond float": (setter("scales", "codebook", [0.0] * 255 + [1e300]), "no float can hold"),
    "bounds in the wrong order": (setter("means", "mins", [5.0, 5.0, 5.0]), "above maxs"),
    "bounds beyond float": (setter("means", "maxs", [1e9, 1e9, 1e9]), "beyond every position"),
    "an infinite bound": (setter("means", "maxs", [float("inf")] * 3), "means.maxs"),
    "two bounds": (setter("means", "maxs", [1.0, 1.0]), "means.maxs"),
    "a missing file": (setter("quats", "files", ["nowhere.webp"]), "is missing"),
    "a file outside": (setter("quats", "files", ["../../etc/passwd"]), "quats.files"),
    "an absolute file": (setter("quats", "files", ["/etc/passwd"]), "quats.files"),
    "a URL": (setter("quats", "files", ["http://example.com/a.webp"]), "quats.files"),
    "no files": (setter("quats", "files", []), "quats.files"),
    "meta.json as an image": (setter("quats", "files", ["meta.json"]), "not a WebP"),
    "bands that do not fit": (setter("shN", "bands", 2), "width of 2 bands"),
    "no bands": (setter("shN", "bands", 0), "shN.bands"),
    "a palette too large": (setter("shN", "count", 65537), "shN.count"),
    "a palette larger than its image": (setter("shN", "count", 60000), "pixels high"),
    "a palette smaller than its labels": (setter("shN", "count", 2), "palette entry"),
    "version 2 without its keys": (lambda meta: meta.pop("quats"), "quats"),
    "an unknown version": (setter("version", 3), "version"),
}


@pytest.mark.parametrize("case", BAD_META)
def test_a_broken_meta_is_named(files: Files, case: str) -> None:
    change, words = BAD_META[case]
    with pytest.raises(BrokenSog, match=words) as caught:
        read_bundle(zipped(with_meta(files, change)))
    assert str(caught.value).endswith(".") and len(str(caught.value)) < 300


def test_a_null_that_early_writers_left_is_read_as_the_engine_reads_it(files: Files) -> None:
    levels = list(range(1, 256))
    meta = parse_meta(with_meta(files, setter("scales", "codebook", [None, *levels]))["meta.json"])
    assert isinstance(meta, MetaV2) and meta.scales.codebook[:2] == [pytest.approx(1 - 254 / 255), 1.0]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "json"),
        (b"[]", "breaks the format"),
        (b"[" * 100_000, "breaks the format"),
        (b'{"a":' * 100_000, "breaks the format"),
        (b" " * (1 << 20) + b"{}", "at most"),
        (b"\xff\xfe", "breaks the format"),
        (b"{}", "means"),
    ],
)
def test_a_meta_that_is_no_meta(files: Files, raw: bytes, words: str) -> None:
    with pytest.raises(BrokenSog, match=words):
        read_bundle(zipped(files | {"meta.json": raw}))


def said_to_be(width: int, height: int) -> bytes:
    """A small image whose header says another size: 14 bits each, after the signature of lossless WebP."""
    small = picture(12, 8)
    start = small.index(b"VP8L") + 9
    header = int.from_bytes(small[start : start + 4], "little") >> 28 << 28 | height - 1 << 14 | width - 1
    return small[:start] + header.to_bytes(4, "little") + small[start + 4 :]


BAD_IMAGES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "lossy": ("scales.webp", lambda: picture(12, 8, lossless=False), "lossless"),
    "another size": ("scales.webp", lambda: picture(16, 8), "images before it"),
    "a rotation of mode 0": ("quats.webp", lambda: picture(12, 8), "under 252"),
    "huge": ("means_l.webp", lambda: said_to_be(16383, 16383), "memory limit"),
    "too small": ("means_l.webp", lambda: picture(4, 4), "fewer than"),
    "odd palette": ("shN_centroids.webp", lambda: picture(100, 2), "192, 512 or 960"),
    "high palette": ("shN_centroids.webp", lambda: picture(192, 16000), "pixels high"),
    "not an image": ("sh0.webp", lambda: b"GIF89a" + bytes(100), "not a WebP"),
    "empty": ("sh0.webp", lambda: b"", "not a WebP"),
    "header only": ("sh0.webp", lambda: picture(12, 8)[:26], "damaged"),
    "no image data": (
        "sh0.webp",
        lambda: b"RIFF\x20\0\0\0WEBPEXIF" + struct.pack("<I", 0xFFFFFFFF) + bytes(40),
        "no lossless",
    ),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_a_broken_image_is_named(files: Files, case: str) -> None:
    name, make_image, words = BAD_IMAGES[case]
    with pytest.raises(BrokenSog, match=words) as caught:
        read_bundle(zipped(files | {name: make_image()}))
    assert name in str(caught.value)


def test_an_animation_is_refused() -> None:
    stream = io.BytesIO()
    frames = [Image.new("RGBA", (12, 8), (i, 0, 0, 255)) for i in range(3)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(BrokenSog, match="still"):
        images.size_of(stream.getvalue(), "a.webp")


def test_containers_that_viewers_cannot_read(files: Files) -> None:
    with pytest.raises(BrokenSog, match="comment"):
        read_bundle(zipped(files, comment=b"hello"))
    data = bytearray(zipped(files))
    data[-6:-2] = b"\xff" * 4
    with pytest.raises(BrokenSog, match="Zip64"):
        read_bundle(bytes(data))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    with pytest.raises(BrokenSog, match="method"):
        read_bundle(stream.getvalue())
    with pytest.raises(BrokenSog, match="far more"):
        read_bundle(zipped(files | {f"{i}.webp": b"" for i in range(100)}))


def test_a_zip_bomb_is_not_unpacked(files: Files) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            if name != "sh0.webp":
                bundle.writestr(name, content)
        with bundle.open("sh0.webp", "w", force_zip64=False) as file:
            for _ in range(150):
                file.write(bytes(1 << 20))
    with pytest.raises(BrokenSog, match="at most"):
        read_bundle(stream.getvalue())
