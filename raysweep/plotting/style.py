"""How classes look in every picture: a colour and a marker each; and points in a plane by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from raysweep.artifacts.array_file import Array

CLASS_COLORS = ("#8c8c8c", "#E69F00", "#0072B2", "#56B4E9", "#CC79A7", "#009E73", "#D55E00", "#5B3A8C")
CLASS_MARKERS = ("o", "^", "v", "D", "P", "X", "*", "p")
"""In the order of the classes. Both repeat after eight; then colours meet other markers."""

NO_CLASS = ("#7f7f7f", ".")
"""Of images without an expression."""

MOST_LEVELS = 41
"""Most values along an axis that make a grid: 0.05 apart from -1 to 1."""

GRID_WORDS = "Squares: annotations in steps; area: images there, divided by class."

_LEAST_EACH = 4
_FILLED = 0.92
"""Share of a grid's step that the largest square fills."""

_ROUNDS = 6
"""Classes are drawn in turn so often, so that none covers another."""


def class_color(index: int) -> str:
    """Colour of a class; of -1 that of no class."""
    return CLASS_COLORS[index % len(CLASS_COLORS)] if index >= 0 else NO_CLASS[0]


def class_marker(index: int) -> str:
    """Marker of a class; of -1 that of no class."""
    count = len(CLASS_MARKERS)
    return CLASS_MARKERS[(index + index // count) % count] if index >= 0 else NO_CLASS[1]


def class_handles(classes: Sequence[str], unlabelled: bool = False, size: float = 6) -> list[Line2D]:
    """One entry of a legend a class, and one for images without an expression."""
    numbered = list(enumerate(classes)) + ([(-1, "no expression")] if unlabelled else [])
    return [
        Line2D([], [], ls="", marker=class_marker(k), ms=size, mew=0, color=class_color(k), label=name)
        for k, name in numbered
    ]


def is_grid(points_N2: Array) -> bool:
    """Whether coordinates take few values along both axes, as annotations in steps do, so that points coincide.

    >>> is_grid(np.repeat([[0.0, 0.1], [0.1, 0.0]], 20, axis=0)), is_grid(np.random.default_rng(0).random((40, 2)))
    (True, False)
    """
    most = min(MOST_LEVELS, len(points_N2) // _LEAST_EACH)
    return most > 0 and all(len(np.unique(column)) <= most for column in _rounded(points_N2).T)


def draw_points(axes: Axes, points_N2: Array, labels_N: Array, size: float = 7, alpha: float = 0.55) -> None:
    """Points by class (-1: none), in the order given; on a grid squares whose area counts the images there.

    A square is divided from left to right into the shares of the classes.
    """
    if is_grid(points_N2):
        _draw_squares(axes, points_N2, labels_N)
        return
    for part in np.array_split(np.arange(len(labels_N)), _ROUNDS):
        for k in np.unique(labels_N[part]).tolist():
            rows = part[labels_N[part] == k]
            x_M, y_M = points_N2[rows].T
            axes.scatter(x_M, y_M, s=size, marker=class_marker(k), color=class_color(k), alpha=alpha,
                         linewidths=0, rasterized=True)  # fmt: skip


def _draw_squares(axes: Axes, points_N2: Array, labels_N: Array) -> None:
    parts = list(squares(points_N2, labels_N))
    colors = [class_color(k) for k, _ in parts]
    axes.add_collection(PolyCollection([corners for _, corners in parts], facecolors=colors, linewidths=0))


def squares(points_N2: Array, labels_N: Array) -> Iterator[tuple[int, Array]]:
    """Class and corners (4, 2) of every part of a square. The fullest place of the grid fills its step."""
    points_N2 = _rounded(points_N2)
    places, where = np.unique(points_N2, axis=0, return_inverse=True)
    where = where.reshape(-1)
    step = min(_step(column) for column in points_N2.T)
    most = np.bincount(where).max()
    for number, (x, y) in enumerate(places):
        labels = labels_N[where == number]
        side = _FILLED * step * np.sqrt(len(labels) / most)
        left, bottom, top = x - side / 2, y - side / 2, y + side / 2
        for k, count in zip(*np.unique(labels, return_counts=True), strict=True):
            right = left + side * count / len(labels)
            yield int(k), np.asarray([[left, bottom], [right, bottom], [right, top], [left, top]])
            left = right


def _rounded(points_N2: Array) -> Array:
    """Values that differ by a rounding error are the same."""
    rounded: Array = np.round(points_N2.astype(np.float64), 5)
    return rounded


def _step(values_N: Array) -> float:
    """Smallest distance between different values, at least 0.02; of a single one 0.1."""
    gaps = np.diff(np.unique(values_N))
    return max(float(gaps.min()), 0.02) if len(gaps) else 0.1
