"""Z-order: what is near in space is near in the file."""

import numpy as np

from spaceport.splats.sog.codec.order import morton_order


def test_a_cube_is_walked_octant_by_octant() -> None:
    corners = np.array([[x, y, z] for x in (0, 65535) for y in (0, 65535) for z in (0, 65535)], np.uint16)
    visited = corners[morton_order(corners)] // 65535
    assert visited.tolist() == [[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)]


def test_codes_agree_with_bit_by_bit_interleaving() -> None:
    q = np.random.default_rng(0).integers(0, 65536, (500, 3)).astype(np.uint16)

    def code(row: np.ndarray) -> int:
        return sum((int(row[axis]) >> bit & 1) << (3 * bit + axis) for bit in range(16) for axis in range(3))

    assert morton_order(q).tolist() == sorted(range(500), key=lambda i: code(q[i]))


def test_ties_keep_their_order() -> None:
    assert morton_order(np.zeros((50, 3), np.uint16)).tolist() == list(range(50))
