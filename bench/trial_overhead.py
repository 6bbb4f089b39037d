"""Start-up cost of a trial: the documented Tune + TorchTrainer pattern divided by ours.

Both run trials that only report once. The cost is marginal, (T12 - T4) / 8 seconds a trial of the documented pattern
and (T104 - T4) / 100 of ours, of which 8 trials are too few against the noise: starting Ray and the first processes
does not count. Prints one JSON line.

    python -m bench.trial_overhead [--repeats 7] [--documented-repeats 1]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")

import ray
from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

FEW = 4
MANY = {"documented": 12, "ours": 104}


def _report_from_worker(config: dict[str, Any]) -> None:
    train.report({"answer": config["number"] * 2})


def documented(config: dict[str, Any]) -> None:
    """A Tune function that starts a TorchTrainer with one worker, as Ray's user guide shows it."""
    run = RunConfig(storage_path=config["folder"], name=f"train-{config['number']}", callbacks=[TuneReportCallback()])
    TorchTrainer(
        _report_from_worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 0.9}),
        run_config=run,
    ).fit()


def _report_in_process(config: dict[str, Any]) -> None:
    tune.report({"answer": config["number"] * 2})


def ours(config: dict[str, Any]) -> None:
    """The pattern of raysweep.engine.worker: Train's in-process mode in a process that Tune reuses."""
    TorchTrainer(_report_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()


def seconds(trainable: Any, trials: int, reuse: bool, resources: dict[str, float], folder: str) -> float:
    """Wall time of a whole sweep; every trial must give the same answers."""
    began = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space={"number": tune.grid_search(list(range(trials))), "folder": folder},
        tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=ray_cpus()),
        run_config=tune.RunConfig(storage_path=folder, name=f"{trainable.__name__}-{time.time_ns()}", verbose=0),
    ).fit()
    answers = sorted(result.metrics["answer"] for result in results)
    if answers != [2 * number for number in range(trials)]:
        raise SystemExit(f"{trainable.__name__} gave {answers}")
    return time.perf_counter() - began


def ray_cpus() -> int:
    return int(ray.cluster_resources()["CPU"])


def marginal(trainable: Any, reuse: bool, resources: dict[str, float], folder: str, repeats: int) -> list[float]:
    """(T_many - T_few) / (many - few), `repeats` times."""
    most = MANY[trainable.__name__]
    costs = []
    for _ in range(repeats):
        few, many = (seconds(trainable, trials, reuse, resources, folder) for trials in (FEW, most))
        costs.append((many - few) / (most - FEW))
    return costs


def measure(repeats: int, documented_repeats: int) -> tuple[list[float], list[float], int]:
    """Marginal seconds a trial of ours and of the documented pattern, and the machine's CPUs."""
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        seconds(ours, FEW, True, {"CPU": 1}, folder)  # the first processes import torch
        mine = marginal(ours, True, {"CPU": 1}, folder, repeats)
        theirs = marginal(documented, False, {"CPU": 0.01}, folder, documented_repeats)
        cpus = ray_cpus()
        ray.shutdown()
    return mine, theirs, cpus


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    arguments.add_argument("--repeats", type=int, default=7, help="measurements of ours; default 7")
    arguments.add_argument(
        "--documented-repeats", type=int, default=1, help="of the slow pattern, minutes each; default 1"
    )
    asked = arguments.parse_args()
    with contextlib.redirect_stdout(sys.stderr):  # Ray's warnings: stdout is for the JSON line
        mine, theirs, cpus = measure(asked.repeats, asked.documented_repeats)
    mine_s, theirs_s = statistics.median(mine), statistics.median(theirs)
    figures = {
        "bench": "trial_overhead",
        "documented_s_per_trial": round(theirs_s, 3),
        "raysweep_s_per_trial": round(mine_s, 3),
        "ratio": round(theirs_s / mine_s, 1),
        "documented_all": [round(x, 3) for x in theirs],
        "raysweep_all": [round(x, 3) for x in mine],
        "cpus": cpus,
        "ray": ray.__version__,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
