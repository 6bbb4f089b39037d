"""What a finished cell is worth keeping."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from .adapted_labels import AdaptedLabels
from .attention_maps import AttentionMaps
from .predictions import ImagePredictions


@dataclass(frozen=True)
class CellResult:
    """Scores by MLflow name, facts, per-epoch history, and arrays.

    `predictions`: of the test images (of validation: of those), headline weights. `labels`: where a method made any.
    `attention`: of some test images, headline weights (`training.grad_cam`); validation, and older products, have none.
    """

    FILE: ClassVar[str] = "result.json"
    FILES: ClassVar[tuple[str, ...]] = (FILE, ImagePredictions.FILE, AdaptedLabels.FILE, AttentionMaps.FILE)
    """The last two may lack."""

    scores: dict[str, float]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    predictions: ImagePredictions
    labels: AdaptedLabels | None = None
    attention: AttentionMaps | None = None

    def write(self, folder: Path) -> None:
        """Those of `FILES` that there are, in `folder`."""
        values = {"scores": self.scores, "facts": self.facts, "history": self.history}
        (folder / self.FILE).write_text(json.dumps(values, indent=1))
        for part in (self.predictions, self.labels, self.attention):
            if part is not None:
                part.write(folder)

    @classmethod
    def read(cls, folder: Path) -> CellResult:
        """What `write` put there.

        Raises:
            OSError: a file that all results have is absent.
            ValueError: a file is damaged, or its arrays do not belong together.
        """
        values = json.loads((folder / cls.FILE).read_text())
        predictions = ImagePredictions.read(folder / ImagePredictions.FILE)
        labels = AdaptedLabels.read(file) if (file := folder / AdaptedLabels.FILE).exists() else None
        attention = AttentionMaps.read(file) if (file := folder / AttentionMaps.FILE).exists() else None
        return cls(values["scores"], values["facts"], values["history"], predictions, labels, attention)
