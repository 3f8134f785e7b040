"""How long a job is likely to take on a machine of one's own, by its CPU threads: the embedded cloud's estimate.

Fitted to whole runs on two vCPUs (README): 30 photos of the demo survey took 20, 87 and 5 seconds, 18 of
brighton_beach 13, 28 and 1; good to about a factor of two.
"""

from __future__ import annotations

from typing import Final

from spaceport.pipeline.contract import StageName
from spaceport.pipeline.effort import choose_effort, cpu_speed
from spaceport.pipeline.options import JobOptions

SFM_SECONDS_PER_PHOTO: Final = 0.7
"""On two threads, photos of 1,600 pixels; as their area where they are smaller or larger."""
OCTAVE_FACTOR: Final = 3
"""Of an extraction that begins with the photo at twice its size."""
ITERATION_SECONDS, GAUSSIAN_SECONDS, PIXEL_SECONDS = 1e-3, 0.4e-6, 20e-9
"""Of an iteration on two threads: in itself, for each Gaussian, and for each pixel of its photo."""
MEAN_GAUSSIANS, MEAN_PIXELS = 0.7, 0.65
"""Of the run, as parts of those at its end: Gaussians grow, and photos begin at a quarter of their size."""
PIXELS_PER_GAUSSIAN: Final = 80
ASPECT: Final = 0.75
SEED_SECONDS, SEEDED_PHOTOS = 0.33, 100
COMPRESS_SECONDS, COMPRESS_SECONDS_PER_GAUSSIAN = 1.0, 40e-6


def own_machine_seconds(options: JobOptions, photos: int, threads: int) -> dict[StageName, float]:
    """Seconds of each stage with so many CPU threads, once the stage has begun.

    Pure: a GPU of this machine, which may do it in a tenth of that, is not counted.
    """
    used = min(photos, options.sfm.max_photos)
    effort = choose_effort(options.train, threads, used)
    side = min(effort.longest_side or options.sfm.max_image_size, options.sfm.max_image_size)
    pixels = ASPECT * side**2
    gaussians = min(effort.gaussians, round(used * pixels / PIXELS_PER_GAUSSIAN))
    iteration = ITERATION_SECONDS + GAUSSIAN_SECONDS * MEAN_GAUSSIANS * gaussians + PIXEL_SECONDS * MEAN_PIXELS * pixels
    octave = OCTAVE_FACTOR if options.sfm.first_octave < 0 else 1
    speed = cpu_speed(threads)
    return {
        StageName.SFM: SFM_SECONDS_PER_PHOTO * octave * (options.sfm.max_image_size / 1600) ** 2 * used / speed,
        StageName.TRAIN: effort.iterations_for(used) * iteration / speed + SEED_SECONDS * min(used, SEEDED_PHOTOS),
        StageName.COMPRESS: COMPRESS_SECONDS + COMPRESS_SECONDS_PER_GAUSSIAN * gaussians / speed,
    }
