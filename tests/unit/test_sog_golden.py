"""A bundle by PlayCanvas' splat-transform 3.7.0 (200 made Gaussians), and what the same tool decoded from it."""

from pathlib import Path

import numpy as np

from spaceport.splats.formats.ply import read_ply
from spaceport.splats.sog.codec.reader import read_sog

GOLDEN = Path(__file__).parents[1] / "data" / "splat_transform_3.7.0.sog"


def test_a_peers_file_is_decoded_as_the_peer_does() -> None:
    ours, theirs = read_sog(GOLDEN), read_ply(GOLDEN.with_suffix(".ply"))
    assert len(ours) == 200 and ours.sh_degree == 1
    for name in ("means", "scales", "sh0", "shN", "opacities"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-4), name
    cosine = (ours.quats * theirs.quats).sum(axis=1) / np.linalg.norm(theirs.quats, axis=1)
    assert (np.abs(cosine) > 1 - 1e-5).all()
