"""What tasks cost, from the speeds that launches have measured."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.pipeline import FitEvent, Task
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store

from .workload import Images

FILE = "speeds.json"
KEPT = 100
"""Samples of a class that are remembered, the newest."""

Samples = dict[str, list[float]]


def work_of(experiment: Experiment) -> str:
    """The class of work of an experiment, in words: what decides how long an image takes on one kind of device."""
    return f"{experiment.model.backbone} at {experiment.data.image_size} px in {experiment.train.precision}"


class Speeds:
    """Seconds an image, by class of work and kind of device; and what tasks take besides their epochs.

    Kept in `<store.local>/speeds.json`. Several launches may write it: a measurement may be lost, never the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs, self._rest, self._starts = _read(path)
        self._new_starts: list[float] = []
        self._new_epochs: Samples = defaultdict(list)
        self._new_rest: Samples = defaultdict(list)
        self._trained: dict[str, float] = defaultdict(float)  # seconds, by the last stage of a piece
        self._images = Images()
        self._latest: Costs | None = None

    @classmethod
    def read(cls, store: Store) -> Speeds:
        """What earlier launches on this store have measured from this machine."""
        return cls(store.local / FILE)

    def note(self, event: FitEvent, experiment: Experiment) -> None:
        """An epoch that was reported. One that is only told again counts for nothing."""
        if event.replayed or not event.images:
            return
        self._add(self._new_epochs, experiment, event.device, event.seconds / event.images)
        self._trained[event.training] += event.seconds

    def note_task(self, task: Task, experiment: Experiment, seconds: float, device: str) -> None:
        """A task that was done from its beginning: what its epochs did not take went to reading, predicting, storing.

        Args:
            seconds: from its beginning to its end.
            device: as `FitEvent.device` says it.
        """
        trained = sum(self._trained.pop(key, 0.0) for key in task.makes)
        self._add(self._new_rest, experiment, device, max(0.0, seconds - trained))

    def note_start(self, seconds: float) -> None:
        """What a launch took before its first epoch began: imports, Ray, the first process that trains."""
        self._new_starts.append(max(0.0, seconds))

    @property
    def start(self) -> float | None:
        """What a launch takes before its first epoch, seconds; None where no launch has measured it."""
        starts = [*self._starts, *self._new_starts]
        return median(starts) if starts else None

    def _add(self, samples: Samples, experiment: Experiment, device: str, value: float) -> None:
        name = f"{work_of(experiment)} on {device}"
        if name not in samples:
            self._latest = None  # a class of work that this launch meets for the first time
        samples[name].append(value)

    def save(self) -> None:
        """Add what was noted to the file, as it is by now."""
        epochs, rest, starts = _read(self.path)
        self._starts, self._new_starts = [*starts, *self._new_starts][-KEPT:], []
        self._epochs, self._rest = _merged(epochs, self._new_epochs), _merged(rest, self._new_rest)
        self._new_epochs, self._new_rest, self._latest = defaultdict(list), defaultdict(list), None
        values = {"version": 1, "seconds_an_image": self._epochs, "seconds_besides": self._rest}
        values |= {"seconds_to_start": self._starts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix=f".{FILE}-", delete=False) as draft:
            json.dump(values, draft, indent=1)
        os.replace(draft.name, self.path)

    def on(self, device: str = "", per_trial: int = 1) -> Costs:
        """What tasks cost on one kind of device.

        Args:
            device: its name as `FitEvent.device` says it, without the number; "" for the one measured last.
            per_trial: devices a task runs on.
        """
        epochs, rest = _merged(self._epochs, self._new_epochs), _merged(self._rest, self._new_rest)
        return Costs(_of_device(epochs, device, per_trial), _of_device(rest, device, per_trial), self._images)

    def seconds(self, task: Task) -> float | None:
        """What a task costs on one device of the kind measured last; None where unknown. Quick, for queues ask often:
        medians are taken again when a class of work is new, and after `save`."""
        self._latest = self._latest or self.on()
        return self._latest.seconds(task)


class Costs:
    """Seconds of tasks on one kind of device.

    Args:
        speeds: class of work to seconds an image and the device it was measured on.
        rest: the same of what a task takes besides its epochs.
        images: counts images; shared, since it remembers.
    """

    def __init__(
        self, speeds: Mapping[str, tuple[float, str]], rest: Mapping[str, tuple[float, str]], images: Images
    ) -> None:
        self.speeds, self.rest, self.images = speeds, rest, images
        self._known: dict[str, float | None] = {}

    @property
    def devices(self) -> frozenset[str]:
        """What was measured on."""
        return frozenset(device for _, device in self.speeds.values())

    def seconds(self, task: Task) -> float | None:
        """Its epochs at the measured speed, and the usual rest; None when a class of work was never measured."""
        if task.key not in self._known:
            self._known[task.key] = self._seconds(task)
        return self._known[task.key]

    def unknown(self, task: Task) -> frozenset[str]:
        """The classes of work in a task that nobody has measured, in words."""
        if not task.pieces:
            work = work_of(_experiment_of(task.stage))
            return frozenset() if work in self.rest else frozenset({f"the scoring of {work}"})
        works = {work_of(stage.experiment) for stage, _ in task.pieces}
        return frozenset(works - self.speeds.keys())

    def _seconds(self, task: Task) -> float | None:
        if self.unknown(task):
            return None
        rest, _ = self.rest.get(work_of(_experiment_of(task.stage)), (0.0, ""))
        trained = sum(
            self.images.of_piece(stage, epochs) * self.speeds[work_of(stage.experiment)][0]
            for stage, epochs in task.pieces
        )
        return rest + trained


def _experiment_of(stage: Stage) -> Experiment:
    """The experiment of a cell that a stage is made for; the nearest stage before that knows one says it."""
    stack = [stage]
    while stack:
        here = stack.pop(0)
        if here.attached.experiment is not None:
            return here.experiment
        stack.extend(here.inputs.values())
    raise AssertionError(f"nothing that {stage.kind} is made of knows an experiment")


def _of_device(samples: Samples, device: str, per_trial: int) -> dict[str, tuple[float, str]]:
    """Median by class of work, and the device: the one asked for, else the one whose samples came last."""
    found = {}
    for name, values in samples.items():
        work, _, words = name.partition(" on ")
        kind, count = _device_and_count(words)
        if count == per_trial and device in ("", kind):
            found[work] = (median(values), words)
    return found


def _device_and_count(words: str) -> tuple[str, int]:
    """ "H100 x2" as ("H100", 2)."""
    several = re.fullmatch(r"(.*) x(\d+)", words)
    return (several[1], int(several[2])) if several else (words, 1)


def _merged(old: Samples, new: Samples) -> Samples:
    """The newest samples of every class; classes measured now come last."""
    untouched = {name: values for name, values in old.items() if name not in new}
    return untouched | {name: [*old.get(name, []), *values][-KEPT:] for name, values in new.items()}


def _read(path: Path) -> tuple[Samples, Samples, list[float]]:
    """What a file holds; nothing when it is not there or was harmed: then it is measured again."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        starts = [float(seconds) for seconds in values.get("seconds_to_start", [])]
        return dict(values["seconds_an_image"]), dict(values["seconds_besides"]), starts
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}, []
