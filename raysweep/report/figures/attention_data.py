"""What the attention figure shows (DDAF, Figure 6), as plain values: faces with maps, and how alike maps stay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.attention_maps import AttentionMaps, is_flat, mean_likeness
from raysweep.artifacts.study_record import AxisRecord, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import spread

from .series import Line, Point

Maps = Mapping[tuple[str, int], AttentionMaps]
"""By name of the arm and replicate, complete cells only."""

MOST_COLUMNS = 6
"""Models beside each face; half as many at each end of a second axis."""

MOST_FACES = 4


@dataclass(frozen=True, eq=False)
class Tile:
    """One model's map (h, w) of one face for the face's label, and its class probabilities (K,)."""

    map: Array
    probs: Array


@dataclass(frozen=True, eq=False)
class Face:
    """A test image of class `label` with pixels (H, W, 3), and one tile a column."""

    label: int
    pixels: Array
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class Gallery:
    """Faces under several models. `columns`: (words above the group a model is in, level of the compared axis).

    `fixed`: levels of further axes; `places`: height and width of a map; `flat`: tiles whose map is 0 everywhere.
    """

    columns: tuple[tuple[str, str], ...]
    faces: tuple[Face, ...]
    replicate: int
    fixed: Mapping[str, str]
    places: tuple[int, int]

    @property
    def flat(self) -> int:
        return sum(not tile.map.any() for face in self.faces for tile in face.tiles)


@dataclass(frozen=True)
class Constancy:
    """How alike maps stay along an axis: mean likeness to the maps at its lowest level, by replicate.

    `between`: by name of the line, the mean over pairs of replicates at the lowest level: what another seed alone does.
    `images`: maps a cell; `flat`: share of all maps that are the same everywhere.
    """

    axis: AxisRecord
    first: str
    lines: tuple[Line, ...]
    between: Mapping[str, float]
    images: int
    flat: float


def gallery(summary: Summary) -> Gallery | None:
    """The compared arms at the lowest and the highest level of another axis, in the first replicate that has most.

    None when the first complete cell has no maps (a launch of an earlier version): the others are like it.
    """
    study, other = summary.study, second_axis(summary.study)
    wanted = [(group, name, arm) for group, name, where in _columns(study, other) if (arm := summary.arm(where))]
    if not _has_maps([arm for _, _, arm in wanted]):
        return None
    best: list[tuple[tuple[str, str], AttentionMaps]] = []
    replicate = 0
    for number in study.replicates:
        found = [((g, name), looks) for g, name, arm in wanted if (looks := _looks(arm, number))]
        found = [(column, looks) for column, looks in found if found[0][1].same_images(looks)]
        if len(found) > len(best):
            best, replicate = found, number
        if len(best) == len(wanted):
            break
    shown = {study.compared_axis.name, *([other.name] if other else [])}
    fixed = {axis: level for axis, level in _fixed(study).items() if axis not in shown}
    faces = _faces([looks for _, looks in best])
    if not faces:
        return None
    return Gallery(tuple(column for column, _ in best), faces, replicate, fixed, best[0][1].maps.shape[1:])


def constancy(summary: Summary) -> Constancy | None:
    """Along the numeric axis that is not compared; None without one, or without two levels to compare."""
    axis = second_axis(summary.study)
    if axis is None or not axis.numeric or not _has_maps(summary.arms):
        return None
    first, *further = sorted(axis.levels, key=float)
    there = {
        (arm.name, cell.replicate): looks
        for arm in summary.arms
        for cell in arm.cells
        if cell.complete and (looks := cell.attention())
    }
    lines: list[Line] = []
    between: dict[str, float | None] = {}
    for base in (arm for arm in summary.arms if arm.coordinates[axis.name] == first):
        points = tuple(_points(there, base, axis, further))
        if points:
            lines.append(Line(_name(base, axis), points, base.is_reference))
            between[lines[-1].name] = _between(there, base)
    if not lines:
        return None
    flat = np.concatenate([is_flat(looks.maps) for looks in there.values()])
    images = max(len(looks.rows) for looks in there.values())
    known = {name: mean for name, mean in between.items() if mean is not None}
    return Constancy(axis, first, tuple(lines), known, images, float(flat.mean()))


def _points(there: Maps, base: ArmSummary, axis: AxisRecord, further: Sequence[str]) -> Iterator[Point]:
    """The arms that differ from `base` in the axis alone: likeness to its maps in the same replicate."""
    for level in further:
        arm = arm_name({**base.coordinates, axis.name: level})
        pairs = {r: (there.get((base.name, r)), there.get((arm, r))) for r in (cell.replicate for cell in base.cells)}
        means = {r: mean_likeness(ours, theirs) for r, (ours, theirs) in pairs.items()}
        values = {r: mean for r, mean in means.items() if mean is not None}
        if (found := spread(list(values.values()))) is not None:
            yield Point(float(level), values, found, is_reference=False)


def _between(there: Maps, arm: ArmSummary) -> float | None:
    """Mean likeness over pairs of replicates of one arm."""
    looks = [there.get((arm.name, cell.replicate)) for cell in arm.cells]
    means = [mean_likeness(*pair) for pair in itertools.combinations(looks, 2)]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known else None


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
    count = most - (len(rest) < len(levels))
    last = len(rest) - 1
    kept = {rest[last if count == 1 else round(i * last / (count - 1))] for i in range(count)} | {always}
    return [level for level in levels if level in kept]


def _columns(study: StudyRecord, other: AxisRecord | None) -> list[tuple[str, str, dict[str, str]]]:
    """Heading of the group, level of the compared axis, coordinates."""
    compared, fixed = study.compared_axis, _fixed(study)
    ends = list(dict.fromkeys(_ends(other))) if other else [""]
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


def _ends(axis: AxisRecord) -> tuple[str, str]:
    levels = sorted(axis.levels, key=float) if axis.numeric else axis.levels
    return levels[0], levels[-1]


def _fixed(study: StudyRecord) -> dict[str, str]:
    """Where an axis stands that is not shown: at its reference, else at its first level."""
    return {axis.name: study.reference.get(axis.name, axis.levels[0]) for axis in study.axes}


def _has_maps(arms: Sequence[ArmSummary]) -> bool:
    first = next((cell for arm in arms for cell in arm.cells if cell.complete), None)
    return first is not None and first.attention() is not None


def _looks(arm: ArmSummary, replicate: int) -> AttentionMaps | None:
    return next((c.attention() for c in arm.cells if c.complete and c.replicate == replicate), None)


def _faces(looks: Sequence[AttentionMaps]) -> tuple[Face, ...]:
    """The first face of classes evenly spread."""
    first = looks[0].first_faces() if looks else {}
    kept = some([str(k) for k in first], MOST_FACES)
    return tuple(
        Face(k, looks[0].pixels[m], tuple(Tile(a.maps[n], a.probs[n]) for a in looks))
        for k, m in first.items()
        if str(k) in kept
        for n in [int(looks[0].shown[m])]
    )


def _name(arm: ArmSummary, axis: AxisRecord) -> str:
    """Of the line an arm lies on: its other levels."""
    rest = {name: level for name, level in arm.coordinates.items() if name != axis.name}
    return next(iter(rest.values())) if len(rest) == 1 else arm_name(rest)
