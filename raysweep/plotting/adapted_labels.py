"""Pictures of one cell's adapted labels, in the manner of DCJT's Figures 2 and 4, and against the truth.

No layout engine here: it would take longer than the drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.adapted_labels import AdaptedLabels, BeforeAfter, Plane
from raysweep.artifacts.array_file import Array

from .scores import draw_shares
from .style import class_color, class_handles, class_marker, draw_points, is_grid

MOST_POINTS = 4000
"""More are drawn from evenly: a picture of 4,000 points looks the same and is drawn in a tenth of a second."""

PLANE_TITLES = {
    "pseudo": "A: its labels, pseudo VA",
    "given": "B as given",
    "adapted": "B after mapping and relabelling",
}

_QUICK = {"compress_level": 2}
_BEFORE, _AFTER = "#8c8c8c", "#0072B2"


def draw_labels(labels: AdaptedLabels, classes: Sequence[str], folder: Path) -> None:
    """`labels_va.png` and, where truth is known, `labels_truth.png` in `folder`."""
    shown = labels.planes(len(classes))
    if shown:
        draw_planes(shown, classes).savefig(folder / "labels_va.png", dpi=100, pil_kwargs=_QUICK)
    truths = (labels.pseudo_pairs(), labels.va_errors(), labels.confusions(len(classes)))
    if any(truth is not None for truth in truths):
        draw_truth(*truths, classes).savefig(folder / "labels_truth.png", dpi=100, pil_kwargs=_QUICK)


def some_of(count: int, most: int = MOST_POINTS) -> Array:
    """At most `most` of `count` row numbers, shuffled so that no class covers another; always the same ones."""
    return np.random.default_rng(0).permutation(count)[:most]


def plane_limit(shown: Mapping[str, Plane]) -> float:
    """How far the axes reach: 1, and further where mapping has moved more than a few points out."""
    ends = [float(np.quantile(np.abs(plane.va_N2), 0.998)) for plane in shown.values()]
    return 1.04 * min(max([1.0, *ends]), 2.0)


def draw_planes(shown: dict[str, Plane], classes: Sequence[str]) -> Figure:
    """One VA plane a panel, all with the same limits."""
    width = 4.0 * len(shown) + 1.4
    figure = Figure(figsize=(width, 4.5))
    limit, target = plane_limit(shown), shown.get("pseudo")
    grid = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (name, plane) in zip(grid, shown.items(), strict=True):
        draw_plane(axes, plane, limit, target if name != "pseudo" else None)
        axes.set_xlabel("valence")
        axes.tick_params(labelleft=axes is grid[0])
        axes.set_title(f"{PLANE_TITLES[name]} ({plane.count:,})", fontsize=10.5)
    grid[0].set_ylabel("arousal")
    figure.subplots_adjust(left=0.75 / width, right=1 - 1.45 / width, bottom=0.11, top=0.93, wspace=0.14)
    handles = plane_handles(classes, target is not None and len(shown) > 1)
    figure.legend(handles=handles, loc="center right", fontsize=8.5, frameon=False)
    return figure


def draw_plane(
    axes: Axes, plane: Plane, limit: float, target: Plane | None = None, most: int = MOST_POINTS, scale: float = 1.0
) -> None:
    """Points by class, their centres large, the centres of `target` large and open; markers times `scale`."""
    frame_plane(axes, limit)
    rows = some_of(plane.count, plane.count if is_grid(plane.va_N2) else most)
    draw_points(axes, plane.va_N2[rows], plane.labels_N[rows], size=9 * scale**2)
    for k, (v, a) in enumerate(plane.centres_K2):
        axes.plot(v, a, ls="", marker=class_marker(k), ms=9 * scale, color=class_color(k), mec="black", mew=1.1 * scale,
                  zorder=4)  # fmt: skip
    for k, (v, a) in enumerate(target.centres_K2 if target is not None else ()):
        axes.plot(v, a, ls="", marker=class_marker(k), ms=8 * scale, mfc="white", mec=class_color(k), mew=1.8 * scale,
                  zorder=5)  # fmt: skip


def frame_plane(axes: Axes, limit: float) -> None:
    """A square with a cross at the origin."""
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.axvline(0, color="0.8", lw=0.8, zorder=0)
    ticks = (-1, -0.5, 0, 0.5, 1)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=ticks, yticks=ticks)


def plane_handles(classes: Sequence[str], both: bool) -> list[Line2D]:
    """Legend: one entry a class, then what a large marker and (`both`) an open one mean."""
    handles = class_handles(classes)
    handles.append(Line2D([], [], ls="", marker="o", ms=8, mfc="0.7", mec="black", label="class centre"))
    if both:
        handles.append(Line2D([], [], ls="", marker="o", ms=7, mfc="white", mec="0.4", mew=1.5, label="centre in A"))
    return handles


def draw_truth(
    pairs: tuple[Array, Array, Array] | None,
    errors: BeforeAfter | None,
    counts: BeforeAfter | None,
    classes: Sequence[str],
) -> Figure:
    """Above: A's pseudo VA against the truth, errors of B's VA. Below: B's labels against A's criteria."""
    figure = Figure(figsize=(12.4, 7.8))
    grid = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.125, right=0.985, bottom=0.125, top=0.955, hspace=0.3, wspace=0.25)
    if pairs is not None:
        for column, name in enumerate(("valence", "arousal")):
            _draw_pairs(grid[0, column], pairs, column, name)
    if errors is not None:
        _draw_errors(grid[0, 2], errors)
    if counts is not None:
        for column, (what, count) in enumerate((("as given", counts.before), ("relabelled", counts.after))):
            _draw_confusion(grid[1, column], count, classes, what)
        _draw_recalls(grid[1, 2], counts)
        names = [f"{name} ({n:,})" for name, n in zip(classes, counts.before.sum(1), strict=True)]
        grid[1, 0].set_yticks(range(len(classes)), names, fontsize=8.5)
        grid[1, 0].set_ylabel("B's remainder by A's criteria")
    for axes in grid.flat:
        if not axes.has_data():
            axes.axis("off")
            axes.text(0.5, 0.5, "not adapted, or truth not known", ha="center", color="0.5", transform=axes.transAxes)
    return figure


def _draw_pairs(axes: Axes, pairs: tuple[Array, Array, Array], column: int, name: str) -> None:
    truth, pseudo, labels = pairs
    rows = some_of(len(labels), 2000)
    axes.plot([-1, 1], [-1, 1], color="0.6", lw=1, zorder=0)
    draw_points(axes, np.stack([truth[rows, column], pseudo[rows, column]], axis=1), labels[rows])
    rmse = float(np.sqrt(np.mean((truth[:, column] - pseudo[:, column]) ** 2)))
    ticks = (-1, -0.5, 0, 0.5, 1)
    axes.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), xticks=ticks, yticks=ticks)
    axes.set(xlabel=f"true {name}", ylabel=f"pseudo {name}")
    axes.set_title(f"A: {name}, RMSE {rmse:.3f}", fontsize=11)


def _draw_errors(axes: Axes, errors: BeforeAfter) -> None:
    """Histograms over the same bins, with the root of the mean square over points and dimensions (`*_va_rmse`)."""
    end = max(float(np.quantile(np.concatenate([errors.before, errors.after]), 0.995)), 1e-6)
    for name, values, color in (("as given", errors.before, _BEFORE), ("mapped", errors.after, _AFTER)):
        rmse = float(np.sqrt(np.mean(values**2) / 2))
        axes.hist(np.minimum(values, end), bins=40, range=(0, end), histtype="stepfilled", fc=to_rgba(color, 0.3),
                  ec=color, lw=1.4, label=f"{name}: RMSE {rmse:.3f}")  # fmt: skip
    axes.set(xlabel="distance from the true VA", ylabel="images", xlim=(0, end))
    axes.set_title(f"B's remainder ({len(errors.before):,}): its VA", fontsize=11)
    axes.legend(fontsize=9, frameon=False)


def _draw_confusion(axes: Axes, counts: Array, classes: Sequence[str], what: str) -> None:
    draw_shares(axes, counts, least=0.035, aspect="auto")
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", fontsize=8.5)
    axes.set_yticks([])
    axes.set_xlabel(f"its label {what}")
    axes.set_title(f"{what}: {np.trace(counts) / counts.sum():.1%} right".replace("%", " %"), fontsize=11)


def _draw_recalls(axes: Axes, counts: BeforeAfter) -> None:
    """The diagonals of both matrices, row by row beside them."""
    ys = np.arange(len(counts.before))
    known = counts.before.sum(1) > 0
    before, after = (np.diag(c)[known] / c.sum(1)[known] for c in (counts.before, counts.after))
    axes.hlines(ys[known], before, after, color="0.7", lw=1.6, zorder=1)
    axes.plot(before, ys[known], "o", ms=7, mfc="white", color=_BEFORE, mew=1.6, label="as given")
    axes.plot(after, ys[known], "o", ms=7, color=_AFTER, label="relabelled")
    axes.set_yticks([])
    axes.set(ylim=(len(ys) - 0.5, -0.5), xlim=(-0.03, 1.03), xlabel="share of the row that is labelled so")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.set_title("by class", fontsize=11)
    axes.legend(fontsize=9, frameon=False, loc="best")
