"""MLflow runs of studies: found by their tags, made where there are none, their curves continued."""

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

Epoch = tuple[int, Mapping[str, float], int]
"""Number, metrics by name, ms since 1970."""


@dataclass
class LoggedCurve:
    """A run, the last epoch of its curve that the server has, and whether it has ended for good."""

    run: str
    last: int
    over: bool = False


class Runs:
    """What every kind of run needs of an `MlflowClient`. Every call can be repeated."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self._experiments: dict[str, str] = {}

    def experiment(self, study: str) -> str:
        """Id of the study's experiment; made, or taken out of the bin, where need be."""
        if study not in self._experiments:
            found = self.client.get_experiment_by_name(study)
            if found and found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            identity = found.experiment_id if found else self.client.create_experiment(study)
            self._experiments[study] = str(identity)
        return self._experiments[study]

    def find(self, study: str, tags: Mapping[str, str]) -> str | None:
        """Id of the study's newest run that was made with these tags as its identity.

        It is found by a digest of them: MLflow's language cannot quote every text. Runs of before there was one are
        found by the tags themselves.
        """
        found = self._newest(study, {schema.IDENTITY: identity_digest(tags)})
        if found is None:
            try:
                found = self._newest(study, tags)
            except MlflowException as error:
                if (
                    error.error_code != "INVALID_PARAMETER_VALUE"
                ):  # a text that cannot be quoted: no run was made with it
                    raise
        return found

    def _newest(self, study: str, tags: Mapping[str, str]) -> str | None:
        runs = self.client.search_runs([self.experiment(study)], _words(tags), max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def running(self, study: str, tags: Mapping[str, str]) -> list[Any]:
        """The study's runs with these tags that MLflow shows as running."""
        words, token = _words(tags, "attributes.status = 'RUNNING'"), None
        found: dict[str, Any] = {}
        while True:
            page = self.client.search_runs(
                [self.experiment(study)], words, max_results=schema.MOST_RUNS, page_token=token
            )
            found |= {str(run.info.run_id): run for run in page}
            token = page.token
            if not token:
                return list(found.values())

    def create(self, study: str, name: str, tags: Mapping[str, str], when: int) -> str:
        """Id of a new run. Its tags are there from the start: a run without them would never be found again."""
        run = self.client.create_run(self.experiment(study), start_time=when, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def tags(self, run: str) -> dict[str, str]:
        return dict(self.client.get_run(run).data.tags)

    def describe(self, run: str, config: Mapping[str, Any], params: Mapping[str, str]) -> None:
        """Configuration and parameters, also where a server died between making the run and these."""
        if params and self.client.get_run(run).data.params:
            return
        self.client.log_dict(run, dict(config), schema.CONFIG_FILE)
        parts = [Param(name, value[: schema.MAX_PARAM_LENGTH]) for name, value in params.items()]
        for start in range(0, len(parts), schema.MAX_PARAMS_A_BATCH):
            self.client.log_batch(run, params=parts[start : start + schema.MAX_PARAMS_A_BATCH])

    def take_up(self, run: str, launch: str) -> None:
        """The run goes on, in this launch."""
        self.client.log_batch(run, tags=[RunTag(schema.STATE, "running"), RunTag(schema.LAUNCH, launch)])
        self.client.update_run(run, status="RUNNING")

    def close(self, run: str, status: str, tags: Mapping[str, str], when: int) -> None:
        """End a run; `tags` say how. Status FINISHED, FAILED or KILLED (MLflow's words)."""
        self.client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])
        self.client.set_terminated(run, status, when)

    def stop(self, run: str, when: int) -> None:
        """End a run that somebody will go on with, or nobody."""
        self.close(run, "KILLED", {schema.STATE: "stopped"}, when)

    def last_epoch(self, run: str) -> int:
        """The last epoch of its curve that the server has; 0 where it has none."""
        return max(self.epochs(run), default=0)

    def epochs(self, run: str) -> set[int]:
        """The epochs of its curve that the server has."""
        return {metric.step for metric in self.client.get_metric_history(run, schema.CURVE)}

    def log_epochs(self, run: str, epochs: Iterable[Epoch]) -> None:
        """Epochs of a curve in as few requests as the server allows."""
        for batch in metric_batches(epochs):
            self.client.log_batch(run, metrics=batch)


def metric_batches(epochs: Iterable[Epoch]) -> Iterator[list[Metric]]:
    """Finite metrics in lists of at most `MAX_METRICS_A_BATCH`, epochs whole.

    A batch arrives or does not; so an epoch is there, or none of it. Of an epoch that is larger than a batch
    the metric that tells of its arrival comes last.
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


def _words(tags: Mapping[str, str], *also: str) -> str:
    """A search in MLflow's language."""
    return " and ".join([*(f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items()), *also])


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
