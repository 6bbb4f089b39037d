"""MLflow runs of studies: finding them by tags, creating them, and continuing their curves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from raysweep.core.hashing import canonical_json

from . import schema
from .data_inputs import data_inputs

Epoch = tuple[int, Mapping[str, float], int]
"""Epoch number, metrics by name, and time in ms since 1970."""


@dataclass
class LoggedCurve:
    """A run, the last epoch of its curve on the server, and whether it is complete."""

    run: str
    last: int
    over: bool = False


class Runs:
    """Operations on runs through an `MlflowClient`. Every call may be repeated."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self._experiments: dict[str, str] = {}

    def experiment(self, study: str) -> str:
        """Id of the study's experiment, which is created or restored if necessary."""
        if study not in self._experiments:
            found = self.client.get_experiment_by_name(study)
            if found and found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            identity = found.experiment_id if found else self.client.create_experiment(study)
            self._experiments[study] = str(identity)
        return self._experiments[study]

    def find(self, study: str, tags: Mapping[str, str]) -> str | None:
        """Id of the study's newest run with these tags as its identity.

        Runs are found by a digest of the tags, since MLflow's query language cannot quote every text; runs of older
        versions have no digest and are found by the tags.
        """
        found = self._newest(study, {schema.IDENTITY: identity_digest(tags)})
        if found is None:
            try:
                found = self._newest(study, tags)
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":  # raised for a text that cannot be quoted
                    raise
        return found

    def _newest(self, study: str, tags: Mapping[str, str]) -> str | None:
        runs = self.client.search_runs([self.experiment(study)], _query(tags), max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def running(self, study: str, tags: Mapping[str, str]) -> list[Any]:
        """The study's RUNNING runs with these tags."""
        query, token = _query(tags, "attributes.status = 'RUNNING'"), None
        found: dict[str, Any] = {}
        while True:
            page = self.client.search_runs(
                [self.experiment(study)], query, max_results=schema.MOST_RUNS, page_token=token
            )
            found |= {str(run.info.run_id): run for run in page}
            token = page.token
            if not token:
                return list(found.values())

    def create(self, study: str, name: str, tags: Mapping[str, str], when: int) -> str:
        """Id of a new run. The tags are set on creation, so that the run can be found if this process dies."""
        run = self.client.create_run(self.experiment(study), start_time=when, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def tags(self, run: str) -> dict[str, str]:
        return dict(self.client.get_run(run).data.tags)

    def describe(self, run: str, config: Mapping[str, Any], params: Mapping[str, str]) -> None:
        """Log configuration and parameters, unless the run has them already."""
        if params and self.client.get_run(run).data.params:
            return
        self.client.log_dict(run, dict(config), schema.CONFIG_FILE)
        parts = [Param(name, value[: schema.MAX_PARAM_LENGTH]) for name, value in params.items()]
        for start in range(0, len(parts), schema.MAX_PARAMS_A_BATCH):
            self.client.log_batch(run, params=parts[start : start + schema.MAX_PARAMS_A_BATCH])

    def name_data(self, run: str, tags: Mapping[str, str], config: Mapping[str, Any]) -> None:
        """Name the run's data sets as its inputs, each once: the scored one, and those that `config` joins."""
        if inputs := data_inputs(tags, config):
            self.client.log_inputs(run, inputs)

    def take_up(self, run: str, launch: str) -> None:
        """Mark the run as continued by this launch."""
        self.client.log_batch(run, tags=[RunTag(schema.STATE, "running"), RunTag(schema.LAUNCH, launch)])
        self.client.update_run(run, status="RUNNING")

    def close(self, run: str, status: str, tags: Mapping[str, str], when: int) -> None:
        """End a run with these tags. `status`: FINISHED, FAILED or KILLED, as in MLflow."""
        self.client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])
        self.client.set_terminated(run, status, when)

    def stop(self, run: str, when: int) -> None:
        """End an unfinished run, which a later launch may continue."""
        self.close(run, "KILLED", {schema.STATE: "stopped"}, when)

    def last_epoch(self, run: str) -> int:
        """The last epoch of its curve on the server; 0 if there is none."""
        return max(self.epochs(run), default=0)

    def epochs(self, run: str) -> set[int]:
        """The epochs of its curve on the server."""
        return {metric.step for metric in self.client.get_metric_history(run, schema.CURVE)}

    def log_epochs(self, run: str, epochs: Iterable[Epoch]) -> None:
        """Log epochs of a curve in as few requests as the server allows."""
        for batch in metric_batches(epochs):
            self.client.log_batch(run, metrics=batch)


def metric_batches(epochs: Iterable[Epoch]) -> Iterator[list[Metric]]:
    """Finite metrics in lists of at most `MAX_METRICS_A_BATCH`, without splitting epochs.

    A batch is written as a whole, and so is an epoch. If an epoch is larger than a batch, its `schema.CURVE` metric,
    which marks it as written, is in the last one.
    """
    batch: list[Metric] = []
    for number, values, when in epochs:
        names = sorted(values, key=lambda name: name == schema.CURVE)
        metrics = [Metric(name, values[name], when, number) for name in names if math.isfinite(values[name])]
        if len(batch) + len(metrics) > schema.MAX_METRICS_A_BATCH:
            yield from _cut(batch)
            batch = []
        batch += metrics
    yield from _cut(batch)


def _cut(metrics: Sequence[Metric]) -> Iterator[list[Metric]]:
    for start in range(0, len(metrics), schema.MAX_METRICS_A_BATCH):
        yield list(metrics[start : start + schema.MAX_METRICS_A_BATCH])


def identity_digest(tags: Mapping[str, str]) -> str:
    """32 hex digits for the tags that a run is found by."""
    return hashlib.sha256(canonical_json(dict(tags)).encode()).hexdigest()[:32]


def _query(tags: Mapping[str, str], *also: str) -> str:
    """A filter in MLflow's query language."""
    return " and ".join([*(f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items()), *also])


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
