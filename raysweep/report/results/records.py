"""Data of a report: the plan of a launch, and its cells from MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.artifacts.predictions import ImagePredictions, ValidationPredictions
from raysweep.artifacts.study_record import StudyRecord
from raysweep.data.names import kind_of_name

from .costs import SharedWork
from .searches import SearchRecord

State = Literal["complete", "failed", "running", "stopped", "missing"]
History = Callable[[str], Sequence[tuple[int, float]]]
"""Name of a metric to its (step, value) pairs, steps ascending. Reads the store when called."""

_STATES: dict[str, State] = {"complete": "complete", "failed": "failed", "running": "running", "stopped": "stopped"}
_OF_STATUS: dict[str, State] = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "stopped"}


def state_of(tag: str | None, status: str) -> State:
    """A cell's state from its run's tag, or from MLflow's status if the tag is missing or invalid."""
    return _STATES.get(tag or "") or _OF_STATUS.get(status, "running")


def no_history(name: str) -> Sequence[tuple[int, float]]:
    """The history of a cell without a run."""
    return ()


def no_time() -> None:
    """The device-seconds and epochs of a cell without a run."""


def no_arrays() -> None:
    """The arrays of a cell without any."""


def target_kind(study: StudyRecord) -> str:
    """Kind of the scored data set; in older plans without it, derived from the name."""
    named = str(study.recipe.get("data.source", study.data.name))
    return kind_of_name(named) if study.data.kind is None else study.data.kind


@dataclass(frozen=True)
class CellRecord:
    """One cell from MLflow. `scores`: finite values of the headline weights by plain name ("macro_f1").

    `config`: every field of its `Experiment` as text, by dotted path. `label_notes`: sentences on its labels.
    `device`: by name. `versions`: of the libraries that computed it, by name; empty in older runs. `spent`: its
    device-seconds (`raysweep.report.results.costs`). `history`, `labels`, `attention`, `faces`, `predictions`,
    `validation` and `spent` read the store when called; `predictions` reads it at every call and keeps nothing.
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
    twins: int = 0  # number of further runs of the cell, which are not read
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    label_notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    history: History = field(default=no_history, repr=False, compare=False)
    labels: Callable[[], AdaptedLabels | None] = field(default=no_arrays, repr=False, compare=False)
    attention: Callable[[], AttentionMaps | None] = field(default=no_arrays, repr=False, compare=False)
    faces: Callable[[], LabelledFaces | None] = field(default=no_arrays, repr=False, compare=False)
    predictions: Callable[[], ImagePredictions | None] = field(default=no_arrays, repr=False, compare=False)
    validation: Callable[[], ValidationPredictions | None] = field(default=no_arrays, repr=False, compare=False)
    again: bool = field(default=False, repr=False, compare=False)  # what earlier reports kept of its files is not used
    spent: Callable[[], float | None] = field(default=no_time, repr=False, compare=False)
    epochs: Callable[[], int | None] = field(default=no_time, repr=False, compare=False)

    @property
    def seeds(self) -> dict[str, str]:
        """The seeds of the cell by name; empty without a run."""
        return {name.removeprefix("seeds."): text for name, text in self.config.items() if name.startswith("seeds.")}

    @property
    def complete(self) -> bool:
        return self.state == "complete"

    @property
    def name(self) -> str:
        return f"{self.arm} #{self.replicate}"


@dataclass(frozen=True)
class Results:
    """A study with its cells in the order of the plan, and its searches."""

    study: StudyRecord
    cells: tuple[CellRecord, ...]
    searches: tuple[SearchRecord, ...] = ()
    remarks: tuple[str, ...] = ()  # on the choice of the launch
    checks: tuple[str, ...] = ()  # sentences on differences between MLflow and the files of its runs
    shared: Callable[[], SharedWork] = field(default=SharedWork, repr=False, compare=False)
    """Trainings that several cells share. Reads the store when called."""
    experiment: str = ""  # id of the study's experiment in MLflow
    server: str = ""  # address of MLflow's UI, "" unless the runs were read from a server

    def of(self, coordinates: Mapping[str, str]) -> list[CellRecord]:
        """The cells of one arm, by replicate."""
        return sorted((c for c in self.cells if c.coordinates == coordinates), key=lambda cell: cell.replicate)

    @property
    def incomplete(self) -> bool:
        return not all(cell.complete for cell in self.cells)
