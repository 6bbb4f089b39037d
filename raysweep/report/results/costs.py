"""Device-seconds of runs, from the times of the epochs in their curves."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.tracking import schema

SECONDS = "seconds"
"""Metric of every epoch: its wall time, validation included."""


def device_seconds(history: Callable[[str], Sequence[tuple[int, float]]], tags: Mapping[str, str]) -> float | None:
    """Time of the epochs that a run's own task trained, times its number of devices; None without any time.

    Epochs that the store or another task had (`schema.SHARED_EPOCHS`) cost nothing here.
    """
    own = _own_epochs(history, tags)
    return None if own is None else math.fsum(own) * device_count(tags.get(schema.DEVICE, ""))


def trained_epochs(history: Callable[[str], Sequence[tuple[int, float]]], tags: Mapping[str, str]) -> int | None:
    """Number of the epochs that `device_seconds` sums; None where it has none to sum."""
    own = _own_epochs(history, tags)
    return None if own is None else len(own)


def _own_epochs(
    history: Callable[[str], Sequence[tuple[int, float]]], tags: Mapping[str, str]
) -> Sequence[float] | None:
    """Seconds of each epoch that the run's own task trained; None without any time."""
    curve = [(step, value) for step, value in history(SECONDS) if math.isfinite(value) and value >= 0]
    if not curve:
        return None
    shared = _spans(tags.get(schema.SHARED_EPOCHS, ""))
    return [value for step, value in curve if not any(low <= step <= high for low, high in shared)]


def device_count(device: str) -> int:
    """Number of devices of one training, as its name says.

    >>> device_count("NVIDIA H100 x4"), device_count("x86_64")
    (4, 1)
    """
    found = re.search(r" x(\d{1,5})$", device)
    return max(1, int(found[1])) if found else 1


@dataclass(frozen=True)
class SharedWork:
    """Trainings that several cells share: runs, their epochs and device-seconds."""

    runs: int = 0
    epochs: int = 0
    seconds: float = 0.0


def shared_work(runs: Sequence[Any], history: Callable[[str], Callable[[str], Any]], fingerprint: str) -> SharedWork:
    """Of trainings that several cells share, of those on the data of this fingerprint.

    Args:
        runs: MLflow runs of kind "training".
        history: run id to a function that reads a curve by its name.
    """
    own = [run for run in runs if run.data.tags.get(schema.DATA_FINGERPRINT, "") == fingerprint]
    curves = [(history(str(run.info.run_id)), run.data.tags) for run in own]
    epochs = sum(trained_epochs(curve, tags) or 0 for curve, tags in curves)
    return SharedWork(len(own), epochs, math.fsum(device_seconds(curve, tags) or 0.0 for curve, tags in curves))


def _spans(text: str) -> list[tuple[int, int]]:
    """First and last epochs of the spans of a tag; none where somebody edited it."""
    try:
        ends = [[int(number) for number in span.split("-")] for span in text.split(",") if span]
    except ValueError:
        return []
    return [(span[0], span[-1]) for span in ends]
