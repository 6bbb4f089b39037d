"""What runs inside a Tune trial: one task, in this process or on a group of Train workers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.core.errors import describe
from raysweep.core.experiment import Experiment
from raysweep.core.store import Store
from raysweep.recipes import FitEvent, load_sets
from raysweep.recipes.run import run_task


def run_trial(config: dict[str, Any]) -> None:
    """The Tune trainable. `config`: key and keep of the task, experiment of a cell that needs it (nested values),
    store, cache, device, workers, worker_resources.

    A task that fails reports {"failed": cause} and ends well: the process stays for the next task. A
    process that dies is Tune's to restart; the task goes on from its checkpoint.
    """
    try:
        if config["workers"] > 1:
            _train_in_group(config)
        else:  # Train's in-process mode: no worker group to start; callbacks do not run in it
            TorchTrainer(_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()
    except Exception as error:
        if _device_is_lost(error):
            raise  # a new process for the next task
        tune.report({"failed": describe(_root(error))})
    else:
        tune.report({"made": config["key"]})  # Tune complains of a trial that reports nothing


def _in_process(config: dict[str, Any]) -> None:
    _run(config, "cuda" if config["device"] == "GPU" else "cpu", tune.report)


def _train_in_group(config: dict[str, Any]) -> None:
    gpu = config["device"] == "GPU"
    scaling = ScalingConfig(num_workers=config["workers"], use_gpu=gpu, resources_per_worker=config["worker_resources"])
    folder = str(Path(config["store"]) / "tune" / "groups")
    run = RunConfig(storage_path=folder, name=config["key"][:16], callbacks=[TuneReportCallback()])
    TorchTrainer(_in_worker, train_loop_config=config, scaling_config=scaling, run_config=run).fit()


def _in_worker(config: dict[str, Any]) -> None:
    _run(config, str(get_device()), train.report)  # an error stops the whole group and comes out of fit()


def _run(config: dict[str, Any], device: str, report: Any) -> None:
    def report_epoch(event: FitEvent) -> None:
        report({"event": {**asdict(event), "metrics": dict(event.metrics)}})

    experiment = Experiment.model_validate(config["experiment"])
    sets = load_sets(experiment, Path(config["cache"]))
    run_task(experiment, sets, config["key"], config["keep"], Store(config["store"]), device, report_epoch)


def _root(error: BaseException) -> BaseException:
    """The first cause of an error that Ray has wrapped."""
    failures = getattr(error, "worker_failures", None)  # Train's WorkerGroupError: rank to what it raised
    if failures:
        return _root(next(iter(failures.values())))
    inner = getattr(error, "cause", None) or error.__cause__
    return _root(inner) if isinstance(inner, BaseException) else error


def _device_is_lost(error: BaseException) -> bool:
    """Whether the GPU's context is broken, so that no later task can use it from this process."""
    root = _root(error)
    return isinstance(root, torch.AcceleratorError) and not isinstance(root, torch.OutOfMemoryError)
