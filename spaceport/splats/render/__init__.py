"""A rasteriser of 3D Gaussians for the CPU, in numpy and numba. README.md explains how it works.

    image = render(gaussians, camera)                           # one picture
    rasteriser = SimdRasteriser(threads=2)                      # many: keeps its buffers
    image = rasteriser.render(params, camera, sh_degree=3)
    result = rasteriser.loss_and_grads(params, camera, photo, sh_degree=3)

Conventions are gsplat's: eps2d 0.3 px², alpha at most 0.999, alpha under 1/255 skipped, near plane 0.01, colour
max(SH + 0.5, 0), pixel centres at +0.5, and the rasterize mode `antialiased`.
One differs: gsplat leaves out the Gaussian that would bring a pixel's transmittance under 1e-4 and ends that pixel.
Here it is blended, and a tile ends when all its pixels are at 1e-4 or less.
"""

from spaceport.splats.render.interface import Exposure, LossAndGrads, Params
from spaceport.splats.render.rasteriser import SimdRasteriser, render

__all__ = ["Exposure", "LossAndGrads", "Params", "SimdRasteriser", "render"]
