"""What a finished cell is worth keeping."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.core.bounds import read_npz

_MAY_LACK = ("labels", "attention")


@dataclass(frozen=True)
class CellResult:
    """Scores by MLflow name, facts, per-epoch history, test predictions, labels a method made, where the model looks.

    `arrays` of `predictions.npz`: rows, probs, affect, labels (-1: no expression), va. `labels` of `labels.npz`, where
    the method made any: target_labels, target_va (pseudo), extra_labels_given, extra_va_given,
    extra_labels_new, extra_va_new, extra_selected; target_own_va where A
    came with VA; with the truth where it is known: target_truth_va,
    extra_truth_va, extra_truth_labels. `attention` of `attention.npz`: rows (N,) of some test images, their
    labels (N,), maps (N, h, w) float32 of the headline weights (`training.attention`), probs (N, K); shown (M,),
    places among the N, and pixels (M, H, W, 3) uint8 of those. Validation, and older products, have none.
    """

    scores: dict[str, float]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    arrays: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    attention: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """`result.json`, `predictions.npz` and, when there are any, `labels.npz` and `attention.npz` in `folder`."""
        values = {"scores": self.scores, "facts": self.facts, "history": self.history}
        (folder / "result.json").write_text(json.dumps(values, indent=1))
        np.savez_compressed(folder / "predictions.npz", **self.arrays)  # type: ignore[arg-type]
        for name, arrays in zip(_MAY_LACK, (self.labels, self.attention), strict=True):
            if arrays:
                np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path) -> CellResult:
        values = json.loads((folder / "result.json").read_text())
        arrays = read_npz(folder / "predictions.npz")
        labels, attention = (read_npz(file) if (file := folder / f"{n}.npz").exists() else {} for n in _MAY_LACK)
        return cls(values["scores"], values["facts"], values["history"], arrays, labels, attention)
