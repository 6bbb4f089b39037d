"""Faces with labels before and after adaptation (DCJT, Figure 4): A's pseudo VA; B's VA and labels, given and new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.labelled_faces import ExtraFaces, TrainedFaces
from raysweep.plotting.attention import RIGHT, WRONG, enlarged, inches, tile
from raysweep.report.figures.style import FAINT, WIDTH
from raysweep.report.formatting import MINUS
from raysweep.report.results.aggregate import Summary

from .first_cells import first_cells

_LEFT, _GAP, _LINE = 0.72, 0.06, 0.135
"""Inches: words beside a row, the space between two faces, a line of words."""

_SIDE = 0.95


@dataclass(frozen=True, eq=False)
class AdaptedArm:
    """The arm whose labels are shown. `pseudo`: whether A's VA are pseudo VA."""

    name: str
    replicate: int
    pseudo: bool
    target: TrainedFaces
    extra: ExtraFaces


def adapted_arm(summary: Summary) -> AdaptedArm | None:
    """Of the first arms that adapt an extra set, the one that changes most: VA and labels, or one of these."""
    best: tuple[int, AdaptedArm] | None = None
    for arm, cell in first_cells(summary):
        faces = cell.faces()
        target, extra = (faces.trained, faces.extra) if faces is not None else (None, None)
        if target is None or extra is None:
            continue
        changes = int(_moved(extra)) + int((extra.labels_given != extra.labels_new).any())
        pseudo = cell.config.get("joint.pseudo_va") in ("all", "subset")
        if best is None or changes > best[0]:
            best = changes, AdaptedArm(arm.name, cell.replicate, pseudo, target, extra)
    return best[1] if best else None


def _moved(faces: ExtraFaces) -> bool:
    return not np.allclose(faces.va_given, faces.va_new, equal_nan=True)


def adapted_faces_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Rows of faces; and the caption."""
    arm = adapted_arm(summary)
    if arm is None:
        return None
    what = "pseudo VA" if arm.pseudo else "VA"
    return draw_adapted_faces(arm, summary.study.data.classes), (
        f"Labels before and after adaptation in the manner of DCJT's Figure 4 ({arm.name}, replicate {arm.replicate}). "
        f"Above: the first training image of each class of A, with its {what}. Below: the first image of each class of "
        "B among those that M_A does not agree with: label and VA as given, then relabelled and mapped; a change of "
        "label is coloured. VA: valence and arousal."
    )


def draw_adapted_faces(arm: AdaptedArm, classes: Sequence[str]) -> Figure:
    """Two rows; a column a class."""
    count = max(len(arm.target.pixels), len(arm.extra.pixels))
    side = min(_SIDE, (WIDTH - _LEFT) / count - _GAP)
    first = 0.05 + side + 3 * _LINE
    figure = Figure(figsize=(_LEFT + count * (side + _GAP), first + 0.12 + side + 5 * _LINE))
    axes = inches(figure)
    _draw_target(axes, arm, classes, side)
    _draw_extra(axes, arm.extra, classes, side, first + 0.12)
    return figure


def _draw_target(axes: Axes, arm: AdaptedArm, classes: Sequence[str], side: float) -> None:
    faces = arm.target
    _words(axes, "A", ["label", "pseudo VA" if arm.pseudo else "VA"], 0.05, side)
    for m, pixels in enumerate(faces.pixels):
        x = _LEFT + m * (side + _GAP)
        tile(axes, enlarged(pixels), x, 0.05, side)
        _lines(axes, x + side / 2, 0.05 + side, [(classes[faces.labels[m]], RIGHT), (va_words(faces.va[m]), RIGHT)])


def _draw_extra(axes: Axes, faces: ExtraFaces, classes: Sequence[str], side: float, y: float) -> None:
    _words(axes, "B", ["label", "VA", "new label", "mapped"], y, side)
    for m, pixels in enumerate(faces.pixels):
        x = _LEFT + m * (side + _GAP)
        tile(axes, enlarged(pixels), x, y, side)
        given, new = int(faces.labels_given[m]), int(faces.labels_new[m])
        lines = [(classes[given], RIGHT), (va_words(faces.va_given[m]), RIGHT)]
        lines += [(classes[new], WRONG if new != given else RIGHT), (va_words(faces.va_new[m]), RIGHT)]
        _lines(axes, x + side / 2, y + side, lines)


def _words(axes: Axes, name: str, below: Sequence[str], y: float, side: float) -> None:
    axes.text(_LEFT - 0.08, y + side / 2, name, ha="right", va="center", fontsize=10, weight="bold")
    for number, text in enumerate(below):
        axes.text(
            _LEFT - 0.08, y + side + (number + 0.7) * _LINE, text, ha="right", va="center", fontsize=7, color=FAINT
        )


def _lines(axes: Axes, x: float, y: float, lines: Sequence[tuple[str, str]]) -> None:
    for number, (text, color) in enumerate(lines):
        axes.text(x, y + (number + 0.7) * _LINE, text, ha="center", va="center", fontsize=7, color=color)


def va_words(va_2: Array) -> str:
    """Valence and arousal with two decimals.

    >>> va_words(np.array([-0.254, 0.3]))
    '−.25, +.30'
    """
    if not np.isfinite(va_2).all():
        return "unknown"
    return ", ".join(f"{value:+.2f}".replace("0.", ".").replace("-", MINUS) for value in va_2)
