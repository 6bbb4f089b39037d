"""Which arms stand side by side in a figure that has no room for all."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.artifacts.study_record import AxisRecord, StudyRecord

MOST_COLUMNS = 6
"""Arms side by side; half as many at each end of a second axis."""


def second_axis(study: StudyRecord) -> AxisRecord | None:
    """The first numeric axis that is not the compared one; without one, the first other with several levels."""
    others = [axis for axis in study.axes if axis != study.compared_axis and len(axis.levels) > 1]
    return next((axis for axis in others if axis.numeric), others[0] if others else None)


def some(levels: Sequence[str], most: int, always: str | None = None) -> list[str]:
    """At most `most` levels in their order, evenly spread from the first to the last; `always` is among them.

    >>> some(["0", "0.3", "0.5", "0.7", "1"], 3, "0.5")
    ['0', '0.5', '1']
    >>> some(["a", "b", "c", "d"], 2, "b")
    ['b', 'd']
    """
    if len(levels) <= most:
        return list(levels)
    rest = [level for level in levels if level != always]
    count, last = most - (len(rest) < len(levels)), len(rest) - 1
    kept = {rest[last if count == 1 else round(i * last / (count - 1))] for i in range(count)} | {always}
    return [level for level in levels if level in kept]


def side_by_side(study: StudyRecord, other: AxisRecord | None) -> list[tuple[str, str, dict[str, str]]]:
    """Heading of the group, level of the compared axis, coordinates."""
    compared, fixed = study.compared_axis, standing(study)
    levels = sorted(other.levels, key=float) if other and other.numeric else other.levels if other else [""]
    ends = list(dict.fromkeys((levels[0], levels[-1])))
    names = some(compared.levels, MOST_COLUMNS // len(ends), study.reference.get(compared.name))
    return [
        (_heading(compared, other, end), name, {**fixed, **({other.name: end} if other else {}), compared.name: name})
        for end in ends
        for name in names
    ]


def _heading(compared: AxisRecord, other: AxisRecord | None, level: str) -> str:
    """What stands above columns that are named by levels of the compared axis; numbers need its name."""
    if other is None:
        return compared.name
    return f"{other.name}={level}, {compared.name}:" if compared.numeric else f"{other.name}={level}"


def standing(study: StudyRecord) -> dict[str, str]:
    """Where an axis stands that is not shown: at its reference, else at its first level."""
    return {axis.name: study.reference.get(axis.name, axis.levels[0]) for axis in study.axes}


def panels_across(count: int) -> int:
    """Panels in a row: at most three, four as two rows of two.

    >>> panels_across(2), panels_across(4), panels_across(5)
    (2, 2, 3)
    """
    return 2 if count == 4 else min(3, count)
