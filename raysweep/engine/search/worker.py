"""What runs inside a trial of a search: one cell's stages up to its validation scores."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Read where the trial runs. A trial that is stopped early may still be busy with a worker group when the next one asks
# for its process; after Ray's 2 s that one would be lost without a word.
os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")

from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.config.experiment import Experiment
from raysweep.core.awake import awake
from raysweep.core.masking import masking
from raysweep.data.prepare.location import use_home
from raysweep.engine.worker import device_is_lost, root_of, take_credentials, trouble
from raysweep.pipeline import FitEvent, build_validation, load_sets, run_validation
from raysweep.store.store import Store

Report = Callable[[dict[str, Any]], object]


def run_search_trial(config: dict[str, Any]) -> None:
    """Train and validate the task of `config`, in this process or on a group of Train workers.

    `config`: as of `trial.run_trial`, with one task of key, experiment, score (name of the curve that stoppers
    compare) and name. Reports {"began": key}; an epoch: {"event", "seconds"} and, of the trial's own curve,
    {"search_epoch", "search_score"}; at the end {"made": key, "scores", "seconds"}, {"failed": cause,
    "seconds"}, or {"full": where} when the store's disk is full. Seconds are since the process began with it.
    """
    began = awake()
    try:
        if config["workers"] > 1:
            _in_group(config)
        else:
            TorchTrainer(_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()
    except Exception as error:
        if device_is_lost(error):
            raise  # a new process for the next trial
        tune.report({"seconds": awake() - began, **trouble(root_of(error))})
    else:
        tune.report({"ended": True})


def _in_process(config: dict[str, Any]) -> None:
    _run(config, "cuda" if config["device"] == "GPU" else "cpu", tune.report)


def _in_group(config: dict[str, Any]) -> None:
    gpu = config["device"] == "GPU"
    scaling = ScalingConfig(num_workers=config["workers"], use_gpu=gpu, resources_per_worker=config["worker_resources"])
    folder = str(Path(config["local"]) / "tune" / "groups")
    run = RunConfig(storage_path=folder, name=config["tasks"][0]["name"], callbacks=[TuneReportCallback()])
    TorchTrainer(_in_worker, train_loop_config=config, scaling_config=scaling, run_config=run).fit()


@masking()  # Train logs what a worker raises
def _in_worker(config: dict[str, Any]) -> None:
    _run(config, str(get_device()), train.report)


def _run(config: dict[str, Any], device: str, report: Report) -> None:
    task, began = config["tasks"][0], awake()
    experiment = Experiment.model_validate(task["experiment"])
    take_credentials(config["credentials"])
    use_home(config["data"])  # Tune's processes work in folders of their own
    sets = load_sets(experiment, Path(config["cache"]))
    own = build_validation(experiment, sets).inputs["model"].key  # the trial's own training: not M_A's, not M_B's

    def report_epoch(event: FitEvent) -> None:
        words: dict[str, Any] = {"event": {**asdict(event), "metrics": dict(event.metrics)}}
        if event.training == own and task["score"] in event.metrics:
            words |= {"search_epoch": event.epoch, "search_score": event.metrics[task["score"]]}
        report({**words, "own": event.training == own, "seconds": awake() - began})

    report({"began": task["key"]})
    result = run_validation(experiment, sets, Store(config["store"], config["local"]), device, report_epoch)
    report({"made": task["key"], "scores": result.scores, "seconds": awake() - began})
