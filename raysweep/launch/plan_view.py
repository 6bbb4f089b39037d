"""The plan of a launch as text (`--plan`, and the first lines of every launch) and as JSON (`--plan --json`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.config.sections import Selection
from raysweep.core.formatting import duration, plural, size
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.splits import for_protocol
from raysweep.scheduling import Speeds
from raysweep.store.store import Store
from raysweep.study.launch_records import Leftovers, leftovers
from raysweep.study.plan import Plan
from raysweep.training import class_counts

from .forecast import Forecast, forecast

LAST = Selection(protocol="last", weights="last")
"""Holds nothing out: every image of an extra set outside its test split is trained on."""


@dataclass(frozen=True)
class PlanView:
    """A plan with the store's contents and measured speeds. `devices`: numbers of devices to forecast for."""

    plan: Plan
    store: Store
    devices: Sequence[int]
    per_trial: int = 1

    def text(self) -> str:
        """The headline, counts, stale and orphaned products, and a line for every arm."""
        plan = self.plan
        states: dict[str, list[str]] = {cell.arm.name: [] for cell in plan.cells}
        for cell in plan.cells:
            state = "done" if cell.key in plan.done else "failed" if cell.key in plan.failed else cell.key[:8]
            states[cell.arm.name].append(state)
        width = max(len(name) for name in states)
        arms = [f"    {name:{width}}  {' '.join(each)}" for name, each in states.items()]
        return "\n".join([self.headline(), *self._count_lines(), *self._leftover_lines(), *arms])

    def headline(self) -> str:
        """The plan in a few lines: data, cells, store, work and time."""
        plan, data = self.plan, self.plan.data
        replicates = sorted({cell.replicate for cell in plan.cells})
        equal = len(plan.cells) - len(plan.by_key)
        lines = [
            f"{plan.study_name}: {plan.study.title}",
            data_line(data),
            *note_lines(data),
            *other_lines(plan.extras, plan.first),
            *(f"  note     {remark}" for remark in plan.remarks),
            f"  cells    {plural(len(plan.study.arms()), 'arm')} x {plural(len(replicates), 'replicate')} = "
            f"{len(plan.cells)}" + (f", {equal} equal to another" if equal else ""),
            self._store_line(),
        ]
        if plan.failed:
            causes = Counter(plan.failed.values())
            lines += [f"           failed: {cause} ({n} x); --retry-failed retries them" for cause, n in causes.items()]
        return "\n".join([*lines, *self._work_lines()])

    def json(self) -> dict[str, Any]:
        """The plan as plain values."""
        plan, expected, left = self.plan, self._forecasts(), self._leftovers()
        return {
            "study": plan.study_name,
            "preset": plan.preset,
            "data": plan.data.name,
            "images": [counts_json(data) for data in (plan.data, *plan.extras)],
            "cells": len(plan.cells),
            "distinct_cells": len(plan.by_key),
            "done": len(plan.done),
            "failed_before": {cell.name: plan.failed[cell.key] for cell in plan.cells if cell.key in plan.failed},
            "to_train": len(plan.to_train),
            "stages": plan.stages,
            "epochs_to_train": plan.epochs_to_train,
            "epochs_unshared": plan.epochs_unshared,
            "trainings": {title: {"pieces": n, "epochs": epochs} for title, (n, epochs) in plan.trainings.items()},
            "stale": [{"cell": name, "reason": reason} for name, reason in left.stale],
            "orphaned": {"products": left.orphans, "bytes": left.orphan_bytes},
            "device_seconds": expected[0].device_seconds if expected else None,
            "wall_seconds": {str(n): e.wall_seconds for n, e in zip(self.devices, expected, strict=False)},
            "start_seconds": Speeds.read(self.store).start,
            "speed_unknown": sorted(expected[0].unknown) if expected else [],
            "cell_keys": {cell.name: cell.key for cell in plan.cells},
        }

    def _count_lines(self) -> list[str]:
        """Images by class of the scored set and of the others."""
        plan, first = self.plan, self.plan.cells[0]
        selection, seed = first.experiment.selection, first.experiment.seeds.split
        lines = [f"  images   {plan.data.name}, replicate {first.replicate}"]
        lines += count_lines(plan.data, selection, seed)
        for extra in plan.extras:
            lines += [f"  images   {extra.name}", *count_lines(extra, LAST, seed)]
        return lines

    def _store_line(self) -> str:
        plan = self.plan
        parts = [f"{len(plan.done)} done"]
        if plan.failed:
            parts.append(f"{len(plan.failed)} failed before")
        return f"  store    {', '.join([*parts, f'{len(plan.to_train)} to do'])}"

    def _work_lines(self) -> list[str]:
        plan = self.plan
        if not plan.tasks:
            return []
        stages, saved = plan.stages, plan.epochs_unshared - plan.epochs_to_train
        return [
            f"  stages   {stages['to_compute']} to compute ({stages['shared']} of them for several cells), "
            f"{stages['found']} found in the store",
            f"  train    {plural(plan.epochs_to_train, 'epoch')}"
            + (f"; sharing saves {saved} more" if saved > 0 else ""),
            *(
                f"           {title:24} {n:>4} x, {plural(epochs, 'epoch')}"
                for title, (n, epochs) in plan.trainings.items()
            ),
            *self._time_lines(),
        ]

    def _time_lines(self) -> list[str]:
        expected = self._forecasts()
        if not expected:
            return []
        if expected[0].device_seconds is None:
            return [f"  time     unknown: no launch has measured {', '.join(sorted(expected[0].unknown))} yet"]
        start = Speeds.read(self.store).start
        walls = [
            f"about {duration(e.wall_seconds + (start or 0.0))} on {plural(n, 'device')}"
            for n, e in zip(self.devices, expected, strict=True)
            if e.wall_seconds is not None
        ]
        return [
            f"  time     {expected[0].device_seconds / 3600:.2g} device-hours at measured speed; {', '.join(walls)}"
            + (f", including {duration(start)} to start" if start is not None else "")
        ]

    def _leftover_lines(self) -> list[str]:
        left = self._leftovers()
        reasons = Counter(reason for _, reason in left.stale)
        lines = [f"  stale    {plural(n, 'cell')}: {reason}" for reason, n in reasons.items()]
        if left.orphans:
            lines.append(
                f"  orphaned {plural(left.orphans, 'product')} ({size(left.orphan_bytes)}) "
                "that no study refers to: see --gc"
            )
        return lines

    def _forecasts(self) -> list[Forecast]:
        speeds = Speeds.read(self.store)
        return (
            [forecast(self.plan, speeds, n, per_trial=self.per_trial) for n in self.devices] if self.plan.tasks else []
        )

    def _leftovers(self) -> Leftovers:
        return leftovers(self.store, self.plan)


def data_line(data: FaceData) -> str:
    """The headline's line on the scored data set."""
    train, validation, test = (len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST))
    own = f", {validation} validation" if validation else ""
    return (
        f"  data     {data.name}, {train} training{own} and {test} test {'image' if test == 1 else 'images'}, "
        f"{plural(data.num_classes, 'expression')}, {data.images.shape[-1]} px"
    )


def note_lines(data: FaceData) -> list[str]:
    """Notes (for captions) and remarks (on how it was read) of a data set."""
    notes = [f"           note: {note}" for note in data.notes]
    return notes + [f"           remark: {remark}" for remark in data.info.remarks]


def other_lines(extras: Sequence[FaceData], first: FaceData | None) -> list[str]:
    """The headline's lines on the other training sets. `first`: the target of joint training before fine-tuning."""
    lines = []
    for extra in extras:
        role = "target" if first is not None and extra.fingerprint == first.fingerprint else "extra"
        count = len(extra.rows(TRAIN))
        text = f"{count} training {'image' if count == 1 else 'images'}"
        lines += [f"  {role:8} {extra.name}, {text}", *note_lines(extra)]
    return lines


def count_lines(data: FaceData, selection: Selection, seed: int) -> list[str]:
    """Training, validation and test images by class, as split for one replicate."""
    held = for_protocol(data, selection, seed)
    columns = ("training", "validation", "test")
    per_class = dict(zip(data.classes, class_counts(held), strict=True))
    lines = []
    for split, name in enumerate(columns):
        text = ", ".join(f"{expression} {counts[split]}" for expression, counts in per_class.items())
        total = sum(counts[split] for counts in per_class.values())
        if total:
            lines.append(f"           {name:10} {total:>6}: {text}")
    return lines


def counts_json(data: FaceData) -> dict[str, Any]:
    """Training, validation and test images by class, before a replicate holds any out."""
    classes = dict(zip(data.classes, map(list, class_counts(data)), strict=True))
    return {"name": data.name, "notes": list(data.notes), "classes": classes}
