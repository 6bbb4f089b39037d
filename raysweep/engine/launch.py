"""Run a plan's missing cells under Ray Tune and tell a listener what happens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
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
from raysweep.study import Cell
from raysweep.study.plan import Plan

from .resources import Allotment, allot
from .trial import train_cell

MAX_RETRIES = 2
"""How often a cell whose process died is started again, from its last checkpoint."""


@dataclass(frozen=True)
class Options:
    """Where and how a launch runs."""

    store: Path
    cache: Path
    address: str | None = None
    devices_per_trial: int = 1


class Listener(Protocol):
    """Whoever wants to know: the progress display, the journal."""

    def started(self, cell: Cell) -> None: ...
    def epoch(self, cell: Cell, number: int, scores: Mapping[str, float]) -> None: ...
    def completed(self, cell: Cell) -> None: ...
    def failed(self, cell: Cell, cause: str) -> None: ...


@dataclass
class Outcome:
    """How a launch ended. `failed` by key, with the cause; `interrupted` by Ctrl-C."""

    completed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0
    devices: str = ""


@contextmanager
def cluster(options: Options, cells: int) -> Iterator[Allotment | None]:
    """Join the cluster at `options.address`, or start one on this machine; leave it at the end.

    Yields what the cluster can carry; None, without starting anything, when there are no cells.

    Raises:
        UserError: no cluster at that address, or a cell that could never run on it.
    """
    if not cells:
        yield None
        return
    _join(options.address)
    try:
        yield allot(ray.cluster_resources(), _most_resources(), options.devices_per_trial, cells)
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
    """Train every cell of the plan that the store lacks, on a cluster from `cluster()`.

    Ctrl-C stops at once; finished cells are kept, unfinished ones go on from their checkpoint next time.
    """
    outcome = Outcome()
    if allotment is None:
        return outcome
    began = time.monotonic()
    outcome.devices = f"{allotment.total} {allotment.device}{'s' if allotment.total > 1 else ''}"
    try:
        _tuner(plan.to_train, allotment, options, _Watch(plan, listener, outcome)).fit()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.seconds = time.monotonic() - began
    return outcome


def _tuner(cells: list[Cell], allotment: Allotment, options: Options, watch: _Watch) -> tune.Tuner:
    shared = {
        "store": str(options.store),
        "cache": str(options.cache),
        "device": allotment.device,
        "workers": allotment.per_cell,
        "worker_resources": allotment.worker_resources,
    }
    each = [{**shared, "key": cell.key, "experiment": cell.experiment.model_dump()} for cell in cells]
    return tune.Tuner(
        tune.with_resources(_cell_of, allotment.trial_resources),
        param_space={"cell": tune.grid_search(each)},
        tune_config=tune.TuneConfig(
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


def _cell_of(config: dict[str, Any]) -> None:
    train_cell(config["cell"])


def _trial_name(trial: Trial) -> str:
    return f"{trial.config['cell']['key'][:16]}-{trial.trial_id}"


def _most_resources() -> dict[str, float]:
    """What the autoscaler may scale up to; empty without an autoscaler."""
    from ray._private.state import state

    return dict(state.get_max_resources_from_cluster_config() or {})


class _Watch(tune.Callback):
    """Turns Tune's callbacks into a listener's. One trained key may answer for several cells."""

    def __init__(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        self.listener, self.outcome = listener, outcome
        self.cells: dict[str, list[Cell]] = {}
        for cell in plan.cells:
            self.cells.setdefault(cell.key, []).append(cell)
        self.causes: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks to restore a run; ours resume from the store instead

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        for cell in self._of(trial):
            self.listener.started(cell)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "failed" in result:
            self.causes[self._key(trial)] = result["failed"]
        elif "scores" in result:
            for cell in self._of(trial):
                self.listener.epoch(cell, result["epoch"], result["scores"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = self._key(trial)
        if key in self.causes:
            self._fail(trial, self.causes[key])
            return
        self.outcome.completed.add(key)
        for cell in self._of(trial):
            self.listener.completed(cell)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = trial.get_error()
        self._fail(trial, describe(error) if error else "its process died")

    def _fail(self, trial: Trial, cause: str) -> None:
        self.outcome.failed[self._key(trial)] = cause
        for cell in self._of(trial):
            self.listener.failed(cell, cause)

    def _of(self, trial: Trial) -> list[Cell]:
        return self.cells[self._key(trial)]

    def _key(self, trial: Trial) -> str:
        return str(trial.config["cell"]["key"])
