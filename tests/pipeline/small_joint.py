"""Two small data sets with different labelling habits, and launches without Ray, for tests of recipes."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from raysweep.config.experiment import Experiment
from raysweep.data.dataset import FaceData
from raysweep.pipeline import CellResult, Context, FitEvent, Sets, Task, build, plan_tasks
from raysweep.pipeline.run import run_task
from raysweep.pipeline.stage import Stage, ancestry
from raysweep.store.store import Store
from tests.conftest import make_squares

CLASSES = 4


def make_a(count=80, seed=0, with_va=False, classes=CLASSES) -> FaceData:
    """The target: a quarter of it is for testing."""
    return replace(make_squares(count, 16, classes, seed, with_va), name="A")


def make_b(count=80, seed=5, wrong=0.35, with_va=True, name="B", classes=CLASSES) -> FaceData:
    """An extra set, all for training: some labels are the next class's, and VA lie elsewhere than A's."""
    faces = make_squares(count, 16, classes, seed, with_va)
    moved = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < wrong
    return replace(
        faces,
        name=name,
        labels=torch.where(moved, (faces.labels + 1) % classes, faces.labels),
        va=(0.6 * faces.va + 0.15).clamp(-1, 1),
        splits=torch.zeros(count, dtype=torch.int64),
        fingerprint=f"{name}-{wrong}-{faces.fingerprint}",
    )


def small_joint(**changes) -> Experiment:
    """Six epochs of the small encoder on 16 pixels; B joins in epochs 4 and 6. Names with __ for the dot."""
    fields = {
        "model.backbone": "small",
        "model.weights": None,
        "model.affect": "linear",
        "augment.rotate": 0.0,
        "augment.translate": 0.0,
        "augment.scale_max": 1.0,
        "augment.brightness": 0.1,
        "augment.contrast": 0.0,
        "augment.erase": 0.0,
        "labels.alpha": 1.0,
        "objective.class_weights": "none",
        "objective.cosine": False,
        "objective.va_reduction": "mean",
        "objective.weight_va": 5.0,
        "train.epochs": 6,
        "train.batch_size": 24,
        "train.learning_rate": 3e-3,
        "train.decay_every": 4.0,
        "train.swa_start": None,
        "selection.weights": "best",
        "joint.method": "dcjt",
        "joint.extra": "B",
        "joint.warm_up": 3.0,
        "joint.frequency": 2.0,
    }
    return Experiment().with_changes(fields | {name.replace("__", "."): value for name, value in changes.items()})


def key_of(experiment: Experiment, sets: Sets) -> str:
    return build(experiment, sets).key


def fits(final: Stage) -> list[Stage]:
    """Every epoch of every training that leads to a cell."""
    return [stage for stage in ancestry([final]) if stage.kind == "fit"]


def stage_of(final: Stage, kind: str, number: int = 0) -> Stage:
    """One of the stages of a kind, in the order of `ancestry`."""
    return [stage for stage in ancestry([final]) if stage.kind == kind][number]


def last_epoch(final: Stage, title: str) -> Stage:
    """The last epoch of the training whose title begins like this."""
    found = [stage for stage in fits(final) if stage.attached.title.startswith(title)]
    return max(found, key=lambda stage: stage.attached.epoch)


@dataclass
class Launch:
    """What a launch without Ray did."""

    tasks: Sequence[Task]
    events: list[FitEvent] = field(default_factory=list)

    @property
    def trained(self) -> list[FitEvent]:
        return [event for event in self.events if not event.replayed]

    def titles(self) -> dict[str, int]:
        """Epochs trained by title."""
        counts: dict[str, int] = {}
        for event in self.trained:
            counts[event.title] = counts.get(event.title, 0) + 1
        return counts


def launch(cells: Iterable[Experiment], sets: Sets, store: Store, order: random.Random | None = None) -> Launch:
    """Plan cells against a store and run the tasks, each as a trial of its own would.

    `order`: draws which of those that may run is next; default the plan's order.
    """
    finals: dict[str, Stage] = {}
    experiments: dict[str, Experiment] = {}
    for experiment in cells:
        final = build(experiment, sets)
        finals[final.key], experiments[final.key] = final, experiment
    launched = Launch(plan_tasks(finals.values(), store))
    waiting, done = list(launched.tasks), set[str]()
    while waiting:
        ready = [task for task in waiting if not task.needs - done]
        task = order.choice(ready) if order else waiting[0]
        assert task in ready
        cell = experiments[min(task.cells)]
        run_task(cell, sets, task.key, task.keep, store, report=launched.events.append)
        waiting.remove(task)
        done.add(task.key)
    return launched


def result_of(experiment: Experiment, sets: Sets, store: Store) -> CellResult:
    """A finished cell, read from the store. Fails when it would have to be computed."""
    key = key_of(experiment, sets)
    assert store.get(key) is not None, "not in the store"
    return CellResult.read(store.folder(key))


def products(store: Store, report=lambda event: None) -> Context:
    """What stages give, computed when the store lacks it."""
    return Context(store, report=report)


def same(left: dict[str, float], right: dict[str, float]) -> bool:
    """Equal names and equal bits; a NaN equals a NaN."""
    return left.keys() == right.keys() and all(
        left[name] == right[name] or (math.isnan(left[name]) and math.isnan(right[name])) for name in left
    )
