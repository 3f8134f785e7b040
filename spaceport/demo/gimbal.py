"""What a drone notes about where its camera looked: the XMP tags of DJI, which other makers write too."""

from __future__ import annotations

import math

from spaceport.demo.solids import Array

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
   drone-dji:RelativeAltitude="{height:+.2f}"
   drone-dji:GimbalRollDegree="{roll:+.2f}"
   drone-dji:GimbalYawDegree="{yaw:+.2f}"
   drone-dji:GimbalPitchDegree="{pitch:+.2f}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def gimbal_tags(world_to_camera: Array) -> bytes:
    """The XMP packet of a photo with this pose [4,4] (east-north-up; OpenCV axes), the ground at height 0.

    The roll is left at 0, as gimbals that are levelled by motors report it.
    """
    pitch, yaw, height = gimbal_angles(world_to_camera)
    return _PACKET.format(height=height, roll=0.0, yaw=yaw, pitch=pitch).encode()


def gimbal_angles(world_to_camera: Array) -> tuple[float, float, float]:
    """Pitch (degrees, -90 when looking straight down), yaw (degrees clockwise from north) and height (metres)."""
    rotation = world_to_camera[:3, :3]
    forward, up = rotation[2], -rotation[1]
    pitch = math.degrees(math.asin(max(-1.0, min(1.0, float(forward[2])))))
    ahead = forward if abs(forward[2]) < math.cos(math.radians(15)) else up  # straight down, forward has no bearing
    yaw = math.degrees(math.atan2(float(ahead[0]), float(ahead[1])))
    height = float((-rotation.T @ world_to_camera[:3, 3])[2])
    return pitch, yaw, height
