"""Class Gaussians (DDAF, Figure 3) on the VA plane, with class probabilities at chosen points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.labelled_faces import GaussianArrays
from raysweep.plotting.adapted_labels import frame_plane
from raysweep.plotting.style import class_color, class_handles, class_marker
from raysweep.report.figures.style import INK, WIDTH
from raysweep.report.formatting import MINUS
from raysweep.report.results.aggregate import Summary

from .first_cells import first_cells

POINTS = (
    (0.15, 0.3), (0.42, 0.3), (0.05, 0.62), (-0.28, 0.65), (-0.62, 0.05), (-0.25, -0.15), (0.3, -0.2), (-0.2, 0.2),
)  # fmt: skip
"""Where probabilities are shown: between the means of AffectNet's classes, where one passes into another."""

MOST_ARMS = 2


@dataclass(frozen=True, eq=False)
class FittedGaussians:
    """Gaussians of one arm, class probabilities (P, K) at `POINTS`, and annotated VA of test images (N, 2)."""

    name: str
    fitted: GaussianArrays
    at_points: Array
    test_va: Array


def fitted_gaussians(summary: Summary) -> list[FittedGaussians]:
    """Different Gaussians of the arms that have any; the first `MOST_ARMS`."""
    found: dict[bytes, FittedGaussians] = {}
    for arm, cell in first_cells(summary):
        faces = cell.faces()
        fitted = faces.gaussians if faces is not None else None
        if fitted is None:
            continue
        predictions = cell.predictions()
        va = np.empty((0, 2)) if predictions is None else predictions.va[np.isfinite(predictions.va).all(1)]
        made = FittedGaussians(arm.name, fitted, probabilities(fitted), va)
        found.setdefault(fitted.means.tobytes() + fitted.covariances.tobytes(), made)
    return list(found.values())[:MOST_ARMS]


def probabilities(gaussians: GaussianArrays) -> Array:
    """Posterior of the classes at `POINTS` (Eq. 2). Shape (P, K)."""
    import torch

    from raysweep.labels.gaussians import ClassGaussians, gaussian_labels

    parts = (gaussians.priors, gaussians.means, gaussians.covariances)
    fitted = ClassGaussians(*(torch.from_numpy(part.astype(np.float64)) for part in parts))
    found: Array = gaussian_labels(torch.tensor(POINTS, dtype=torch.float64), fitted).numpy()
    return found


def gaussians_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Planes and probabilities; and the caption."""
    arms = fitted_gaussians(summary)
    if not arms:
        return None
    return draw_gaussians(arms, summary.study.data.classes), (
        "Class Gaussians in the manner of DDAF's Figure 3, fitted to the training images of one replicate: ellipses at "
        "1 and 2 standard deviations, line width by prior; grey: annotated test images. Bars: conditional class "
        "probabilities (Eq. 2) at the points with letters."
    )


def draw_gaussians(arms: Sequence[FittedGaussians], classes: Sequence[str]) -> Figure:
    """A row an arm: the plane, and bars by point."""
    figure = Figure(figsize=(WIDTH, 3.5 * len(arms) + 0.5), layout="constrained")
    grid = figure.subplots(len(arms), 2, squeeze=False)
    for (plane, bars), arm in zip(grid, arms, strict=True):
        _draw_plane(plane, arm)
        _draw_bars(bars, arm)
        plane.set_title(textwrap.fill(arm.name, 44), fontsize=8.5)
    grid[-1][0].set_xlabel("valence")
    handles = class_handles(classes)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), columnspacing=1.0,
                  handletextpad=0.2, fontsize=7.5)  # fmt: skip
    return figure


def _draw_plane(axes: Axes, arm: FittedGaussians) -> None:
    frame_plane(axes, 1.0)
    axes.grid(visible=False)
    axes.set_ylabel("arousal")
    v_N, a_N = arm.test_va[:1500].T
    axes.scatter(v_N, a_N, s=3, color="#cfcfcf", linewidths=0, zorder=0.5, rasterized=True)
    for k, (prior, mean, covariance) in enumerate(zip(*vars(arm.fitted).values(), strict=True)):
        if prior <= 0:
            continue
        values, vectors = np.linalg.eigh(covariance)
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        for reach in (1, 2):
            width, height = 2 * reach * np.sqrt(values[::-1])
            axes.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, ec=class_color(k),
                                   lw=0.7 + 3 * prior, alpha=1 if reach == 1 else 0.5))  # fmt: skip
        axes.plot(*mean, ls="", marker=class_marker(k), ms=6, color=class_color(k), mec="black", mew=0.7, zorder=4)
    for letter, (v, a) in zip("abcdefgh", POINTS, strict=True):
        axes.text(v, a, letter, ha="center", va="center", fontsize=7.5, weight="bold", color=INK, zorder=5,
                  bbox={"boxstyle": "circle,pad=0.18", "fc": "white", "ec": INK, "lw": 0.6})  # fmt: skip


def _draw_bars(axes: Axes, arm: FittedGaussians) -> None:
    """One stacked bar a point; shares of 0.1 and more are written."""
    for row, shares in enumerate(arm.at_points):
        left = 0.0
        for k, share in enumerate(shares):
            axes.barh([row], [share], left=left, color=class_color(k), height=0.72)
            if share >= 0.1:
                axes.text(left + share / 2, row, f"{share:.2f}"[1:] if share < 0.995 else "1", ha="center",
                          va="center", fontsize=6.5, color=INK,
                          bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7})  # fmt: skip
            left += share
    names = [
        f"{letter} ({v:+.2f}, {a:+.2f})".replace("-", MINUS) for letter, (v, a) in zip("abcdefgh", POINTS, strict=True)
    ]
    axes.set_yticks(range(len(POINTS)), names, fontsize=7.5)
    axes.set(xlim=(0, 1), ylim=(len(POINTS) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("p(class | valence, arousal)", fontsize=8.5)
