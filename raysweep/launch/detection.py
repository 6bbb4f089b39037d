"""`--plan --detect D`: how many replicates find a difference of D in the headline score, by what the store holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from raysweep.artifacts.cell_result import CellResult
from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.errors import UserError
from raysweep.core.formatting import listed, plural
from raysweep.metrics.registry import METRICS
from raysweep.report import Results, summarise
from raysweep.report.inference.power import (
    ADVISED,
    LIMIT,
    MORE,
    MOST,
    POWER,
    detectable_effect,
    replicates_needed,
    std_of,
    upper_std,
)
from raysweep.report.results.records import CellRecord
from raysweep.report.results.statistics import MIN_REPLICATES, Comparison
from raysweep.store.store import Store
from raysweep.study.plan import Plan


@dataclass(frozen=True)
class Need:
    """Replicates that one standard deviation of paired differences takes; None: more than `MOST`."""

    std: float
    upper_std: float
    replicates: int | None

    @property
    def words(self) -> str:
        return plural(self.replicates, "replicate") if self.replicates else f"more than {MOST:,} replicates"


@dataclass(frozen=True)
class Detection:
    """What finds `difference` with probability `POWER` in a table of `family` comparisons in `metric`.

    `pooled`: by the root mean square of the standard deviations of all comparisons; `noisiest`: by the largest one, of
    `arm`; None, and `why`, if nothing was measured. `n`: replicates measured.
    """

    difference: float
    metric: str
    family: int
    pooled: Need | None = None
    noisiest: Need | None = None
    arm: str = ""
    n: int = 0
    why: str = ""

    @property
    def text(self) -> str:
        """Lines below a plan."""
        m = f"m = {plural(self.family, 'comparison')}"
        if self.pooled is None or self.noisiest is None:
            counts = (MIN_REPLICATES, *MORE)
            each = listed([f"{detectable_effect(n, self.family):.1f} with n = {n}" for n in counts])
            return (
                f"  detect   {self.difference:g} in {METRICS[self.metric].title}: not known, {self.why}\n"
                f"           {m} find, in standard deviations of paired differences, {each}"
            )
        lines = [
            f"  detect   {self.difference:g} in {METRICS[self.metric].title} with probability {POWER:g} and {m}: "
            f"{self.pooled.words}",
            f"           paired differences vary by {self.pooled.std:.3g} over {self.n} replicates (all arms), at most "
            f"{self.pooled.upper_std:.3g} with confidence {LIMIT:g}, which is planned with",
        ]
        if self.noisiest != self.pooled:
            lines.append(
                f"           the noisiest arm, {self.arm} ({self.noisiest.std:.3g}, at most "
                f"{self.noisiest.upper_std:.3g}): {self.noisiest.words}"
            )
        if self.pooled.replicates and self.pooled.replicates < ADVISED:
            lines.append(f"           for claims {ADVISED} replicates are advised")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """Plain values. `replicates` is null if nothing was measured, or if it takes more than `MOST`."""
        found = {"difference": self.difference, "metric": self.metric, "comparisons": self.family, "measured": self.n}
        if self.pooled is None or self.noisiest is None:
            return {**found, "replicates": None, "why": self.why}
        noisiest = {"arm": self.arm, "std": self.noisiest.std, "replicates": self.noisiest.replicates}
        pooled = {"std": self.pooled.std, "upper_std": self.pooled.upper_std, "replicates": self.pooled.replicates}
        return {**found, **pooled, "noisiest": noisiest}


def detection(plan: Plan | None, store: Store, difference: float) -> Detection:
    """By the cells of the plan that the store holds. `plan`: None for a search without a point.

    Raises:
        UserError: the study has no reference arm, or no test of its headline score is planned.
    """
    if plan is None:
        raise UserError("--detect needs the table of the study: search first, then ask again")
    record = plan.record("")
    summary = summarise(Results(record, tuple(_cells(plan, record, store))))
    if not summary.family:
        raise UserError(f"--detect: no arm of {plan.study_name} is compared with a reference, so nothing is tested")
    compared = [(arm, arm.scores[record.metric].comparison) for arm in summary.arms if record.metric in arm.scores]
    tested = [(arm.name, c) for arm, c in compared if c is not None and c.error and not c.same_as]
    if not tested:
        why = (
            "no arm shares two finished replicates with its reference in the store; "
            f"measure first: run the same command without --plan and --detect, with --seeds {MIN_REPLICATES}"
        )
        return Detection(difference, record.metric, summary.family, why=why)
    arm, noisiest = max(tested, key=lambda pair: std_of(pair[1]))
    measured = [c for _, c in tested]
    n, std = min(c.n for c in measured), _pooled(measured)
    needs = (_need(std, n, difference, summary.family), _need(std_of(noisiest), noisiest.n, difference, summary.family))
    return Detection(difference, record.metric, summary.family, *needs, arm, n)


def _pooled(comparisons: list[Comparison]) -> float:
    """Root mean square. Arms share their reference, so it counts as no more degrees of freedom than one of them has."""
    return math.sqrt(sum(std_of(c) ** 2 for c in comparisons) / len(comparisons))


def _need(std: float, n: int, difference: float, family: int) -> Need:
    upper = upper_std(std, n - 1)
    return Need(std, upper, replicates_needed(difference / upper, family))


def _cells(plan: Plan, record: StudyRecord, store: Store) -> list[CellRecord]:
    """Records of all cells, with the headline score of finished ones."""
    scores: dict[str, dict[str, float]] = {}
    for key in plan.by_key:
        if key in plan.done and store.get(key) is not None:
            told = CellResult.read(store.folder(key)).scores
            value = told.get(f"test/{record.metric}", told.get(f"labels/{record.metric}"))
            scores[key] = {} if value is None or not math.isfinite(value) else {record.metric: value}
    return [
        CellRecord(
            cell.coordinates, cell.arm, cell.replicate, cell.key,
            state="complete" if cell.key in scores else "missing", scores=scores.get(cell.key, {}),
        )
        for cell in record.cells
    ]  # fmt: skip
