"""The colour of what people built: one pattern for each `Material`. Linear RGB albedo, band-limited like the ground.

`u` runs along the face, `v` up it, in metres from the face's origin.
"""

from __future__ import annotations

import math

from spaceport.demo.textures import band, clamp, fbm2, mix, noise2, stripes, times, visible
from spaceport.demo.vec import Vec
from spaceport.simd.jit import subroutine

FRAME: Vec = (0.62, 0.60, 0.56)
GLASS: Vec = (0.045, 0.06, 0.075)
DOOR: Vec = (0.16, 0.075, 0.04)


@subroutine
def _windows(wall: Vec, u: float, v: float, width: float, footprint: float) -> Vec:
    """A row of windows on each floor, evenly over the wall's width; narrow walls have none."""
    count = math.floor(width / 2.7)
    if count < 1.0 or v > 5.2:
        return wall
    pitch = width / count
    along = u + 0.5 * width
    inside = abs((along / pitch - math.floor(along / pitch)) - 0.5) * pitch
    up = v - (0.9 if v < 2.6 else 3.5)
    frame = band(inside, -0.68, 0.68, footprint) * band(up, -0.08, 1.38, footprint)
    glass = band(inside, 0.04, 0.58, footprint) * band(up, 0.0, 1.3, footprint)
    return mix(mix(wall, FRAME, frame), GLASS, glass)


@subroutine
def _plaster(colour: Vec, u: float, v: float, width: float, footprint: float, seed: int) -> Vec:
    stains = fbm2(u / 2.6, v / 3.4, 4, 0.65, footprint / 2.6, seed)
    damp = 0.25 * clamp(1.0 - v / 0.8)
    return _windows(times(colour, 1.0 + 0.16 * stains - damp), u, v, width, footprint)


@subroutine
def _brick(colour: Vec, u: float, v: float, width: float, footprint: float, seed: int) -> Vec:
    tone = fbm2(u / 1.2, v / 0.6, 4, 0.8, footprint / 0.6, seed)
    joints = max(stripes(v, 0.2, 0.15, footprint), 0.6 * stripes(u, 0.42, 0.1, footprint))
    wall = mix(times(colour, 1.0 + 0.3 * tone), (0.34, 0.31, 0.27), 0.7 * joints)
    return _windows(wall, u, v, width, footprint)


@subroutine
def _planks(colour: Vec, u: float, v: float, width: float, footprint: float, seed: int) -> Vec:
    board = noise2(u / 0.35, 0.5 + v / 9.0, seed) * visible(0.35, footprint)
    grain = fbm2(u / 0.8, v / 3.0, 4, 0.7, footprint / 0.8, seed + 1)
    wall = times(colour, 1.0 + 0.3 * board + 0.22 * grain - 0.3 * stripes(u, 0.7, 0.08, footprint))
    gate = band(u, -1.9, 1.9, footprint) * band(v, -1.0, 3.4, footprint) * (1.0 if width > 8.0 else 0.0)
    cross = max(stripes(v, 1.65, 0.1, footprint), band(abs(u), 1.72, 1.9, footprint))
    return mix(wall, mix(times(DOOR, 1.0 + 0.4 * board), FRAME, 0.8 * cross), gate)


@subroutine
def _tiles(colour: Vec, u: float, v: float, footprint: float, seed: int) -> Vec:
    """Courses of tiles: darker under each course's edge, each tile of its own tone, moss in places."""
    tone = noise2(u / 0.55, v / 0.5, seed) * visible(0.5, footprint)
    broad = fbm2(u / 3.2, v / 2.4, 4, 0.7, footprint / 2.4, seed + 1)
    course = stripes(v, 0.42, 0.25, footprint)
    moss = clamp(1.6 * broad - 0.45)
    base = times(colour, (1.0 + 0.3 * tone + 0.26 * broad) * (1.0 - 0.3 * course))
    return mix(base, (0.13, 0.13, 0.06), 0.6 * moss)


@subroutine
def _metal(colour: Vec, u: float, v: float, footprint: float, seed: int) -> Vec:
    ribs = stripes(u, 0.75, 0.3, footprint)
    rust = clamp(1.5 * fbm2(u / 1.9, v / 4.0, 4, 0.7, footprint / 1.9, seed) - 0.25)
    sheets = stripes(v, 3.2, 0.03, footprint)
    base = times(colour, (1.0 - 0.22 * ribs) * (1.0 - 0.3 * sheets) * (1.0 + 0.2 * noise2(u / 3.0, v / 5.0, seed + 5)))
    return mix(base, (0.26, 0.13, 0.07), 0.65 * rust)


@subroutine
def _panels(u: float, v: float, footprint: float, seed: int) -> Vec:
    """Solar panels: dark cells of slightly different blue in pale frames."""
    frames = max(stripes(u, 1.7, 0.06, footprint), stripes(v, 1.05, 0.09, footprint))
    tone = fbm2(u / 1.7, v / 1.05, 3, 0.8, footprint / 1.05, seed)
    return mix(times((0.030, 0.045, 0.095), 1.0 + 0.5 * tone), (0.45, 0.46, 0.48), frames)


@subroutine
def _hull(colour: Vec, u: float, v: float, footprint: float, seed: int) -> Vec:
    """A rocket's skin: bands of colour, plate joints, soot towards the engine."""
    painted = max(band(v, 5.7, 6.5, footprint), band(v, 0.4, 0.7, footprint))
    checks = (1.0 - 2.0 * stripes(u, 1.0, 0.5, footprint)) * (1.0 - 2.0 * stripes(v, 1.4, 0.5, footprint))
    check = band(v, 2.2, 3.6, footprint) * clamp(0.5 + 0.5 * checks)
    skin = mix(mix(colour, (0.55, 0.07, 0.035), painted), (0.05, 0.05, 0.055), check)
    soot = 0.5 * clamp(1.0 - v / 1.6) + 0.12 * noise2(u / 0.8, v / 1.1, seed)
    return times(skin, (1.0 - soot) * (1.0 - 0.25 * stripes(v, 1.1, 0.06, footprint)))


@subroutine
def _straw_bale(colour: Vec, u: float, v: float, footprint: float, seed: int) -> Vec:
    return times(colour, 1.0 + 0.35 * fbm2(u / 0.7, v / 0.35, 3, 0.8, footprint / 0.35, seed))


@subroutine
def face_albedo(face: tuple[float, Vec, float], u: float, v: float, footprint: float, seed: int) -> Vec:
    """Linear RGB albedo of a face (material, colour, width) at (`u`, `v`), averaged over a pixel."""
    material, colour, width = face
    if material < 3.5:  # PLAIN, PLASTER, BRICK, PLANKS: walls
        if material < 0.5:
            shade = times(colour, 1.0 + 0.12 * fbm2(u / 0.9, v / 0.9, 3, 0.7, footprint / 0.9, seed))
        elif material < 1.5:
            shade = _plaster(colour, u, v, width, footprint, seed)
        elif material < 2.5:
            shade = _brick(colour, u, v, width, footprint, seed)
        else:
            shade = _planks(colour, u, v, width, footprint, seed)
    elif material < 5.5:  # TILES, METAL: roofs
        shade = _tiles(colour, u, v, footprint, seed) if material < 4.5 else _metal(colour, u, v, footprint, seed)
    elif material < 6.5:
        shade = _panels(u, v, footprint, seed)
    elif material < 7.5:
        shade = _straw_bale(colour, u, v, footprint, seed)
    else:
        shade = _hull(colour, u, v, footprint, seed)
    return shade
