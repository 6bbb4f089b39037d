"""What a report is made of: a study as its launch planned it, and its cells as MLflow has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raysweep.artifacts.adapted_labels import Arrays
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.artifacts.study_record import StudyRecord
from raysweep.data.names import kind_of_name

from .searches import SearchRecord

State = Literal["complete", "failed", "running", "stopped", "missing"]
History = Callable[[str], Sequence[tuple[int, float]]]
"""Name of a metric to its (step, value) pairs, steps ascending. Reads the store when called."""


Labels = Callable[[], Arrays | None]
"""The arrays of a cell's `labels.npz`, or None. Reads the store when called."""

Looks = Callable[[], AttentionMaps | None]
"""What a cell's `attention.npz` holds, or None. Reads the store when called."""


_STATES: dict[str, State] = {"complete": "complete", "failed": "failed", "running": "running", "stopped": "stopped"}
_OF_STATUS: dict[str, State] = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "stopped"}


def state_of(tag: str | None, status: str) -> State:
    """A cell's state by its run's tag, or by MLflow's status where there is no tag, or one that is no state."""
    return _STATES.get(tag or "") or _OF_STATUS.get(status, "running")


def no_history(name: str) -> Sequence[tuple[int, float]]:
    """The history of a cell without a run."""
    return ()


def no_labels() -> None:
    """The labels of a cell that has none."""


def no_looks() -> None:
    """The attention of a cell that has none."""


def target_kind(study: StudyRecord) -> str:
    """What is scored, as its reader knows it; in a plan that does not say, by its whole name."""
    named = str(study.recipe.get("data.source", study.data.name))
    return kind_of_name(named) if study.data.kind is None else study.data.kind


@dataclass(frozen=True)
class CellRecord:
    """One cell as MLflow has it. `scores` by plain name ("macro_f1"), finite values of the headline weights only.

    `config`: every field of its `Experiment` as words, by dotted path. `label_notes`: what happened to its labels.
    """

    coordinates: Mapping[str, str]
    arm: str
    replicate: int
    key: str
    run_id: str | None = None
    state: State = "missing"
    scores: Mapping[str, float] = field(default_factory=dict)
    cause: str = ""
    degenerate: bool = False
    code_version: str = ""
    data_fingerprint: str = ""
    device: str = ""
    twins: int = 0  # further runs of the same cell; the newest complete one is read
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    label_notes: tuple[str, ...] = ()
    history: History = field(default=no_history, repr=False, compare=False)
    labels: Labels = field(default=no_labels, repr=False, compare=False)
    attention: Looks = field(default=no_looks, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        return self.state == "complete"

    @property
    def name(self) -> str:
        return f"{self.arm} #{self.replicate}"


@dataclass(frozen=True)
class Results:
    """A study and its cells, in the order of the plan; for a study that searches, its searches too."""

    study: StudyRecord
    cells: tuple[CellRecord, ...]
    searches: tuple[SearchRecord, ...] = ()
    remarks: tuple[str, ...] = ()  # on how it was chosen among others, for whoever asked
    checks: tuple[str, ...] = ()  # where MLflow disagrees with the files of its runs, a sentence each

    def of(self, coordinates: Mapping[str, str]) -> list[CellRecord]:
        """The cells of one arm, by replicate."""
        return sorted((c for c in self.cells if c.coordinates == coordinates), key=lambda cell: cell.replicate)

    @property
    def incomplete(self) -> bool:
        return not all(cell.complete for cell in self.cells)
