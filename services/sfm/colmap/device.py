"""The device that COLMAP extracts and matches features on."""

from __future__ import annotations

from typing import Any

import pycolmap

from spaceport.pipeline.errors import Refused, Slug


def device(option: str) -> Any:
    """The `pycolmap.Device` for the option `device`.

    The wheel `pycolmap` knows the CPU only, `pycolmap-cuda12` is the same with CUDA; with "auto" it takes a GPU if it
    finds one.

    Raises:
        Refused: bad_options, for "cuda" where COLMAP has none.
    """
    if option == "cuda" and not pycolmap.has_cuda:
        raise Refused(Slug.BAD_OPTIONS, detail="`sfm.device` is cuda, but structure from motion runs on a CPU here")
    return {"auto": pycolmap.Device.auto, "cpu": pycolmap.Device.cpu, "cuda": pycolmap.Device.cuda}[option]
