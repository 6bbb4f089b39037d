"""What a report is made of: a study as its launch planned it, and its cells as MLflow has them. Plain values only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raysweep.artifacts.adapted_labels import Arrays
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.data.names import kind_in_words

from .searches import SEARCHED, TUNING, SearchPlan, SearchRecord

State = Literal["complete", "failed", "running", "stopped", "missing"]
History = Callable[[str], Sequence[tuple[int, float]]]
"""Name of a metric to its (step, value) pairs, steps ascending. Reads the store when called."""


Labels = Callable[[], Arrays | None]
"""The arrays of a cell's `labels.npz`, or None. Reads the store when called."""

Looks = Callable[[], AttentionMaps | None]
"""What a cell's `attention.npz` holds, or None. Reads the store when called."""


def no_history(name: str) -> Sequence[tuple[int, float]]:
    """The history of a cell without a run."""
    return ()


def no_labels() -> None:
    """The labels of a cell that has none."""


def no_looks() -> None:
    """The attention of a cell that has none."""


@dataclass(frozen=True)
class AxisRecord:
    """One thing that is varied, its levels in the study's order."""

    name: str
    levels: tuple[str, ...]

    @property
    def numeric(self) -> bool:
        """Whether there are at least two levels and every one is a finite number."""
        return len(self.levels) > 1 and all(_is_number(level) for level in self.levels)


@dataclass(frozen=True)
class ExtraRecord:
    """A data set that some arms train on and that is not scored. `count`: its training images; `role`: "extra", or
    "target" where another set is fine-tuned on; `kind` as of a `DataRecord`."""

    name: str
    count: int
    notes: tuple[str, ...]
    fingerprint: str = ""
    source: str = ""
    role: str = "extra"
    kind: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DataRecord:
    """The data sets of a launch. `counts` are training, validation and test images as they came.

    `kind`: the reader that knows the set ("csv" and "folder" are the user's own), "faces" for built-in ones, "" where
    nobody recorded it, None in plans that did not say; `options` of the reader that were given.
    """

    name: str
    fingerprint: str
    classes: tuple[str, ...]
    counts: tuple[int, int, int]
    notes: tuple[str, ...]
    extras: tuple[ExtraRecord, ...] = ()
    source: str = ""
    kind: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_plan(cls, data: Mapping[str, Any]) -> DataRecord:
        train, validation, test = (int(count) for count in data["counts"])
        extras = (
            ExtraRecord(
                str(e["name"]),
                int(e["count"]),
                tuple(e.get("notes", ())),
                str(e.get("fingerprint", "")),
                str(e.get("source", "")),
                str(e.get("role", "extra")),
                e.get("kind"),
                tuple(e.get("options", {}).items()),
            )
            for e in data.get("extras", ())
        )
        return cls(
            data["name"],
            data["fingerprint"],
            tuple(data["classes"]),
            (train, validation, test),
            tuple(data["notes"]),
            tuple(dict.fromkeys(extras)),
            str(data.get("source", "")),
            data.get("kind"),
            tuple(data.get("options", {}).items()),
        )


@dataclass(frozen=True)
class PlannedCell:
    """One cell that the launch asked for."""

    coordinates: Mapping[str, str]
    arm: str
    replicate: int
    key: str


@dataclass(frozen=True)
class StudyRecord:
    """A study as one launch planned it: the content of `plan.json`, typed."""

    name: str
    title: str
    source: str
    metric: str
    published: str | None
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    reference: Mapping[str, str]
    axes: tuple[AxisRecord, ...]
    preset: str
    replicates: tuple[int, ...]
    protocol: str
    weights: str
    data: DataRecord
    recipe: Mapping[str, str]
    cells: tuple[PlannedCell, ...]
    command: str
    launch: str
    search: SearchPlan | None = None
    file: str = ""  # that the study was read from
    content: str = ""  # digest of what it said
    search_trouble: str = ""  # why the plan's search cannot be read, though there should be one
    paper: str = "DDAF"  # whose recipe the preset is
    overrides: Mapping[str, Any] | None = None  # what the user changed (`raysweep.study.overrides`); None: not recorded
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Every arm's configuration by its name: fields by dotted path, without seeds; empty in older plans."""

    @property
    def target_kind(self) -> str:
        """What is scored, as its reader knows it; in a plan that does not say, by its whole name."""
        named = str(self.recipe.get("data.source", self.data.name))
        return kind_in_words(named) if self.data.kind is None else self.data.kind

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any], launch: str) -> StudyRecord:
        """From the parsed `plan.json` of the launch `launch`.

        Raises:
            KeyError, TypeError, ValueError: the file does not follow the contract.
        """
        study = plan["study"]
        search, trouble = _search_of(plan)
        early = bool(search) and not plan["cells"] and TUNING not in [axis["name"] for axis in study["axes"]]
        axes = [*study["axes"], *([{"name": TUNING, "levels": ["default", SEARCHED]}] if early else [])]
        return cls(
            name=str(study["name"]),
            title=str(study["title"]),
            source=str(study["source"]),
            metric=str(study["metric"]),
            published=study["published"],
            columns=_with_headline(study["metric"], study["columns"]),
            notes=tuple(study["notes"]),
            reference={**study["reference"], **({TUNING: "default"} if early else {})},
            axes=tuple(AxisRecord(str(a["name"]), tuple(a["levels"])) for a in axes),
            preset=str(plan["preset"]),
            replicates=tuple(int(r) for r in plan["replicates"]),
            protocol=str(plan["protocol"]),
            weights=str(plan["weights"]),
            data=DataRecord.from_plan(plan["data"]),
            recipe=dict(plan["recipe"]),
            cells=tuple(
                PlannedCell(dict(c["coordinates"]), str(c["arm"]), int(c["replicate"]), str(c["key"]))
                for c in plan["cells"]
            ),
            command=str(plan["command"]),
            launch=launch,
            file=str(study.get("file", "")),
            content=str(study.get("content", "")),
            search=search,
            search_trouble=trouble,
            paper=str(study.get("paper") or ("DCJT" if str(study["source"]).startswith("DCJT") else "DDAF")),
            overrides=plan.get("overrides"),
            configs={arm: {**plan["experiment"], **changes} for arm, changes in plan.get("arms", {}).items()},
        )

    @property
    def arms(self) -> list[dict[str, str]]:
        """Coordinates of every arm, the last axis varying fastest."""
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, levels, strict=True)) for levels in itertools.product(*(a.levels for a in self.axes))]

    def reference_of(self, coordinates: Mapping[str, str]) -> dict[str, str]:
        """The coordinates of the arm this one is compared with (its own, for a reference arm)."""
        return {**coordinates, **self.reference}

    def is_reference(self, coordinates: Mapping[str, str]) -> bool:
        return bool(self.reference) and self.reference_of(coordinates) == dict(coordinates)

    @property
    def compared_axis(self) -> AxisRecord:
        """The axis whose levels are compared with each other: the reference's first, else the last."""
        return next((axis for axis in self.axes if axis.name in self.reference), self.axes[-1])


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


def _search_of(plan: Mapping[str, Any]) -> tuple[SearchPlan | None, str]:
    """The plan's search, or what is wrong with it. The replicates can be reported without."""
    searches = any(axis["name"] == TUNING for axis in plan["study"]["axes"])
    if not plan.get("search"):
        return None, "the plan of this launch says nothing of it" if searches else ""
    try:
        return SearchPlan.from_plan(plan["search"]), ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return None, f"its part of the plan is not as expected ({type(error).__name__}: {error})"


def _with_headline(metric: str, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(columns) if metric in columns else (metric, *columns)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
