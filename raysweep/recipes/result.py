"""What a finished cell is worth keeping."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class CellResult:
    """Scores by MLflow name, facts, per-epoch history, test predictions, and the labels a method made.

    `arrays` of `predictions.npz`: rows, probs, affect, labels, va. `labels` of `labels.npz`, where the
    method made any: target_labels, target_va (pseudo), extra_labels_given, extra_va_given,
    extra_labels_new, extra_va_new, extra_selected; with the truth where it is known: target_truth_va,
    extra_truth_va, extra_truth_labels.
    """

    scores: dict[str, float]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    arrays: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """`result.json`, `predictions.npz` and, when there are any, `labels.npz` in `folder`."""
        words = {"scores": self.scores, "facts": self.facts, "history": self.history}
        (folder / "result.json").write_text(json.dumps(words, indent=1))
        np.savez_compressed(folder / "predictions.npz", **self.arrays)  # type: ignore[arg-type]
        if self.labels:
            np.savez_compressed(folder / "labels.npz", **self.labels)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path) -> CellResult:
        words = json.loads((folder / "result.json").read_text())
        arrays = _load(folder / "predictions.npz")
        labels = _load(folder / "labels.npz") if (folder / "labels.npz").exists() else {}
        return cls(words["scores"], words["facts"], words["history"], arrays, labels)


def _load(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
