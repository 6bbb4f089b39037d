"""What a launch must do for a list of cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from raysweep.store.store import Store

from .stage import Stage, ancestry
from .stage_kinds import is_stored
from .stages.fit import chain


@dataclass(frozen=True)
class Task:
    """One piece of work: make `stage`, and whatever it needs that no other task makes.

    `needs`: keys of tasks that must be done before. `fits`: trainings in it, title to epochs to train.
    `keep`: keys of epochs to store in passing. `cells`: keys of the cells that wait for it. `makes`: keys of
    what no other launch should compute meanwhile: every stored stage it makes, and of every piece of a training
    the first epoch that it trains (another launch may want to cut that training elsewhere). `pieces`: of
    every training in it the last stage, and how many epochs lead there from what is stored or made before.
    """

    stage: Stage
    needs: frozenset[str]
    fits: tuple[tuple[str, int], ...]
    keep: frozenset[str]
    cells: frozenset[str]
    makes: frozenset[str] = frozenset()
    pieces: tuple[tuple[Stage, int], ...] = ()

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
    retrained = final.inputs["model"].attached.epoch if final.kind == "retrain" else 0
    return sum(stage.kind == "fit" for stage in ancestry([final])) + retrained


@dataclass(frozen=True)
class Work:
    """What a launch must do. `tasks`: inputs before what needs them. Counted in stages that the store keeps:
    `computed` by the tasks, `shared` of them by several cells, `found` among everything the cells are made of."""

    tasks: list[Task]
    computed: int
    shared: int
    found: int


def done_cells(finals: Mapping[str, Stage], store: Store) -> frozenset[str]:
    """Keys of the cells whose product the store has, whole by its checksums."""
    listed = finals.keys() & set(store.keys())
    return frozenset(key for key in listed if store.get(key) is not None)


def plan_tasks(cells: Iterable[Stage], store: Store) -> list[Task]:
    """The tasks that make what is missing of `cells` (their last stages), each shared stage once."""
    finals = {stage.key: stage for stage in cells}
    return plan_work(finals, done_cells(finals, store), store).tasks


def plan_work(finals: Mapping[str, Stage], done: Collection[str], store: Store) -> Work:
    """The tasks that make the cells which are not done, from what the store has.

    A stage that several tasks wait for is a task of its own; what only one waits for is made by that
    one. Trainings are cut where they part, and where an extra set first joins. Of products other than cells'
    only names and sizes are looked at: a damaged one is found and made again by the task that reads it.
    """
    links = _Links(finals, done, store)
    owner: dict[str, str] = {}
    for stage in reversed(links.needed):  # whoever uses a stage comes before it
        users = {owner[user] for user in links.users[stage.key]}
        owner[stage.key] = users.pop() if len(users) == 1 and stage.key not in finals else stage.key
    own = set(owner.values())
    tasks = [links.task(stage, own) for stage in links.needed if stage.key in own]
    shared = sum(len(links.cells[stage.key]) > 1 for stage in links.needed)
    return Work(tasks, len(links.needed), shared, len(links.there))


class _Links:
    """Which stages are missing, and which use which; epochs of a training between cuts are left out."""

    def __init__(self, finals: Mapping[str, Stage], done: Collection[str], store: Store) -> None:
        every = list(ancestry(list(finals.values())))
        self.there = (_stored(every, store) - finals.keys()) | set(done)
        self.cuts = _branches(every)
        self.users: dict[str, set[str]] = defaultdict(set)
        self.cells: dict[str, set[str]] = defaultdict(set)
        self.needed: list[Stage] = []
        self.sources: dict[str, list[Stage]] = {}
        missing = [stage for stage in finals.values() if stage.key not in self.there]
        self._walk(missing)
        for stage in missing:
            self._mark(stage, stage.key)

    def task(self, stage: Stage, owners: set[str]) -> Task:
        """The task that makes a stage, and what it needs that no owner makes."""
        needs: set[str] = set()
        made: dict[str, Stage] = {}
        stack = [stage]
        while stack:
            here = stack.pop()
            if here.key in made:
                continue
            made[here.key] = here
            for source in self.sources[here.key]:
                if source.key in owners:
                    needs.add(source.key)
                else:
                    stack.append(source)
        pieces = [(here, self.epochs(here)) for here in reversed(made.values()) if here.kind in ("fit", "retrain")]
        ends = [here.key for here, _ in pieces if here.kind == "fit"]
        starts = [chain(here)[-epochs].key for here, epochs in pieces if here.kind == "fit"]
        return Task(
            stage,
            frozenset(needs),
            _trainings(pieces),
            frozenset(ends),
            frozenset(self.cells[stage.key]),
            frozenset([*made, *starts]),
            tuple(pieces),
        )

    def epochs(self, stage: Stage) -> int:
        """Epochs to train for this cut of a training: from the cut before, or the latest that is stored. For a
        retraining the most that there can be."""
        if stage.kind == "retrain":
            return int(stage.inputs["model"].attached.epoch)
        count = 0
        here = stage
        while here.kind == "fit" and (here is stage or not (here.key in self.cuts or here.key in self.there)):
            count += 1
            here = here.inputs["before"]
        return count

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
        seen: set[str] = set()
        stack = list(stage.inputs.values())
        walking = stage.kind == "fit"
        while stack:
            source = stack.pop()
            if source.key in seen or source.key in self.there:
                continue
            seen.add(source.key)
            between = walking and source.kind == "fit" and source.key not in self.cuts  # in the middle of a training
            if between or not is_stored(source.kind):
                stack.extend(source.inputs.values())
            else:
                found[source.key] = source
        return list(found.values())

    def _mark(self, stage: Stage, cell: str) -> None:
        stack = [stage]
        while stack:
            here = stack.pop()
            if cell not in self.cells[here.key]:
                self.cells[here.key].add(cell)
                stack.extend(self.sources[here.key])


def _stored(stages: Iterable[Stage], store: Store) -> set[str]:
    """Keys of those that the store has."""
    listed = set(store.keys())
    return set(store.present(stage.key for stage in stages if stage.key in listed))


def _trainings(pieces: Iterable[tuple[Stage, int]]) -> tuple[tuple[str, int], ...]:
    """Title and epochs of every training; pieces of one count together."""
    fits: dict[tuple[str, str], int] = {}
    for stage, epochs in pieces:
        first, title = (chain(stage)[0], stage.attached.title) if stage.kind == "fit" else (stage, "retraining")
        fits[first.key, title] = fits.get((first.key, title), 0) + epochs
    return tuple((title, epochs) for (_, title), epochs in fits.items())


def _branches(stages: Iterable[Stage]) -> set[str]:
    """Epochs where a training is cut: several go on from them, something else reads them, or B joins next.

    Args:
        stages: everything, inputs before what uses them.
    """
    used: set[str] = set()
    cuts: set[str] = set()
    joined: set[str] = set()  # epochs from the first that B joins on
    for stage in stages:
        if stage.kind == "fit":
            before = stage.inputs["before"]
            if stage.params["join"] and before.kind == "fit" and before.key not in joined:
                cuts.add(before.key)
            if stage.params["join"] or before.key in joined:
                joined.add(stage.key)
        for key in {source.key for source in stage.inputs.values() if source.kind == "fit"}:
            if stage.kind != "fit" or key in used:
                cuts.add(key)
            used.add(key)
    return cuts
