"""Fields that hold one value for all extra data sets, or one for each, joined by +."""

from __future__ import annotations

from operator import ge, gt, le
from typing import Any, TypeVar

from raysweep.core.parsing import parse_value, split_names

T = TypeVar("T")


def numbers(
    path: str,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    whole: bool = False,
    none: bool = False,
) -> Any:
    """A validator of numbers: "480+none" becomes (480, None), "480" is 480.

    Args:
        above, least, most: `above < value`, `least <= value <= most`.
        whole: whole numbers alone.
        none: whether a set may have no value.
    """
    rules = [(rule, bound, holds) for rule, bound, holds in ((">", above, gt), (">=", least, ge), ("<=", most, le))
             if bound is not None]  # fmt: skip

    def one(value: Any) -> Any:
        if value is None and none:
            return None
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or (whole and float(value) != int(value)):
            what = "a whole number" if whole else "a number"
            raise ValueError(f"`{path}` must be {what}, or one a set joined by +, but got {value!r}")
        for rule, bound, holds in rules:
            if not holds(value, bound):
                raise ValueError(f"`{path} {rule} {bound:g}` must hold, but got {value!r}")
        return int(value) if whole else float(value)

    def every(value: Any) -> Any:
        if isinstance(value, str) and "+" in value.strip("+"):
            value = [parse_value(word) for word in value.split("+")]
        elif isinstance(value, str):
            value = parse_value(value)
        return tuple(one(v) for v in value) if isinstance(value, (list, tuple)) else one(value)

    return every


def choices(path: str, valid: tuple[str, ...]) -> Any:
    """A validator of words: "train+all" becomes ("train", "all"), "all" is "all"."""

    def every(value: Any) -> Any:
        parts = split_names(value) if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not parts or any(word not in valid for word in parts):
            raise ValueError(f"`{path}` must be one of {', '.join(valid)}, or one a set joined by +, but got {value!r}")
        return parts[0] if isinstance(value, str) and len(parts) == 1 else tuple(parts)

    return every


def value_of(values: T | tuple[T, ...], number: int) -> T:
    """The value of one set. `number` counts the extra sets from 0.

    >>> value_of(480, 1), value_of((480, None), 1)
    (480, None)
    """
    return values[number] if isinstance(values, tuple) else values
