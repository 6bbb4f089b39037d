"""Label fusion (DDAF, Figures 1 and 4): faces with the given, the mixed and the fused label as bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.labelled_faces import TrainedFaces
from raysweep.plotting.attention import enlarged
from raysweep.plotting.style import class_color
from raysweep.report.figures.chosen_arms import some
from raysweep.report.figures.style import INK, WIDTH
from raysweep.report.formatting import plural
from raysweep.report.results.aggregate import Summary

from .adapted_faces import va_words
from .first_cells import first_cells

MOST_FACES = 5
MOST_ARMS = 2


@dataclass(frozen=True, eq=False)
class FusedArm:
    """An arm's labels of the faces. `alpha`: weight of the given label."""

    name: str
    alpha: float
    faces: TrainedFaces


def fused_arms(summary: Summary) -> tuple[int, list[FusedArm]]:
    """The replicate, and arms with different mixed labels of the same faces, of each the one whose alpha is closest to
    0.5; the first `MOST_ARMS`."""
    found: dict[bytes, FusedArm] = {}
    replicate: int | None = None
    for arm, cell in first_cells(summary):
        kept = cell.faces()
        faces = kept.trained if kept is not None else None
        if faces is None or np.isnan(faces.mixed).all():
            continue
        replicate = cell.replicate if replicate is None else replicate
        new = FusedArm(arm.name, float(cell.config.get("labels.alpha", "0.5")), faces)
        first = next(iter(found.values()), new)
        if cell.replicate != replicate or not np.array_equal(first.faces.pixels, faces.pixels):
            continue
        before = found.get(faces.mixed.tobytes(), new)
        found[faces.mixed.tobytes()] = min(before, new, key=lambda one: abs(one.alpha - 0.5))
    return replicate or 0, list(found.values())[:MOST_ARMS]


def fusion_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Faces with their labels; and the caption."""
    replicate, arms = fused_arms(summary)
    if not arms:
        return None
    classes = summary.study.data.classes
    rows = [int(k) for k in some([str(m) for m in range(len(arms[0].faces.mixed))], MOST_FACES)]
    flipped = " Hatched: the label before label noise." if _flipped(arms[0].faces, rows) else ""
    return draw_fusion(arms, rows, classes), (
        f"Label fusion in the manner of DDAF's Figures 1 and 4 (replicate {replicate}): the first training image of "
        f"{plural(len(rows), 'class', 'classes')}, its given label, the distribution that valence and arousal (or "
        f"votes) give, and the fused one that is trained on. VA: its valence and arousal.{flipped}"
    )


def _flipped(faces: TrainedFaces, rows: Sequence[int]) -> bool:
    return bool((faces.labels != faces.labels_true)[list(rows)].any())


def draw_fusion(arms: Sequence[FusedArm], rows: Sequence[int], classes: Sequence[str]) -> Figure:
    """Faces down; the given label, then of each arm the mixed and the fused one."""
    faces = arms[0].faces
    widths = [1.2, *([1.25] * (1 + 2 * len(arms)))]
    figure = Figure(figsize=(WIDTH, 1.15 * len(rows) + 0.75), layout="constrained")
    grid = figure.subplots(len(rows), len(widths), width_ratios=widths, squeeze=False)
    titles = ["", "given", *(text for arm in arms for text in _titles(arm, len(arms) > 1))]
    for line, m in zip(grid, rows, strict=True):
        line[0].imshow(enlarged(faces.pixels[m]))
        line[0].axis("off")
        line[0].set_title(f"VA {va_words(faces.va[m])}", fontsize=6.5)
        given = np.eye(len(classes))[faces.labels[m]]
        before = int(faces.labels_true[m]) if faces.labels_true[m] != faces.labels[m] else None
        _draw_bars(line[1], given, before)
        line[1].set_yticks(range(len(classes)), classes, fontsize=6.5)
        for axes, values in zip(
            line[2:], (v for arm in arms for v in (arm.faces.mixed[m], arm.faces.fused[m])), strict=True
        ):
            _draw_bars(axes, values)
    for axes, title in zip(grid[0][1:], titles[1:], strict=True):
        axes.set_title(title, fontsize=7.5)
    for axes in grid[:-1, 1:].flat:
        axes.tick_params(labelbottom=False)
    return figure


def _titles(arm: FusedArm, named: bool) -> tuple[str, str]:
    name = f"{textwrap.fill(arm.name, 20)}\n" if named else ""
    return f"{name}mixed", f"{name}fused, α = {arm.alpha:g}"


def _draw_bars(axes: Axes, values_K: Array, before: int | None = None) -> None:
    """Horizontal, in the colours of the classes, with the largest written; nothing where the given label is kept."""
    count = len(values_K)
    axes.set(xlim=(0, 1), ylim=(count - 0.5, -0.5), xticks=(0, 0.5, 1))
    axes.tick_params(axis="y", length=0, labelleft=True)
    axes.tick_params(axis="x", labelsize=6.5)
    axes.grid(axis="y", visible=False)
    axes.set_yticks([])
    if np.isnan(values_K).all():
        axes.text(0.5, 0.5, "the given label", transform=axes.transAxes, ha="center", va="center", fontsize=7)
        return
    axes.barh(range(count), values_K, color=[class_color(k) for k in range(count)], height=0.8)
    if before is not None:
        axes.barh([before], [1], facecolor="none", edgecolor=class_color(before), hatch="////", height=0.8, lw=0.6)
    top = int(np.argmax(values_K))
    inside = values_K[top] > 0.6
    axes.text(values_K[top] + (-0.03 if inside else 0.03), top, f"{values_K[top]:.2f}", va="center",
              ha="right" if inside else "left", fontsize=6.5, color="white" if inside else INK)  # fmt: skip
