"""Pictures of one cell: confusion matrix and valence/arousal scatter."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.cell_result import CellResult

from .style import class_handles, draw_points


def draw_artifacts(result: CellResult, folder: Path) -> None:
    """`confusion.png` and, where VA is known, `va_scatter.png` in `folder`."""
    _confusion(result).savefig(folder / "confusion.png", dpi=100)
    if np.isfinite(result.predictions.va).any():
        _scatter(result).savefig(folder / "va_scatter.png", dpi=100)


def draw_shares(axes: Axes, counts_KK: Array, least: float = 0.0, aspect: Literal["equal", "auto"] = "equal") -> None:
    """A confusion matrix as shares of its rows, with a number in each place above 0 that has at least `least`."""
    shares = counts_KK / np.maximum(counts_KK.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect=aspect)
    for i, j in np.argwhere((shares > 0) & (shares >= least)):
        text = f"{shares[i, j]:.2f}"[1:] if shares[i, j] < 0.995 else "1"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if shares[i, j] > 0.55 else "black")


def _confusion(result: CellResult) -> Figure:
    names, scores = result.facts["classes"], result.scores
    figure = Figure(figsize=(6.2, 5.8))
    axes = figure.subplots()
    # a layout engine would take a third of a second
    figure.subplots_adjust(left=0.19, right=0.97, bottom=0.19, top=0.93)
    draw_shares(axes, np.asarray(result.facts["confusion"], dtype=float))
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(f"macro-F1 {scores['test/macro_f1']:.3f}, accuracy {scores['test/accuracy']:.3f}", fontsize=11)
    return figure


def _scatter(result: CellResult) -> Figure:
    """Annotated against predicted, valence and arousal, coloured by class (DDAF, Figure 5)."""
    predictions, names = result.predictions, result.facts["classes"]
    figure = Figure(figsize=(9.4, 4.3))
    for column, (axes, name) in enumerate(zip(figure.subplots(1, 2), ("valence", "arousal"), strict=True)):
        axes.plot([-1, 1], [-1, 1], color="0.6", lw=1)
        known = np.isfinite(predictions.va[:, column])
        pairs = np.stack([predictions.va[known, column], predictions.affect[known, column]], axis=1)
        draw_points(axes, pairs, predictions.labels[known])
        axes.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xlabel=f"annotated {name}", ylabel=f"predicted {name}")
        axes.set_title(
            f"RMSE {result.scores[f'test/rmse_{name}']:.3f}, CCC {result.scores[f'test/ccc_{name}']:.3f}", fontsize=11
        )
    figure.subplots_adjust(left=0.085, right=0.87, bottom=0.12, top=0.92, wspace=0.24)
    handles = class_handles(names, unlabelled=bool((predictions.labels < 0).any()))
    figure.legend(handles=handles, loc="center right", fontsize=8, frameon=False)
    return figure
