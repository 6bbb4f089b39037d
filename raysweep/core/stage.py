"""`Stage`: one step of a method, known by what it is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .keys import stage_key


@dataclass(frozen=True, eq=False)
class Stage:
    """One step with typed inputs. Equal keys mean equal products.

    Args:
        kind: name of the work, a key of `raysweep.core.keys.NUMERICS`.
        params: plain values that can change the product.
        inputs: what it is computed from, by role.
        aside: whatever running needs and the product does not depend on (loaded data, words for people).
    """

    kind: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    aside: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _ = self.key  # the inputs have theirs already: a chain of a thousand epochs needs no recursion

    @cached_property
    def key(self) -> str:
        """SHA-256 over kind, numerics version, parameters and the inputs' keys. 64 hex digits."""
        return stage_key(self.kind, dict(self.params), {name: stage.key for name, stage in self.inputs.items()})

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
