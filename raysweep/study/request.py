"""The request of a launch, made without reading data, so that errors are reported fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.config.presets import PRESETS
from raysweep.core.errors import UserError

from .cells import Cell, fresh_replicates, make_cells, search_budget, search_cells
from .search import Budget
from .study import Study


@dataclass(frozen=True)
class Request:
    """A study at a preset, with the user's changes.

    `changes`: fields set for every arm; `cells`: of the table, or one per arm for a search; `replicates`: of the table;
    `budget`: of each arm's search, None without one; `storage`: URL of the Optuna storage; `retry_failed`: retry cells
    and points that failed before.
    """

    name: str
    study: Study
    preset: str
    changes: Mapping[str, Any]
    cells: Sequence[Cell]
    replicates: Sequence[int]
    budget: Budget | None = None
    storage: str | None = None
    retry_failed: bool = False


def make_request(
    name: str,
    study: Study,
    preset: str,
    changes: Mapping[str, Any],
    replicates: Sequence[int] | None = None,
    trials: int | None = None,
    device_hours: float | None = None,
    storage: str | None = None,
    retry_failed: bool = False,
) -> Request:
    """Resolve a study into experiments.

    Args:
        replicates: of the table; default: the preset's.
        trials, device_hours: budget of each arm's search; default: the study's or the preset's.

    Raises:
        UserError: an invalid experiment, search, budget or range of replicates, or a budget without a search.
    """
    if study.search is not None:
        cells = search_cells(study, preset, changes)
        fresh = fresh_replicates(study, preset, replicates)
        budget = search_budget(study, preset, trials, device_hours)
        return Request(name, study, preset, changes, cells, fresh, budget, storage, retry_failed)
    for option, value in (("--trials", trials), ("--device-hours", device_hours)):
        if value is not None:
            raise UserError(f"{option} is for studies with a search, and {name} has none")
    numbers = replicates or range(PRESETS[preset].seeds)
    cells = make_cells(study, preset, numbers, changes)
    return Request(name, study, preset, changes, cells, numbers, retry_failed=retry_failed)
