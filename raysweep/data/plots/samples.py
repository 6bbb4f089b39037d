"""A page with some images of every class, for a site beside its labels in the valence-arousal plane."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure, SubFigure

from raysweep.core.keyed_random import derive_key, permutation
from raysweep.data.dataset import TRAIN, FaceData

from .criteria import COLOURS, draw_plane

COLUMNS = 10
PLANE_DOTS = 2_500
"""More would overlap."""


def draw_samples(data: FaceData, path: Path) -> None:
    """Write a PNG with one row an expression: ten training images each, the same ones every time."""
    figure = Figure(figsize=(COLUMNS * 1.05, data.num_classes * 1.05), layout="constrained")
    _rows_of_classes(figure, data)
    figure.savefig(path, dpi=90)


def draw_site(data: FaceData, path: Path) -> None:
    """`draw_samples` of a built-in site, by the site's own labels, beside its training images in the plane.

    A site without annotated valence and arousal is shown at the true affect.
    """
    figure = Figure(figsize=(COLUMNS * 1.05 + 5.6, data.num_classes * 1.05), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(COLUMNS * 1.05, 5.6))[0]
    _rows_of_classes(left, data)
    left.suptitle(f"{data.name}: training images by the label the site gave", fontsize=11, x=0.02, ha="left")
    rows = data.rows(TRAIN)
    rows = rows[permutation(derive_key("plane"), rows)][:PLANE_DOTS]
    written = bool(data.va[rows].isfinite().all())
    va = data.va if written or data.info.truth_va is None else data.info.truth_va
    axes = right.subplots()
    draw_plane(axes, va[rows], data.labels[rows])
    axes.set_ylabel("arousal")
    axes.set_title("what its annotators wrote" if written else "true affect (this site wrote none)", fontsize=11)
    for k, name in enumerate(data.classes):
        axes.plot([], [], "o", color=COLOURS[k], label=name)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=4, fontsize=9, frameon=False, handletextpad=0.1)
    figure.savefig(path, dpi=90)


def _rows_of_classes(figure: Figure | SubFigure, data: FaceData) -> None:
    axes = figure.subplots(data.num_classes, COLUMNS, squeeze=False)
    rows = data.rows(TRAIN)
    for k, name in enumerate(data.classes):
        members = rows[data.labels[rows] == k]
        chosen = members[permutation(derive_key("samples", k), members)][:COLUMNS]
        for column, panel in enumerate(axes[k]):
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_frame_on(False)
            if column < len(chosen):
                panel.imshow(torch.movedim(data.images[chosen[column]], 0, 2).numpy())
        axes[k][0].set_ylabel(name, rotation=0, ha="right", va="center")
