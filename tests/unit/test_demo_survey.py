"""The demo survey: same seed same bytes, and photos whose tags, poses and pixels agree with the truth."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from spaceport.demo import Survey, load_truth, make_survey
from spaceport.demo.geodesy import Place, from_enu, to_enu

SIZE = (176, 132)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return make_survey(tmp_path_factory.mktemp("survey"), 8, *SIZE, seed=3)


def _exif(data: bytes) -> Image.Exif:
    return Image.open(io.BytesIO(data)).getexif()


def _photos(survey: Survey) -> dict[str, bytes]:
    with zipfile.ZipFile(survey.zip_path) as archive:
        return {Path(name).name: archive.read(name) for name in archive.namelist()}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(survey: Survey, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    again = make_survey(tmp_path / "a", 8, *SIZE, seed=3, on_photo=lambda *news: seen.append(news))
    other = make_survey(tmp_path / "b", 8, *SIZE, seed=4)
    assert again.zip_path.read_bytes() == survey.zip_path.read_bytes()
    assert again.truth_path.read_bytes() == survey.truth_path.read_bytes()
    assert set(_photos(other).values()).isdisjoint(_photos(survey).values())
    assert [news[:2] for news in seen] == [(k, 8) for k in range(1, 9)]
    assert [news[2] for news in seen] == [camera.name for camera in load_truth(survey.truth_path).cameras]


def test_the_zip_is_stored_whole_and_has_one_folder(survey: Survey) -> None:
    with zipfile.ZipFile(survey.zip_path) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {Path(name).parent.name for name in archive.namelist()} == {"photos"}
    names = [camera.name for camera in load_truth(survey.truth_path).cameras]
    assert list(_photos(survey)) == names
    assert {Image.open(io.BytesIO(data)).size for data in _photos(survey).values()} == {SIZE}
    assert sorted(path.name for path in survey.zip_path.parent.iterdir()) == ["survey.zip", "truth.json"]


def test_the_tags_say_the_true_focal_length(survey: Survey) -> None:
    focal = load_truth(survey.truth_path).cameras[0].fx
    for data in _photos(survey).values():
        exif = _exif(data)
        tags = exif.get_ifd(IFD.Exif)
        assert (exif[Base.Make], exif[Base.Model]) == ("Spaceport", "Demo Camera")
        pixels_per_mm = tags[Base.FocalPlaneXResolution] / 10  # the unit is the centimetre
        assert tags[Base.FocalPlaneResolutionUnit] == 3
        assert float(tags[Base.FocalLength] * pixels_per_mm) == pytest.approx(focal, rel=1e-4)
        on_film = tags[Base.FocalLengthIn35mmFilm] / np.hypot(36, 24) * np.hypot(*SIZE)
        assert on_film == pytest.approx(focal, rel=0.005)


def test_the_times_rise_by_seconds(survey: Survey) -> None:
    times = [_exif(data).get_ifd(IFD.Exif)[Base.DateTimeOriginal] for data in _photos(survey).values()]
    assert times == sorted(set(times))
    assert times[0][:10] == times[-1][:10]


def _degrees(parts: tuple[float, float, float], positive: bool) -> float:
    degrees = float(parts[0]) + float(parts[1]) / 60 + float(parts[2]) / 3600
    return degrees if positive else -degrees


def test_the_gps_tags_are_the_true_positions(survey: Survey) -> None:
    truth = load_truth(survey.truth_path)
    photos = _photos(survey)
    for camera in truth.cameras:
        gps = _exif(photos[camera.name]).get_ifd(IFD.GPSInfo)
        place = Place(
            _degrees(gps[GPS.GPSLatitude], gps[GPS.GPSLatitudeRef] == "N"),
            _degrees(gps[GPS.GPSLongitude], gps[GPS.GPSLongitudeRef] == "E"),
            float(gps[GPS.GPSAltitude]),
        )
        assert gps[GPS.GPSAltitudeRef] in (0, b"\x00")
        assert np.linalg.norm(to_enu(place, truth.origin) - camera.position) < 0.05


def test_the_gimbal_tags_say_where_each_camera_looked(survey: Survey) -> None:
    photos = _photos(survey)
    for camera in load_truth(survey.truth_path).cameras:
        packet = Image.open(io.BytesIO(photos[camera.name])).info["xmp"].decode()
        noted = {name: float(value) for name, value in re.findall(r'drone-dji:(\w+)="([^"]+)"', packet)}
        forward, up = camera.world_to_camera[2, :3], -camera.world_to_camera[1, :3]
        pitch, yaw = np.radians(noted["GimbalPitchDegree"]), np.radians(noted["GimbalYawDegree"])
        assert noted["RelativeAltitude"] == pytest.approx(camera.position[2], abs=0.01)
        assert np.sin(pitch) == pytest.approx(forward[2], abs=2e-4)
        ahead = np.array([np.sin(yaw), np.cos(yaw)])
        shown = forward[:2] if forward[2] > -0.9 else up[:2]
        assert ahead @ shown / np.linalg.norm(shown) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("origin", [Place(50.4406, -4.9954, 105.0), Place(-33.9, 151.2, -3.0), Place(0.0, 180.0, 0.0)])
def test_metres_and_degrees_go_both_ways(origin: Place) -> None:
    for enu in ((0.0, 0.0, 0.0), (120.0, -80.0, 40.0), (-3000.0, 2000.0, 500.0)):
        assert np.allclose(to_enu(from_enu(np.array(enu), origin), origin), enu, atol=1e-5)
    north = from_enu(np.array([0.0, 1000.0, 0.0]), Place(45.0, 7.0, 0.0))
    assert north.latitude - 45.0 == pytest.approx(1000.0 / 111_131.8, rel=1e-4)  # a degree of latitude at 45 degrees


def test_poses_are_those_of_a_survey(survey: Survey) -> None:
    truth = load_truth(survey.truth_path)
    down = np.array([camera.world_to_camera[2, 2] for camera in truth.cameras])
    assert (down < -0.99).sum() == 5
    assert ((down > -0.9) & (down < -0.5)).sum() == 3
    assert np.all((truth.centres[:, 2] > 30) & (truth.centres[:, 2] < 45))
    for camera in truth.cameras:
        assert np.linalg.det(camera.world_to_camera[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(("photos", "width"), [(7, 256), (501, 256), (12, 64), (12, 9000)])
def test_surveys_out_of_bounds_are_refused(photos: int, width: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="photos"):
        make_survey(tmp_path / "none", photos, width, 192)
    assert not (tmp_path / "none").exists()


def test_what_on_photo_raises_ends_the_work_and_leaves_nothing(tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_survey(tmp_path, 8, *SIZE, on_photo=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"version": 2}', '{"version": 1, "seed": 1, "origin": {}, "photos": []}']
)
def test_a_damaged_truth_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(ValueError, match=r"truth\.json"):
        load_truth(tmp_path / "truth.json")
