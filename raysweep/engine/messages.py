"""What a trial's process reports to the driver, through Tune: typed on both sides, a line of JSON on the way.

A line, since Tune hands nested values to callbacks as they are and to schedulers flattened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from raysweep.pipeline import FitEvent

KEY = "raysweep"
"""Under which a message stands in what Tune passes on, beside values of Tune's own."""


@dataclass(frozen=True)
class Began:
    """The process begins with this task."""

    task: str


@dataclass(frozen=True)
class Epoch:
    """An epoch of a training of this task. `seconds` since the process began with the task."""

    task: str
    event: FitEvent
    seconds: float


@dataclass(frozen=True)
class Done:
    """The task's product is in the store. `scores` where the product has scores."""

    task: str
    seconds: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A task cannot be done. `task` is empty where the whole group of workers failed, in whichever of its tasks."""

    cause: str
    task: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Unusable:
    """The store, or another place that the task needs, cannot be read or written: no fault of the task."""

    reason: str


@dataclass(frozen=True)
class Finished:
    """The process has no task left."""


Message = Began | Epoch | Done | Failed | Unusable | Finished

_KINDS = {kind.__name__: kind for kind in (Began, Epoch, Done, Failed, Unusable, Finished)}


def packed(message: Message) -> dict[str, Any]:
    """A message for `tune.report`."""
    return {KEY: json.dumps({"kind": type(message).__name__, **asdict(message)})}


def unpacked(result: Mapping[str, Any]) -> Message | None:
    """The message in a result of Tune's; None when there is none."""
    if KEY not in result:
        return None
    values = json.loads(result[KEY])
    kind = _KINDS[values.pop("kind")]
    if kind is Epoch:
        values["event"] = FitEvent(**values["event"])
    message: Message = kind(**values)
    return message
