"""What runs inside a Tune trial: a few tasks, in this process or on a group of Train workers."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Read where the trial runs. A task that is stopped may still be busy when the next one asks for its
# process; after Ray's 2 s that one would be lost without a word.
os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")

import torch
from ray import train, tune
from ray.exceptions import RayActorError
from ray.train import RunConfig, ScalingConfig
from ray.train._internal.session import get_session
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masking
from raysweep.data.prepare.location import use_home
from raysweep.pipeline import FitEvent, load_sets
from raysweep.pipeline.run import run_task
from raysweep.store.store import Store, StoreUnusable
from raysweep.store.unusable import is_unusable

Report = Callable[[dict[str, Any]], object]

PASSING = 1.0
"""Seconds that a report may take from a queue to its place, both in one process."""


def run_trial(config: dict[str, Any]) -> None:
    """Do the tasks of `config`, one after the other.

    `config`: tasks (a list of key, keep and experiment, as nested values, of a cell that needs the task), store,
    local, cache, data, device, workers, worker_resources. Reports {"began": key} and {"made": key} a task, {"event",
    "task"} an epoch, {"failed": cause, "task": key} for one that fails (the next goes on: the process stays), {"full":
    where} when the store's disk is full. A process that dies is Tune's to restart; its task goes on from the
    checkpoint.
    """
    try:
        if config["workers"] > 1:
            _train_in_group(config)
        else:  # Train's in-process mode: no worker group to start; callbacks do not run in it
            TorchTrainer(_in_process, train_loop_config=config, scaling_config=ScalingConfig(num_workers=0)).fit()
    except Exception as error:
        if device_is_lost(error) or worker_is_lost(error):
            raise  # Tune tries again, in a new process
        tune.report(trouble(root_of(error)))
    else:
        tune.report({"ended": True})  # Tune complains of a trial that reports nothing


def _let_pass() -> None:
    """Wait until what the group's workers reported last has gone its way.

    It comes to the trial's main thread by a queue, and that thread puts it where `tune.report` puts, too: a place for
    one, which nobody else empties. A report of ours in between would let that thread wait for itself for ever.
    """
    session = get_session()
    assert session is not None
    queue, end = session._get_or_create_inter_actor_queue(), time.monotonic() + 10 * PASSING
    while not queue.empty() and time.monotonic() < end:  # a trial that was stopped takes nothing any more
        time.sleep(0.05)
    time.sleep(PASSING)  # taken from the queue, not yet in its place


def _in_process(config: dict[str, Any]) -> None:
    """Each task on its own: one that fails leaves the others alone."""
    device = "cuda" if config["device"] == "GPU" else "cpu"
    for task in config["tasks"]:
        trouble = _tried(config, task, device)
        if trouble:
            _forget_memory(device)
            tune.report({**trouble, "task": task["key"]})
        if "full" in trouble:
            return


def _tried(config: dict[str, Any], task: dict[str, Any], device: str) -> dict[str, Any]:
    """Do one task. Empty when it went well, else what to report (the error itself must not outlive its memory)."""
    try:
        _run(config, task, device, tune.report)
    except Exception as error:
        if device_is_lost(error):
            raise
        return trouble(root_of(error))
    return {}


def trouble(error: BaseException) -> dict[str, Any]:
    """A place that cannot be written or read is no fault of the cell: it ends the launch and is noted on nothing."""
    if isinstance(error, StoreUnusable):
        return {"full": str(error)}
    return (
        {"full": f"files cannot be reached: {describe(error)}"} if is_unusable(error) else {"failed": describe(error)}
    )


def _forget_memory(device: str) -> None:
    """After an error, out of memory above all: the next task finds the device empty."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _train_in_group(config: dict[str, Any]) -> None:
    gpu = config["device"] == "GPU"
    scaling = ScalingConfig(num_workers=config["workers"], use_gpu=gpu, resources_per_worker=config["worker_resources"])
    folder = str(Path(config["local"]) / "tune" / "groups")
    run = RunConfig(storage_path=folder, name=config["tasks"][0]["key"][:16], callbacks=[TuneReportCallback()])
    try:
        TorchTrainer(_in_worker, train_loop_config=config, scaling_config=scaling, run_config=run).fit()
    finally:
        _let_pass()


@masking()  # Train logs what a worker raises
def _in_worker(config: dict[str, Any]) -> None:
    """An error in one rank stops the whole group and comes out of fit(): the ranks must not part."""
    for task in config["tasks"]:
        _run(config, task, str(get_device()), train.report)


def _run(config: dict[str, Any], task: dict[str, Any], device: str, report: Report) -> None:
    def report_epoch(event: FitEvent) -> None:
        report({"event": {**asdict(event), "metrics": dict(event.metrics)}, "task": task["key"]})

    experiment = Experiment.model_validate(task["experiment"])
    take_credentials(config["credentials"])
    use_home(config["data"])  # Tune's processes work in folders of their own
    sets = load_sets(experiment, Path(config["cache"]))
    store = Store(config["store"], config["local"])
    report({"began": task["key"]})
    run_task(experiment, sets, task["key"], task["keep"], store, device, report_epoch)
    report({"made": task["key"]})


def take_credentials(words: str) -> None:
    """Set those of the driver's credentials (a JSON object of variables) that this process' environment lacks."""
    for name, value in json.loads(words).items():
        os.environ.setdefault(name, value)


def root_of(error: BaseException) -> BaseException:
    """The first cause of an error that Ray has wrapped; ours say it best themselves."""
    if isinstance(error, (StoreUnusable, UserError)):
        return error
    failures = getattr(error, "worker_failures", None)  # Train's WorkerGroupError: rank to what it raised
    if failures:
        roots = [root_of(failure) for failure in failures.values()]
        told = [root for root in roots if not isinstance(root, torch.distributed.DistError)]  # others lost their peer
        return (told or roots)[0]
    inner = getattr(error, "cause", None) or error.__cause__
    return root_of(inner) if isinstance(inner, BaseException) else error


def worker_is_lost(error: BaseException) -> bool:
    """Whether a worker of the group died, rather than raised: killed, preempted, its node gone."""
    failures = getattr(error, "worker_failures", None) or {}
    return any(isinstance(failure, (RayActorError, WorkerHealthCheckFailedError)) for failure in failures.values())


def device_is_lost(error: BaseException) -> bool:
    """Whether the GPU's context is broken, so that no later task can use it from this process."""
    root = root_of(error)
    return isinstance(root, torch.AcceleratorError) and not isinstance(root, torch.OutOfMemoryError)
