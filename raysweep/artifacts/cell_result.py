"""What a finished cell is worth keeping."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from .adapted_labels import AdaptedLabels
from .array_file import ArrayFile
from .attention_maps import AttentionMaps
from .labelled_faces import LabelledFaces
from .predictions import ImagePredictions, ValidationPredictions

Part = TypeVar("Part", bound=ArrayFile)


@dataclass(frozen=True)
class CellResult:
    """Scores by MLflow name, facts, per-epoch history, and arrays.

    `predictions`: of the test images (of validation: of those), headline weights. `labels`: where a method made any.
    `attention`: of some test images, headline weights (`training.grad_cam`). `faces`: some that were trained on.
    `validation`: predictions of those images, headline weights, where any were held out. A trial has `predictions`
    alone; older products lack what came later.
    """

    FILE: ClassVar[str] = "result.json"
    FILES: ClassVar[tuple[str, ...]] = (
        FILE,
        ImagePredictions.FILE,
        AdaptedLabels.FILE,
        AttentionMaps.FILE,
        LabelledFaces.FILE,
        ValidationPredictions.FILE,
    )
    """The first two are always there."""

    scores: dict[str, float]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    predictions: ImagePredictions
    labels: AdaptedLabels | None = None
    attention: AttentionMaps | None = None
    faces: LabelledFaces | None = None
    validation: ValidationPredictions | None = None

    def write(self, folder: Path) -> None:
        """Those of `FILES` that there are, in `folder`."""
        values = {"scores": self.scores, "facts": self.facts, "history": self.history}
        (folder / self.FILE).write_text(json.dumps(values, indent=1))
        for part in (self.predictions, self.labels, self.attention, self.faces, self.validation):
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
        return cls(
            values["scores"],
            values["facts"],
            values["history"],
            predictions,
            labels=_if_there(AdaptedLabels, folder),
            attention=_if_there(AttentionMaps, folder),
            faces=_if_there(LabelledFaces, folder),
            validation=_if_there(ValidationPredictions, folder),
        )


def _if_there(part: type[Part], folder: Path) -> Part | None:
    return part.read(file) if (file := folder / part.FILE).exists() else None
