"""The comparisons with the best of a table: among the arms that differ in the axes that the reference names only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import METRICS
from raysweep.report.results.statistics import MIN_REPLICATES

from .best import Standing, standings

if TYPE_CHECKING:  # it imports this package
    from raysweep.report.results.aggregate import ArmSummary, Summary


@dataclass(frozen=True)
class BestGroup:
    """Arms that are compared with the best among them, by name.

    `where`: the levels that they share, "" if they are all arms; `may_be_best`: those that cannot be told from the
    best; `excluded`: those that can; `unjudged`: those with failed or missing cells or with too few replicates; arms
    with the cells of another one are left out.
    """

    where: str
    may_be_best: tuple[str, ...]
    excluded: tuple[str, ...]
    unjudged: tuple[str, ...]
    standings: Mapping[str, Standing]


def best_groups(summary: Summary, tables: float = 1.0) -> tuple[BestGroup, ...]:
    """Groups with two judged arms or more; their statements hold together at 95 %. Empty for a score without direction.

    Args:
        tables: how many times as many statements hold at once, where several data sets are in one table.
    """
    score = summary.study.metric
    if not METRICS[score].directed:
        return ()
    groups = _groups(summary)
    statements = math.ceil(tables * sum(len(arms) - 1 for arms in groups.values()))
    found = []
    for where, arms in groups.items():
        judged = [arm for arm in arms if _complete(arm, score)]
        if len(judged) < 2:
            continue
        values = [arm.scores[score].values for arm in judged]
        each = standings(values, METRICS[score].higher_is_better, statements)
        named = {arm.name: standing for arm, standing in zip(judged, each, strict=True)}
        may = tuple(name for name, standing in named.items() if standing.may_be_best)
        rest = tuple(name for name in named if name not in may)
        found.append(BestGroup(where, may, rest, tuple(a.name for a in arms if a.name not in named), named))
    return tuple(found)


def _groups(summary: Summary) -> dict[str, list[ArmSummary]]:
    """Arms with cells of their own, by the levels of the axes that the reference does not name; all without one."""
    reference = summary.study.reference
    groups: dict[str, list[ArmSummary]] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for arm in summary.arms:
        kept = {axis: level for axis, level in arm.coordinates.items() if reference and axis not in reference}
        where, keys = arm_name(kept) if kept else "", tuple(cell.key for cell in arm.cells)
        if (where, keys) not in seen:
            seen.add((where, keys))
            groups.setdefault(where, []).append(arm)
    return groups


def _complete(arm: ArmSummary, score: str) -> bool:
    found = arm.scores.get(score)
    return found is not None and len(found.values) == arm.planned >= MIN_REPLICATES
