"""Messages from a trial's process to the driver through Tune, encoded as one line of JSON.

Tune flattens nested values for schedulers, but not for callbacks; a string is the same for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from raysweep.pipeline import FitEvent

KEY = "raysweep"
"""Key of a message in a Tune result, which has keys of Tune's own, too."""


@dataclass(frozen=True)
class Began:
    """The process begins this task, on this machine. `node`: its id in Ray."""

    task: str
    host: str = ""
    node: str = ""


@dataclass(frozen=True)
class Epoch:
    """An epoch of a training of this task has ended, `seconds` after the process began the task."""

    task: str
    event: FitEvent
    seconds: float


@dataclass(frozen=True)
class Done:
    """The task's product is in the store. `scores` where the product has scores. `host`: the machine that wrote it."""

    task: str
    seconds: float
    scores: Mapping[str, float] = field(default_factory=dict)
    host: str = ""


@dataclass(frozen=True)
class Failed:
    """A task has failed. `task` is empty if the group of workers failed, during any of its tasks."""

    cause: str
    task: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Unusable:
    """The store or another file that the task needs cannot be read or written, by `host` if that is known."""

    reason: str
    host: str = ""


@dataclass(frozen=True)
class HostUnfit:
    """The machine cannot begin a task, since the task's data or the store are not there: no fault of the task."""

    host: str
    reason: str


@dataclass(frozen=True)
class Idle:
    """The process does nothing on an unfit machine, and keeps its device from other tasks for a while."""


@dataclass(frozen=True)
class Finished:
    """The process has no task left."""


Message = Began | Epoch | Done | Failed | Unusable | HostUnfit | Idle | Finished

_KINDS = {kind.__name__: kind for kind in (Began, Epoch, Done, Failed, Unusable, HostUnfit, Idle, Finished)}


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
