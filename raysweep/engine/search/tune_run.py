"""Search inside every arm of a study, under Ray Tune, and say what was found."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import RDBStorage
from ray import tune
from sqlalchemy.exc import SQLAlchemyError

from raysweep.core.errors import describe
from raysweep.core.masking import masking
from raysweep.engine.interrupt import CtrlC, StopAfterEpoch
from raysweep.engine.resources import Allotment
from raysweep.engine.tune_run import Options, run_config, trial_name, tune_environment, with_places
from raysweep.store.unusable import StoreUnusable, described, is_unusable
from raysweep.study.search_plan import SearchArm, SearchPlan

from .dispatcher import Desk, Running, SearchListener
from .optuna_study import ArmStudy, Found, summary
from .storage import existing_storage, open_storage, storage_url
from .tune_adapters import ArmSchedulers, ArmsSearcher, DeskWatch
from .worker import run_search_trial

STORAGE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)


@dataclass
class SearchOutcome:
    """How the search of a launch ended.

    `found`: by name of the arm. `failed`: arms without a single complete trial, and why, in a sentence.
    `interrupted` by Ctrl-C; `stopped`: why it ended early, in a sentence.
    """

    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    stopped: str = ""
    seconds: float = 0.0

    @property
    def points(self) -> dict[str, dict[str, Any]]:
        """What `Study.tuned` takes."""
        return {arm: found.point for arm, found in self.found.items() if found.number is not None}

    def describe(self) -> dict[str, Any]:
        """What `SearchPlan.describe` takes."""
        return {arm: found.describe() for arm, found in self.found.items()}


def search_so_far(plan: SearchPlan, options: Options, storage: str | None = None) -> dict[str, Found]:
    """Where the arms' searches stand; arms that have not begun are left out. Writes nothing.

    Raises:
        UserError: a storage that holds other searches of these names, or cannot be used.
    """
    with existing_storage(storage_url(storage, options.store), plan.arms) as there:
        return _found(plan, there) if there is not None else {}


def tried_points(plan: SearchPlan, options: Options, storage: str | None = None) -> list[tuple[SearchArm, int, Any]]:
    """Every trial that the storage has: arm, number, point. Raises UserError as `search_so_far`."""
    with existing_storage(storage_url(storage, options.store), plan.arms) as there:
        if there is None:
            return []
        names = set(optuna.get_all_study_names(there))
        studies = [(a, optuna.load_study(study_name=a.name, storage=there)) for a in plan.arms if a.name in names]
        return [(arm, trial.number, trial.params) for arm, study in studies for trial in study.trials]


def trials_left(plan: SearchPlan, so_far: Mapping[str, Found], retry_failed: bool = False) -> int:
    """Trials that the budget still allows, over all arms; of a budget in hours alone nobody knows: a thousand an arm.

    Zero: `run_search` needs no cluster.
    """
    left = 0
    for arm in plan.arms:
        found = so_far.get(arm.cell.arm.name)
        trials = found.trials if found else 0
        if found and retry_failed:
            trials -= found.counts["failed"]
        elif found and found.is_spent(plan.budget):
            continue
        left += max(0, plan.budget.trials - trials) if plan.budget.trials is not None else 1_000
    return left


def run_search(
    plan: SearchPlan,
    options: Options,
    allotment: Allotment | None,
    listener: SearchListener,
    launch: str,
    alive: Callable[[str], bool | None],
    storage: str | None = None,
    retry_failed: bool = False,
) -> SearchOutcome:
    """Search in every arm until its budget is spent; what the storage has already counts.

    Ctrl-C once ends after the running epochs, twice at once; either way the next launch goes on. Trials on several
    devices each are not ended early: Ray would keep the devices of a worker group that is stopped from outside.

    Args:
        allotment: from `cluster()`; None when nothing is left to try.
        launch: this launch's name, which marks its trials; `alive` tells whether another one still lives, None for
            one that this store does not know.
        storage: URL of an Optuna storage; default a file beside the store.
        retry_failed: points that failed are tried again.

    Raises:
        UserError: a storage that holds other searches of these names, or cannot be used.
    """
    search_so_far(plan, options, storage)  # nothing is written to a storage of something else
    outcome = SearchOutcome()
    began = time.monotonic()
    kept = open_storage(storage_url(storage, options.store))
    try:
        if allotment is not None:
            studies = [ArmStudy(arm, kept, launch, alive) for arm in plan.arms]
            for study in studies if retry_failed else ():
                study.retry()
            _searched(plan, options, allotment, listener, studies, outcome)
        outcome.found = _found(plan, kept)
    finally:
        kept.engine.dispose()
    if not outcome.interrupted and not outcome.stopped:
        outcome.failed = _failures(outcome.found)
    outcome.seconds = time.monotonic() - began
    return outcome


def _searched(
    plan: SearchPlan,
    options: Options,
    allotment: Allotment,
    listener: SearchListener,
    studies: Sequence[ArmStudy],
    outcome: SearchOutcome,
) -> None:
    schedulers = ArmSchedulers(plan.arms, can_stop=allotment.per_cell == 1)
    desk = Desk(plan, studies, options.store, listener, allotment.per_cell, schedulers.remember)
    schedulers.watch(desk)
    desk.prepare()

    def interrupt() -> None:
        outcome.interrupted = True
        desk.stop()
        listener.stopping()

    try:
        with CtrlC(interrupt) as ctrl_c:
            watch = DeskWatch(desk, ctrl_c)
            _tuner(desk, schedulers, options, allotment, watch).fit()
        desk.fault.check()
    except KeyboardInterrupt:
        outcome.interrupted = True
    except StoreUnusable as error:
        desk.stop(str(error))
    except OSError as error:
        if not is_unusable(error):
            raise
        desk.stop(described(error))
    except STORAGE_ERRORS as error:
        desk.stop(f"the Optuna storage cannot be used: {describe(error)}")
    finally:
        with contextlib.suppress(OSError, *STORAGE_ERRORS):  # then the next launch puts back what runs
            desk.interrupted()
    outcome.stopped = desk.stopped


def _tuner(
    desk: Desk, schedulers: ArmSchedulers, options: Options, allotment: Allotment, watch: DeskWatch
) -> tune.Tuner:
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(allotment.concurrency)  # a searcher gets one otherwise
    shared = tune_environment(options, allotment)

    def configure(running: Running) -> dict[str, Any]:
        key = running.trial.key
        task = {
            "key": key,
            "name": f"{key[:16]}-{running.asked.number}-{os.getpid()}",
            "score": running.score,
            "experiment": running.experiment.model_dump(),
        }
        return {"work": {**shared, "tasks": [task]}}

    return tune.Tuner(
        with_places(search_work, options, allotment.trial_resources),
        tune_config=tune.TuneConfig(
            search_alg=ArmsSearcher(desk, configure, allotment.concurrency),
            scheduler=schedulers,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=run_config(options, watch, StopAfterEpoch(lambda: desk.stopping, lambda: not watch.active)),
    )


def search_work(config: dict[str, Any], places: dict[str, str]) -> None:
    """The Tune trainable."""
    with masking():  # Ray keeps what a trial prints, Tune what it raises
        run_search_trial({**config["work"], **places})


def _found(plan: SearchPlan, storage: RDBStorage) -> dict[str, Found]:
    names = set(optuna.get_all_study_names(storage))
    return {
        arm.cell.arm.name: summary(optuna.load_study(study_name=arm.name, storage=storage))
        for arm in plan.arms
        if arm.name in names
    }


def _failures(found: Mapping[str, Found]) -> dict[str, str]:
    """Arms without a single complete trial, and why."""
    return {
        arm: f"no trial of the search{' of ' + arm if arm else ''} was completed: {one.counts['failed']} failed, the "
        f"first with {one.first_cause or 'no cause'}"
        for arm, one in found.items()
        if one.number is None
    }
