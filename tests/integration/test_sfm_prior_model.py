"""A COLMAP model that comes with the photos is validated and published in its own frame, not reconstructed anew."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
from ingest_cases import pixels_of, survey_photos
from model_cases import NOWHERE, ColmapModel, model_of
from numpy.typing import NDArray
from sfm_cases import Run, read_report

from services.sfm.stage import run
from services.train.colmap_model import SparseModel, read_sparse_model
from services.train.dataset import open_dataset
from spaceport.demo import Survey, Truth, load_truth
from spaceport.demo.geodesy import from_enu
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Count, Silent
from spaceport.splats.cameras import Camera

PHOTOS, WIDTH, HEIGHT = 12, 512, 384
OPTIONS = SfmOptions(max_image_size=400, max_photos=10)  # a prior model is not thinned
SMALL = (400, 300)


class Flown(NamedTuple):
    """Photos by name, what is true of them, and a model of pinhole cameras and points that says so."""

    photos: dict[str, bytes]
    truth: Truth
    model: ColmapModel


@pytest.fixture(scope="module")
def flown(survey: Survey) -> Flown:
    photos = {f"{name}.JPG": jpeg for name, jpeg in survey_photos(survey.zip_path)}
    truth = load_truth(survey.truth_path)
    points = np.random.default_rng(5).uniform((-30, -30, 0), (30, 30, 6), (400, 3))
    return Flown(photos, truth, model_of(truth.cameras, [Path(camera.name).name for camera in truth.cameras], points))


def zipped(folder: Path, *files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "upload.zip", "w") as archive:
        for name, body in (entry for each in files for entry in each.items()):
            archive.writestr(name, body)
    return folder


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": body for name, body in files.items()}


def reconstruct(source: Path, output: Path, progress: Any = None) -> Run:
    outcome = run(source, output, OPTIONS, progress or Silent())
    return Run(outcome, read_report(output))


def poses(model: SparseModel) -> NDArray[np.float64]:
    return np.array([image.world_to_camera for image in model.images])


class Recorder:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.updates: list[tuple[float, str]] = []

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.updates.append((fraction, message.split(":", maxsplit=1)[0]))

    def check(self) -> None:
        pass


@pytest.mark.parametrize(
    ("suffix", "folder", "photos"), [(".bin", "sparse/0", "images"), (".txt", "survey/colmap/sparse", "survey/raw")]
)
def test_a_model_is_published_as_it_is(tmp_path: Path, flown: Flown, suffix: str, folder: str, photos: str) -> None:
    rigs = {"rigs.bin": b"not even read", "frames.bin": b"nor this"}
    parts = flown.model.parts(suffix) | rigs
    recorder, output = Recorder(), tmp_path / "jobs/out"
    result = reconstruct(zipped(tmp_path / "in", below(photos, flown.photos), below(folder, parts)), output, recorder)
    sentence = f"The zip held a COLMAP reconstruction of {PHOTOS} photos; it was kept as it is."
    assert result.registered == PHOTOS
    assert sentence in result.outcome.message
    assert sentence in (output / "colmap/report.html").read_text()
    assert (result.report["given"]["folder"], result.report["model"]["mapper"]) == (folder, "given")
    assert result.report["model"]["reprojection_error_px"] < 1e-6
    for model in (read_sparse_model(output / "colmap/sparse"), open_dataset(output / "colmap/dense", 8)):
        assert np.sort(model.xyz, axis=0) == pytest.approx(
            np.sort([p.xyz for p in flown.model.points], axis=0), abs=1e-6
        )
        assert set(map(tuple, model.rgb.tolist())) == {(10, 20, 30)}
    sparse, dense = (read_sparse_model(output / "colmap" / each) for each in ("sparse", "dense/sparse"))
    true = np.array([camera.world_to_camera for camera in flown.truth.cameras])
    assert [image.name for image in sparse.images] == [f"{photos}/{name}" for name in flown.photos]
    assert poses(sparse) == pytest.approx(true, abs=1e-6)
    assert poses(dense) == pytest.approx(true, abs=1e-6)
    for image, camera in zip(sparse.images, flown.truth.cameras, strict=True):
        sparse_camera = image.camera
        assert (sparse_camera.width, sparse_camera.height, sparse_camera.fx, sparse_camera.cx) == pytest.approx(
            (WIDTH, HEIGHT, camera.fx, camera.cx)
        )
    assert {(image.camera.width, image.camera.height) for image in dense.images} == {SMALL}
    fractions, phases = zip(*recorder.updates, strict=True)
    assert list(fractions) == sorted(fractions)
    assert list(dict.fromkeys(phases)) == [
        "Unpacking your photos",
        "Checking your photos",
        "Judging the capture",
        "Straightening photos for training",
    ]


def elsewhere(flown: Flown, unit: float = 3.0) -> tuple[list[Camera], ColmapModel]:
    """The same cameras and model in thirds of metres, lying on its side, far from the survey's middle."""
    turn, shift = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array([40.0, -70.0, 11.0])
    cameras = []
    for camera in flown.truth.cameras:
        matrix = np.eye(4)
        matrix[:3, :3] = camera.world_to_camera[:3, :3] @ turn.T
        matrix[:3, 3] = -matrix[:3, :3] @ (unit * turn @ camera.position + shift)
        cameras.append(replace(camera, world_to_camera=matrix))
    points = unit * np.array([point.xyz for point in flown.model.points]) @ turn.T + shift
    return cameras, model_of(cameras, list(flown.photos), points)


def control_points(truth: Truth) -> bytes:
    """True points where the true cameras see them, as OpenDroneMap writes them."""
    rows = ["EPSG:4326"]
    for point in np.array([[-9.0, -7, 0.2], [9, -7, 0.1], [9, 7, 1.0], [-9, 7, 0.5], [0, 0, 2.0]]):
        place = from_enu(point, truth.origin)
        for camera in truth.cameras:
            x, y, z = camera.world_to_camera[:3, :3] @ point + camera.world_to_camera[:3, 3]
            column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
            spot = f"{place.longitude:.10f} {place.latitude:.10f} {place.altitude:.5f}"
            rows.append(f"{spot} {column:.4f} {row:.4f} {Path(camera.name).name}")
    return "\n".join(rows).encode()


@pytest.mark.parametrize(("by_points", "metres_off"), [(False, 1.0), (True, 0.01)])
def test_the_frame_of_the_model_is_not_moved_and_its_place_on_the_earth_is_reported(
    tmp_path: Path, flown: Flown, by_points: bool, metres_off: float
) -> None:
    cameras, model = elsewhere(flown)
    files = flown.photos | ({"gcp_list.txt": control_points(flown.truth)} if by_points else {})
    output = tmp_path / "jobs/out"
    reconstruct(zipped(tmp_path / "in", files, below("sparse/0", model.parts(".bin"))), output)
    kept = poses(read_sparse_model(output / "colmap/sparse"))
    assert kept == pytest.approx(np.array([camera.world_to_camera for camera in cameras]), abs=1e-6)
    earth = json.loads((output / "colmap/georeference.json").read_text())
    assert (earth["aligned"], earth["metric"], earth["axes"]) == (True, False, "those of the given model")
    assert ("control points" if by_points else "positions") in earth["method"]
    assert earth["unit_m"] == pytest.approx(1 / 3, rel=0.01)
    assert earth["median_residual_m"] < 0.005 * flown.truth.scene_size
    for camera, true in zip(cameras, flown.truth.cameras, strict=True):
        on_earth = (np.array(earth["to_ecef"]) @ [*camera.position, 1.0])[:3]
        place = from_enu(true.position, flown.truth.origin)
        assert np.linalg.norm(on_earth - ecef(place.latitude, place.longitude, place.altitude)) < metres_off
    assert "unit of the model is 0.33" in (output / "colmap/report.html").read_text()


def ecef(latitude: float, longitude: float, altitude: float) -> NDArray[np.float64]:
    """Earth-centred metres on WGS84 (NIMA TR8350.2)."""
    north, east, squeeze = np.radians(latitude), np.radians(longitude), 6.69437999014e-3
    radius = 6378137.0 / np.sqrt(1 - squeeze * np.sin(north) ** 2)
    across = (radius + altitude) * np.cos(north)
    return np.array([across * np.cos(east), across * np.sin(east), (radius * (1 - squeeze) + altitude) * np.sin(north)])


def tiff(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels_of(jpeg).astype(np.uint16) * 257, photometric="rgb")
    return out.getvalue()


def test_photos_come_and_go(tmp_path: Path, flown: Flown) -> None:
    """One is missing, one is not in the model, one is a TIFF of 16 bits, whose copies are made smaller elsewhere."""
    model = deepcopy(flown.model)
    names = list(flown.photos)
    model.images.pop()
    for point in model.points:
        point.track = [seen for seen in point.track if seen[0] != PHOTOS]
    model.images[1].name = model.images[1].name.replace(".JPG", ".tif")
    files = {f"photos/{name.lower()}": flown.photos[name] for name in names[2:]}
    files |= {f"photos/{names[1].lower().replace('.jpg', '.tif')}": tiff(flown.photos[names[1]])}
    output = tmp_path / "jobs/out"
    result = reconstruct(zipped(tmp_path / "in", files, below("sparse", model.parts(".txt"))), output)
    assert result.registered == PHOTOS - 2
    assert result.report["given"]["without_photo"] == names[:1]
    assert result.reasons == {
        f"photos/{names[-1].lower()}": "the reconstruction that came with the photos does not hold it"
    }
    sparse, dense = (read_sparse_model(output / "colmap" / each) for each in ("sparse", "dense/sparse"))
    true = [camera.world_to_camera for camera in flown.truth.cameras[1:-1]]
    assert poses(sparse) == pytest.approx(np.array(true), abs=1e-6)
    assert {(image.camera.width, image.camera.height) for image in sparse.images} == {(WIDTH, HEIGHT)}
    assert {(image.camera.width, image.camera.height) for image in dense.images} == {SMALL}
    assert len(open_dataset(output / "colmap/dense", 8).cameras) == PHOTOS - 2


def test_a_model_without_features_is_published_and_no_error_is_claimed(tmp_path: Path, flown: Flown) -> None:
    """As programs write it that are not COLMAP."""
    model = deepcopy(flown.model)
    without_features(model)
    output = tmp_path / "jobs/out"
    result = reconstruct(zipped(tmp_path / "in", flown.photos, below("sparse/0", model.parts(".bin"))), output)
    assert result.outcome.quality == {}
    assert "px" not in result.outcome.message
    assert len(open_dataset(output / "colmap/dense", 8).xyz) == len(model.points)
    assert "Reprojection error" not in (output / "colmap/report.html").read_text()


def shuffle(model: ColmapModel) -> None:
    """Every image has the pose of the next: nothing is where its features say."""
    poses = [image.pose for image in model.images]
    for image, pose in zip(model.images, [*poses[1:], poses[0]], strict=True):
        image.pose = pose


def without_features(model: ColmapModel) -> None:
    for image in model.images:
        image.features = []
    for point in model.points:
        point.track = []


def inside_out(model: ColmapModel) -> None:
    """Cameras look the other way, and no feature tells."""
    without_features(model)
    for point in model.points:
        point.xyz = (point.xyz[0], point.xyz[1], point.xyz[2] + 1000.0)


CONTRADICTIONS: dict[str, tuple[Callable[[ColmapModel], Any], str]] = {
    "poses of other photos": (shuffle, "half of its points miss their features"),
    "cameras that turn away": (inside_out, "of its 12 photos show none of its points"),
    "a track to a photo that is missing": (lambda m: m.points[0].track.append((99, 0)), "COLMAP itself cannot"),
    "a track to a feature that is missing": (lambda m: m.points[0].track.append((1, 10**8)), "COLMAP itself cannot"),
    "cameras of another size": (lambda m: setattr(m.cameras[2], "width", 513), "its camera in the model 513 x 384"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_model_that_contradicts_itself_is_refused(tmp_path: Path, flown: Flown, case: str) -> None:
    change, words = CONTRADICTIONS[case]
    model = deepcopy(flown.model)
    change(model)
    source = zipped(tmp_path / "in", flown.photos, below("sparse/0", model.parts(".bin")))
    with pytest.raises(Refused) as caught:
        run(source, tmp_path / "jobs/out", OPTIONS, Silent())
    assert caught.value.slug is Slug.BAD_PRIOR_MODEL
    assert words in str(caught.value)
    assert not (tmp_path / "jobs/out/colmap").exists()


def test_a_part_that_is_damaged_in_the_zip_is_refused(tmp_path: Path, flown: Flown) -> None:
    source = zipped(tmp_path / "in", flown.photos, below("sparse/0", flown.model.parts(".bin")))
    data = (source / "upload.zip").read_bytes()
    name = flown.model.images[0].name.encode()
    at = data.index(name + b"\0")  # within images.bin, which is stored
    (source / "upload.zip").write_bytes(data[:at] + b"x" + data[at + 1 :])
    with pytest.raises(Refused) as caught:
        run(source, tmp_path / "jobs/out", OPTIONS, Silent())
    assert "sparse/0/images.bin cannot be unpacked, its checksum is wrong" in str(caught.value)


def test_features_of_no_point_are_kept(tmp_path: Path, flown: Flown) -> None:
    model = deepcopy(flown.model)
    for image in model.images:
        image.features.append((1.0, 2.0, NOWHERE))
    result = reconstruct(
        zipped(tmp_path / "in", flown.photos, below("sparse/0", model.parts(".txt"))), tmp_path / "jobs/out"
    )
    assert [photo["features"] - photo["points"] for photo in result.report["photos"]] == [1] * PHOTOS
