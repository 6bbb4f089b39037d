"""Every kind of stage, and what a launch must do for a list of cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from raysweep.core.stage import Stage, ancestry
from raysweep.core.store import Store

from .context import Kind
from .evaluate import run_evaluate, run_retrain
from .fit import chain, read_state, run_fit, run_start, write_state
from .label_stages import (
    Adapted,
    read_tensor,
    run_adapt,
    run_data,
    run_labels,
    run_pseudo_va,
    run_select,
    run_targets,
    write_tensor,
)
from .result import CellResult

KINDS: dict[str, Kind] = {
    "data": Kind(run_data),
    "labels": Kind(run_labels),
    "targets": Kind(run_targets),
    "start": Kind(run_start),
    "select": Kind(run_select, write_tensor, read_tensor),
    "pseudo_va": Kind(run_pseudo_va, write_tensor, read_tensor),
    "adapt": Kind(run_adapt, Adapted.write, Adapted.read),
    "fit": Kind(run_fit, write_state, read_state),
    "evaluate": Kind(run_evaluate, CellResult.write, CellResult.read),
    "retrain": Kind(run_retrain, CellResult.write, CellResult.read),
}
"""By `Stage.kind`. "step" has no product of its own: it is a name for what every step depends on."""


@dataclass(frozen=True)
class Task:
    """One piece of work: make `stage`, and whatever it needs that no other task makes.

    `needs`: keys of tasks that must be done before. `fits`: trainings in it, title to epochs to train.
    `keep`: keys of epochs to store in passing. `cells`: keys of the cells that wait for it.
    """

    stage: Stage
    needs: frozenset[str]
    fits: tuple[tuple[str, int], ...]
    keep: frozenset[str]
    cells: frozenset[str]

    @property
    def key(self) -> str:
        return self.stage.key

    @property
    def epochs(self) -> int:
        return sum(epochs for _, epochs in self.fits)


def main_chain(final: Stage) -> list[Stage]:
    """The epochs of a cell's own curve: its last training, and the retraining where there is one."""
    return [*chain(final.inputs["model"]), *([final] if final.kind == "retrain" else [])]


def epochs_alone(final: Stage) -> int:
    """Epochs that a cell would train if it shared nothing."""
    retrained = final.inputs["model"].aside["epoch"] if final.kind == "retrain" else 0
    return sum(stage.kind == "fit" for stage in ancestry([final])) + retrained


def plan_tasks(cells: Iterable[Stage], store: Store) -> list[Task]:
    """The tasks that make what is missing of `cells` (their last stages), each shared stage once.

    A stage that several tasks wait for is a task of its own; what only one waits for is made by that
    one. Trainings are cut where they part, and where an extra set first joins.
    """
    finals = {stage.key: stage for stage in cells}
    links = _Links(finals, store)
    owner: dict[str, str] = {}
    for stage in reversed(links.needed):  # whoever uses a stage comes before it
        users = {owner[user] for user in links.users[stage.key]}
        owner[stage.key] = users.pop() if len(users) == 1 and stage.key not in finals else stage.key
    own = set(owner.values())
    return [links.task(stage, own) for stage in links.needed if stage.key in own]


class _Links:
    """Which stages are missing, and who uses whom; epochs of a training between cuts are left out."""

    def __init__(self, finals: Mapping[str, Stage], store: Store) -> None:
        self.found: dict[str, bool] = {}
        self.store = store
        self.cuts = _branches(finals.values())
        self.users: dict[str, set[str]] = defaultdict(set)
        self.cells: dict[str, set[str]] = defaultdict(set)
        self.needed: list[Stage] = []
        self.sources: dict[str, list[Stage]] = {}
        missing = [stage for stage in finals.values() if not self.has(stage)]
        self._walk(missing)
        for stage in missing:
            self._mark(stage, stage.key)

    def has(self, stage: Stage) -> bool:
        """Whether the store has its product."""
        if stage.key not in self.found:
            self.found[stage.key] = _is_stored(stage.kind) and self.store.get(stage.key) is not None
        return self.found[stage.key]

    def task(self, stage: Stage, owners: set[str]) -> Task:
        needs, keep = set(), set()
        fits: dict[tuple[str, str], int] = {}  # pieces of one training count together
        stack, seen = [stage], set()
        while stack:
            here = stack.pop()
            if here.kind == "fit":
                piece = (chain(here)[0].key, here.aside["title"])
                fits[piece] = fits.get(piece, 0) + self.epochs(here)
                keep.add(here.key)
            elif here.kind == "retrain":
                fits[here.key, "retraining"] = here.inputs["model"].aside["epoch"]
            for source in self.sources[here.key]:
                if source.key in owners:
                    needs.add(source.key)
                elif source.key not in seen:
                    seen.add(source.key)
                    stack.append(source)
        trained = tuple((title, epochs) for (_, title), epochs in reversed(fits.items()))
        return Task(stage, frozenset(needs), trained, frozenset(keep), frozenset(self.cells[stage.key]))

    def epochs(self, stage: Stage) -> int:
        """Epochs to train for this cut of a training: from the cut before, or the latest that is stored."""
        last: int = stage.aside["epoch"]
        before = [e.aside["epoch"] for e in chain(stage)[:-1] if e.key in self.cuts or self.has(e)]
        return last - max(before, default=0)

    def _walk(self, finals: list[Stage]) -> None:
        stack = [(stage, False) for stage in reversed(finals)]
        while stack:
            stage, expanded = stack.pop()
            if expanded:
                self.needed.append(stage)
            elif stage.key not in self.sources:
                self.sources[stage.key] = sources = self._missing_sources(stage)
                for source in sources:
                    self.users[source.key].add(stage.key)
                stack.append((stage, True))
                stack.extend((source, False) for source in reversed(sources))

    def _missing_sources(self, stage: Stage) -> list[Stage]:
        """Stored kinds that the stage is computed from and that the store lacks, nearest first."""
        found: dict[str, Stage] = {}
        stack = list(stage.inputs.values())
        walking = stage.kind == "fit"
        while stack:
            source = stack.pop()
            if source.kind == "fit" and walking and source.key not in self.cuts and not self.has(source):
                stack.extend(source.inputs.values())  # an epoch in the middle of a training
            elif _is_stored(source.kind):
                if not self.has(source):
                    found[source.key] = source
            else:
                stack.extend(source.inputs.values())
        return list(found.values())

    def _mark(self, stage: Stage, cell: str) -> None:
        stack = [stage]
        while stack:
            here = stack.pop()
            if cell not in self.cells[here.key]:
                self.cells[here.key].add(cell)
                stack.extend(self.sources[here.key])


def _is_stored(kind: str) -> bool:
    """Whether products of this kind go to the store."""
    return kind in KINDS and KINDS[kind].read is not None


def _branches(finals: Iterable[Stage]) -> set[str]:
    """Epochs where a training is cut: several go on from them, something else reads them, or B joins next."""
    users: dict[str, set[str]] = defaultdict(set)
    cuts: set[str] = set()
    joined: dict[str, bool] = {}
    for stage in ancestry(list(finals)):
        if stage.kind == "fit":
            before = stage.inputs["before"]
            joined[stage.key] = bool(stage.params["join"]) or joined.get(before.key, False)
            if stage.params["join"] and before.kind == "fit" and not joined[before.key]:
                cuts.add(before.key)
        for source in stage.inputs.values():
            if source.kind == "fit":
                users[source.key].add(stage.key)
                if stage.kind != "fit":
                    cuts.add(source.key)
    return cuts | {key for key, who in users.items() if len(who) > 1}
