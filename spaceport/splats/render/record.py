"""A Gaussian on the picture: 16 floats, one cache line, written by project.py and read by everything after it.

The exponent of alpha at an offset (x, y) in pixels from the centre is, to base 2,
    p = peak + (xx x² + 2 xy x y + yy y²) / 2
so that alpha = 2^p. It counts where alpha >= 1/255: inside an ellipse, whose chord at height y runs from
slope y - h to slope y + h with h = chord sqrt(1 - y² / reach_y²), and which is widest at y = ±waist.
"""

import math

X, Y, XX, XY, YY, PEAK = 0, 1, 2, 3, 4, 5
RED, GREEN, BLUE = 6, 7, 8
REACH_X, REACH_Y, SLOPE, CHORD, WAIST, PER_REACH = 9, 10, 11, 12, 13, 14
DEPTH = 15
SIZE = 16

CUT = math.log2(255)
"""Where p < -CUT, alpha < 1/255 and the Gaussian does not count."""
MOST = 0.999
"""The greatest alpha."""
OPAQUE = 1e-4
"""A tile whose every pixel lets less than this through is finished."""
BLUR = 0.3
"""Added to both variances on the picture, in pixels squared: about a pixel's own width."""
NEAR, FAR = 0.01, 1e10

# What the backward pass sums up per Gaussian, in a record of the same size: u = d loss / d p / ln 2 over offsets,
# and weight times picture gradient.
SUM, SUM_X, SUM_Y, SUM_XX, SUM_XY, SUM_YY, SUM_RED, SUM_GREEN, SUM_BLUE = range(9)
