"""The colour of the ground: layers painted one over the other, from meadow to launch pad. Linear RGB albedo."""

from __future__ import annotations

import math

from spaceport.demo import places
from spaceport.demo.textures import band, clamp, cover, fbm2, mix, noise2, stripes, times, visible
from spaceport.demo.vec import Vec
from spaceport.simd.jit import subroutine

GRASS: Vec = (0.105, 0.165, 0.045)
LUSH: Vec = (0.060, 0.125, 0.030)
DRY: Vec = (0.270, 0.240, 0.095)
SOIL: Vec = (0.170, 0.115, 0.070)
DARK_SOIL: Vec = (0.115, 0.078, 0.050)
STRAW: Vec = (0.420, 0.330, 0.150)
CROP: Vec = (0.090, 0.190, 0.045)
GRAVEL: Vec = (0.360, 0.320, 0.255)
ASPHALT: Vec = (0.105, 0.105, 0.110)
PAVING: Vec = (0.330, 0.270, 0.225)
CONCRETE: Vec = (0.400, 0.390, 0.370)
SAND: Vec = (0.330, 0.275, 0.185)
WATER: Vec = (0.030, 0.075, 0.080)
WHITE: Vec = (0.700, 0.700, 0.680)
RED: Vec = (0.480, 0.075, 0.045)


@subroutine
def _meadow(x: float, y: float, footprint: float, seed: int) -> Vec:
    broad = fbm2(x / 21.0, y / 21.0, 3, 0.6, footprint / 21.0, seed + 20)
    patches = fbm2(x / 4.7, y / 4.7, 3, 0.65, footprint / 4.7, seed + 30)
    fine = fbm2(x / 1.1, y / 1.1, 3, 0.8, footprint / 1.1, seed + 40)
    colour = mix(LUSH, GRASS, clamp(0.5 + 0.9 * broad + 0.5 * patches))
    colour = mix(colour, DRY, 0.55 * clamp(1.1 * patches - 0.8 * broad - 0.05))
    flowers = clamp(4.0 * noise2(x / 0.4, y / 0.4, seed + 50) - 1.7) * clamp(2.5 * broad - 0.3)
    colour = mix(colour, (0.55, 0.52, 0.20), 0.5 * flowers * visible(0.4, footprint))
    return times(colour, 1.0 + 0.50 * fine + 0.22 * patches)


@subroutine
def _rows(x: float, y: float, angle: float, period: float, footprint: float) -> float:
    """A smooth wave across parallel rows, -1 to 1."""
    across = -x * math.sin(angle) + y * math.cos(angle)
    return visible(period, footprint) * math.sin(2.0 * math.pi * across / period)


@subroutine
def _straw(x: float, y: float, footprint: float, seed: int) -> Vec:
    bend = 0.5 * noise2(x / 9.0, y / 9.0, seed + 60)
    swath = _rows(x, y + bend, 0.25, 2.6, footprint)
    fine = fbm2(x / 1.7, y / 1.7, 4, 0.7, footprint / 1.7, seed + 61)
    broad = fbm2(x / 16.0, y / 16.0, 3, 0.6, footprint / 16.0, seed + 70)
    colour = mix(STRAW, SOIL, clamp(0.25 + 0.35 * swath + 0.5 * fine + 0.3 * broad) * 0.55)
    return times(colour, 1.0 + 0.22 * broad + 0.26 * fine)


@subroutine
def _crop(x: float, y: float, footprint: float, seed: int) -> Vec:
    bend = 0.3 * noise2(x / 7.0, y / 7.0, seed + 80)
    row = _rows(x, y + bend, 0.08, 1.3, footprint)
    fine = fbm2(x / 1.9, y / 1.9, 4, 0.7, footprint / 1.9, seed + 81)
    tracks = stripes(x + 0.08 * y, 14.0, 0.06, max(footprint, 0.2))
    colour = mix(CROP, SOIL, clamp(0.3 + 0.4 * row + 0.6 * fine) * 0.7)
    return times(mix(colour, DARK_SOIL, 0.7 * tracks), 1.0 + 0.3 * fine)


@subroutine
def _ploughed_soil(x: float, y: float, footprint: float, seed: int) -> Vec:
    bend = 0.4 * noise2(x / 8.0, y / 8.0, seed + 90)
    row = _rows(x + bend, y, 1.2, 1.5, footprint)
    clods = fbm2(x / 1.3, y / 1.3, 4, 0.75, footprint / 1.3, seed + 91)
    broad = fbm2(x / 18.0, y / 18.0, 3, 0.6, footprint / 18.0, seed + 99)
    colour = mix(SOIL, DARK_SOIL, clamp(0.5 + 0.8 * broad))
    return times(colour, 1.0 + 0.22 * row + 0.35 * clods)


@subroutine
def _stones(x: float, y: float, footprint: float, seed: int) -> float:
    """Brightness of gravel: pebbles, worn tracks and puddle stains."""
    pebbles = fbm2(x / 0.9, y / 0.9, 3, 0.85, footprint / 0.9, seed + 100)
    stains = fbm2(x / 5.0, y / 5.0, 3, 0.6, footprint / 5.0, seed + 110)
    return 1.0 + 0.3 * pebbles + 0.35 * stains


@subroutine
def _asphalt(x: float, across: float, footprint: float, seed: int) -> Vec:
    patches = clamp(6.0 * noise2(x / 7.0, across / 2.5, seed + 120) - 2.2)
    grain = fbm2(x / 2.2, across / 1.1, 4, 0.75, footprint / 1.1, seed + 121)
    wheels = math.exp(-(((abs(across) - 1.35) / 0.45) ** 2))
    crack = abs(noise2(x / 3.1, across / 3.1 + 0.2 * grain, seed + 125))
    base = 1.0 + 0.28 * grain + 0.22 * wheels - 0.4 * patches
    return times(ASPHALT, base - 0.5 * clamp(1.0 - crack * 14.0) * visible(0.3, footprint))


@subroutine
def _road(x: float, y: float, footprint: float, seed: int) -> Vec:
    across = places.road_offset(x, y)
    colour = _asphalt(x, across, footprint, seed)
    dashes = stripes(x, 4.5, 0.5, footprint) * band(across, -0.11, 0.11, footprint)
    edges = band(abs(across), 2.25, 2.42, footprint)
    worn = 0.75 + 0.5 * noise2(x / 1.3, across / 0.8, seed + 130) * visible(0.8, footprint)
    return mix(colour, WHITE, clamp((dashes + edges) * worn))


@subroutine
def _paving(x: float, y: float, footprint: float, seed: int) -> Vec:
    joints = max(stripes(x, 0.9, 0.1, footprint), stripes(y, 0.9, 0.1, footprint))
    tone = fbm2(x / 1.6, y / 1.6, 3, 0.8, footprint / 1.6, seed + 140)
    return times(PAVING, (1.0 + 0.3 * tone) * (1.0 - 0.35 * joints))


@subroutine
def _pad_paint(u: float, v: float, footprint: float) -> tuple[Vec, float]:
    """Markings of the launch pad and how much they cover: rings, a cross of hazard bars and a north arrow."""
    radius = math.hypot(u, v)
    ring = max(band(radius, 5.9, 6.35, footprint), band(radius, 3.2, 3.5, footprint))
    turn = math.atan2(v, u) / (2.0 * math.pi) * 32.0
    hazard = stripes(turn, 1.0, 0.5, min(1.0, footprint * 32.0 / (6.28 * max(radius, 1.0))))
    colour = mix(WHITE, RED, hazard * band(radius, 5.9, 6.35, footprint))
    bars = band(min(abs(u), abs(v)), -0.25, 0.25, footprint) * band(radius, 3.9, 5.5, footprint)
    return colour, max(ring, bars)


@subroutine
def _launch_pad(x: float, y: float, footprint: float, seed: int) -> Vec:
    u, v = x - places.PAD[0], y - places.PAD[1]
    joints = max(stripes(u + 0.04, 3.5, 0.023, footprint), stripes(v + 0.04, 3.5, 0.023, footprint))
    tone = fbm2(x / 2.4, y / 2.4, 4, 0.7, footprint / 2.4, seed + 150)
    scorch = clamp(1.15 - math.hypot(u, v) / 4.2 + 0.5 * noise2(x / 1.2, y / 1.2, seed + 160))
    colour = times(CONCRETE, (1.0 + 0.2 * tone) * (1.0 - 0.4 * joints))
    paint, share = _pad_paint(u, v, footprint)
    worn = 0.85 + 0.35 * noise2(x / 0.9, y / 0.9, seed + 161) * visible(0.9, footprint)
    return times(mix(colour, paint, clamp(share * worn)), 1.0 - 0.75 * scorch)


@subroutine
def _fields(x: float, y: float, footprint: float, seed: int) -> Vec:
    wobble = 0.5 * noise2(x / 2.5, y / 2.5, seed + 1)
    soft = max(footprint, 0.4)
    straw = cover(places.straw_field(x, y) + wobble, soft)
    crop = cover(places.crop_field(x, y) + wobble, soft)
    bare = cover(places.ploughed_field(x, y) + wobble, soft)
    if straw >= 1.0:
        return _straw(x, y, footprint, seed)
    colour = _meadow(x, y, footprint, seed)
    if straw > 0.0:
        colour = mix(colour, _straw(x, y, footprint, seed), straw)
    if crop > 0.0:
        colour = mix(colour, _crop(x, y, footprint, seed), crop)
    if bare > 0.0:
        colour = mix(colour, _ploughed_soil(x, y, footprint, seed), bare)
    return colour


@subroutine
def _farm(colour: Vec, x: float, y: float, footprint: float, seed: int) -> Vec:
    """Over the fields: vegetable beds, the two tracks of the lane, the gravel yard."""
    wobble = 0.45 * fbm2(x / 1.8, y / 1.8, 3, 0.6, footprint / 1.8, seed + 5)
    soft = max(footprint, 0.3)
    share = cover(places.beds(x, y), footprint)
    if share > 0.0:
        leaves = _rows(x, y, 1.5708, 0.8, footprint) + fbm2(x, y, 3, 0.8, footprint, seed + 170)
        colour = mix(colour, mix(DARK_SOIL, CROP, clamp(0.3 + 0.6 * leaves)), share)
    lane = places.lane_offset(x, y)
    track = cover(abs(abs(lane) - 0.85) - 0.45 + wobble, soft) * band(y, -12.0, 70.0, 2.0)
    if track > 0.0:
        colour = mix(colour, times(GRAVEL, 0.8 * _stones(x, y, footprint, seed)), 0.9 * track)
    share = cover(places.yard(x, y) + wobble, soft)
    if share > 0.0:
        colour = mix(colour, times(GRAVEL, _stones(x, y, footprint, seed)), share)
    return colour


@subroutine
def _wet_ground(colour: Vec, x: float, y: float, footprint: float, seed: int) -> Vec:
    """The pond with its sandy, reedy shore."""
    shore = places.pond(x, y)
    wobble = 0.6 * fbm2(x / 2.0, y / 2.0, 3, 0.6, footprint / 2.0, seed + 6)
    sand = cover(shore - 1.3 + wobble, max(footprint, 0.5))
    if sand <= 0.0:
        return colour
    colour = mix(colour, times(SAND, 0.9 * _stones(x, y, footprint, seed)), 0.85 * sand)
    water = cover(shore, max(footprint, 0.12))
    if water <= 0.0:
        return colour
    shallow = clamp(1.0 + shore / 1.8)
    tone = fbm2(x / 3.0, y / 3.0, 4, 0.65, footprint / 3.0, seed + 180)
    lilies = clamp(5.0 * noise2(x / 0.9, y / 0.9, seed + 190) - 1.2) * clamp(2.0 * noise2(x / 5.0, y / 5.0, seed + 191))
    wet = times(mix(WATER, (0.11, 0.115, 0.06), 0.8 * shallow), 1.0 + 0.35 * tone)
    return mix(colour, mix(wet, (0.10, 0.20, 0.05), lilies * visible(0.9, footprint)), water)


@subroutine
def _built_ground(colour: Vec, x: float, y: float, footprint: float, seed: int) -> Vec:
    """Over the rest: drives, the road with its verge, the launch pad."""
    share = cover(places.drives(x, y), max(footprint, 0.05))
    if share > 0.0:
        colour = mix(colour, _paving(x, y, footprint, seed), share)
    across = abs(places.road_offset(x, y))
    wobble = 0.35 * noise2(x / 1.4, y / 1.4, seed + 7)
    verge = cover(across - places.ROAD_HALF_WIDTH - 0.5 + wobble, 0.6)
    if verge > 0.0:
        colour = mix(colour, times(GRAVEL, 0.75 * _stones(x, y, footprint, seed)), 0.8 * verge)
    share = cover(across - places.ROAD_HALF_WIDTH, max(footprint, 0.05))
    if share > 0.0:
        colour = mix(colour, _road(x, y, footprint, seed), share)
    share = cover(places.pad(x, y), footprint)
    if share > 0.0:
        colour = mix(colour, _launch_pad(x, y, footprint, seed), share)
    return colour


@subroutine
def ground_albedo(x: float, y: float, footprint: float, seed: int) -> Vec:
    """Linear RGB albedo of the ground at (`x`, `y`), averaged over a pixel `footprint` metres wide."""
    colour = _fields(x, y, footprint, seed)
    colour = _farm(colour, x, y, footprint, seed)
    colour = _wet_ground(colour, x, y, footprint, seed)
    return _built_ground(colour, x, y, footprint, seed)
