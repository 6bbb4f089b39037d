"""Reading the data sets of an experiment: parts, limits, and images that one trains on and another is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from raysweep.config.class_changes import names_of, pairs_of
from raysweep.config.experiment import Experiment
from raysweep.config.per_set import value_of
from raysweep.config.sections import Data, LeaveOut
from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import plural
from raysweep.data.classes import ClassChanges, in_order_of
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.digests import ImageCaches
from raysweep.data.expressions import canonical_expression
from raysweep.data.load import class_changes, image_caches, load_whole, twin_threshold
from raysweep.data.names import BUILT_IN
from raysweep.data.shared_images import (
    CHOSEN_ON,
    MAYBE,
    NOT_SCORED,
    TESTED,
    Roles,
    Scored,
    same_images,
    shared_roles,
    twins_of_training,
)
from raysweep.data.splits import all_trained, named_gaps, parts_trained, subset

from .datasets import Leak, Sets

_OTHER_PARTS = {VALIDATION: "validation", TEST: "test"}
HOLDS_NOTHING_OUT = ("last", "best_on_test")
"""Protocols that choose no epoch on validation images."""


def load_sets(experiment: Experiment, cache: Path | None = None) -> Sets:
    """Read what an experiment names. Decoded images are kept below `cache`.

    Raises:
        UserError: a name or path that does not exist, or data that cannot be used.
    """
    joint = experiment.joint
    extras = tuple(_asked(experiment, number, source) for number, source in enumerate(joint.used_extra))
    watched = experiment.selection.protocol not in HOLDS_NOTHING_OUT
    return _load(experiment.data, extras, joint.finetune, watched, cache)


def _asked(experiment: Experiment, number: int, source: str) -> Extra:
    """The options of an experiment for one of its extra sets."""
    joint = experiment.joint
    return Extra(
        Data(source=source, image_size=experiment.data.image_size),
        value_of(joint.extra_splits, number),
        value_of(joint.extra_images, number),
        value_of(joint.classes, number),
        value_of(joint.drop, number),
        value_of(joint.map, number),
        (not isinstance(joint.drop, tuple), not isinstance(joint.map, tuple)),
    )


@dataclass(frozen=True)
class Extra:
    """What is asked of an extra set: its parts, at most `images` of them for training.

    `classes`, `drop`, `map`: what becomes of its classes; `shared`: whether the last two are said of all extra sets.
    """

    data: Data
    splits: str
    images: int | None
    classes: int | None = None
    drop: str | None = None
    map: str | None = None
    shared: tuple[bool, ...] = (True, True)

    def changes(self, target: ClassChanges, alone: bool) -> ClassChanges:
        """Its class changes: those of the target, unless it has its own.

        Args:
            alone: whether it is the only extra set, so that every name which is said of all must be a class of it.
        """
        own = ClassChanges.of("joint", self.classes, self.drop, self.map, strict=True)
        drop, mapped = (alone or not shared for shared in self.shared)
        said = frozenset({*(own.dropped if drop else ()), *(own.old_names if mapped else ())})
        return replace(own, strict=said).or_those_of(target)


@dataclass(frozen=True)
class _Read:
    """A data set as it was read, before any limit on its size."""

    config: Data
    data: FaceData
    kept: ImageCaches


def _read(config: Data, cache: Path | None, hold_out: bool = True, changes: ClassChanges | None = None) -> _Read:
    return _Read(config, load_whole(config, cache, hold_out, changes), image_caches(config, cache))


@lru_cache(maxsize=16)
def _load(config: Data, extras: tuple[Extra, ...], finetune: str | None, watched: bool, cache: Path | None) -> Sets:
    target = _read(config, cache)
    changes = class_changes(config)
    third = None
    if finetune not in (None, "target"):
        lenient = replace(changes, strict=frozenset())  # said of the target
        third = _with_expressions(
            _read(config.model_copy(update={"source": finetune, "options": ()}), cache, changes=lenient)
        )
    others = [_read_extra(extra, cache, extra.changes(changes, len(extras) == 1)) for extra in extras]
    _check_said_of_all(extras, others)
    apart = _Apart(config.leave_out, watched)
    for read in (target, third):
        if read is not None:
            others = [apart.from_scored(other, read, "joint.extra") for other in others]
    if third is not None:
        target = apart.from_scored(target, third, "data.source")
    ours = _limited(apart.from_itself(target), config, watched)
    last = None if third is None else _limited(apart.from_itself(third), config, watched)
    theirs = [_limited_extra(other, extra) for other, extra in zip(others, extras, strict=True)]
    for read in (ours, last):
        if read is not None:
            theirs = [apart.told(other, read, "joint.extra") for other in theirs]
    if last is not None:
        ours = apart.told(ours, last, "data.source")
    tuned = ours if finetune == "target" else last
    extra = tuple(in_order_of(other.data, ours.data.classes, ours.data.name) for other in theirs)
    return Sets(ours.data, extra, None if tuned is None else tuned.data, tuple(apart.leaks))


def _check_said_of_all(extras: Sequence[Extra], others: Sequence[_Read]) -> None:
    """A class that is dropped or mapped in all extra sets must be one of some: a mistyped name would have no effect."""
    if len(extras) < 2:
        return
    first = extras[0]
    there = {name for other in others for name in other.data.info.came_with or other.data.classes}
    said = {"drop": names_of(first.drop), "map": tuple(pairs_of(first.map))}
    for (what, names), shared in zip(said.items(), first.shared, strict=True):
        for name in map(canonical_expression, names if shared else ()):
            if name not in there:
                raise unknown_name(f"class in joint.{what}:", name, there, "(of the extra sets)")


def _read_extra(extra: Extra, cache: Path | None, changes: ClassChanges) -> _Read:
    """Every image of it is for training, as far as `joint.extra_splits` says; what is not is counted for captions."""
    config = extra.data
    if config.source in BUILT_IN:  # as many as are drawn
        config = config.model_copy(update={"train_images": extra.images})
    read = _with_expressions(_read(config, cache, hold_out=False, changes=changes))
    data = parts_trained(read.data, extra.splits)
    left = _not_trained(read.data, data)
    if left and config.source not in BUILT_IN:
        adds = "; joint.extra_splits=all adds them" if extra.splits == "train_validation" else ""
        data = _noted(data, f"its {left} not trained on{adds}")
    return replace(read, data=data)


def _with_expressions(read: _Read) -> _Read:
    """Without images that have valence and arousal but no expression, which joint training cannot use."""
    return replace(read, data=read.data.without_va_only())


def _not_trained(before: FaceData, after: FaceData) -> str:
    """How many validation and test images of a set are not trained on, as words with a verb."""
    out = after.splits != TRAIN
    counts = {name: int((out & (before.splits == split)).sum()) for split, name in _OTHER_PARTS.items()}
    text = " and ".join(plural(count, f"{name} image") for name, count in counts.items() if count)
    return text and f"{text} {'is' if sum(counts.values()) == 1 else 'are'}"


def _limited(read: _Read, config: Data, watched: bool) -> _Read:
    if not watched and config.train_images is not None:
        read = replace(read, data=all_trained(read.data))  # its validation images are trained on, so they count
    data = subset(subset(read.data, TRAIN, config.train_images), TEST, config.test_images)
    return replace(read, data=named_gaps(data))


def _limited_extra(read: _Read, extra: Extra) -> _Read:
    return replace(read, data=subset(read.data, TRAIN, extra.images))


class _Apart:
    """Takes scored images out of what is trained on, as `data.leave_out` says, or records that they are in it."""

    def __init__(self, which: LeaveOut, watched: bool) -> None:
        self.which, self.watched = which, watched
        self.leaks: list[Leak] = []

    @property
    def _removes(self) -> bool:
        return self.which in ("twins", "near_twins")

    def from_scored(self, read: _Read, scored: _Read, field: str) -> _Read:
        """The whole set less the images that `scored` is scored on. The same set twice is a leak."""
        if same_images(read.data, read.kept, scored.data, scored.kept):
            self.leaks.append(Leak(field, read.data.name, scored.data.name, same=True))
            return read
        if not self._removes:
            return read
        near = twin_threshold(read.config.source) if self.which == "near_twins" else None
        roles = shared_roles(read.data, read.kept, Scored(scored.data, self.watched, scored.kept), near)
        return replace(read, data=_without(read.data, roles, _leak(roles, read, scored, field), self.which))

    def told(self, read: _Read, scored: _Read, field: str) -> _Read:
        """The set as it is trained on, with a note for captions on images that `scored` is scored on."""
        if self._removes:
            return read
        roles = shared_roles(read.data, read.kept, Scored(scored.data, self.watched, scored.kept))
        if not roles.any():
            return read
        leak = _leak(roles, read, scored, field)
        self.leaks.append(leak)
        return replace(read, data=_noted(read.data, _warning(leak)))

    def from_itself(self, read: _Read) -> _Read:
        """The set with a note on images that it both trains on and is scored on; `load_whole` takes them out."""
        return read if self._removes else replace(read, data=_with_own_twins(read))


def _leak(roles: Roles, read: _Read, scored: _Read, field: str) -> Leak:
    test, validation, drawn = (int((roles == role).sum()) for role in (TESTED, CHOSEN_ON, MAYBE))
    return Leak(field, read.data.name, scored.data.name, test, validation, drawn)


def _without(data: FaceData, roles: Roles, leak: Leak, which: LeaveOut) -> FaceData:
    from raysweep.data.audit.removal import without  # here: scipy and matplotlib take their time

    kind = "with the same pixels" if which == "twins" else "with the same or nearly the same picture"
    gone = np.flatnonzero(roles != NOT_SCORED)
    if not len(gone):
        return _noted(data, f"looked for images of {leak.scored} {kind} that are scored or chosen on, and found none")
    if len(gone) > len(data.rows(TRAIN)) - 2:
        raise UserError(
            f"data.leave_out={which} leaves nothing of {data.name} to train on: its images are {leak.summary}"
            + ("; give that set a validation part of its own" if leak.drawn else "")
        )
    return without(data, gone, f"{leak.summary} {kind}")


def _warning(leak: Leak) -> str:
    what = f"it trains on {leak.summary} (same pixels)"
    if leak.test or leak.validation:
        return f"WARNING: {what}, so scores are too high: data.leave_out=twins takes them out"
    return f"{what}, of which every replicate holds some out for validation: data.leave_out=twins takes them out"


def _with_own_twins(read: _Read) -> FaceData:
    validation, test = twins_of_training(read.data, read.kept)
    found = [plural(n, f"{what} image") for n, what in ((test, "test"), (validation, "validation")) if n]
    if not found:
        return read.data
    text = f"{' and '.join(found)} {'has' if test + validation == 1 else 'have'}"
    return _noted(
        read.data,
        f"WARNING: {text} the same pixels as training images: data.leave_out=twins takes those out of training",
    )


def _noted(data: FaceData, note: str) -> FaceData:
    return replace(data, notes=(*data.notes, note))
