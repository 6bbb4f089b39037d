"""A few photographs of every class on one page."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure

from raysweep.core.random import derive_key, permutation

from .dataset import TRAIN, FaceData

COLUMNS = 10


def draw_samples(data: FaceData, path: Path) -> None:
    """Write a PNG with one row an expression: ten training images each, the same ones every time."""
    figure = Figure(figsize=(COLUMNS * 1.05, data.num_classes * 1.05), layout="constrained")
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
    figure.savefig(path, dpi=90)
