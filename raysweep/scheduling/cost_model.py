"""Estimated costs of tasks, from speeds that launches have measured."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from raysweep.config.experiment import Experiment
from raysweep.core.notices import passed_over
from raysweep.core.versioned import NewerRecord, RecordFormat
from raysweep.pipeline import FitEvent, Task
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store

from .workload import Images

FILE = "speeds.json"
KEPT = 100
"""Number of newest samples that are kept per class of work."""

FORMAT = RecordFormat()

Samples = dict[str, list[float]]

NOTHING: tuple[Samples, Samples, list[float]] = ({}, {}, [])


def work_of(experiment: Experiment) -> str:
    """The class of work of an experiment, as text: everything that determines the time per image on a device."""
    return f"{experiment.model.backbone} at {experiment.data.image_size} px in {experiment.train.precision}"


class Speeds:
    """Measured seconds per image, by class of work and kind of device, and seconds of tasks outside their epochs.

    Stored in `<store.local>/speeds.json`. Simultaneous launches may lose measurements, but do not damage the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs, self._rest, self._starts = _read(path) or NOTHING
        self._new_starts: list[float] = []
        self._new_epochs: Samples = defaultdict(list)
        self._new_rest: Samples = defaultdict(list)
        self._trained: dict[str, float] = defaultdict(float)  # seconds, by the last stage of a piece
        self._images = Images()
        self._latest: Costs | None = None

    @classmethod
    def read(cls, store: Store) -> Speeds:
        """Measurements of earlier launches from this machine on this store."""
        return cls(store.local / FILE)

    def note(self, event: FitEvent, experiment: Experiment) -> None:
        """Record a reported epoch; replayed ones are ignored."""
        if event.replayed or not event.images:
            return
        self._add(self._new_epochs, experiment, event.device, event.seconds / event.images)
        self._trained[event.training] += event.seconds

    def note_task(self, task: Task, experiment: Experiment, seconds: float, device: str) -> None:
        """Record the time of an uninterrupted task outside its epochs: reading, predicting, storing.

        Args:
            seconds: of the whole task.
            device: as in `FitEvent.device`.
        """
        trained = sum(self._trained.pop(key, 0.0) for key in task.makes)
        self._add(self._new_rest, experiment, device, max(0.0, seconds - trained))

    def note_start(self, seconds: float) -> None:
        """Record the seconds of a launch before its first epoch: imports, Ray, the first training process."""
        self._new_starts.append(max(0.0, seconds))

    @property
    def start(self) -> float | None:
        """Median seconds of launches before their first epoch; None if unmeasured."""
        starts = [*self._starts, *self._new_starts]
        return median(starts) if starts else None

    def _add(self, samples: Samples, experiment: Experiment, device: str, value: float) -> None:
        name = f"{work_of(experiment)} on {device}"
        if name not in samples:
            self._latest = None  # a new class of work
        samples[name].append(value)

    def save(self) -> None:
        """Add the recorded measurements to the current file, unless a newer raysweep wrote it."""
        found = _read(self.path)
        if found is None:
            return
        epochs, rest, starts = found
        self._starts, self._new_starts = [*starts, *self._new_starts][-KEPT:], []
        self._epochs, self._rest = _merged(epochs, self._new_epochs), _merged(rest, self._new_rest)
        self._new_epochs, self._new_rest, self._latest = defaultdict(list), defaultdict(list), None
        values = {"seconds_an_image": self._epochs, "seconds_besides": self._rest, "seconds_to_start": self._starts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix=f".{FILE}-", delete=False) as draft:
            json.dump(FORMAT.stamped(values), draft, indent=1)
        os.replace(draft.name, self.path)

    def on(self, device: str = "", per_trial: int = 1) -> Costs:
        """Costs of tasks on one kind of device.

        Args:
            device: name as in `FitEvent.device`, without the number of devices; "" for the one measured last.
            per_trial: devices per task.
        """
        epochs, rest = _merged(self._epochs, self._new_epochs), _merged(self._rest, self._new_rest)
        return Costs(_of_device(epochs, device, per_trial), _of_device(rest, device, per_trial), self._images)

    def seconds(self, task: Task) -> float | None:
        """Cost of a task on one device of the kind measured last; None if unknown. Medians are cached until a new class
        of work is measured, or `save`."""
        self._latest = self._latest or self.on()
        return self._latest.seconds(task)


class Costs:
    """Seconds of tasks on one kind of device.

    Args:
        speeds: class of work to seconds an image and the device it was measured on.
        rest: the same for the time of a task outside its epochs.
        images: counter of images, shared for its cache.
    """

    def __init__(
        self, speeds: Mapping[str, tuple[float, str]], rest: Mapping[str, tuple[float, str]], images: Images
    ) -> None:
        self.speeds, self.rest, self.images = speeds, rest, images
        self._known: dict[str, float | None] = {}

    @property
    def devices(self) -> frozenset[str]:
        """Devices of the measurements."""
        return frozenset(device for _, device in self.speeds.values())

    def seconds(self, task: Task) -> float | None:
        """Its epochs at the measured speed plus the usual rest; None if a class of work is unmeasured."""
        if task.key not in self._known:
            self._known[task.key] = self._seconds(task)
        return self._known[task.key]

    def unknown(self, task: Task) -> frozenset[str]:
        """The unmeasured classes of work of a task, as text."""
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
    """The experiment of a stage: its own, or that of the nearest stage among its inputs."""
    stack = [stage]
    while stack:
        here = stack.pop(0)
        if here.attached.experiment is not None:
            return here.experiment
        stack.extend(here.inputs.values())
    raise AssertionError(f"no input of {stage.kind} has an experiment")


def _of_device(samples: Samples, device: str, per_trial: int) -> dict[str, tuple[float, str]]:
    """Median and device by class of work, for `device`, or else for the device measured last."""
    found = {}
    for name, values in samples.items():
        work, _, devices = name.partition(" on ")
        kind, count = _device_and_count(devices)
        if count == per_trial and device in ("", kind):
            found[work] = (median(values), devices)
    return found


def _device_and_count(text: str) -> tuple[str, int]:
    """ "H100 x2" as ("H100", 2)."""
    several = re.fullmatch(r"(.*) x(\d+)", text)
    return (several[1], int(several[2])) if several else (text, 1)


def _merged(old: Samples, new: Samples) -> Samples:
    """The newest samples of every class; newly measured classes come last."""
    untouched = {name: values for name, values in old.items() if name not in new}
    return untouched | {name: [*old.get(name, []), *values][-KEPT:] for name, values in new.items()}


def _read(path: Path) -> tuple[Samples, Samples, list[float]] | None:
    """Contents of the file; empty if it is missing or damaged; None, with a warning, if a newer raysweep wrote it."""
    try:
        values = FORMAT.read(path.read_bytes())
        starts = [float(seconds) for seconds in values.get("seconds_to_start", [])]
        return dict(values["seconds_an_image"]), dict(values["seconds_besides"]), starts
    except NewerRecord as error:
        passed_over(str(path), str(error))
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return NOTHING
