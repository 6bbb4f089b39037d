"""VA planes of the sets of joint training, with histograms of every class at the margins (DCJT, Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.adapted_labels import Plane
from raysweep.plotting.adapted_labels import draw_plane, plane_limit
from raysweep.plotting.style import GRID_WORDS, class_color, class_handles, is_grid
from raysweep.report.results.aggregate import Summary

from .first_cells import first_cells

POINTS = 2500
"""Most points a plane."""

TITLES = {"given": "B as given", "pseudo": "A: its labels, pseudo VA"}
_BINS = 40

_SIDE, _MARGIN, _LEFT, _BELOW, _BETWEEN = 2.25, 0.5, 0.65, 0.85, 0.5
"""Inches: a plane, a histogram, what is left of the first plane and below, the space between two."""


def margin_planes(summary: Summary) -> tuple[int, dict[str, Plane]] | None:
    """The replicate and B's plane as given, with A's where an arm has pseudo VA; of the first arm that has most."""
    best: tuple[int, dict[str, Plane]] | None = None
    for _, cell in first_cells(summary):
        labels = cell.labels()
        shown = labels.planes(len(summary.study.data.classes)) if labels is not None else {}
        kept = {name: shown[name] for name in TITLES if name in shown}
        if "given" in kept and (best is None or len(kept) > len(best[1])):
            best = cell.replicate, kept
    return best


def plane_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Planes with margins; and the caption."""
    found = margin_planes(summary)
    if found is None:
        return None
    replicate, planes = found
    squares = f" {GRID_WORDS}" if any(is_grid(plane.va_N2) for plane in planes.values()) else ""
    return draw_margins(planes, summary.study.data.classes), (
        f"Valence and arousal by class in the manner of DCJT's Figure 2 (replicate {replicate}, at most {POINTS:,} "
        f"points a panel). Histograms: all images of a class, each with the same area; large: class centres.{squares}"
    )


def draw_margins(planes: Mapping[str, Plane], classes: Sequence[str]) -> Figure:
    """Side by side; histograms above and to the right of each, on the same axes."""
    width = _LEFT + len(planes) * (_SIDE + _MARGIN + _BETWEEN)
    height = _BELOW + _SIDE + _MARGIN + 0.25
    figure = Figure(figsize=(width, height), dpi=200)
    limit = plane_limit(planes)

    def axes_at(left: float, bottom: float, across: float, up: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, across / width, up / height))

    for number, (name, plane) in enumerate(planes.items()):
        left = _LEFT + number * (_SIDE + _MARGIN + _BETWEEN)
        main = axes_at(left, _BELOW, _SIDE, _SIDE)
        main.grid(visible=False)
        draw_plane(main, plane, limit, most=POINTS, scale=0.75)
        main.set(xlabel="valence", ylabel="arousal")
        above = axes_at(left, _BELOW + _SIDE + 0.04, _SIDE, _MARGIN)
        above.set_title(f"{TITLES[name]} ({plane.count:,})", fontsize=8.5)
        _draw_histograms(above, plane, 0, limit)
        _draw_histograms(axes_at(left + _SIDE + 0.04, _BELOW, _MARGIN, _SIDE), plane, 1, limit)
    handles = class_handles(classes, size=5)
    figure.legend(handles=handles, loc="lower center", ncols=8 if len(planes) > 1 else 4, columnspacing=0.9,
                  handletextpad=0.2, fontsize=7.5)  # fmt: skip
    return figure


def _draw_histograms(axes: Axes, plane: Plane, column: int, limit: float) -> None:
    """Outlines by class, of valence from left to right (0) or of arousal upwards (1)."""
    edges = np.linspace(-limit, limit, _BINS + 1)
    for k in np.unique(plane.labels_N).tolist():
        counts, _ = np.histogram(plane.va_N2[plane.labels_N == k, column], edges)
        shares = counts / max(counts.sum(), 1)
        axes.stairs(shares, edges, color=class_color(k), lw=0.9, orientation="horizontal" if column else "vertical")
    (axes.set_ylim if column else axes.set_xlim)(-limit, limit)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
