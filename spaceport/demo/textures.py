"""Band-limited procedural patterns: every one takes the width of a pixel on the surface and keeps nothing finer.

That is what makes two photos of one place agree, from whatever distance they look: no pattern aliases.
Lengths are metres, `footprint` is the pixel's width in the same unit, noise is about -1 to 1 with mean 0.
"""

from __future__ import annotations

import math

import numpy as np

from spaceport.demo.vec import Vec
from spaceport.simd.jit import subroutine

_GRADIENTS = np.array([(math.cos(a), math.sin(a)) for a in np.arange(16) * (math.pi / 8) + 0.1])


@subroutine
def clamp(x: float) -> float:
    """`x` held between 0 and 1."""
    return min(max(x, 0.0), 1.0)


@subroutine
def mix(a: Vec, b: Vec, share: float) -> Vec:
    """`a` where `share` is 0, `b` where it is 1."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


@subroutine
def times(colour: Vec, factor: float) -> Vec:
    """A colour made lighter or darker, never negative."""
    factor = max(factor, 0.05)
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


@subroutine
def hash3(i: int, j: int, k: int, seed: int) -> int:
    """32 well-mixed bits for a lattice point (multiply and xor-shift, 64-bit wrap-around)."""
    h = (i * 374761393 + j * 668265263 + k * 2246822519 + seed * 3266489917) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 3266489917) & 0xFFFFFFFF
    return h ^ (h >> 16)


@subroutine
def _fade(t: float) -> float:
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


@subroutine
def _corner(i: int, j: int, dx: float, dy: float, seed: int) -> float:
    g = hash3(i, j, 0, seed) & 15
    return float(_GRADIENTS[g, 0] * dx + _GRADIENTS[g, 1] * dy)


@subroutine
def noise2(x: float, y: float, seed: int) -> float:
    """Gradient noise of the plane with wavelength about 1 (Perlin, "Improving Noise", 2002)."""
    i, j = math.floor(x), math.floor(y)
    dx, dy = x - i, y - j
    u, v = _fade(dx), _fade(dy)
    low = _corner(i, j, dx, dy, seed) * (1 - u) + _corner(i + 1, j, dx - 1, dy, seed) * u
    high = _corner(i, j + 1, dx, dy - 1, seed) * (1 - u) + _corner(i + 1, j + 1, dx - 1, dy - 1, seed) * u
    return 1.5 * (low * (1 - v) + high * v)


@subroutine
def noise3(x: float, y: float, z: float, seed: int) -> float:
    """Value noise of space with wavelength about 1: cheaper than gradients, soft enough for leaves."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = _fade(x - i), _fade(y - j), _fade(z - k)
    total = 0.0
    for corner in range(8):
        a, b, c = corner & 1, (corner >> 1) & 1, corner >> 2
        weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
        total += weight * hash3(i + a, j + b, k + c, seed)
    return total * (2.0 / 4294967296.0) - 1.0


@subroutine
def visible(wavelength: float, footprint: float) -> float:
    """How much of a pattern a pixel grid shows: all of it from 4 pixels a wave, nothing below 2."""
    return clamp(0.5 * wavelength / footprint - 1.0)


@subroutine
def fbm2(x: float, y: float, octaves: int, gain: float, footprint: float, seed: int) -> float:
    """Octaves of `noise2` from wavelength 1 downwards, each turned against the last, as far as a pixel can show them.

    `x`, `y` and `footprint` are in units of the longest wavelength.
    """
    total, amplitude, scale = 0.0, 1.0, 1.0
    for octave in range(octaves):
        keep = visible(1.0, footprint * scale)
        if keep <= 0.0:
            break
        total += amplitude * keep * noise2(x, y, seed + octave)
        x, y = 2.0 * (0.8 * x - 0.6 * y), 2.0 * (0.6 * x + 0.8 * y)
        amplitude *= gain
        scale *= 2.0
    return total


@subroutine
def cover(distance: float, footprint: float) -> float:
    """Share of a pixel inside a shape, from the signed distance to its edge (negative inside)."""
    return clamp(0.5 - distance / footprint)


@subroutine
def stripes(x: float, period: float, duty: float, footprint: float) -> float:
    """Pulses `duty` of a `period` wide, starting at 0, averaged exactly over the pixel."""
    width = footprint / period
    low, high = x / period - 0.5 * width, x / period + 0.5 * width
    area_low = math.floor(low) * duty + min(low - math.floor(low), duty)
    area_high = math.floor(high) * duty + min(high - math.floor(high), duty)
    return (area_high - area_low) / width


@subroutine
def band(x: float, low: float, high: float, footprint: float) -> float:
    """Share of the pixel between `low` and `high`."""
    return clamp((x - low) / footprint + 0.5) * clamp((high - x) / footprint + 0.5)
