"""A rasteriser of 3D Gaussians for the CPU: numpy and numba, nothing else.

    image = render(gaussians, camera)                       # one picture
    rasteriser = Rasteriser(threads=2)                      # many: keeps its buffers
    image = rasteriser.render(params, camera, sh_degree=3)
    step = rasteriser.loss_and_grads(params, camera, photo, sh_degree=3)

Conventions are gsplat's: covariance blur 0.3 px², alpha at most 0.999, alpha under 1/255 skipped, near plane 0.01,
colour max(SH + 0.5, 0), pixel centres at +0.5.
`antialiased` is gsplat's mode of that name.
One differs: gsplat leaves out the Gaussian that would bring a pixel's transmittance under 1e-4 and ends that pixel.
Here it is blended, and a tile ends when all its pixels are under 1e-4.
"""

from spaceport.splats.render.rasteriser import Rasteriser, render
from spaceport.splats.render.step import Exposure, Params, Step

__all__ = ["Exposure", "Params", "Rasteriser", "Step", "render"]
