"""What the figures of adapted labels show (DCJT), as plain values: VA planes, and label scores against the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.artifacts.adapted_labels import AdaptedLabels, Plane
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import Spread, spread

MOST_ARMS = 4

PAIRS = (
    ("A's pseudo VA:\nRMSE", ("", "pseudo_rmse")),
    ("B's labels:\nshare right", ("given_right", "kept_right")),
    ("rest of B, labels:\nshare right", ("remainder_right", "relabelled_right")),
    ("rest of B, VA:\nRMSE", ("given_va_rmse", "mapped_va_rmse")),
)
"""Title of a panel, and its scores: as given (if there is such a thing), and as trained on."""


@dataclass(frozen=True, eq=False)
class ArmPlanes:
    """VA planes of one arm's first complete cell: "pseudo" (A), "given" and "adapted" (B). `name`: a line an axis."""

    name: str
    replicate: int
    planes: Mapping[str, Plane]


@dataclass(frozen=True)
class TruthRow:
    """One arm: score as given and as trained on, over its replicates. `group`: a line an axis."""

    name: str
    group: str
    before: Spread | None
    after: Spread | None


@dataclass(frozen=True)
class TruthPanel:
    """One pair of scores for every arm that has labels to judge; all panels have the same rows."""

    title: str
    score: str  # after; says which way is better
    rows: tuple[TruthRow, ...]


def arm_planes(summary: Summary, most: int = MOST_ARMS) -> list[ArmPlanes]:
    """The first `most` arms whose labels differ from those of the arms before, by their first complete cell."""
    found: dict[str, ArmPlanes] = {}
    for arm in summary.arms:
        cell = next((cell for cell in arm.cells if cell.complete), None)
        labels = cell.labels() if cell is not None else None
        if cell is None or labels is None:
            continue
        shown = labels.planes(len(summary.study.data.classes))
        if len(shown) > 1:
            found.setdefault(_digest(labels), ArmPlanes(_lines(arm.coordinates), cell.replicate, shown))
        if len(found) == most:
            break
    return list(found.values())


def truth_panels(summary: Summary) -> list[TruthPanel]:
    """Panels that have any value; none where no truth is known."""
    arms = [arm for arm in summary.arms if any(_spread(arm, score) for _, pair in PAIRS for score in pair)]
    panels = [
        TruthPanel(title, after, _by_group([_row(summary, arm, before, after) for arm in arms]))
        for title, (before, after) in PAIRS
    ]
    return [panel for panel in panels if any(row.before or row.after for row in panel.rows)]


def _row(summary: Summary, arm: ArmSummary, before: str, after: str) -> TruthRow:
    """Grouped as the differences are: compared levels are the name, the other axes are the group."""
    compared = summary.study.reference or (summary.study.compared_axis.name,)
    name = ", ".join(level for axis, level in arm.coordinates.items() if axis in compared)
    rest = {axis: level for axis, level in arm.coordinates.items() if axis not in compared}
    return TruthRow(name, _lines(rest), _spread(arm, before), _spread(arm, after))


def _by_group(rows: list[TruthRow]) -> tuple[TruthRow, ...]:
    """Rows of one group together, groups in the order of their first rows."""
    groups = list(dict.fromkeys(row.group for row in rows))
    return tuple(sorted(rows, key=lambda row: groups.index(row.group)))


def _spread(arm: ArmSummary, score: str) -> Spread | None:
    return spread([cell.scores[score] for cell in arm.cells if cell.complete and score in cell.scores])


def _lines(coordinates: Mapping[str, str]) -> str:
    return "\n".join(f"{axis}={level}" for axis, level in coordinates.items())


def _digest(labels: AdaptedLabels) -> str:
    """Equal for equal arrays, the truth left out."""
    found = hashlib.sha256()
    for name, array in labels.arrays().items():
        if "truth" not in name:
            found.update(name.encode() + array.tobytes())
    return found.hexdigest()
