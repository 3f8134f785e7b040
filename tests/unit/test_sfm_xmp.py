"""DJI's numbers are found in a photo's XMP packet, in either notation, and hostile packets are only searched."""

from __future__ import annotations

import time

import pytest

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.xmp import dji_calibration, dji_metadata

PACKET = b"""<rdf:Description drone-dji:GimbalPitchDegree="-89.90" drone-dji:GimbalYawDegree = '+45.00'
 drone-dji:RtkFlag="50" drone-dji:RtkStdLon="0.012" drone-dji:RtkStdLat="0.010" drone-dji:RtkStdHgt="0.025">
<drone-dji:RelativeAltitude> +39.80 </drone-dji:RelativeAltitude></rdf:Description>"""


def test_attributes_and_elements_are_found() -> None:
    fields = dji_metadata(PACKET)
    assert fields == {
        "gimbal_pitch": -89.9,
        "gimbal_yaw": 45.0,
        "relative_altitude_m": 39.8,
        "rtk_flag": 50,
        "position_std_m": (0.012, 0.010, 0.025),
    }
    assert PhotoMetadata("a.jpg", "JPEG", 4, 3, **fields).rtk_flag == 50


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff" * 1000,
        b'drone-dji:GimbalPitchDegree="1e999"',
        b'drone-dji:GimbalPitchDegree="-4000.0"',
        b'drone-dji:RtkStdLon="0.1" drone-dji:RtkStdLat="0" drone-dji:RtkStdHgt="0.1"',
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        b" " * 70_000 + PACKET,
    ],
)
def test_what_is_not_believable_is_missing(packet: bytes) -> None:
    assert dji_metadata(packet) == {}


def test_a_packet_made_to_take_long_does_not() -> None:
    began = time.process_time()
    dji_metadata(b"drone-dji:A" + b" " * 60_000 + b"drone-dji:" * 6000)
    assert time.process_time() - began < 2


LENS = b"""<rdf:Description drone-dji:DewarpFlag="0" drone-dji:CalibratedFocalLength="3666.666504"
 drone-dji:CalibratedOpticalCenterX="2736.000000" drone-dji:CalibratedOpticalCenterY="1824.000000"
 drone-dji:DewarpData="2018-07-04;3678.58,3671.84,-10.29,18.06,-0.265104,0.107917,4.1e-05,-0.000258,-0.033"
 drone-dji:CameraSerialNumber="0K8TGAM0125288" drone-dji:AbsoluteAltitude="+198.31" drone-dji:GimbalRollDegree="180.0">
"""
AS_ELEMENTS = b"""<drone-dji:DewarpFlag>1</drone-dji:DewarpFlag><drone-dji:CalibratedFocalLength>
 3666.666504 </drone-dji:CalibratedFocalLength><drone-dji:DewarpData>2018-07-04;3678.58,3671.84,-10.29,18.06,
 -0.265104,0.107917,4.1e-05,-0.000258,-0.033</drone-dji:DewarpData>"""
DEWARP = (3678.58, 3671.84, -10.29, 18.06, -0.265104, 0.107917, 4.1e-05, -0.000258, -0.033)


def test_the_lens_is_found_in_either_notation() -> None:
    raw = dji_calibration(LENS)
    assert raw is not None
    assert (raw.focal, raw.centre, raw.dewarp) == (3666.666504, (2736.0, 1824.0), DEWARP)
    other = dji_calibration(AS_ELEMENTS)
    assert other is not None
    assert (other.focal, other.centre, other.dewarp) == (3666.666504, None, DEWARP)


def test_serial_altitude_roll_and_dewarping_are_found() -> None:
    assert dji_metadata(LENS) == {
        "serial": "0K8TGAM0125288",
        "gimbal_roll": 180.0,
        "absolute_altitude_m": 198.31,
        "dewarped": False,
    }
    assert dji_metadata(AS_ELEMENTS) == {"dewarped": True}


@pytest.mark.parametrize(
    "packet",
    [
        b'drone-dji:DewarpData=""',
        b'drone-dji:DewarpData="2018-07-04;1,2,3"',
        b'drone-dji:DewarpData="2018-07-04;' + b"1," * 9 + b'1"',
        b'drone-dji:DewarpData="2018-07-04;nan,inf,0,0,0,0,0,0,0"',
        b'drone-dji:DewarpData="2018-07-04;1e99,1,0,0,0,0,0,0,0"',
        b'drone-dji:CalibratedOpticalCenterX="2736"',
        b'drone-dji:SerialNumber="00000" drone-dji:CalibratedFocalLength="3666,6"',
        b" " * 70_000 + LENS,
    ],
)
def test_a_broken_calibration_is_none(packet: bytes) -> None:
    assert dji_calibration(packet) is None


@pytest.mark.parametrize("serial", [b"0000000000", b"x" * 41, b"a b c", b"", b"-"])
def test_what_is_no_serial_number_is_none(serial: bytes) -> None:
    assert "serial" not in dji_metadata(b'drone-dji:CameraSerialNumber="' + serial + b'"')
