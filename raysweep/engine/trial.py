"""What runs inside a Tune trial: one cell, in this process or on a group of Train workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.core.errors import describe
from raysweep.core.experiment import Experiment
from raysweep.core.store import Store
from raysweep.data.sources import load_data
from raysweep.recipes import run_cell
from raysweep.training import EpochResult


def train_cell(config: dict[str, Any]) -> None:
    """The Tune trainable. `config`: experiment (nested values), store, cache, workers, resources, device.

    A cell that cannot be trained reports {"failed": cause} and ends well: the process stays for the
    next cell. A process that dies is Tune's to restart; the cell goes on from its checkpoint.
    """
    if config["workers"] > 1:
        _train_in_group(config)
    else:  # Train's in-process mode: no worker group to start; callbacks do not run in it
        TorchTrainer(_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()


def _in_process(config: dict[str, Any]) -> None:
    device = "cuda" if config["device"] == "GPU" else "cpu"
    _run(config, device, tune.report)


def _train_in_group(config: dict[str, Any]) -> None:
    gpu = config["device"] == "GPU"
    scaling = ScalingConfig(num_workers=config["workers"], use_gpu=gpu, resources_per_worker=config["worker_resources"])
    folder = str(Path(config["store"]) / "tune" / "groups")
    run = RunConfig(storage_path=folder, name=config["key"][:16], callbacks=[TuneReportCallback()])
    TorchTrainer(_in_worker, train_loop_config=config, scaling_config=scaling, run_config=run).fit()


def _in_worker(config: dict[str, Any]) -> None:
    _run(config, str(get_device()), train.report)


def _run(config: dict[str, Any], device: str, report: Any) -> None:
    def report_epoch(result: EpochResult) -> None:
        report({"epoch": result.epoch, "scores": result.metrics, "pid": os.getpid()})

    try:
        experiment = Experiment.model_validate(config["experiment"])
        data = load_data(experiment.data, Path(config["cache"]))
        run_cell(experiment, data, Store(config["store"]), device, report_epoch)
    except Exception as error:  # noqa: BLE001  one cell's failure is recorded with its cause, the others go on
        report({"failed": describe(error), "pid": os.getpid()})
