"""`STUDY_results.json`: every number of a report with what it comes from. docs/results.md describes its fields.

Numbers have six significant digits, as in CSV: the last bits of a mean differ between machines. One line holds one
cell, one score of an arm or one row of a table, so that a diff shows what changed.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raysweep.artifacts.study_record import ExtraRecord, StudyRecord
from raysweep.core.versioned import RecordFormat
from raysweep.report.inference.best_arms import BestGroup
from raysweep.report.results.aggregate import ArmSummary, ScoreSummary, Summary
from raysweep.report.results.provenance import Provenance, commit_of
from raysweep.report.results.records import CellRecord, Results
from raysweep.report.results.searches import SearchRecord
from raysweep.report.tables.table import Entry, ReportTable
from raysweep.report.text.overrides import override_words
from raysweep.study.cells import PATHS

FORMAT = RecordFormat()
"""Version 1. Fields may be added without a new version, but not renamed, removed or given another meaning."""

NAME = "results.json"
"""End of the file's name, after the study's."""


def results_json(
    results: Results, summary: Summary, tables: Sequence[ReportTable], made: Provenance, reading: Sequence[str]
) -> str:
    """The file's text. `reading`: the result in words."""
    study = results.study
    document = FORMAT.stamped(
        {
            "study": _study(study),
            "launch": {"name": study.launch, "command": study.command, "overrides": override_words(study)},
            "data": _data(study),
            "reading": list(reading),
            "provenance": _provenance(made),
            "remarks": [*summary.remarks],
            "disagreements": [*results.checks],
            "comparisons": summary.family,
            "power": summary.power and {**dataclasses.asdict(summary.power), "difference": summary.power.difference},
            "best": [_best(group) for group in summary.best],
            "arms": [_arm(study, arm) for arm in summary.arms],
            "scores": [_score(arm, name, score) for arm in summary.arms for name, score in arm.scores.items()],
            "cells": [_cell(cell) for cell in results.cells],
            "searches": [_search(search) for search in summary.searches],
            "tables": [_table(table) for table in tables],
        }
    )
    return "{\n" + ",\n".join(_lines(document)) + "\n}\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, list) and value:
            yield f"{json.dumps(name)}: [\n" + ",\n".join(_text(item) for item in value) + "\n]"
        else:
            yield f"{json.dumps(name)}: {_text(value)}"


def _text(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """JSON values; numbers with six digits, those that are not finite as words."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _study(study: StudyRecord) -> dict[str, Any]:
    return {
        "name": study.name,
        "title": study.title,
        "source": study.source,
        "content": study.content,
        "axes": {axis.name: list(axis.levels) for axis in study.axes},
        "reference": study.reference,
        "metric": study.metric,
        "published": study.published,
        "preset": study.preset,
        "selection": {"protocol": study.protocol, "weights": study.weights},
        "replicates": list(study.replicates),
        "recipe": {path: text for path, text in study.recipe.items() if path not in _PLACES},
    }


_PLACES = (*PATHS, "data.options", "joint.extra_sets")
"""Fields that may hold paths of a machine; the sets are identified by their fingerprints."""


def _data(study: StudyRecord) -> dict[str, Any]:
    data = study.data
    train, validation, test = data.counts
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "kind": data.kind,
        "classes": list(data.classes),
        "images": {"train": train, "validation": validation, "test": test},
        "notes": list(data.notes),
        "extras": [_extra(extra) for extra in data.extras],
    }


def _extra(extra: ExtraRecord) -> dict[str, Any]:
    return {name: getattr(extra, name) for name in ("name", "fingerprint", "role", "kind", "count", "notes")}


def _provenance(made: Provenance) -> dict[str, Any]:
    code = [{**_code(version), "cells": count} for version, count in made.code.items()]
    return {**dataclasses.asdict(made), "code": code, "total_hours": made.total_hours, "dirty": made.dirty}


def _code(version: str) -> dict[str, Any]:
    commit, clean = commit_of(version)
    return {"version": version, "commit": commit, "clean": clean}


def _arm(study: StudyRecord, arm: ArmSummary) -> dict[str, Any]:
    return {
        "arm": arm.name,
        "coordinates": arm.coordinates,
        "is_reference": arm.is_reference,
        "planned": arm.planned,
        "complete": arm.complete,
        "degenerate": arm.degenerate,
        "incomplete": arm.absent,
        "changes": {p: v for p, v in study.arm_changes.get(arm.name, {}).items() if p not in _PLACES},
    }


def _score(arm: ArmSummary, name: str, score: ScoreSummary) -> dict[str, Any]:
    spread = dataclasses.asdict(score.spread) if score.spread else {"n": 0}
    comparison = dataclasses.asdict(score.comparison) if score.comparison else None
    return {
        "arm": arm.name,
        "score": name,
        **spread,
        "values": [{"replicate": r, "value": v} for r, v in score.values.items()],
        "runs": list(score.runs),
        "comparison": comparison,
        "inference": dataclasses.asdict(score.inference),
    }


def _best(group: BestGroup) -> dict[str, Any]:
    return {name: getattr(group, name) for name in ("where", "may_be_best", "excluded", "unjudged")}


def _cell(cell: CellRecord) -> dict[str, Any]:
    seconds = cell.spent()
    return {
        "arm": cell.arm,
        "replicate": cell.replicate,
        "state": cell.state,
        "run": cell.run_id,
        "key": cell.key,
        "scores": cell.scores,
        "cause": cell.cause,
        "degenerate": cell.degenerate,
        "seeds": cell.seeds,
        "code": _code(cell.code_version),
        "data": cell.data_fingerprint,
        "device": cell.device,
        "hours": None if seconds is None else seconds / 3600,
        "libraries": cell.versions,
        "further_runs": cell.twins,
    }


def _search(search: SearchRecord) -> dict[str, Any]:
    told = search.told
    return {
        "arm": search.arm,
        "search": told.search,
        "trials": search.counts,
        "hours": search.device_hours,
        "chosen": told.number,
        "point": told.point,
        "values": list(told.values),
        "runs": [trial.run_id for trial in search.trials],
    }


def _table(table: ReportTable) -> dict[str, Any]:
    return {
        "label": table.label,
        "columns": [column.full_title for column in table.columns],
        "rows": [[_entry(entry) for entry in row] for row in table.rows],
    }


def _entry(entry: Entry) -> Any:
    """Words, or a number with its runs."""
    if not entry.runs and entry.value is None:
        return entry.plain
    number = {"mean": entry.value, "std": entry.std} if entry.value is not None else {"text": entry.plain}
    return {**number, "marks": entry.marks, "bold": entry.bold, "runs": list(entry.runs)}
