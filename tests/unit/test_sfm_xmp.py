"""DJI's numbers are found in a photo's XMP packet, in either notation, and hostile packets are only searched."""

from __future__ import annotations

import time

import pytest

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.xmp import dji_metadata

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
