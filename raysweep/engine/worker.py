"""Code inside a Tune trial: runs tasks of a plan or a search trial, in this process or on a group of workers."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.config.experiment import Experiment
from raysweep.core.awake import awake
from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masking
from raysweep.data.prepare.location import use_home
from raysweep.pipeline import CellResult, Context, FitEvent, load_sets
from raysweep.pipeline.run import stage_of
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store, StoreUnusable
from raysweep.store.unusable import is_unusable

from .messages import Began, Done, Epoch, Failed, Finished, HostUnfit, Idle, Message, Unusable, packed
from .nodes.left_out import elsewhere
from .nodes.shared_store import check_shared, reason_of
from .nodes.versions import check_versions
from .ray_internals import LOST_WORKER, wait_for_group_reports
from .storage_access import use_storage_access

Report = Callable[[Message], object]

HOLD_SECONDS = 30
"""For how long a process on an unfit machine keeps its device, so that the machine does not take every task in turn."""


class HostCannotWork(Exception):
    """This machine cannot begin a task. `args`: its name, and why."""


def run_trial(config: dict[str, Any]) -> None:
    """Run the tasks of `config` in order and report messages.

    `config`: tasks (`Assignment` as plain values), group (name of a worker group), store, local, cache, data,
    access, versions, left_out, device, workers, worker_resources. A failed task is reported and the next one runs.
    Tune restarts a process that dies or loses its device or a worker; its task resumes from the checkpoint.
    """
    try:
        if config["workers"] > 1:
            _train_in_group(config)
        else:  # Train's in-process mode: no worker group, no callbacks
            TorchTrainer(_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()
    except Exception as error:
        if device_is_lost(error) or worker_is_lost(error):
            raise  # Tune tries again, in a new process
        _report_to_tune(message := trouble(root_of(error)))
        if isinstance(message, HostUnfit):
            _hold_device()
    else:
        _report_to_tune(Finished())  # Tune warns of a trial that reports nothing


def _report_to_tune(message: Message) -> None:
    tune.report(packed(message))


def _in_process(config: dict[str, Any]) -> None:
    """Run each task; a failed one does not stop the others."""
    device = "cuda" if config["device"] == "GPU" else "cpu"
    for task in config["tasks"]:
        began = awake()
        message = _attempt(config, task, device)
        if message is None:
            continue
        _free_memory(device)
        if isinstance(message, Failed):
            _report_to_tune(Failed(message.cause, task["key"], awake() - began))
            continue
        _report_to_tune(message)
        _hold_device()
        return


def _hold_device() -> None:
    """Tune can end the trial at each of these reports."""
    for _ in range(HOLD_SECONDS):
        time.sleep(1)
        _report_to_tune(Idle())


def _attempt(config: dict[str, Any], task: dict[str, Any], device: str) -> Failed | Unusable | HostUnfit | None:
    """Run one task. Returns None or the failure to report, not the exception, which would keep memory alive."""
    try:
        _run(config, task, device, _report_to_tune)
    except Exception as error:
        if device_is_lost(error):
            raise
        message = trouble(root_of(error))
        return replace(message, host=socket.gethostname()) if isinstance(message, Unusable) else message
    return None


def trouble(error: BaseException) -> Failed | Unusable | HostUnfit:
    """The message for an error. Unusable files are no fault of the cell; other errors fail it."""
    if isinstance(error, HostCannotWork):
        return HostUnfit(*error.args)
    if isinstance(error, StoreUnusable):
        return Unusable(str(error))
    return Unusable(f"files cannot be reached: {describe(error)}") if is_unusable(error) else Failed(describe(error))


def _free_memory(device: str) -> None:
    """Free the device's memory after an error, for the next task."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _train_in_group(config: dict[str, Any]) -> None:
    gpu = config["device"] == "GPU"
    scaling = ScalingConfig(
        num_workers=config["workers"],
        use_gpu=gpu,
        resources_per_worker=config["worker_resources"],
        label_selector=elsewhere(config["left_out"]) if config["left_out"] else None,
    )
    folder = str(Path(config["local"]) / "tune" / "groups")
    run = RunConfig(storage_path=folder, name=config["group"], callbacks=[TuneReportCallback()])
    try:
        TorchTrainer(_in_worker, train_loop_config=config, scaling_config=scaling, run_config=run).fit()
    finally:
        wait_for_group_reports()


@masking()  # Train logs what a worker raises
def _in_worker(config: dict[str, Any]) -> None:
    """Run the tasks; an error in one rank stops the group and is raised by fit()."""
    for task in config["tasks"]:
        _run(config, task, str(get_device()), lambda message: train.report(packed(message)))


def _run(config: Mapping[str, Any], task: Mapping[str, Any], device: str, report: Report) -> None:
    key, began = task["key"], awake()

    def report_epoch(event: FitEvent) -> None:
        report(Epoch(key, event, awake() - began))

    store, stage = _prepared(config, task)
    report(Began(key, socket.gethostname(), ray.get_runtime_context().get_node_id()))
    product = Context(store, device, report_epoch, frozenset(task["keep"])).product(stage)
    scores = product.scores if isinstance(product, CellResult) else {}
    report(Done(key, awake() - began, scores, socket.gethostname()))


def _prepared(config: Mapping[str, Any], task: Mapping[str, Any]) -> tuple[Store, Stage]:
    """The store and the task's stage.

    Raises:
        HostCannotWork: any error. The driver has built the same stage from the same configuration.
    """
    try:
        check_versions(config["versions"])
        experiment = Experiment.model_validate(task["experiment"])
        use_storage_access(config["access"])
        use_home(config["data"])  # Tune changes the working folder, which may hold the setting
        store = Store(config["store"], config["local"])
        check_shared(store, config["probe"])
        sets = load_sets(experiment, Path(config["cache"]))
        return store, stage_of(experiment, sets, task["key"], task["validates"])
    except Exception as error:
        raise HostCannotWork(socket.gethostname(), reason_of(error)) from error


def root_of(error: BaseException) -> BaseException:
    """The first cause of an error that Ray has wrapped; raysweep's own errors are returned as they are."""
    if isinstance(error, (StoreUnusable, UserError, HostCannotWork)):
        return error
    failures = getattr(error, "worker_failures", None)  # Train's WorkerGroupError: rank to exception
    if failures:
        roots = [root_of(failure) for failure in failures.values()]
        own = [root for root in roots if not isinstance(root, torch.distributed.DistError)]  # the others lost a peer
        return (own or roots)[0]
    inner = getattr(error, "cause", None) or error.__cause__
    return root_of(inner) if isinstance(inner, BaseException) else error


def worker_is_lost(error: BaseException) -> bool:
    """Whether a worker of the group died instead of raising: killed, preempted, or its node lost."""
    failures = getattr(error, "worker_failures", None) or {}
    return any(isinstance(failure, LOST_WORKER) for failure in failures.values())


def device_is_lost(error: BaseException) -> bool:
    """Whether the GPU's context is broken, so that no later task can use it from this process."""
    root = root_of(error)
    return isinstance(root, torch.AcceleratorError) and not isinstance(root, torch.OutOfMemoryError)
