"""A page that compares the extra site's labels, at each strength of shift, with the target's criteria."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.synthetic import SITES, Criteria, criteria_at

COLOURS = ("#6b7280", "#d99a00", "#2f6fb3", "#1b9e9e", "#7b4fb5", "#4d8f2a", "#c8372d", "#b0478f")
"""A colour for each expression, in their order."""

_INK, _QUIET = "#1f2933", "#66727f"
_SHOWN = ("faces-b-none", "faces-b-moderate", "faces-b-strong")
_LEGEND = (
    "Circle: mean affect of an expression by A's criteria. Dotted: to the true affect of the faces that B labels so. "
    "Arrow: to what B wrote for them."
)
_LEAST_SHARE = 0.02
"""Cells with a smaller share of their row have no number."""
_SHORTEST_ARROW = 0.02
"""Shorter arrows are not drawn."""
_LABELS = (
    ((3, -14), "left"), ((14, -15), "right"), ((4, -13), "left"), ((7, 5), "left"),
    ((-3, 8), "right"), ((-7, -3), "right"), ((-6, 7), "right"), ((-2, -26), "right"),
)  # fmt: skip
"""Position of each expression's name, in points from its circle, and its alignment."""


def draw_criteria(path: Path, count: int = 20_000) -> list[str]:
    """Write the PNG and return every site's numbers as lines of text."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.10)
    figure = Figure(figsize=(11.4, 7.6), dpi=100, facecolor="white", layout=layout)
    measured = {name: criteria_at(site, count) for name, site in SITES.items()}
    panels = figure.subplots(2, len(_SHOWN), height_ratios=(1.0, 0.95))
    for column, name in enumerate(_SHOWN):
        _plane(panels[0][column], measured[name], name, first=column == 0)
        _matrix(panels[1][column], measured[name], first=column == 0)
    figure.supxlabel(_LEGEND, fontsize=9, color=_QUIET, x=0.02, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return [line for name, criteria in measured.items() for line in criteria_lines(name, criteria)]


def criteria_lines(name: str, criteria: Criteria) -> list[str]:
    """A site's criteria as lines of text."""
    kept = ", ".join(f"{label} {float(x):.2f}" for label, x in zip(EXPRESSIONS, criteria.kept, strict=True))
    lines = [
        f"{name}: likeliest label differs from the target's in {criteria.likeliest_moved:.1%} of training images, "
        f"the label given in {criteria.labels_moved:.1%} (one of the target's own raters: {criteria.own:.1%})",
        f"  of the target's images of an expression the site keeps: {kept}",
    ]
    if criteria.va_rmse.isfinite().all():
        (v, a), (v_bias, a_bias) = criteria.va_rmse.tolist(), criteria.va_bias.tolist()
        lines.append(
            f"  RMSE against the true affect: V {v:.3f}, A {a:.3f}; mean error: V {v_bias:+.3f}, A {a_bias:+.3f}"
        )
    return lines


def draw_plane(axes: Axes, points_N2: Tensor, labels_N: Tensor) -> None:
    """A dot for each image at its valence and arousal, in the colour of its label."""
    valence, arousal = points_N2.T.tolist()
    axes.scatter(valence, arousal, s=5, c=[COLOURS[k] for k in labels_N.tolist()], alpha=0.55, linewidths=0)
    frame_plane(axes)


def frame_plane(axes: Axes) -> None:
    """Axes from -1 to 1 with a cross at the origin."""
    axes.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    axes.axhline(0, color="#dde1e6", lw=0.8, zorder=0)
    axes.axvline(0, color="#dde1e6", lw=0.8, zorder=0)
    axes.set_xlabel("valence", fontsize=9, color=_QUIET)
    axes.tick_params(colors=_QUIET, labelsize=8, length=2)
    axes.spines[:].set_color("#c5ccd3")


def _plane(axes: Axes, criteria: Criteria, name: str, first: bool) -> None:
    """Arrows from the mean affect of each expression by A's criteria to that of B's labels and VA.

    They bend at the true affect of the faces that B labels so: the first part shows B's choice of labels,
    the second B's annotation of VA.
    """
    frame_plane(axes)
    axes.set(xlim=(-0.9, 0.9), ylim=(-0.5, 0.9), xticks=(-0.5, 0, 0.5), yticks=(0, 0.5))
    axes.set_title(f"B, shift {name.rpartition('-')[2]}", loc="left", fontsize=12, color=_INK, fontweight="bold")
    if first:
        axes.set_ylabel("arousal", fontsize=9, color=_QUIET)
    for k, expression in enumerate(EXPRESSIONS):
        start, bend, end = ((float(x[k, 0]), float(x[k, 1])) for x in _corners(criteria))
        axes.plot(*zip(start, bend, strict=True), ":", color=COLOURS[k], lw=1.3)
        if math.dist(bend, end) > _SHORTEST_ARROW:
            style = {
                "arrowstyle": "-|>",
                "color": COLOURS[k],
                "lw": 1.6,
                "mutation_scale": 9,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            axes.annotate("", end, bend, arrowprops=style)
        axes.plot(*start, "o", color="white", markeredgecolor=COLOURS[k], markersize=5.5, markeredgewidth=1.5)
        shift, side = _LABELS[k]
        axes.annotate(expression, start, shift, textcoords="offset points", fontsize=8.5, color=COLOURS[k], ha=side)


def _corners(criteria: Criteria) -> tuple[Tensor, Tensor, Tensor]:
    return criteria.target_centres, criteria.site_true_centres, criteria.site_centres


def _matrix(axes: Axes, criteria: Criteria, first: bool) -> None:
    """Shares of B's labels among the images that A's raters would most likely call each expression."""
    shares = criteria.labelled / criteria.labelled.sum(1, keepdim=True)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for row, column in torch.nonzero(shares >= _LEAST_SHARE).tolist():
        share = float(shares[row, column])
        ink = "white" if share > 0.55 else _INK
        axes.text(column, row, f"{share * 100:.0f}", ha="center", va="center", fontsize=7.5, color=ink)
    ticks = range(len(EXPRESSIONS))
    axes.set_xticks(ticks, EXPRESSIONS, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5, color=_INK)
    axes.set_yticks(ticks, EXPRESSIONS if first else [""] * len(EXPRESSIONS), fontsize=8.5, color=_INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("B's label, % of row", fontsize=9, color=_QUIET)
    if first:
        axes.set_ylabel("A's likeliest label", fontsize=9, color=_QUIET)
    axes.set_title(
        f"{criteria.labels_moved:.0%} labelled otherwise than A's likeliest", loc="left", fontsize=9.5, color=_INK
    )
