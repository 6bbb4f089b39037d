"""Time saved by sharing stages: the twelve arms of `dcjt_mapping` through one store, against each arm alone.

Both sides run in this process on one thread, one after another, on the same loaded faces; alone means a
store of its own for every arm. Required: equal final weights, and as many epochs of every training as the
plan has. `efficiency` is the saved time, as a share, over the saved images, as a share. Prints one JSON line.

    python -m bench.stage_sharing [--repeats 3] [--images 400] [--extra 1200] [--epochs 8]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from raysweep.core.version import code_version
from raysweep.pipeline import CellResult, FitEvent, load_sets, run_cell
from raysweep.pipeline.run import run_task
from raysweep.store.store import Store
from raysweep.study import Cell, find_study, make_cells
from raysweep.study.plan import Plan, make_plan


class Tally:
    """Epochs by title and images trained on, as they are reported."""

    def __init__(self) -> None:
        self.epochs: Counter[str] = Counter()
        self.images = 0.0

    def __call__(self, event: FitEvent) -> None:
        if not event.replayed:
            self.epochs[event.title] += 1
            self.images += event.metrics["images"]


def shared(plan: Plan, store: Store, cache: Path) -> tuple[float, Tally, dict[str, str]]:
    """Every task of the plan through one store: seconds, tally, weights hash by cell."""
    tally, began = Tally(), time.perf_counter()
    for task in plan.tasks:  # inputs first
        experiment = plan.by_key[min(task.cells)][0].experiment
        run_task(experiment, load_sets(experiment, cache), task.key, task.keep, store, report=tally)
    return time.perf_counter() - began, tally, {cell.name: weights(store, cell) for cell in plan.cells}


def alone(cells: list[Cell], folder: Path, cache: Path) -> tuple[float, Tally, dict[str, str]]:
    """Every cell in a store of its own."""
    tally, hashes, began = Tally(), {}, time.perf_counter()
    for number, cell in enumerate(cells):
        store = Store(folder / str(number))
        hashes[cell.name] = run_cell(cell.experiment, load_sets(cell.experiment, cache), store, report=tally).facts[
            "weights_hash"
        ]
    return time.perf_counter() - began, tally, hashes


def weights(store: Store, cell: Cell) -> str:
    return str(CellResult.read(store.folder(cell.key)).facts["weights_hash"])


def once(changes: dict[str, Any], cache: Path) -> dict[str, float]:
    """One comparison. Exits when trainings differ from the plan or weights differ."""
    name, study = find_study("dcjt_mapping")
    cells = make_cells(study, "demo", [0], changes)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "shared")
        plan = make_plan(name, study, "demo", cells, store, cache)
        seconds, tally, hashes = shared(plan, store, cache)
        seconds_alone, tally_alone, hashes_alone = alone(cells, Path(folder), cache)
    planned = {title: epochs for title, (_, epochs) in plan.trainings.items()}
    if dict(tally.epochs) != planned or sum(tally_alone.epochs.values()) != plan.epochs_unshared:
        raise SystemExit(f"trained {dict(tally.epochs)} and {dict(tally_alone.epochs)}, but the plan says {planned}")
    if hashes != hashes_alone:
        raise SystemExit(f"final weights differ: {hashes} and {hashes_alone}")
    planned_saving = 1 - tally.images / tally_alone.images
    saving = 1 - seconds / seconds_alone
    return {
        "seconds": seconds,
        "seconds_alone": seconds_alone,
        "epochs": sum(tally.epochs.values()),
        "epochs_alone": sum(tally_alone.epochs.values()),
        "planned_saving": planned_saving,
        "saving": saving,
        "efficiency": saving / planned_saving,
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("repeats", 3), ("images", 400), ("extra", 1200), ("epochs", 8)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    changes = {"data.train_images": asked.images, "joint.extra_images": asked.extra, "train.epochs": asked.epochs}
    with tempfile.TemporaryDirectory() as cache:
        once({**changes, "data.train_images": 320, "joint.extra_images": 640, "train.epochs": 2, "joint.warm_up": 0.0,
              "joint.frequency": 1.0}, Path(cache))  # fmt: skip
        runs = [once(changes, Path(cache)) for _ in range(asked.repeats)]
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    line = {
        "bench": "stage_sharing",
        "ratio": round(median["seconds_alone"] / median["seconds"], 3),
        **{name: round(value, 4) for name, value in median.items()},
        "efficiencies": [round(run["efficiency"], 4) for run in runs],
        "equal_weights": True,
        "trainings_equal_plan": True,
        "device": platform.machine(),
        "threads": 1,
        "code_version": code_version(),
    }
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
