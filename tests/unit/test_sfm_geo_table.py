"""`geo.txt` and `gcp_list.txt` as people save them: any coordinate system's name, encoding, separator and heading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.crs import find_crs
from services.sfm.photos.geo_files import about_unknown_names, apply_geo_positions, parse_control_points, parse_geo
from services.sfm.photos.geo_table import decode_text

LATITUDE, LONGITUDE = 46.8425, -91.9945
X, Y = 575_200.55, 5_188_070.25  # in UTM zone 15N
PHOTOS = ["flight 1/DJI 0001.JPG", "flight 1/DJI 0002.JPG", "Ünder.jpg", "a/x.jpg", "b/x.jpg"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("WGS84", 4326),
        ("WGS 84", 4326),
        ("wgs-84", 4326),
        ("WGS84 (EPSG:4326)", 4326),
        ("32616", 32616),
        ("EPSG 32616", 32616),
        ("epsg:32616", 32616),
        ("EPSG::32616", 32616),
        ("urn:ogc:def:crs:EPSG::32616", 32616),
        ("EPSG:32616+5773", 32616),
        ("EPSG:32616,,,,", 32616),
        ('"EPSG:32616"', 32616),
        ("WGS 84 / UTM zone 16N", 32616),
        ("WGS84 / UTM Zone 16 N", 32616),
        ("WGS84 UTM 16N", 32616),
        ("UTM 16N", 32616),
        ("WGS_1984_UTM_Zone_16N", 32616),
        ("WGS 84 / UTM zone 16N (EPSG:32616)", 32616),
        ("ETRS89 / UTM zone 32N", 25832),
        ("NAD83 / UTM zone 16N", 26916),
        ("CH1903+ / LV95", 2056),
        ("OSGB36 / British National Grid", 27700),
    ],
)
def test_names_of_coordinate_systems(header: str, code: int) -> None:
    system = find_crs(header)
    assert system is not None
    expected = find_crs(f"EPSG:{code}")
    assert expected is not None
    if "UTM" in header and code == 32616:
        assert system.utm_zone == "16N"
    else:
        assert system.to_epsg() == expected.to_epsg() == code


@pytest.mark.parametrize(
    "header",
    ["hello", "/etc/passwd", "EPSG:999999", "init=epsg:4326", "file:key", "+proj=pipeline +step +proj=utm", "12"],
)
def test_other_lines_name_none(header: str) -> None:
    assert find_crs(header) is None


def test_points_around_the_middle_of_the_earth_are_refused() -> None:
    with pytest.raises(ValueError, match="middle of the earth"):
        parse_geo("EPSG:4978\na.jpg 1 2 3\n")


@pytest.mark.parametrize(
    "text",
    [
        f"EPSG:32615\nDJI 0001.JPG {X} {Y} 198.5\nDJI 0002.JPG {X} {Y} 198.5\n",
        f"32615\nDJI 0001.JPG\t{X}\t{Y}\t198.5\n",
        f"EPSG:32615,,,\r\nDJI 0001.JPG,{X},{Y},198.5\r\n",
        f"EPSG:32615\nDJI 0001.JPG; {X}; {Y}; 198.5\n".replace(".25", ",25").replace("198.5", "198,5"),
        f"EPSG:32615\nDJI 0001.JPG {X} {Y} 198,5\n".replace("200.55", "200,55"),
        f"EPSG:32615\n# a comment\nimage,x,y,z\nDJI 0001.JPG,{X},{Y},198.5\n",
        f"WGS84\n'DJI 0001.JPG' {LONGITUDE} {LATITUDE} 198.5\n",
        f"EPSG:4326\nFile name;Latitude [°];Longitude [°];Altitude (m)\nDJI 0001.JPG;{LATITUDE};{LONGITUDE};198.5\n",
        f"image,lat,lon,alt\nDJI 0001.JPG,{LATITUDE},{LONGITUDE},198.5\n",
        f"DJI 0001.JPG,{LONGITUDE},{LATITUDE},198.5\n",
        f"DJI 0001.JPG,{LATITUDE},{LONGITUDE},198.5\n",
        f"# EPSG:32615\nDJI 0001 {X} {Y} 198.5\n",
        f"WGS 84 / UTM zone 15N\nC:\\photos\\flight 1\\dji 0001.jpg {X} {Y} 198.5\n",
    ],
)
def test_one_position_in_many_files(text: str) -> None:
    row = parse_geo(text, PHOTOS)["flight 1/DJI 0001.JPG"]
    assert row.position == pytest.approx((LATITUDE, LONGITUDE, 198.5), abs=2e-2)


def test_accuracies_by_their_columns() -> None:
    text = "WGS84\nlabel,lon,lat,alt,accuracy\na.jpg,8.12345,47.1,400,0.05\n"
    assert parse_geo(text)["a.jpg"].std_m == (0.05, 0.05, 0.05)
    text = "WGS84\nname,lon,lat,accuracy\na.jpg,8.12345,47.1,0.05\n"
    assert parse_geo(text)["a.jpg"].position[2] is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(encoding: str) -> None:
    text = f"EPSG:32615\r\nÜnder.jpg {X} {Y} 1\r\n"
    assert list(parse_geo(decode_text(text.encode(encoding)), PHOTOS)) == ["Ünder.jpg"]
    with pytest.raises(ValueError, match="no text"):
        decode_text(bytes(range(256)))


def test_names_with_blanks_among_control_points() -> None:
    rows = f"EPSG:32615\n{X} {Y} 5 10 20 DJI 0001.JPG north corner\n{X} {Y} 5 11 21 flight 1/DJI 0002.JPG gcp1\n"
    (point,) = parse_control_points(rows, PHOTOS)
    assert point.observations == (("flight 1/DJI 0001.JPG", 10.0, 20.0), ("flight 1/DJI 0002.JPG", 11.0, 21.0))
    assert point.name == "north"
    table = f"gcp;easting;northing;elevation;pixel x;pixel y;image\np7;{X};{Y};5;10;20;DJI 0001.JPG\n"
    (point,) = parse_control_points("EPSG:32615\n" + table, PHOTOS)
    assert (point.name, point.observations) == ("p7", (("flight 1/DJI 0001.JPG", 10.0, 20.0),))
    more = f"point,x,y,z,px,py,photo,accuracy,type\np8,{X},{Y},5,10,20,DJI 0001.JPG,0.05,check point\n"
    (point,) = parse_control_points("EPSG:32615\n" + more, PHOTOS)
    assert (point.name, point.check, point.accuracy.horizontal_m, point.accuracy.vertical_m) == ("p8", True, 0.05, 0.05)


def test_a_name_that_several_photos_have_stays_as_it_is() -> None:
    geo = parse_geo(f"EPSG:32615\nX.JPG {X} {Y} 3\n", PHOTOS)
    photos = [PhotoMetadata(name, "JPEG", 640, 480) for name in PHOTOS]
    assert [photo.position is not None for photo in apply_geo_positions(photos, geo)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_file_that_names_no_photo_is_told() -> None:
    geo = parse_geo(f"EPSG:32615\nother.JPG {X} {Y} 3\n", PHOTOS)
    (finding,) = about_unknown_names(PHOTOS, geo)
    assert "'other.JPG'" in finding.sentence
    assert about_unknown_names([*PHOTOS, "z/OTHER.jpg"], geo) == about_unknown_names(PHOTOS, {}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("DJI 0001.JPG,46.84251,8.12345,198\n", "line 1.*which number is the latitude"),
        ("DJI 0001.JPG,575200,5188070,198\n", "line 1.*names no coordinate system"),
        ("\n\nhello world\nDJI 0001.JPG 1 2 3\n", "line 3.*no coordinate system that we know.*EPSG"),
        ("EPSG:4326\n# c\nDJI 0001.JPG 46.8 -91.9 1\n", "line 3.*longitude comes before latitude"),
        ("EPSG:4326\nDJI 0001.JPG 8.1 north 1\n", "line 2: a number is expected"),
        ("EPSG:4326\n" + "a" * 3000 + " 1 2\n", "line 2: it is longer"),
    ],
)
def test_refusals_name_the_line_and_the_remedy(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_geo(text, PHOTOS)


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_a_refusal(text: str) -> None:
    for header in ("", "EPSG:4326\n", "EPSG:32615\nimage,x,y,z\n"):
        for parse in (parse_geo, parse_control_points):
            try:
                parse(header + text, PHOTOS)
            except ValueError as error:
                assert "line" in str(error) or "empty" in str(error) or "coordinate" in str(error)


@given(st.binary(max_size=100))
def test_any_bytes_are_text_or_not(data: bytes) -> None:
    try:
        assert "\0" not in decode_text(data)
    except ValueError as error:
        assert "no text" in str(error)
