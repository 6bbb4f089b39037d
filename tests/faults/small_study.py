"""The study that most drills disturb: tiny, but with trainings that share their first epochs and cells that wait."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from raysweep.tracking.server import connect
from tests.faults.launches import run
from tests.faults.records import Cell, Recorded, complete, outcome

STUDY = "ablation_alpha"
EPOCHS = 6

WORDS = (
    *(STUDY, "--preset", "smoke", "--json", "--set", f"train.epochs={EPOCHS}"),
    *("--axis", "alpha=0.5,1", "--axis", "train.decay_every=3,4"),
)
"""Four cells; each alpha's share their first three epochs: six tasks, 18 epochs instead of 24."""

PLANNED = 18


@dataclass(frozen=True)
class Reference:
    """The study undisturbed: where it ran, and what it gave."""

    folder: Path
    cells: dict[Cell, Recorded]


def make_reference(folder: Path) -> Reference:
    """Run the study once, from nothing."""
    ended = run(folder, *WORDS)
    cells = outcome(folder, STUDY)
    assert ended.epochs == PLANNED
    assert len(complete(cells)) == 4
    assert len({cell.weights for cell in cells.values()}) == 4, "arms that come to the same cannot tell a mix-up"
    return Reference(folder, cells)


def make_template(folder: Path) -> Path:
    """An empty MLflow database: to make one takes seconds."""
    connect(f"sqlite:///{folder / 'mlflow.db'}")
    return folder / "mlflow.db"


def prepare(folder: Path, template: Path, reference: Reference | None = None) -> Path:
    """A folder to launch in: empty store, empty database; decoded images as the reference has them."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, folder / "mlflow.db")
    if reference is not None:
        shutil.copytree(reference.folder / ".raysweep" / "data", folder / ".raysweep" / "data")
    return folder
