"""A Gaussian projected onto the picture: a record of 16 floats, one cache line, written by project.py.

With its mean at (MEAN_X, MEAN_Y), log2 of alpha at an offset (x, y) in pixels from there is
    p = LOG2_OPACITY + (CONIC_XX x² + 2 CONIC_XY x y + CONIC_YY y²) / 2
so that alpha = 2^p; the conic is gsplat's times -log2(e). A Gaussian counts where alpha >= 1/255: inside an ellipse,
whose chord at height y runs from SLOPE y - h to SLOPE y + h with h = CHORD sqrt(1 - y² / RADIUS_Y²), and whose widest
points lie at y = ±WAIST.
"""

import math

MEAN_X, MEAN_Y, CONIC_XX, CONIC_XY, CONIC_YY, LOG2_OPACITY = 0, 1, 2, 3, 4, 5
RED, GREEN, BLUE = 6, 7, 8
RADIUS_X, RADIUS_Y, SLOPE, CHORD, WAIST, INV_RADIUS_Y2 = 9, 10, 11, 12, 13, 14
DEPTH = 15
SIZE = 16

LOG2_255 = math.log2(255)
"""Where p < -LOG2_255, alpha < 1/255 and the Gaussian does not count (gsplat's ALPHA_THRESHOLD)."""
MAX_ALPHA = 0.999
TRANSMITTANCE_THRESHOLD = 1e-4
"""A tile ends when the transmittance of all its pixels is at most this."""
EPS2D = 0.3
"""Added to both variances on the picture, in square pixels: a blur of about a pixel's own width."""
NEAR_PLANE, FAR_PLANE = 0.01, 1e10

# Sums over pixels in the backward pass, in a record of the same size, per Gaussian: u = d loss / d p / ln 2 times 1 and
# the products of the offset, and blend weight times the gradient of the picture.
SUM, SUM_X, SUM_Y, SUM_XX, SUM_XY, SUM_YY, SUM_RED, SUM_GREEN, SUM_BLUE = range(9)
