"""Makes the record of a launch (`plan.json`), from which reports are built without the study's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.artifacts.study_record import (
    AxisRecord,
    DataRecord,
    ExtraRecord,
    PlannedCell,
    PlannedSearch,
    StudyRecord,
)
from raysweep.config.experiment import Experiment, flat_words
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.kind import kind_of, read_otherwise
from raysweep.pipeline import Sets

from .cells import Cell
from .identity import SetIdentity
from .study import Study


@dataclass(frozen=True)
class UsedData:
    """The data sets of a launch. `scored`: trained on and scored; `extras`: the other sets of all cells; `first`: the
    target among them, if fine-tuning continues on another set; `remarks`: on their use, for captions; `used`: their
    identities."""

    scored: FaceData
    extras: Sequence[FaceData] = ()
    first: FaceData | None = None
    remarks: Sequence[str] = ()
    used: Sequence[SetIdentity] = ()

    def record(self) -> DataRecord:
        """The data sets in the form of `StudyRecord`."""
        data, sources = self.scored, {own.fingerprint: own.source for own in self.used}
        return DataRecord(
            data.name,
            data.fingerprint,
            tuple(data.classes),
            (len(data.rows(TRAIN)), len(data.rows(VALIDATION)), len(data.rows(TEST))),
            tuple(data.notes),
            tuple(self._extra(extra, sources.get(extra.fingerprint, extra.name)) for extra in self.extras),
            sources.get(data.fingerprint, data.name),
            kind_of(data),
            _options(data),
        )

    def _extra(self, extra: FaceData, source: str) -> ExtraRecord:
        return ExtraRecord(
            extra.name,
            len(extra.rows(TRAIN)),
            tuple(extra.notes),
            extra.fingerprint,
            source,
            "target" if self.first is not None and extra.fingerprint == self.first.fingerprint else "extra",
            kind_of(extra),
            _options(extra),
        )


def study_record(
    name: str,
    study: Study,
    preset: str,
    cells: Sequence[Cell],
    data: UsedData,
    replicates: Sequence[int],
    command: str,
    overrides: Mapping[str, Any],
    search: Mapping[str, Any] | None = None,
    planned: bool = True,
) -> StudyRecord:
    """The record of a launch.

    Args:
        cells: of every arm; common values are taken from the first.
        overrides: the user's changes (`overrides.overrides`).
        search: `SearchPlan.describe()` if the points come from a search.
        planned: False if the cells of the table are not known yet.
    """
    first = cells[0].experiment
    base, changes = _arm_fields(cells)
    return StudyRecord(
        **_study_fields(name, study),
        notes=(*study.notes, *data.remarks),
        preset=preset,
        protocol=first.selection.protocol,
        weights=" or ".join(sorted({cell.experiment.selection.weights for cell in cells})),
        data=data.record(),
        recipe=flat_words(first.model_dump(exclude={"seeds"})),
        experiment=base,
        arm_changes=changes,
        replicates=tuple(replicates),
        overrides=overrides,
        cells=tuple(
            PlannedCell(dict(cell.arm.coordinates), cell.arm.name, cell.replicate, cell.key)
            for cell in (cells if planned else ())
        ),
        command=command,
        search=None if search is None else PlannedSearch.read(search),
    )


def _study_fields(name: str, study: Study) -> dict[str, Any]:
    """Fields from the study's file."""
    return {
        "name": name,
        "file": study.origin.file,
        "content": study.origin.content,
        "title": study.title,
        "source": study.source,
        "paper": study.paper,
        "metric": study.metric,
        "published": study.published,
        "columns": tuple(study.columns),
        "tables": tuple(study.tables),
        "reference": dict(study.reference),
        "axes": tuple(AxisRecord(axis.name, tuple(axis.levels)) for axis in study.axes),
    }


def _arm_fields(cells: Sequence[Cell]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The first arm's fields, and the fields of every arm that differ from them, by arm name."""
    arms = {cell.arm.name: _fields(cell.experiment) for cell in reversed(cells)}
    base = _fields(cells[0].experiment)
    changes = {arm: {p: v for p, v in fields.items() if v != base[p]} for arm, fields in arms.items()}
    return base, dict(reversed(changes.items()))


def _fields(experiment: Experiment) -> dict[str, Any]:
    """Fields by dotted path, as plain values, without the seeds."""
    tree = experiment.model_dump(mode="json", exclude={"seeds"})
    return {f"{section}.{name}": value for section, fields in tree.items() for name, value in fields.items()}


def _options(data: FaceData) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in read_otherwise(data).items())


def other_sets(sets: Sequence[Sets]) -> tuple[FaceData, ...]:
    """The distinct data sets that are trained on but not scored."""
    scored = {own.scored.fingerprint for own in sets}
    found = {e.fingerprint + str(len(e)): e for own in sets for e in own.all if e.fingerprint not in scored}
    return tuple(found.values())


def first_target(sets: Sequence[Sets]) -> FaceData | None:
    """The target if fine-tuning continues on another set, else None."""
    return next((own.target for own in sets if own.target.fingerprint != own.scored.fingerprint), None)
