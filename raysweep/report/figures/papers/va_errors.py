"""Annotated against predicted valence and arousal, arms side by side (DDAF, Figure 5)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.predictions import ImagePredictions
from raysweep.metrics.registry import needing
from raysweep.plotting.adapted_labels import some_of
from raysweep.plotting.style import GRID_WORDS, class_handles, draw_points, is_grid
from raysweep.report.figures.style import FAINT, WIDTH
from raysweep.report.formatting import PLUS_MINUS, number
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import spread

from .first_cells import cells_side_by_side

MOST_ARMS = 3
MOST_POINTS = 1200
_NAMES = ("valence", "arousal")


@dataclass(frozen=True, eq=False)
class PredictedVa:
    """One arm: images of its first complete cell, and RMSE of valence and arousal in words, over its replicates."""

    name: str
    predictions: ImagePredictions
    errors: tuple[str, str]


def predicted_va(summary: Summary) -> list[PredictedVa]:
    """The first arms whose test images have valence and arousal, of a study with scores of these; else []."""
    if not set(summary.study.columns) & set(needing("va")):
        return []
    found = []
    for arm, cell in cells_side_by_side(summary):
        predictions = cell.predictions()
        if predictions is None or not np.isfinite(predictions.va).all(1).any():
            continue
        found.append(PredictedVa(arm.name, predictions, (_rmse(arm, "rmse_valence"), _rmse(arm, "rmse_arousal"))))
    return found[:MOST_ARMS]


def _rmse(arm: ArmSummary, score: str) -> str:
    """Over complete cells; columns of the table need not have it."""
    found = spread([cell.scores[score] for cell in arm.cells if cell.complete and score in cell.scores])
    if found is None:
        return "unknown"
    return number(found.mean) + (f" {PLUS_MINUS} {number(found.std)}" if found.std is not None else "")


def va_errors_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Scatters; and the caption."""
    arms = predicted_va(summary)
    if not arms:
        return None
    squares = f" {GRID_WORDS}" if any(is_grid(_pairs(arm, i)[0]) for arm in arms for i in (0, 1)) else ""
    return draw_va_errors(arms, summary.study.data.classes), (
        "Annotated against predicted valence and arousal of test images in the manner of DDAF's Figure 5 (first "
        f"complete replicate, at most {MOST_POINTS:,} images). RMSE: mean over replicates and standard "
        f"deviation.{squares}"
    )


def _pairs(arm: PredictedVa, column: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) annotated and predicted, and labels."""
    known = np.isfinite(arm.predictions.va).all(1)
    pairs = np.stack([arm.predictions.va[known, column], arm.predictions.affect[known, column]], axis=1)
    return pairs, arm.predictions.labels[known]


def draw_va_errors(arms: Sequence[PredictedVa], classes: Sequence[str]) -> Figure:
    """Arms across; valence above, arousal below."""
    side = WIDTH / max(len(arms), 2)
    figure = Figure(figsize=(side * len(arms) + (0 if len(arms) > 1 else 0.6), 2 * min(side, 2.6) + 0.9),
                    layout="constrained", dpi=200)  # fmt: skip
    grid = figure.subplots(2, len(arms), sharex=True, sharey=True, squeeze=False)
    for row, name in enumerate(_NAMES):
        for axes, arm in zip(grid[row], arms, strict=True):
            _draw(axes, arm, row)
            above = f"{textwrap.fill(arm.name, 34)}\n" if row == 0 else ""
            axes.set_title(f"{above}{name}: RMSE {arm.errors[row]}", fontsize=8)
        grid[row][0].set_ylabel(f"predicted {name}")
        for axes in grid[row]:
            axes.set_xlabel(f"annotated {name}")
    unlabelled = any((arm.predictions.labels < 0).any() for arm in arms)
    handles = class_handles(classes, unlabelled=unlabelled, size=5)
    figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.0, handletextpad=0.2)
    return figure


def _draw(axes: Axes, arm: PredictedVa, column: int) -> None:
    pairs, labels = _pairs(arm, column)
    rows = some_of(len(labels), len(labels) if is_grid(pairs) else MOST_POINTS)
    axes.plot([-1, 1], [-1, 1], color=FAINT, lw=0.8, zorder=0)
    draw_points(axes, pairs[rows], labels[rows], size=6)
    axes.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
