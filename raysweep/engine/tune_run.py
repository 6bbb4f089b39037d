"""Run a plan's tasks under Ray Tune and tell a listener what happens."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its banner; ours is in progress.py
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # the store is what resumes a launch, not Tune
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import tune
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial

from raysweep.core.errors import describe
from raysweep.core.formatting import plural
from raysweep.core.masking import masking
from raysweep.data.prepare.location import Home, home_place
from raysweep.pipeline import FitEvent, Task
from raysweep.store.store import Store
from raysweep.study.plan import Plan

from .dispatcher import Handout, Outcome
from .interrupt import CtrlC, StopAfterEpoch
from .ray_start import join, leave_no_session, session_folder, start_local
from .resources import Allotment, allot
from .study_searcher import TaskSearcher
from .worker import run_trial

CREDENTIALS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"})
"""Variables that Tune would give to its workers through an environment that Ray writes into its logs."""

ENV_VARS_TO_PROPAGATE.difference_update(CREDENTIALS)

MAX_RETRIES = 2
"""How often a task whose process died is started again, from its last checkpoint."""


@dataclass(frozen=True)
class Options:
    """Where and how a launch runs. `cache`: folder of decoded images."""

    store: Store
    cache: Path
    address: str | None = None
    devices_per_trial: int = 1


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
    session: Path | None = None
    with redirect_stdout(sys.stderr):  # Ray prints what happens to its processes; --json must stay one object
        try:
            with CtrlC(lambda: None) as ctrl_c:  # Ray that is stopped half started may end in a segmentation fault
                _join(options.address)
            if ctrl_c.presses:
                raise KeyboardInterrupt
            here = session_folder()
            yield allot(ray.cluster_resources(), _most_resources(), options.devices_per_trial, tasks)
            session = None if options.address else here  # kept where something went wrong: its logs may say what
        finally:
            ray.shutdown()
            if session is not None:
                leave_no_session(session)


def allot_again(options: Options, allotment: Allotment | None, tasks: int) -> Allotment | None:
    """The same cluster, joined already, divided among other tasks; None when there are none."""
    if allotment is None or not tasks:
        return None
    return allot(ray.cluster_resources(), _most_resources(), options.devices_per_trial, tasks)


def _join(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # pages on what we say in a line
    if address is None:
        start_local(**quiet)
    else:
        join(address, **quiet)


def launch(handout: Handout, options: Options, allotment: Allotment | None) -> Outcome:
    """Compute what is handed out on a cluster from `cluster()`.

    Ctrl-C once ends after the running epochs, twice at once; either way finished stages are kept, and
    unfinished ones go on from their checkpoint next time.
    """
    outcome = handout.outcome
    if allotment is None:
        return outcome
    began = time.monotonic()
    outcome.devices = plural(allotment.total, allotment.device)
    try:
        with CtrlC(lambda: _interrupt(handout)) as ctrl_c:
            _tuner(handout, allotment, options, ctrl_c).fit()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.seconds = time.monotonic() - began
    return outcome


def _interrupt(handout: Handout) -> None:
    handout.outcome.interrupted = True
    handout.stop()
    handout.listener.stopping()


def tune_environment(options: Options, allotment: Allotment) -> dict[str, Any]:
    """What every trial must know besides its tasks and places."""
    return {
        "local": str(options.store.local),
        "cache": str(options.cache),
        "device": allotment.device,
        "workers": allotment.per_cell,
        "worker_resources": allotment.worker_resources,
    }


Trainable = Callable[[dict[str, Any], dict[str, str]], None]
"""What a trial runs: its configuration, and `places`."""


def with_places(trainable: Trainable, options: Options, resources: Any) -> Any:
    """A trainable that is told where the store and prepared sets are.

    Their URLs may hold passwords, and Tune writes configurations into files: so they travel as an object of Ray's,
    whose name alone is written. So do the `CREDENTIALS` of this process.
    """
    credentials = {name: os.environ[name] for name in sorted(CREDENTIALS & os.environ.keys())}
    places = {"store": options.store.url, "data": Home(home_place()).place, "credentials": json.dumps(credentials)}
    return tune.with_resources(tune.with_parameters(trainable, places=places), resources)


def run_config(options: Options, callback: tune.Callback, stopper: tune.Stopper) -> tune.RunConfig:
    """Where Tune keeps what it needs while it runs, and how it treats a process that died."""
    return tune.RunConfig(
        name=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
        storage_path=str(options.store.local / "tune"),
        callbacks=[callback],
        stop=stopper,
        verbose=0,
        failure_config=tune.FailureConfig(max_failures=MAX_RETRIES),
    )


def _tuner(handout: Handout, allotment: Allotment, options: Options, ctrl_c: CtrlC) -> tune.Tuner:
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(allotment.concurrency)  # a searcher gets one otherwise
    shared = tune_environment(options, allotment)
    watch = _Watch(handout, ctrl_c)

    def configure(batch: Sequence[Task]) -> dict[str, Any]:
        return {"work": {**shared, "tasks": [_words(handout.plan, task) for task in batch]}}

    return tune.Tuner(
        with_places(work, options, allotment.trial_resources),
        tune_config=tune.TuneConfig(
            search_alg=TaskSearcher(handout, configure),
            num_samples=len(handout.tasks) * (MAX_RETRIES + 2),  # what a dead process gave back counts again
            reuse_actors=True,
            max_concurrent_trials=allotment.concurrency,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=run_config(options, watch, StopAfterEpoch(lambda: handout.stopping, lambda: not watch.active)),
    )


def _words(plan: Plan, task: Task) -> dict[str, Any]:
    cell = plan.by_key[min(task.cells)][0]
    return {"key": task.key, "keep": sorted(task.keep), "experiment": cell.experiment.model_dump()}


def work(config: dict[str, Any], places: dict[str, str]) -> None:
    """The Tune trainable."""
    with masking():  # Ray keeps what a trial prints, Tune what it raises
        run_trial({**config["work"], **places})


def trial_name(trial: Trial) -> str:
    """How Tune's folders are called: by the first task."""
    return f"{trial.config['work']['tasks'][0]['key'][:16]}-{trial.trial_id}"


def _most_resources() -> dict[str, float]:
    """What the autoscaler may scale up to; empty without an autoscaler."""
    from ray._private.state import state

    return dict(state.get_max_resources_from_cluster_config() or {})


class _Watch(tune.Callback):
    """Turns Tune's callbacks into words to the hand-out."""

    def __init__(self, handout: Handout, ctrl_c: CtrlC) -> None:
        self.handout, self.ctrl_c = handout, ctrl_c
        self.active: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks to restore a run; ours resume from the store instead

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.ctrl_c.check()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.active.add(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "began" in result:
            self.handout.began(result["began"])
        elif "event" in result:
            self.handout.epoch(result["task"], FitEvent(**result["event"]))
        elif "made" in result:
            self.handout.done(result["made"])
        elif "failed" in result:
            self.handout.died([result["task"]] if "task" in result else _keys(trial), result["failed"])
        elif "full" in result:
            self.handout.stop(result["full"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.active.discard(trial.trial_id)
        self.handout.give_back(_keys(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.active.discard(trial.trial_id)
        error = trial.get_error()
        self.handout.died(_keys(trial), describe(error) if error else "its process died")


def _keys(trial: Trial) -> list[str]:
    return [task["key"] for task in trial.config["work"]["tasks"]]
