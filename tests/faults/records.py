"""What MLflow has of a study's cells, in a form that two stores can be compared by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from raysweep.tracking import schema

TIMES = {"seconds"}
"""Metrics that differ from run to run."""

Cell = tuple[str, str]
"""Arm and replicate."""


@dataclass(frozen=True)
class Recorded:
    """One cell as MLflow has it: its state and status there, weights by hash, scores, and its curves by metric,
    each a tuple of (epoch, value)."""

    state: str
    status: str
    weights: str
    cause: str
    scores: dict[str, float]
    curves: dict[str, tuple[tuple[int, float], ...]]


def outcome(folder: Path, study: str, database: str = "mlflow.db") -> dict[Cell, Recorded]:
    """Every cell of a study. Fails when a cell has several runs, or a curve an epoch twice."""
    client = MlflowClient(f"sqlite:///{(folder / database).resolve()}")
    by_cell: dict[Cell, list[Run]] = defaultdict(list)
    for run in runs_of(client, study):
        if run.data.tags[schema.KIND] == "cell":
            by_cell[run.data.tags[schema.ARM], run.data.tags[schema.REPLICATE]].append(run)
    for cell, runs in by_cell.items():
        assert len(runs) == 1, f"{cell} is recorded {len(runs)} times: {[run.info.status for run in runs]}"
    return {cell: _recorded(client, runs[0]) for cell, runs in by_cell.items()}


def runs_of(client: MlflowClient, study: str) -> list[Run]:
    """All of a study's runs: launches, cells, shared trainings."""
    experiment = client.get_experiment_by_name(study)
    return list(client.search_runs([experiment.experiment_id], max_results=1000)) if experiment else []


def statuses(folder: Path, study: str, database: str = "mlflow.db") -> dict[str, list[str]]:
    """Status of every run of a study, by kind of run."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs_of(MlflowClient(f"sqlite:///{(folder / database).resolve()}"), study):
        found[run.data.tags[schema.KIND]].append(run.info.status)
    return dict(found)


def _recorded(client: MlflowClient, run: Run) -> Recorded:
    tags, name = run.data.tags, run.info.run_name
    curves, scores = {}, {}
    for metric in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, metric)
        steps = [entry.step for entry in history]
        assert len(set(steps)) == len(steps), f"{name}: {metric} has an epoch twice: {steps}"
        points = tuple(sorted((entry.step, entry.value) for entry in history))
        if metric.startswith("test"):
            scores[metric] = points[0][1]
        elif metric not in TIMES:
            curves[metric] = points
    return Recorded(
        state=tags.get(schema.STATE, ""),
        status=run.info.status,
        weights=tags.get(schema.WEIGHTS_HASH, ""),
        cause=tags.get(schema.CAUSE, ""),
        scores=scores,
        curves=curves,
    )


def complete(recorded: dict[Cell, Recorded]) -> dict[Cell, Recorded]:
    """Those that came to their end."""
    return {cell: found for cell, found in recorded.items() if found.state == "complete"}


def assert_same(disturbed: dict[Cell, Recorded], reference: dict[Cell, Recorded], failed: Iterable[Cell] = ()) -> None:
    """Every cell of the reference is there, complete, with the same numbers to the last bit; `failed` have failed."""
    assert disturbed.keys() == reference.keys()
    for cell, expected in reference.items():
        found = disturbed[cell]
        if cell in set(failed):
            assert (found.state, found.status) == ("failed", "FAILED"), f"{cell}: {found.state}, {found.status}"
            assert found.cause, f"{cell} failed without a cause"
            continue
        assert (found.state, found.status) == ("complete", "FINISHED"), f"{cell}: {found.state}, {found.status}"
        assert not found.cause, f"{cell} is complete, but has a cause of failure: {found.cause}"
        assert found.weights == expected.weights, f"{cell}: other weights"
        assert found.scores == expected.scores, f"{cell}: other scores"
        assert found.curves == expected.curves, _difference(cell, found.curves, expected.curves)


def _difference(cell: Cell, found: dict[str, Any], expected: dict[str, Any]) -> str:
    names = [name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)]
    steps = {name: [step for step, _ in found.get(name, ())] for name in names}
    return f"{cell}: curves differ in {steps}; expected epochs {[step for step, _ in expected['train/loss']]}"
