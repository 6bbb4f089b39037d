"""Run the searches of a study's arms, and summarise their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import RDBStorage

from raysweep.engine.cluster import ClusterOptions
from raysweep.engine.events import Listener
from raysweep.engine.resources import Allotment
from raysweep.engine.tune_run import run
from raysweep.study.search_plan import SearchArm, SearchPlan

from .optuna_study import ArmStudy, Found, summary
from .schedulers import ArmSchedulers
from .storage import existing_storage, open_storage, storage_url
from .trial_dispatcher import SearchOutcome, TrialDispatcher


def search_so_far(plan: SearchPlan, options: ClusterOptions, storage: str | None = None) -> dict[str, Found]:
    """Results of the searches that have begun, by arm name. Writes nothing.

    Raises:
        UserError: a storage that holds other searches of these names, or cannot be used.
    """
    with existing_storage(storage_url(storage, options.store), plan.arms) as there:
        return _found(plan, there) if there is not None else {}


def tried_points(
    plan: SearchPlan, options: ClusterOptions, storage: str | None = None
) -> list[tuple[SearchArm, int, Any]]:
    """Arm, number and point of every trial in the storage. Raises UserError as `search_so_far`."""
    with existing_storage(storage_url(storage, options.store), plan.arms) as there:
        if there is None:
            return []
        names = set(optuna.get_all_study_names(there))
        studies = [(a, optuna.load_study(study_name=a.name, storage=there)) for a in plan.arms if a.name in names]
        return [(arm, trial.number, trial.params) for arm, study in studies for trial in study.trials]


def trials_left(plan: SearchPlan, so_far: Mapping[str, Found], retry_failed: bool = False) -> int:
    """Remaining trials of the budget, summed over arms; a budget in hours only counts as a thousand trials per arm.

    If it is 0, `run_search` needs no cluster.
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
    options: ClusterOptions,
    allotment: Allotment | None,
    listener: Listener,
    launch: str,
    alive: Callable[[str], bool | None],
    so_far: Mapping[str, Found],
    storage: str | None = None,
    retry_failed: bool = False,
) -> SearchOutcome:
    """Search in every arm until its budget is spent, counting the trials in the storage.

    Ctrl-C once ends after the running epochs, twice at once; the next launch continues. Trials on several devices
    are not stopped early: Ray does not free the devices of a worker group that is stopped from outside.

    Args:
        allotment: from `cluster()`; None when no trials are left.
        so_far: result of `search_so_far`.
        launch: this launch's name, which marks its trials.
        alive: whether a launch is alive; None for a launch unknown to this store.
        storage: URL of an Optuna storage; default: a file in the local store.
        retry_failed: retry failed points.

    Raises:
        UserError: a storage that holds other searches of these names, or cannot be used.
    """
    if allotment is None:
        return SearchOutcome(found=dict(so_far), failed=_failures(so_far))
    kept = open_storage(storage_url(storage, options.store))
    try:
        studies = [ArmStudy(arm, kept, launch, alive) for arm in plan.arms]
        for study in studies if retry_failed else ():
            study.retry()
        outcome = _searched(plan, options, allotment, listener, studies)
        outcome.found = _found(plan, kept)
    finally:
        kept.engine.dispose()
    if not outcome.interrupted and not outcome.stopped:
        outcome.failed = _failures(outcome.found)
    return outcome


def _searched(
    plan: SearchPlan, options: ClusterOptions, allotment: Allotment, listener: Listener, studies: Sequence[ArmStudy]
) -> SearchOutcome:
    schedulers = ArmSchedulers(plan.arms, can_stop=allotment.per_cell == 1)
    devices = allotment.per_cell
    dispatcher = TrialDispatcher(plan, studies, options.store, listener, devices, schedulers.remember)
    schedulers.watch(dispatcher)
    with dispatcher.stops_when_unusable():
        dispatcher.prepare()
    run(dispatcher, options, allotment, schedulers)
    return dispatcher.outcome


def _found(plan: SearchPlan, storage: RDBStorage) -> dict[str, Found]:
    names = set(optuna.get_all_study_names(storage))
    return {
        arm.cell.arm.name: summary(optuna.load_study(study_name=arm.name, storage=storage))
        for arm in plan.arms
        if arm.name in names
    }


def _failures(found: Mapping[str, Found]) -> dict[str, str]:
    """Arms without a complete trial, with the reason."""
    return {
        arm: f"no trial of the search{' of ' + arm if arm else ''} was completed: {one.counts['failed']} failed, the "
        f"first with {one.first_cause or 'no cause'}"
        for arm, one in found.items()
        if one.number is None
    }
