"""Time saved by sharing the first epochs: a grid of 24 trainings through one store, against each of them alone.

Decay epoch x factor x warm-up x joint frequency of joint training (Algorithm 3 of DCJT without pseudo labels) on the
built-in sites, small encoder. Both sides run in this process on one thread, one after another, on the same loaded
faces; alone means a store of its own for every cell, read and written like the shared one. Tasks are handed out by the
queue that a launch uses. Required: images trained on equal the plan's count exactly, on both sides, and all
24 final weights are equal by hash. `efficiency` is the saved time, as a share, over the saved images, as a share.
Prints one JSON line.

    python -m bench.prefix_sharing [--repeats 3] [--images 300] [--extra 400] [--epochs 12]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raysweep.core.version import code_version
from raysweep.pipeline import CellResult, FitEvent, load_sets, plan_tasks
from raysweep.pipeline.run import run_task
from raysweep.scheduling import TaskQueue
from raysweep.scheduling.workload import Images
from raysweep.store.store import Store
from raysweep.study import Axis, Cell, Study, make_cells
from raysweep.study.plan import Plan, make_plan

LEAST_EFFICIENCY = 0.85


def study(epochs: int) -> Study:
    """2 x 2 x 3 x 2 arms. Schedules differ late, as in a search around a recipe that is known to work."""
    return Study(
        title="a grid of 24",
        paper="DCJT",
        base={
            "joint.method": "dcjt",
            "joint.extra": "faces-b-moderate",
            "joint.pseudo_va": "none",
            "joint.mapping": "none",
            "joint.relabel": False,
            "train.epochs": epochs,
        },
        axes=[
            Axis.of("train.decay_every", [round(epochs * 2 / 3), round(epochs * 5 / 6)]),
            Axis.of("train.decay_factor", [0.1, 0.3]),
            Axis.of("joint.warm_up", [round(epochs * share) for share in (1 / 4, 1 / 2, 2 / 3)]),
            Axis.of("joint.frequency", [2, 3]),
        ],
        reference={},
    )


class Tally:
    """Images trained on, as epochs report them."""

    def __init__(self) -> None:
        self.images = self.epochs = 0

    def __call__(self, event: FitEvent) -> None:
        if not event.replayed:
            self.images += event.images
            self.epochs += 1


def run(plan: Plan, store: Store, cache: Path, tally: Tally) -> None:
    """Every task of a plan, as the queue hands them out."""
    queue = TaskQueue(plan.tasks)
    while (task := queue.take()) is not None:
        experiment = plan.by_key[min(task.cells)][0].experiment
        run_task(experiment, load_sets(experiment, cache), task.key, task.keep, store, report=tally)
        queue.done(task.key)


def weights(store: Store, cells: Sequence[Cell]) -> dict[str, str]:
    return {cell.name: str(CellResult.read(store.folder(cell.key)).facts["weights_hash"]) for cell in cells}


def once(grid: Study, changes: dict[str, Any], cache: Path) -> dict[str, float]:
    """One comparison. Exits when images differ from the plan or weights differ."""
    cells = make_cells(grid, "demo", [0], changes)
    with tempfile.TemporaryDirectory() as folder:
        store, shared, alone = Store(Path(folder) / "shared"), Tally(), Tally()
        plan = make_plan("bench", grid, "demo", cells, store, cache)
        began = time.perf_counter()
        run(plan, store, cache, shared)
        seconds = time.perf_counter() - began
        hashes, hashes_alone, planned_alone = weights(store, plan.cells), {}, 0
        seconds_alone = 0.0
        for number, cell in enumerate(plan.cells):
            own = Store(Path(folder) / str(number))
            tasks = plan_tasks([plan.finals[cell.key]], own)
            planned_alone += sum(Images().of_task(task) for task in tasks)
            began = time.perf_counter()
            run(replace(plan, tasks=tasks), own, cache, alone)
            seconds_alone += time.perf_counter() - began
            hashes_alone |= weights(own, [cell])
    planned = sum(Images().of_task(task) for task in plan.tasks)
    if (shared.images, alone.images) != (planned, planned_alone):
        raise SystemExit(f"trained on {shared.images} and {alone.images} images, planned {planned}, {planned_alone}")
    if hashes != hashes_alone or len(hashes) != len(grid.arms()):
        raise SystemExit(f"final weights differ: {hashes} and {hashes_alone}")
    saved, saving = 1 - planned / planned_alone, 1 - seconds / seconds_alone
    return {
        "seconds": seconds,
        "seconds_alone": seconds_alone,
        "images": planned,
        "images_alone": planned_alone,
        "epochs": shared.epochs,
        "epochs_alone": alone.epochs,
        "tasks": len(plan.tasks),
        "planned_saving": saved,
        "saving": saving,
        "efficiency": saving / saved,
    }


def warm_up(grid: Study, changes: dict[str, Any], cache: Path) -> None:
    """Draw the faces, and run once what torch initialises at its first use."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        run(
            make_plan("bench", grid, "demo", make_cells(grid, "demo", [0], changes), store, cache),
            store,
            cache,
            Tally(),
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("repeats", 3), ("images", 300), ("extra", 400), ("epochs", 12)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    changes = {"data.train_images": asked.images, "joint.extra_images": asked.extra, "data.test_images": 200}
    grid = study(asked.epochs)
    with tempfile.TemporaryDirectory() as cache:
        one_arm = replace(grid, axes=[Axis(axis.name, dict([*axis.levels.items()][:1])) for axis in grid.axes])
        warm_up(one_arm, changes, Path(cache))
        runs = [once(grid, changes, Path(cache)) for _ in range(asked.repeats)]
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    line = {
        "bench": "prefix_sharing",
        "ratio": round(median["seconds_alone"] / median["seconds"], 3),
        **{name: round(value, 4) for name, value in median.items()},
        "efficiencies": [round(run["efficiency"], 4) for run in runs],
        "least_efficiency": LEAST_EFFICIENCY,
        "cells": len(grid.arms()),
        "images_equal_plan": True,
        "equal_weights": True,
        "device": platform.machine(),
        "threads": 1,
        "code_version": code_version(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
