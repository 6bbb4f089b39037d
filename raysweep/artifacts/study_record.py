"""`plan.json`: a study as one launch planned it. Written by the launch, read by reports and by nobody else's hands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from raysweep.core.versioned import RecordFormat

from .declared_table import Table

TUNING = "tuning"
"""The axis of a search study that says whether an arm is as it is or at the best point found for it."""

DEFAULT, SEARCHED = "default", "searched"
"""Its levels."""

Value = Any
"""A value of a field: text, a number, a truth value or None. Integers stay integers."""

Options = Annotated[
    tuple[tuple[str, str], ...],
    BeforeValidator(lambda value: tuple(value.items()) if isinstance(value, Mapping) else value),
    PlainSerializer(dict, return_type=dict),
]
"""Options of a reader that were given; an object in the file."""


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
    options: Options = ()


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
    options: Options = ()


@dataclass(frozen=True)
class PlannedCell:
    """One cell that the launch asked for."""

    coordinates: Mapping[str, str]
    arm: str
    replicate: int
    key: str


RangeKind = Literal["uniform", "log", "int", "choice"]


@dataclass(frozen=True)
class RangeRecord:
    """Where one field was searched. `low` and `high` are None for a choice.

    `when`: other fields and the values of theirs under which this one is set at all; empty: always.
    """

    path: str
    kind: RangeKind
    low: int | float | None = None
    high: int | float | None = None
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str, values: Mapping[str, Any]) -> RangeRecord:
        """From the file. Raises ValueError, KeyError, TypeError."""
        choices = tuple(values.get("choices") or ())
        if values["kind"] not in get_args(RangeKind):
            raise ValueError(f"search range {path!r}: unknown kind {values['kind']!r}")
        if values["kind"] == "choice" and not choices:
            raise ValueError(f"search range {path!r}: no choices")
        low, high = (None, None) if values["kind"] == "choice" else (values["low"], values["high"])
        return cls(path, values["kind"], low, high, choices, dict(values.get("when") or {}))

    def describe(self) -> dict[str, Any]:
        """Plain values for the file."""
        ends = {"choices": list(self.choices)} if self.kind == "choice" else {"low": self.low, "high": self.high}
        return {"kind": self.kind, **ends, "when": {path: list(v) for path, v in self.when.items()} or None}


@dataclass(frozen=True)
class PlannedArm:
    """What the plan says of one arm's search. None: not known when the plan was written.

    `counts`: trials, complete, pruned, failed; `number` of the trial whose `point` was chosen.
    """

    arm: str
    search: str
    counts: Mapping[str, int] = field(default_factory=dict)
    device_hours: float | None = None
    number: int | None = None
    values: tuple[float, ...] = ()
    point: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def read(cls, arm: str, values: Mapping[str, Any]) -> PlannedArm:
        """From the file. Raises ValueError, KeyError, TypeError."""
        names = ("trials", "complete", "pruned", "failed")
        counts = {name: values[name] for name in names if values.get(name) is not None}
        found = (tuple(values.get("value") or ()), dict(values.get("point") or {}))
        return cls(arm, values["search"], counts, values.get("device_hours"), values.get("number"), *found)

    def describe(self) -> dict[str, Any]:
        """Plain values for the file."""
        found = {"number": self.number, "value": list(self.values), "point": dict(self.point)}
        return {"search": self.search, **self.counts, "device_hours": self.device_hours, **found}


@dataclass(frozen=True)
class PlannedSearch:
    """How a study searches inside its arms. `directions`: one an objective."""

    sampler: str
    stopper: str | None
    objectives: tuple[str, ...]
    directions: tuple[Literal["maximize", "minimize"], ...]
    replicate: int
    budget: Mapping[str, int | float | None]
    space: tuple[RangeRecord, ...]
    arms: tuple[PlannedArm, ...]

    @classmethod
    def read(cls, search: Mapping[str, Any]) -> PlannedSearch:
        """From "search" of the file.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it does not follow the contract.
        """
        objectives, directions = tuple(search["objectives"]), tuple(search["directions"])
        if not objectives or len(objectives) != len(directions):
            raise ValueError(f"search: objectives {objectives} with directions {directions}")
        return cls(
            sampler=search["sampler"],
            stopper=search.get("stopper"),
            objectives=objectives,
            directions=directions,
            replicate=search["replicate"],
            budget=dict(search.get("budget") or {}),
            space=tuple(RangeRecord.read(path, values) for path, values in search["space"].items()),
            arms=tuple(PlannedArm.read(arm, values) for arm, values in search["arms"].items()),
        )

    def describe(self) -> dict[str, Any]:
        """Plain values for the file."""
        values = _SEARCH.dump_python(self, mode="json")
        return {
            **values,
            "space": {where.path: where.describe() for where in self.space},
            "arms": {arm.arm: arm.describe() for arm in self.arms},
        }

    @property
    def signs(self) -> tuple[int, ...]:
        """1 where higher is better, -1 where lower is."""
        return tuple(1 if direction == "maximize" else -1 for direction in self.directions)


STUDY = (
    *("name", "file", "content", "title", "source", "paper", "metric", "published", "columns", "notes", "reference"),
    *("axes", "tables"),
)
"""Fields that stand under "study" in the file."""


@dataclass(frozen=True)
class StudyRecord:
    """A study as one launch planned it.

    `file`: that the study was read from; `content`: digest of what it said; `paper`: whose recipe the preset is;
    `protocol`, `weights`: as of `Selection`; `recipe`: fields of the first cell as words; `experiment`: its fields,
    without the seeds, by dotted path, and `arm_changes` what differs from it in each arm, by name (both empty in older
    plans); `overrides`: what the user changed (`raysweep.study.overrides`), None where nobody recorded it.

    Not in the file: `launch`, whose plan it is; `search_trouble`, why its search cannot be read, though there should be
    one.
    """

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
    launch: str = ""
    file: str = ""
    content: str = ""
    paper: str = "DDAF"
    overrides: Mapping[str, Any] | None = None
    experiment: Mapping[str, Any] = field(default_factory=dict, repr=False)
    arm_changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    search: PlannedSearch | None = None
    search_trouble: str = ""
    tables: tuple[Table, ...] = ()

    @classmethod
    def read(cls, plan: Mapping[str, Any], launch: str) -> StudyRecord:
        """From the parsed `plan.json` of the launch `launch`, of this version or an older one.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: the file does not follow the contract.
        """
        plan = FORMAT.current(plan)
        study = dict(plan["study"])
        if study["metric"] not in study["columns"]:
            study["columns"] = [study["metric"], *study["columns"]]
        search, trouble = _search_of(plan)
        if search and not plan["cells"] and TUNING not in [axis["name"] for axis in study["axes"]]:
            study["axes"] = [*study["axes"], {"name": TUNING, "levels": [DEFAULT, SEARCHED]}]  # the table to come
            study["reference"] = {**study["reference"], TUNING: DEFAULT}
        rest = {name: value for name, value in plan.items() if name not in ("study", "arms")}
        changes = {"arm_changes": plan.get("arms") or {}, "search": search, "search_trouble": trouble}
        return _STUDY.validate_python({**rest, **study, **changes, "launch": launch})

    def describe(self) -> dict[str, Any]:
        """Plain values for the file."""
        values = _STUDY.dump_python(self, mode="json", exclude={"launch", "search", "search_trouble"})
        study = {name: value for name in STUDY if (value := values.pop(name)) or name != "tables"}
        arms = values.pop("arm_changes")
        described = FORMAT.stamped({"study": study, **values, "arms": arms})
        return described if self.search is None else {**described, "search": self.search.describe()}

    @property
    def arms(self) -> list[dict[str, str]]:
        """Coordinates of every arm, the last axis varying fastest."""
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, levels, strict=True)) for levels in itertools.product(*(a.levels for a in self.axes))]

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Every arm's configuration by its name: fields by dotted path, without seeds; empty in older plans."""
        return {arm: {**self.experiment, **changes} for arm, changes in self.arm_changes.items()}

    def reference_of(self, coordinates: Mapping[str, str]) -> dict[str, str]:
        """The coordinates of the arm this one is compared with (its own, for a reference arm)."""
        return {**coordinates, **self.reference}

    def is_reference(self, coordinates: Mapping[str, str]) -> bool:
        return bool(self.reference) and self.reference_of(coordinates) == dict(coordinates)

    @property
    def compared_axis(self) -> AxisRecord:
        """The axis whose levels are compared with each other: the reference's first, else the last."""
        return next((axis for axis in self.axes if axis.name in self.reference), self.axes[-1])


def _to_version_1(plan: dict[str, Any]) -> dict[str, Any]:
    """The first plans did not say whose recipe the preset is, and name an extra set as often as an arm trains on it."""
    study, data = dict(plan["study"]), dict(plan["data"])
    study.setdefault("paper", "DCJT" if study["source"].startswith("DCJT") else "DDAF")
    extras = data.get("extras") or ()
    data["extras"] = [extra for number, extra in enumerate(extras) if extra not in extras[:number]]
    return {**plan, "study": study, "data": data}


FORMAT = RecordFormat((_to_version_1,))

_STUDY, _SEARCH = TypeAdapter(StudyRecord), TypeAdapter(PlannedSearch)


def _search_of(plan: Mapping[str, Any]) -> tuple[PlannedSearch | None, str]:
    """The plan's search, or what is wrong with it. The replicates can be reported without."""
    searches = any(axis["name"] == TUNING for axis in plan["study"]["axes"])
    if not plan.get("search"):
        return None, "the plan of this launch says nothing of it" if searches else ""
    try:
        return PlannedSearch.read(plan["search"]), ""
    except ValidationError as error:
        return None, f"its part of the plan is not as expected ({_first_fault(error)})"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return None, f"its part of the plan is not as expected ({type(error).__name__}: {error})"


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
