"""Planning at scale: key and plan 100,000 stages, order them, and run the schedule on 1,000 simulated devices.

Two studies on stub data sets of a few faces, so that reading data does not count: a grid of joint trainings of
100 epochs that share their first epochs, and a DCJT study, whose arms share M_A and M_B as well. Nothing is trained.
Timed are the steps of `python -m raysweep.run --plan --devices 1000` between reading the data and printing:
the graph of every cell with its keys, the lookup in an (empty) store, tasks, order, simulation. Resolving the
cells' configurations is timed separately. Prints one JSON line; `ratio` is the limit of 10 s over the slower study's
time. `peak_mib` is the largest resident memory of the process, `import_mib` of it before anything was planned
(shared libraries of torch above all).

    python -m bench.scheduler [--devices 1000] [--share 1]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.data.expressions import EXPRESSIONS
from raysweep.pipeline import Sets, Task
from raysweep.pipeline.stage import ancestry
from raysweep.scheduling import simulate
from raysweep.store.store import Store
from raysweep.study import Axis, Cell, Study, make_cells
from raysweep.study.plan import Plan, plan_cells

LIMIT_SECONDS = 10.0

EPOCH_SECONDS = 30.0
"""Of the simulated devices."""

BASE = {
    "joint.extra": "stub-b",
    "train.epochs": 100,
    "model.backbone": "small",
    "model.weights": None,
    "selection.weights": "last",
    "selection.protocol": "last",
}

GRID = Study(
    title="a grid of joint trainings",
    paper="DCJT",
    base={**BASE, "joint.method": "dcjt", "joint.pseudo_va": "none", "joint.mapping": "none", "joint.relabel": False},
    axes=[
        Axis.of("train.learning_rate", [5e-4, 1e-3, 2e-3]),
        Axis.of("train.decay_every", [40, 50, 60, 70]),
        Axis.of("train.decay_factor", [0.1, 0.3, 0.5]),
        Axis.of("joint.warm_up", [20, 30, 45, 65]),
    ],
    reference={},
)

DCJT = Study(
    title="all steps of DCJT",
    paper="DCJT",
    base={**BASE, "joint.method": "dcjt"},
    axes=[
        Axis.of("joint.pseudo_va", ["all", "subset"]),
        Axis.of("joint.mapping", ["none", "global", "per_class"]),
        Axis.of("joint.relabel", [False, True]),
        Axis.of("joint.warm_up", [20, 40, 60]),
        Axis.of("joint.frequency", [5, 10]),
        Axis.of("objective.weight_va", [1, 15]),
    ],
    reference={},
)


def stub(name: str, count: int = 64) -> FaceData:
    """Faces of 8 pixels with VA; their pixels are never read."""
    labels = torch.arange(count) % len(EXPRESSIONS)
    return FaceData(
        name=name,
        classes=EXPRESSIONS,
        images=torch.zeros(count, 3, 8, 8, dtype=torch.uint8),
        labels=labels,
        va=torch.zeros(count, 2),
        votes=torch.full((count, len(EXPRESSIONS)), math.nan),
        subjects=torch.full((count,), -1),
        splits=torch.where(torch.arange(count) < 3 * count // 4, 0, 2),
        fingerprint=name,
    )


def stub_sets() -> Sets:
    extra = stub("stub-b")
    return Sets(stub("stub-a"), (extra.with_splits(torch.zeros_like(extra.splits)),))


def seconds_of(task: Task) -> float:
    return EPOCH_SECONDS * task.epochs + 2.0


def critical_path(tasks: Sequence[Task]) -> float:
    """Seconds of the longest chain of tasks, a lower bound for any cluster. `tasks`: inputs first."""
    ends: dict[str, float] = {}
    for task in tasks:
        ends[task.key] = seconds_of(task) + max((ends[need] for need in task.needs), default=0.0)
    return max(ends.values())


def measure(study: Study, replicates: int, devices: int) -> dict[str, Any]:
    """One study from its declaration to a finished simulated launch."""
    began = time.perf_counter()
    cells = make_cells(study, "demo", range(replicates), {})
    resolved, cpu = time.perf_counter(), time.process_time()
    plan = _planned(study, cells)
    planned = time.perf_counter()
    schedule = simulate(plan.tasks, devices, seconds_of)
    ended, cpu = time.perf_counter(), time.process_time() - cpu
    stages = list(ancestry(list(plan.finals.values())))
    if len(schedule.spans) != len(plan.tasks):
        raise SystemExit(f"{len(plan.tasks)} tasks were planned, but {len(schedule.spans)} ran")
    at_least = max(critical_path(_inputs_first(plan.tasks)), schedule.busy_seconds / devices)
    return {
        "cells": len(cells),
        "stages": len(stages),
        "tasks": len(plan.tasks),
        "epochs": plan.epochs_to_train,
        "epochs_unshared": plan.epochs_unshared,
        "configure_seconds": round(resolved - began, 3),
        "plan_seconds": round(planned - resolved, 3),
        "simulate_seconds": round(ended - planned, 3),
        "seconds": round(ended - resolved, 3),
        "cpu_seconds": round(cpu, 3),
        "launch_hours": round(schedule.wall_seconds / 3600, 3),
        "launch_over_bound": round(schedule.wall_seconds / at_least, 3),
        "devices_busy": round(schedule.busy_seconds / schedule.wall_seconds / devices, 3),
    }


def _planned(study: Study, cells: list[Cell]) -> Plan:
    sets = stub_sets()
    with tempfile.TemporaryDirectory() as folder:
        return plan_cells("bench", study, "demo", cells, [sets] * len(cells), Store(folder))


def _inputs_first(tasks: Sequence[Task]) -> list[Task]:
    stages = {stage.key: number for number, stage in enumerate(ancestry([task.stage for task in tasks]))}
    return sorted(tasks, key=lambda task: stages[task.key])


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--devices", type=int, default=1000)
    arguments.add_argument("--share", type=float, default=1.0, help="of the replicates that 100,000 stages take")
    asked = arguments.parse_args()
    imported = peak_mib()
    small = replace(GRID, axes=[Axis(axis.name, dict([*axis.levels.items()][:1])) for axis in GRID.axes])
    measure(small, 1, 2)  # what Python does only at the first call
    studies = {
        name: measure(study, max(1, round(asked.share * replicates)), asked.devices)
        for name, study, replicates in (("grid", GRID, 15), ("dcjt", DCJT, 12))
    }
    slowest = max(study["seconds"] for study in studies.values())
    line = {
        "bench": "scheduler",
        "ratio": round(LIMIT_SECONDS / slowest, 3),
        "seconds": slowest,
        "stages": min(study["stages"] for study in studies.values()),
        "peak_mib": round(peak_mib()),
        "import_mib": round(imported),
        "devices": asked.devices,
        **studies,
        "device": platform.machine(),
        "code_version": code_version(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
