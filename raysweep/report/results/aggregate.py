"""Aggregates cells into arms: means over complete cells, counts of other cells, and comparisons with the reference.

An arm counts its cells by state, degenerate cells are kept and flagged, and cells that differ in code, data or device
give a remark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.formatting import arm_name, plural
from raysweep.metrics.registry import METRICS, OWN_VA
from raysweep.report.formatting import listed
from raysweep.report.inference.attach import inferred
from raysweep.report.inference.best_arms import BestGroup
from raysweep.report.inference.power import Power
from raysweep.report.inference.score_inference import NOTHING, ScoreInference

from .records import CellRecord, Results
from .searches import SearchRecord
from .statistics import Comparison, Spread, confirmed, explored, paired, spread
from .verify import said


@dataclass(frozen=True)
class ScoreSummary:
    """One score of one arm. `values`: by replicate; `runs`: their MLflow runs."""

    values: Mapping[int, float]
    spread: Spread | None
    runs: tuple[str, ...]
    comparison: Comparison | None = None
    inference: ScoreInference = NOTHING


@dataclass(frozen=True)
class ArmSummary:
    """One arm: its cells, and their summary by score."""

    coordinates: Mapping[str, str]
    cells: tuple[CellRecord, ...]
    is_reference: bool
    scores: Mapping[str, ScoreSummary] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return arm_name(self.coordinates)

    @property
    def complete(self) -> int:
        return sum(cell.complete for cell in self.cells)

    @property
    def planned(self) -> int:
        return len(self.cells)

    @property
    def degenerate(self) -> int:
        return sum(cell.degenerate for cell in self.cells if cell.complete)

    @property
    def flagged(self) -> bool:
        """Whether there are missing or degenerate cells."""
        return self.complete < self.planned or self.degenerate > 0

    @property
    def absent(self) -> dict[str, int]:
        """Number of incomplete cells by state."""
        return dict(sorted(Counter(cell.state for cell in self.cells if not cell.complete).items()))

    def without(self, score: str) -> int:
        """Complete cells without a score that other cells of the arm have."""
        has = [score in cell.scores for cell in self.cells if cell.complete]
        return has.count(False) if any(has) else 0


@dataclass(frozen=True)
class Summary:
    """A study's arms in order, its scores, remarks on its cells, and its searches.

    `family`: number of comparisons in the headline score for which the claims hold simultaneously; `power`: what they
    can find; `best`: by group of arms, those that cannot be told from the best in the headline score.
    """

    study: StudyRecord
    arms: tuple[ArmSummary, ...]
    columns: tuple[str, ...]
    unavailable: tuple[str, ...]
    remarks: tuple[str, ...]
    searches: tuple[SearchRecord, ...] = ()
    family: int = 0
    power: Power | None = None
    best: tuple[BestGroup, ...] = ()

    @property
    def incomplete(self) -> bool:
        return any(arm.complete < arm.planned for arm in self.arms)

    def arm(self, coordinates: Mapping[str, str]) -> ArmSummary | None:
        return next((arm for arm in self.arms if arm.coordinates == coordinates), None)


MOST_CHECKS = 8
"""Maximum number of runs named below a table for disagreeing with their files; `--check` names all."""


def summarise(results: Results, family: int | None = None, further: bool = True) -> Summary:
    """Summarise every arm with a planned cell, and compare its scores with those of its reference arm.

    Args:
        family: number of comparisons of the table (`family_size`), if it has more than these results.
        further: with all that is inferred beside the comparisons (`raysweep.report.inference`).
    """
    study, own = results.study, family_size(results)
    family = own if family is None else family
    cells = {str(coordinates): tuple(results.of(coordinates)) for coordinates in study.arms}
    arms = [
        ArmSummary(coordinates, cells[str(coordinates)], study.is_reference(coordinates))
        for coordinates in study.arms
        if cells[str(coordinates)]
    ]
    columns = _with_own_va(study.columns, results)
    summaries = {score: _one_score(study, arms, score, family) for score in columns}
    present = [score for score in columns if any(s.spread for s in summaries[score].values())]
    some = any(cell.complete for cell in results.cells)
    shown = tuple(s for s in columns if s in present or s == study.metric) if some else study.columns
    filled = (
        ArmSummary(a.coordinates, a.cells, a.is_reference, {score: summaries[score][a.name] for score in shown})
        for a in arms
    )
    hidden = tuple(score for score in study.columns if score not in shown)
    remarks = (*_remarks(results, arms), *said(results.checks, MOST_CHECKS))
    summary = Summary(study, tuple(filled), shown, hidden, remarks, results.searches, family)
    return inferred(summary, family / own if own else 1.0) if further else summary


def family_size(results: Results) -> int:
    """Planned number of comparisons with a reference; arms with the same cells count once."""
    pairs = (_planned_pair(results, coordinates) for coordinates in results.study.arms)
    return len({pair for pair in pairs if pair is not None})


def _planned_pair(results: Results, coordinates: Mapping[str, str]) -> tuple[tuple[str, ...], ...] | None:
    """Keys of the cells of an arm and of its reference; None if there is no comparison."""
    study = results.study
    if not study.reference or study.is_reference(coordinates):
        return None
    arms = (coordinates, study.reference_of(coordinates))
    ours, theirs = (tuple(cell.key for cell in results.of(arm)) for arm in arms)
    return (ours, theirs) if ours and theirs and ours != theirs else None


def _with_own_va(columns: Sequence[str], results: Results) -> tuple[str, ...]:
    """A study's scores, adding scores against A's own VA after those of A's pseudo VA if cells have them."""
    there = {score for cell in results.cells if cell.complete for score in cell.scores}.difference(columns)
    return tuple(name for score in columns for name in (score, OWN_VA.get(score)) if name == score or name in there)


def _one_score(study: StudyRecord, arms: list[ArmSummary], score: str, family: int) -> dict[str, ScoreSummary]:
    """The score of every arm by arm name, compared with its reference."""
    plain = {arm.name: _summary(arm, score) for arm in arms}
    named = {arm.name: arm for arm in arms}
    first: dict[tuple[tuple[str, ...], ...], str] = {}
    compared: dict[str, Comparison] = {}
    for arm in arms:
        reference = named.get(arm_name(study.reference_of(arm.coordinates)))
        if not study.reference or arm.is_reference or reference is None:
            continue
        comparison = paired(plain[arm.name].values, plain[reference.name].values)
        if comparison is not None:
            ours, theirs = (tuple(cell.key for cell in a.cells) for a in (arm, reference))
            name = reference.name if ours == theirs else first.setdefault((ours, theirs), arm.name)
            compared[arm.name] = replace(comparison, same_as="" if name == arm.name else name)
            if score == study.metric:
                unfit = _unfit(arm, reference, score)
                compared[arm.name] = confirmed(compared[arm.name], family, METRICS[score].higher_is_better, unfit)
    if score != study.metric:
        compared |= explored({name: c for name, c in compared.items() if not c.same_as})
        compared = {
            n: replace(c, p_holm=compared[c.same_as].p_holm) if c.same_as in compared else c
            for n, c in compared.items()
        }
    return {name: ScoreSummary(s.values, s.spread, s.runs, compared.get(name)) for name, s in plain.items()}


def _unfit(arm: ArmSummary, reference: ArmSummary, score: str) -> str:
    """Why no claim may be made about an arm: missing cells could be those with bad scores."""
    if not METRICS[score].directed:
        return "the score has no better direction"
    if reasons := _gaps(arm, score):
        return reasons
    return f"the reference has {reasons}" if (reasons := _gaps(reference, score)) else ""


def _gaps(arm: ArmSummary, score: str) -> str:
    """For example "1 failed and 1 missing of 5 cells"; "" if every cell has the score."""
    without = sum(score not in cell.scores for cell in arm.cells if cell.complete)
    parts = [f"{count} {state}" for state, count in arm.absent.items()]
    parts += [f"{without} without a finite {score}"] if without else []
    return f"{listed(parts)} of {plural(arm.planned, 'cell')}" if parts else ""


def _summary(arm: ArmSummary, score: str) -> ScoreSummary:
    cells = [cell for cell in arm.cells if cell.complete and score in cell.scores]
    values = {cell.replicate: cell.scores[score] for cell in cells}
    return ScoreSummary(values, spread(list(values.values())), tuple(cell.run_id or "" for cell in cells))


def _remarks(results: Results, arms: Sequence[ArmSummary]) -> list[str]:
    """Sentences on cells that differ in code, data or device, or are doubtful in another way."""
    complete = [cell for cell in results.cells if cell.complete]
    remarks = []
    for what, values in (
        ("versions of the code", [cell.code_version for cell in complete]),
        ("data fingerprints", [cell.data_fingerprint for cell in complete]),
        ("kinds of device", [cell.device for cell in complete]),
    ):
        counts = Counter(value or "unknown" for value in values)
        if len(counts) > 1:
            parts = ", ".join(f"{value} ({plural(count, 'cell')})" for value, count in sorted(counts.items()))
            remarks.append(f"Mixed: the cells come from {len(counts)} {what}: {parts}.")
    dirty = sum(cell.code_version.endswith(".dirty") for cell in complete)
    if dirty:
        of = plural(len(complete), "complete cell")
        remarks.append(f"{dirty} of {of} {_verb(dirty, 'was', 'were')} computed by code with uncommitted changes.")
    foreign = sum(c.data_fingerprint not in ("", results.study.data.fingerprint) for c in complete)
    if foreign:
        of = plural(len(complete), "complete cell")
        was = _verb(foreign, "was", "were")
        remarks.append(f"{foreign} of {of} {was} computed on other data than the launch describes.")
    twins = sum(cell.twins > 0 for cell in results.cells)
    if twins:
        has = f"{plural(twins, 'cell')} {_verb(twins, 'has', 'have')}"
        remarks.append(f"{has} several runs; the newest complete one is read.")
    for score in results.study.columns:
        lacking = sum(arm.without(score) for arm in arms)
        if lacking:
            has = f"{plural(lacking, 'complete cell')} {_verb(lacking, 'has', 'have')}"
            remarks.append(f"{has} no finite {score} and {_verb(lacking, 'is', 'are')} left out of its mean.")
    return remarks


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
