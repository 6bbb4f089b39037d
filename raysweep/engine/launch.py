"""Run a plan's tasks under Ray Tune and tell a listener what happens."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its banner; ours is in progress.py
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # the store is what resumes a launch, not Tune
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import tune
from ray.tune.experiment import Trial

from raysweep.core.errors import UserError, describe
from raysweep.recipes import FitEvent, Task
from raysweep.study.plan import Plan

from .queue import TaskQueue
from .resources import Allotment, allot
from .searcher import TaskSearcher
from .trial import run_trial

MAX_RETRIES = 2
"""How often a task whose process died is started again, from its last checkpoint."""


@dataclass(frozen=True)
class Options:
    """Where and how a launch runs."""

    store: Path
    cache: Path
    address: str | None = None
    devices_per_trial: int = 1


class Listener(Protocol):
    """Whoever wants to know: the progress display, the journal."""

    def started(self, task: Task) -> None: ...
    def epoch(self, task: Task, event: FitEvent) -> None: ...
    def completed(self, task: Task) -> None: ...
    def failed(self, task: Task, cause: str) -> None: ...


@dataclass
class Outcome:
    """How a launch ended.

    `completed`: keys of cells; `failed`: keys of cells with the cause; `trained`: epochs trained by title
    of the training, and in how many pieces; `interrupted` by Ctrl-C.
    """

    completed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    trained: dict[str, tuple[int, int]] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0
    devices: str = ""


@contextmanager
def cluster(options: Options, tasks: int) -> Iterator[Allotment | None]:
    """Join the cluster at `options.address`, or start one on this machine; leave it at the end.

    Yields what the cluster can carry; None, without starting anything, when there are no tasks.

    Raises:
        UserError: no cluster at that address, or a cell that could never run on it.
    """
    if not tasks:
        yield None
        return
    _join(options.address)
    try:
        yield allot(ray.cluster_resources(), _most_resources(), options.devices_per_trial, tasks)
    finally:
        ray.shutdown()


def _join(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        ray.init(address="local", include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"--address {address}: cannot join a Ray cluster there ({describe(error)})") from None


def launch(plan: Plan, options: Options, allotment: Allotment | None, listener: Listener) -> Outcome:
    """Run the plan's tasks on a cluster from `cluster()`.

    Ctrl-C stops at once; finished stages are kept, unfinished ones go on from their checkpoint next time.
    """
    outcome = Outcome()
    if allotment is None:
        return outcome
    began = time.monotonic()
    outcome.devices = f"{allotment.total} {allotment.device}{'s' if allotment.total > 1 else ''}"
    try:
        with _CtrlC() as ctrl_c:
            _tuner(plan, allotment, options, _Watch(plan, listener, outcome, ctrl_c)).fit()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.seconds = time.monotonic() - began
    return outcome


def _tuner(plan: Plan, allotment: Allotment, options: Options, watch: _Watch) -> tune.Tuner:
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(allotment.concurrency)  # a searcher gets one otherwise
    shared = {
        "store": str(options.store),
        "cache": str(options.cache),
        "device": allotment.device,
        "workers": allotment.per_cell,
        "worker_resources": allotment.worker_resources,
    }

    def configure(task: Task) -> dict[str, Any]:
        cell = plan.by_key[min(task.cells)][0]
        words = {"key": task.key, "keep": sorted(task.keep), "experiment": cell.experiment.model_dump()}
        return {"task": {**shared, **words}}

    return tune.Tuner(
        tune.with_resources(_task_of, allotment.trial_resources),
        tune_config=tune.TuneConfig(
            search_alg=TaskSearcher(TaskQueue(plan.tasks), configure),
            num_samples=len(plan.tasks),
            reuse_actors=True,
            max_concurrent_trials=allotment.concurrency,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
            storage_path=str(options.store / "tune"),
            callbacks=[watch],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_RETRIES),
        ),
    )


def _task_of(config: dict[str, Any]) -> None:
    run_trial(config["task"])


def _trial_name(trial: Trial) -> str:
    return f"{trial.config['task']['key'][:16]}-{trial.trial_id}"


def _most_resources() -> dict[str, float]:
    """What the autoscaler may scale up to; empty without an autoscaler."""
    from ray._private.state import state

    return dict(state.get_max_resources_from_cluster_config() or {})


class _CtrlC:
    """Remembers that Ctrl-C was pressed: Python drops a KeyboardInterrupt that falls into a destructor."""

    pressed = False

    def __enter__(self) -> _CtrlC:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def _press(self, *_: object) -> None:
        self.pressed = True
        raise KeyboardInterrupt


class _Watch(tune.Callback):
    """Turns Tune's callbacks into a listener's, and keeps count."""

    def __init__(self, plan: Plan, listener: Listener, outcome: Outcome, ctrl_c: _CtrlC) -> None:
        self.listener, self.outcome, self.ctrl_c = listener, outcome, ctrl_c
        self.tasks = {task.key: task for task in plan.tasks}
        self.cells = frozenset(plan.by_key)
        self.causes: dict[str, str] = {}
        self._pieces: set[tuple[str, str, str]] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks to restore a run; ours resume from the store instead

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self.ctrl_c.pressed:
            raise KeyboardInterrupt

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.listener.started(self._task(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        task = self._task(trial)
        if "failed" in result:
            self.causes[task.key] = result["failed"]
        elif "event" in result:
            event = FitEvent(**result["event"])
            self._count(task, event)
            self.listener.epoch(task, event)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        task = self._task(trial)
        if task.key in self.causes:
            self._fail(task, self.causes[task.key])
            return
        if task.key in self.cells:
            self.outcome.completed.add(task.key)
        self.listener.completed(task)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = trial.get_error()
        self._fail(self._task(trial), describe(error) if error else "its process died")

    def _fail(self, task: Task, cause: str) -> None:
        for key in task.cells:
            self.outcome.failed.setdefault(key, cause)
        self.listener.failed(task, cause)

    def _count(self, task: Task, event: FitEvent) -> None:
        if event.replayed:
            return
        pieces, epochs = self.outcome.trained.get(event.title, (0, 0))
        piece = (task.key, event.training, event.title)
        new = piece not in self._pieces
        self._pieces.add(piece)
        self.outcome.trained[event.title] = (pieces + new, epochs + 1)

    def _task(self, trial: Trial) -> Task:
        return self.tasks[str(trial.config["task"]["key"])]
