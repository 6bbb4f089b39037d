"""Ranges and choices of searched fields, optionally conditional on other fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Range:
    """Base of all ranges. `conditions`: the field is searched only if each of these fields, searched or fixed, has one
    of these values."""

    kind: ClassVar[str] = ""
    conditions: Mapping[str, Sequence[Any]] = field(default_factory=dict, kw_only=True)

    def when(self, path: str, values: Sequence[Any]) -> Self:
        """The same range, searched only if the field `path` has one of `values`, in addition to earlier conditions."""
        return replace(self, conditions={**self.conditions, path: tuple(values)})

    @property
    def numeric(self) -> bool:
        return True

    def fault(self) -> str | None:
        """The violated rule with its value, or None."""
        raise NotImplementedError

    def holds(self, value: Any) -> bool:
        """Whether a value is in the range."""
        raise NotImplementedError

    def probes(self) -> Sequence[Any]:
        """Both ends and a value between, to test whether the field accepts them."""
        raise NotImplementedError

    def phrase(self) -> str:
        """The range for a sentence: "in [0, 1]"."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Plain values, for plan.json and for comparing two searches."""
        when = {path: list(values) for path, values in self.conditions.items()}
        return {"kind": self.kind, **self._bounds(), "when": when or None}

    def _bounds(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class _Between(Range):
    low: float
    high: float

    def fault(self) -> str | None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return f"both ends must be finite, but got {self.low} and {self.high}"
        if self.low >= self.high:
            return f"`low < high` must hold, but got {self.low:g} >= {self.high:g}"
        return None

    def holds(self, value: Any) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def phrase(self) -> str:
        return f"in [{self.low:g}, {self.high:g}]"

    def _bounds(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class Uniform(_Between):
    """A number, uniformly distributed a priori."""

    kind: ClassVar[str] = "uniform"

    def probes(self) -> Sequence[Any]:
        return float(self.low), self.low + 0.6180339887 * (self.high - self.low), float(self.high)


@dataclass(frozen=True)
class LogUniform(_Between):
    """A positive number with a logarithm that is uniformly distributed a priori."""

    kind: ClassVar[str] = "log"

    def fault(self) -> str | None:
        return super().fault() or _above_zero(self.low, 0.0)

    def probes(self) -> Sequence[Any]:
        return float(self.low), self.low * (self.high / self.low) ** 0.6180339887, float(self.high)


@dataclass(frozen=True)
class IntUniform(_Between):
    """A whole number, both ends included. `log`: its logarithm is searched."""

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = False

    def fault(self) -> str | None:
        fault = super().fault()
        if fault:
            return fault
        for end in (self.low, self.high):
            if int(end) != end:
                return f"both ends must be whole numbers, but got {end:g}"
        return _above_zero(self.low, 1) if self.log else None

    def holds(self, value: Any) -> bool:
        return super().holds(value) and float(value).is_integer()

    def probes(self) -> Sequence[Any]:
        return self.low, (self.low + self.high) // 2, self.high

    def _bounds(self) -> dict[str, Any]:
        return {**super()._bounds(), "log": self.log}


@dataclass(frozen=True)
class Choice(Range):
    """One of several values: numbers, names, true, false or none."""

    kind: ClassVar[str] = "choice"
    choices: Sequence[Any]

    @property
    def numeric(self) -> bool:
        return False

    def fault(self) -> str | None:
        for value in self.choices:
            if value is not None and not isinstance(value, (bool, int, float, str)):
                return f"a choice is a number, a name, true, false or none, but got {value!r}"
        twins = [v for i, v in enumerate(self.choices) if any(same_value(v, other) for other in self.choices[:i])]
        if twins or len(self.choices) < 2:
            return f"a choice needs two or more different values, but got {list(self.choices)}"
        return None

    def holds(self, value: Any) -> bool:
        return any(same_value(value, choice) for choice in self.choices)

    def probes(self) -> Sequence[Any]:
        return tuple(self.choices)

    def phrase(self) -> str:
        return "among " + ", ".join(map(str, self.choices))

    def _bounds(self) -> dict[str, Any]:
        return {"choices": list(self.choices)}


def same_value(left: Any, right: Any) -> bool:
    """Equality in which True differs from 1, but 1 equals 1.0."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _above_zero(low: float, least: float) -> str | None:
    if low > 0:
        return None
    rule = f"low >= {least:g}" if least else "low > 0"
    return f"a log range lies above zero: `{rule}` must hold, but got {low:g}"
