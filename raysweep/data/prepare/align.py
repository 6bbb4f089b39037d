"""Alignment of a face by its landmarks: a similarity transform onto a fixed template."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

TEMPLATE = (0.35 + 0.38j, 0.65 + 0.38j, 0.375 + 0.727j, 0.625 + 0.727j)
"""Left eye, right eye, left and right corner of the mouth in the unit square, x + iy. Left is left in the picture.

Proportions of the mean face; the square includes brows and chin.
"""


def four_points(landmarks: Sequence[float]) -> tuple[complex, ...] | None:
    """Eye centres and mouth corners in the template's order, of 68 or of 5 points (x, y, x, y, ...).

    5 points: eyes, nose, corners of the mouth. Lists with the subject's right eye first are reordered.
    None for another number of points, or where a value is not finite.
    """
    if not all(map(math.isfinite, landmarks)) or len(landmarks) % 2:
        return None
    points = [complex(x, y) for x, y in zip(landmarks[::2], landmarks[1::2], strict=True)]
    if len(points) == 68:
        four = [sum(points[36:42]) / 6, sum(points[42:48]) / 6, points[48], points[54]]
    elif len(points) == 5:
        four = [points[0], points[1], points[3], points[4]]
    else:
        return None
    across, down = four[1] - four[0], four[2] + four[3] - four[0] - four[1]
    mirrored = (across.conjugate() * down).imag < 0
    return (four[1], four[0], four[3], four[2]) if mirrored else tuple(four)


def similarity(points: Sequence[complex], template: Sequence[complex] = TEMPLATE) -> tuple[complex, complex]:
    """(a, b) of the least-squares similarity template = a * point + b (Umeyama's, without reflection).

    Raises:
        ValueError: all points coincide.
    """
    centre, middle = sum(points) / len(points), sum(template) / len(template)
    spread = sum(abs(p - centre) ** 2 for p in points)
    a = sum((p - centre).conjugate() * (t - middle) for p, t in zip(points, template, strict=True))
    if spread == 0 or cmath.isclose(a, 0):
        raise ValueError("the points of a face must not all coincide")
    a /= spread
    return a, middle - a * centre
