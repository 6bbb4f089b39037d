"""A run for every arm, with mean, standard deviation, n and interval of every score over its replicates.

Not journaled: the values are those of a report, and repeating the launch writes them again. A run is found by the arm,
its configuration and the data, so that a launch with more replicates continues it instead of adding another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Metric, RunTag

from . import schema
from .journal import now_ms
from .runs import Runs, identity_digest

STATISTICS = ("mean", "std", "ci_low", "ci_high", "n")
"""Metrics are named by statistic and score: "mean/macro_f1"."""


@dataclass(frozen=True)
class ArmRun:
    """One arm. `scores`: name of a metric to its value; `params` by name; `tags`: of the launch's data."""

    name: str
    coordinates: str
    complete: int
    planned: int
    scores: Mapping[str, float]
    params: Mapping[str, str]
    config: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, str]:
        """The tags that the run is found by; `schema.KEY` is a digest of configuration and data."""
        key = identity_digest({**self.params, schema.DATA_FINGERPRINT: self.tags.get(schema.DATA_FINGERPRINT, "")})
        return {schema.KIND: "arm", schema.ARM: self.name, schema.KEY: key}

    @property
    def title(self) -> str:
        """Says how many cells are missing."""
        short = f" ({self.complete} of {self.planned} cells)" if self.complete < self.planned else ""
        return f"{self.name}, mean of {self.complete}{short}"


def log_arms(runs: Runs, study: str, launch: str, parent: str, arms: Iterable[ArmRun]) -> None:
    """Create or update the runs of arms; nothing is written twice. Raises the client's exceptions; may be repeated."""
    for arm in arms:
        when, identity = now_ms(), arm.identity
        tags = {**arm.tags, **identity, schema.STUDY: study, schema.LAUNCH: launch, schema.PARENT_RUN: parent}
        tags |= {schema.COORDINATES: arm.coordinates, schema.CELLS: f"{arm.complete} of {arm.planned}"}
        tags[schema.IDENTITY] = identity_digest(identity)
        run = runs.find(study, identity) or runs.create(study, arm.title, tags, when)
        runs.name_data(run, tags, arm.config)
        runs.describe(run, arm.config, arm.params)
        before = runs.client.get_run(run)
        runs.client.log_batch(run, metrics=_changed(before.data.metrics, arm, when))
        complete = arm.complete == arm.planned
        tags |= {schema.RUN_NAME: arm.title, schema.STATE: "complete" if complete else "partial"}
        new = {name: value for name, value in tags.items() if before.data.tags.get(name) != value}
        runs.client.log_batch(run, tags=[RunTag(name, value) for name, value in new.items()])
        status = "FINISHED" if complete else "FAILED"
        if before.info.status != status:
            runs.client.set_terminated(run, status, when)


def _changed(before: Mapping[str, float], arm: ArmRun, when: int) -> list[Metric]:
    """Metrics that are not on the server yet; NaN for scores that the arm has no more."""
    gone = {name: math.nan for name in before if name.partition("/")[0] in STATISTICS and name not in arm.scores}
    now = {**arm.scores, **gone, "cells/complete": arm.complete, "cells/planned": arm.planned}
    return [
        Metric(name, float(value), when, 0)
        for name, value in now.items()
        if not (before.get(name) == value or (math.isnan(value) and math.isnan(before.get(name, 0.0))))
    ]
