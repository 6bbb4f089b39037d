"""Contact sheets of an examination's findings, for a person to judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raysweep.core.formatting import plural
from raysweep.data.plots.criteria import COLOURS, frame_plane

from .duplicate_groups import Rows
from .report import SPLIT_NAMES, QualityReport
from .thumbnails import Pixels

_FACE = 1.0
"""Inches a face on the page."""

_INK, _QUIET, _ALARM = "#1f2933", "#66727f", "#c8372d"
_PAGE = "white"
_DPI = 110

AxesGrid = NDArray[Any]


def draw_twins(
    images: Pixels, report: QualityReport, groups: Sequence[Rows], path: Path, title: str, at_most: int = 48
) -> None:
    """Write a PNG of up to `at_most` groups, spread evenly over those given; four images of each, side by side.

    Under an image: its split, row and label, in red where it differs from the label of the group's first image.
    """
    shown = [groups[i] for i in np.unique(np.linspace(0, len(groups) - 1, min(at_most, len(groups))).astype(int))]
    wide = max((min(len(rows), 4) for rows in shown), default=1)
    groups_a_line = max(1, 12 // wide)
    lines = max(1, -(-len(shown) // groups_a_line))
    figure, axes = _page(lines, groups_a_line * wide, f"{title}: {len(shown)} of {plural(len(groups), 'group')}")
    for place, rows in enumerate(shown):
        line, column = place // groups_a_line, place % groups_a_line * wide
        for step, row in enumerate(rows[:wide].tolist()):
            caption, colour = _twin_caption(report, row, int(rows[0]))
            _face(axes[line, column + step], images, row, caption, colour)
        if len(rows) > wide:
            axes[line, column + wide - 1].set_title(f"{len(rows)} in all", fontsize=6, color=_QUIET, pad=1)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def draw_inconsistent(images: Pixels, va: NDArray[np.float32], report: QualityReport, path: Path) -> None:
    """Write a PNG of the 40 faces whose class and VA contradict each other most, beside where they lie in the plane.

    `va` (N, 2). Under a face: the class given, the class its point lies in, and the point. In the plane: the mean of
    every class with the ellipse of two standard deviations, and each face as a dot in the colour of its label.

    Raises:
        ValueError: the data set has no valence and arousal.
    """
    found = report.inconsistent
    if found is None:
        raise ValueError(f"{report.name} has no valence and arousal, so there is no contradiction to draw")
    rows, given, likeliest = (part[:40].tolist() for part in (found.rows, found.given, found.likeliest))
    figure = Figure(figsize=(8 * _FACE + 6.2, 5 * (_FACE + 0.42) + 0.6), facecolor=_PAGE, layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(8 * _FACE, 6.2))[0]
    left.suptitle(
        f"{report.name}: {plural(len(found.rows), 'face')} whose class and VA disagree, the first {len(rows)}"
    )
    axes = _blank(left.subplots(5, 8, squeeze=False))
    for place, (row, label, other) in enumerate(zip(rows, given, likeliest, strict=True)):
        valence, arousal = va[row].tolist()
        text = f"{report.classes[label]}\nlies in {report.classes[other]}\n{valence:+.2f} {arousal:+.2f}"
        _face(axes.flat[place], images, row, text, _INK)
    plane = right.subplots()
    _draw_classes(plane, report)
    plane.scatter(*va[found.rows].T, s=14, c=[_colour(k) for k in found.given.tolist()], edgecolors="white", lw=0.4)
    plane.set_title("dots: the faces found, in the colour of their label", fontsize=9, color=_INK)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _draw_classes(axes: Axes, report: QualityReport) -> None:
    found = report.inconsistent
    assert found is not None
    frame_plane(axes)
    circle = np.stack([np.cos(turn := np.linspace(0, 2 * np.pi, 100)), np.sin(turn)])
    for k, name in enumerate(report.classes):
        if found.gaussians.priors[k] > 0:
            mean, root = found.gaussians.means[k].numpy(), np.linalg.cholesky(found.gaussians.covariances[k].numpy())
            axes.plot(*(mean[:, None] + 2 * root @ circle), color=_colour(k), lw=1.1)
            axes.plot(*mean, "+", color=_colour(k), ms=9, mew=2, label=name)
    axes.set_ylabel("arousal", fontsize=9, color=_QUIET)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, fontsize=8, frameon=False)


def _twin_caption(report: QualityReport, row: int, first: int) -> tuple[str, str]:
    label = int(report.labels[row])
    name = report.classes[label] if label >= 0 else "no label"
    colour = _INK if label == report.labels[first] else _ALARM
    return f"{SPLIT_NAMES[int(report.splits[row])]} {row}\n{name}", colour


def _page(lines: int, columns: int, title: str) -> tuple[Figure, AxesGrid]:
    size = (columns * _FACE + 0.2, lines * (_FACE + 0.32) + 0.5)
    figure = Figure(figsize=size, facecolor=_PAGE, layout="constrained")
    figure.suptitle(title, fontsize=11, color=_INK, x=0.01, ha="left")
    return figure, _blank(figure.subplots(lines, columns, squeeze=False))


def _blank(axes: AxesGrid) -> AxesGrid:
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[], frame_on=False)
    return axes


def _face(axes: Axes, images: Pixels, row: int, caption: str, colour: str) -> None:
    axes.imshow(np.asarray(images[row]).transpose(1, 2, 0), interpolation="nearest")
    axes.set_xlabel(caption, fontsize=6, color=colour, labelpad=1)


def _colour(k: int) -> str:
    return COLOURS[k % len(COLOURS)]
