"""`Stage`: one step of a method, identified by what it is computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, TypeVar

from raysweep.core.hashing import canonical_json

from .stage_kinds import NUMERICS

if TYPE_CHECKING:
    from raysweep.config.experiment import Experiment
    from raysweep.data.dataset import FaceData

T = TypeVar("T")

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
"""As `canonical_json`."""


def stage_key(kind: str, params: dict[str, Any], inputs: dict[str, str]) -> str:
    """SHA-256 (64 hex digits) over the kind of stage, its version, parameters and inputs' keys."""
    content = {"kind": kind, "numerics": NUMERICS[kind], "params": params, "inputs": inputs}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Attached:
    """What goes with a stage and is not in its key.

    `experiment`: what it runs with; `data`: the data set of a "data" stage; `title` of a training and the number of its
    `epoch`, from 1; `knows_va`: whether its labels come with valence and arousal.
    """

    experiment: Experiment | None = None
    data: FaceData | None = None
    title: str = ""
    epoch: int = 0
    knows_va: bool = False


_NOTHING = Attached()


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """One step with typed inputs. Equal keys mean equal products.

    Args:
        kind: name of the work, a key of `raysweep.pipeline.stage_kinds.STAGE_KINDS`.
        params: plain values that can change the product.
        inputs: what it is computed from, by role.
        attached: what running needs and the product does not depend on.

    `key` is `stage_key` of the first three: SHA-256 over kind, numerics version, parameters and the inputs' keys,
    64 hex digits.
    """

    kind: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    attached: Attached = field(default=_NOTHING, repr=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Computes the key, equal to `stage_key`, written out for speed: a study has a hundred thousand stages. Inputs
        have their keys already, so a chain of a thousand epochs needs no recursion."""
        inputs = ",".join([f"{quoted(role)}:{quoted(stage.key)}" for role, stage in sorted(self.inputs.items())])
        known = f'"kind":{quoted(self.kind)},"numerics":{NUMERICS[self.kind]}'
        text = f'{{"inputs":{{{inputs}}},{known},"params":{_JSON.encode(dict(self.params))}}}'
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest())

    @property
    def experiment(self) -> Experiment:
        """What it runs with."""
        assert self.attached.experiment is not None, f"{self.kind} has no experiment"
        return self.attached.experiment

    @property
    def data(self) -> FaceData:
        """The data set of a "data" stage."""
        assert self.attached.data is not None, f"{self.kind} has no data set"
        return self.attached.data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def ancestry(stages: list[Stage]) -> Iterator[Stage]:
    """The stages and everything they are computed from, each once, inputs before what uses them."""
    seen: set[str] = set()
    stack = [(stage, False) for stage in reversed(stages)]
    while stack:
        stage, expanded = stack.pop()
        if expanded:
            yield stage
        elif stage.key not in seen:
            seen.add(stage.key)
            stack.append((stage, True))
            stack.extend((source, False) for source in reversed(list(stage.inputs.values())))


class Known:
    """Cache of stages that cells share: a thousand trainings get their keys in seconds, not minutes.

    Equal tokens must mean equal keys and equal titles. What is attached to a stage is then that of the first cell.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def once(self, token: Hashable, make: Callable[[], T]) -> T:
        """The value of a token; made at the first call."""
        if token not in self._values:
            self._values[token] = make()
        value: T = self._values[token]
        return value
