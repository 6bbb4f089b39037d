"""Reads the trials of a study's searches from MLflow runs; unreadable ones become problems of the search."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.artifacts.study_record import PlannedArm, PlannedSearch, Value
from raysweep.report.formatting import listed, one_line, plural
from raysweep.tracking import schema

from .searches import SearchRecord, TrialRecord, TrialState

_STATES: dict[str, TrialState] = {
    "complete": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "stopped": "stopped",
    "running": "running",
}


def read_searches(plan: PlannedSearch, runs: Sequence[Any]) -> tuple[SearchRecord, ...]:
    """All planned searches with their trials. `runs`: MLflow runs of kind "trial" of any search, newest first."""
    return tuple(_search(plan, arm, [r for r in runs if r.data.tags.get(schema.SEARCH) == arm.search])
                 for arm in plan.arms)  # fmt: skip


def _search(plan: PlannedSearch, arm: PlannedArm, runs: Sequence[Any]) -> SearchRecord:
    numbered: dict[int, list[Any]] = {}
    broken: list[str] = []
    for run in runs:
        number = run.data.tags.get(schema.TRIAL, "")
        if number.isdecimal():
            numbered.setdefault(int(number), []).append(run)
        else:
            broken.append(f"run {run.info.run_id} has no trial number")
    trials: list[TrialRecord] = []
    for number, same in sorted(numbered.items()):
        try:
            trials.append(_trial(plan, number, _newest(same)))
        except ValueError as error:
            broken.append(f"trial {number}: {error}")
    return SearchRecord(arm, tuple(trials), tuple(_problems(arm, trials, broken)))


def _newest(runs: Sequence[Any]) -> Any:
    """The run of a trial number: among those with the newest key (numbers restart in a new storage), the newest
    complete one, else the newest."""
    key = runs[0].data.tags.get(schema.KEY)
    same = [run for run in runs if run.data.tags.get(schema.KEY) == key]
    return next((run for run in same if run.data.tags.get(schema.STATE) == "complete"), same[0])


def _trial(plan: PlannedSearch, number: int, run: Any) -> TrialRecord:
    """The record of a trial. Raises ValueError for malformed tags."""
    tags, metrics = run.data.tags, run.data.metrics
    state = _STATES.get(tags.get(schema.STATE, "running"))
    if state is None:
        raise ValueError(f"unknown state {tags[schema.STATE]!r}")
    values = tuple(metrics.get(f"validation/{name}", math.nan) for name in plan.objectives)
    last = {name: metrics[f"val/{name}"] for name in plan.objectives if _finite(metrics.get(f"val/{name}"))}
    seconds, replicate = metrics.get(schema.SEARCH_SECONDS), tags.get(schema.REPLICATE, "")
    return TrialRecord(
        number,
        state,
        _point(tags.get(schema.POINT, "")),
        values if state == "complete" and all(map(math.isfinite, values)) else (),
        last,
        seconds if _finite(seconds) else None,
        str(tags.get(schema.CAUSE, "")),
        int(replicate) if replicate.isdecimal() else None,
        str(tags.get(schema.LAUNCH, "")),
        str(tags.get(schema.KEY, "")),
        str(run.info.run_id),
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _point(text: str) -> Mapping[str, Value]:
    try:
        point = json.loads(text)
    except ValueError:
        raise ValueError(f"its point is not JSON ({one_line(text, 40)!r})") from None
    if not isinstance(point, dict) or any(isinstance(value, (dict, list)) for value in point.values()):
        raise ValueError(f"its point is not a field and value each ({one_line(text, 40)!r})")
    return point


def _problems(arm: PlannedArm, trials: Sequence[TrialRecord], broken: Sequence[str]) -> list[str]:
    """Problems that limit the validity of tables and figures of this search."""
    where = f"Search of {arm.arm}" if arm.arm else "Search"
    said = []
    planned = arm.counts.get("trials")
    ended = sum(trial.state != "stopped" for trial in trials)  # another trial continued the point of a stopped one
    if planned is not None and planned != ended:
        said.append(f"{where}: the launch counted {plural(planned, 'trial')}, but {ended} can be read from "
                    "MLflow; figures show those.")  # fmt: skip
    if broken:
        more = [f"{len(broken) - 3} more"] if len(broken) > 3 else []
        said.append(f"{where}: {plural(len(broken), 'run')} cannot be read: {listed([*broken[:3], *more])}.")
    odd = [str(trial.number) for trial in trials if trial.state == "complete" and not trial.values]
    if odd:
        said.append(f"{where}: complete, but without a finite objective, and left out: "
                    f"{'trial' if len(odd) == 1 else 'trials'} {listed(odd)}.")  # fmt: skip
    replicates = {trial.replicate for trial in trials if trial.values}
    if len(replicates) > 1:
        said.append(f"{where}: its trials are of several replicates and cannot be compared fairly.")
    if arm.number is not None and arm.number not in {trial.number for trial in trials}:
        said.append(f"{where}: the chosen trial {arm.number} is not in MLflow.")
    return said
