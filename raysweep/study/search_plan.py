"""The searches of a study's arms: one Optuna study per arm, with its name and signature."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from raysweep.config.acting_fields import changed_fields
from raysweep.config.experiment import Experiment, flat_words
from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.metrics.registry import needing
from raysweep.pipeline import build_validation, load_sets
from raysweep.pipeline.stage_kinds import NUMERICS

from .cells import Cell
from .identity import SetIdentity, used_sets
from .search import Budget, Search
from .study import Study

PLACES = (
    *("data.source", "data.options", "data.leave_out", "data.classes", "data.drop", "data.map"),
    *("joint.extra", "joint.finetune", "joint.extra_sets", "joint.extra_splits", "joint.classes", "joint.drop"),
    "joint.map",
)
"""Fields on data that may differ between equal searches, since fingerprints identify the data."""


@dataclass(frozen=True)
class SearchArm:
    """The search inside one arm. `name`: of its Optuna study; `cell`: the unsearched arm; `data`: fingerprints."""

    name: str
    cell: Cell
    search: Search
    data: Sequence[str]

    @cached_property
    def signature(self) -> dict[str, Any]:
        """Everything that makes trials comparable; searches of the same name must have equal signatures."""
        changed = changed_fields(self.cell.experiment)  # so a new field at its default changes nothing
        fields = flat_words({k: v for k, v in changed.items() if k not in PLACES and not k.startswith("seeds.")})
        return {
            "space": {path: values.describe() for path, values in self.search.space.items()},
            "objectives": dict(zip(self.search.objectives, self.search.directions, strict=True)),
            "experiment": fields,
            "data": {str(number): fingerprint for number, fingerprint in enumerate(self.data)},
            "replicate": {"number": self.search.replicate},
            "numerics": dict(NUMERICS),
        }

    def at(self, point: Mapping[str, Any]) -> Experiment:
        """The arm's experiment at a point. Raises UserError for an invalid one."""
        return self.cell.experiment.with_changes(point)

    @property
    def most_epochs(self) -> int:
        """Epochs of the longest training in the space."""
        epochs = self.search.space.get("train.epochs")
        return max(map(int, epochs.probes())) if epochs else self.cell.experiment.train.epochs


@dataclass(frozen=True)
class SearchPlan:
    """The searches of a launch. `budget`: per arm; `cache`: folder of decoded images."""

    study_name: str
    search: Search
    budget: Budget
    arms: Sequence[SearchArm]
    cache: Path | None = None
    study_file: str = ""

    def describe(self, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """ "search" of plan.json. `found`: arm name to `Found.describe()`."""
        return {**self.search.describe(self.budget), "arms": dict(found)}


def plan_search(
    name: str, study: Study, preset: str, cells: Sequence[Cell], budget: Budget, cache: Path | None = None
) -> SearchPlan:
    """Read the data and make the arms' searches. `cells`: from `search_cells`.

    Raises:
        UserError: data that cannot be read, that an arm cannot be trained on, or that lack an objective's labels.
    """
    assert study.search is not None
    arms = []
    for cell in cells:
        sets = load_sets(cell.experiment, cache)
        build_validation(cell.experiment, sets)
        _check_objectives(study.search, sets.scored)
        text = " ".join(
            filter(None, (name, preset, _data_name(used_sets([cell.experiment], [sets])[0]), cell.arm.name))
        )
        arms.append(SearchArm(text, cell, study.search, [data.fingerprint for data in sets.all]))
    return SearchPlan(name, study.search, budget, arms, cache, study.origin.file)


def _data_name(scored: SetIdentity) -> str:
    """The data set's part of a search's name, with a digest of its contents if it was read from a path."""
    if scored.source == scored.name:
        return scored.name
    return f"{scored.name}@{hashlib.sha256(scored.origin.encode()).hexdigest()[:8]}"


def _check_objectives(search: Search, data: FaceData) -> None:
    for name in search.objectives:
        if name in needing("va") and not data.knows_va:
            raise UserError(f"the search is for {name}, but {data.name} has no valence and arousal: search for another")
        if name == "kl_votes" and not bool(data.votes.isfinite().all(dim=1).any()):
            raise UserError(f"the search is for {name}, but {data.name} has no votes: search for another")
