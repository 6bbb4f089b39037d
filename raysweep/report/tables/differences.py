"""The headline score's differences in every way that they are inferred: a row an arm."""

from __future__ import annotations

import math

from raysweep.core.formatting import arm_name
from raysweep.report.formatting import DASH, MINUS, limit, number, title
from raysweep.report.inference.best import Standing
from raysweep.report.inference.crossed import Crossed
from raysweep.report.inference.effect import Effect, Improvement
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.text.caption import label_of
from raysweep.report.text.overrides import label_tag

from .arms import difference_words
from .table import Column, Entry, ReportTable

DIFFERENCES = "differences"
"""Files are `<study>_differences.*`."""


def differences_table(summary: Summary) -> ReportTable | None:
    """Differences from the reference and from the best other arm; None if there are neither."""
    study = summary.study
    compared = any(arm.scores[study.metric].comparison for arm in summary.arms)
    if not compared and not summary.best:
        return None
    columns = [Column(axis.name, left=True) for axis in study.axes]
    if compared:
        group = f"against {arm_name(study.reference)}"
        titles = ("difference [95 %]", "with new images [95 %]", "d [95 %]", "P(better) [95 %]", "detectable")
        columns += [Column(name, group) for name in titles]
    if summary.best:
        columns += [Column(name, "against the best other arm") for name in ("may be best", "difference [95 %]")]
    rows = tuple(_row(summary, arm, compared) for arm in summary.arms)
    rules = {i for i in range(1, len(rows)) if rows[i][0].text != rows[i - 1][0].text} if len(study.axes) > 1 else set()
    caption = _caption(summary, compared)
    label = f"{label_of(study)}_{DIFFERENCES}"
    return ReportTable(label, tuple(columns), rows, caption, (), frozenset(rules), label_tag([study]))


def _caption(summary: Summary, compared: bool) -> tuple[str, ...]:
    """A title, and what the columns are."""
    metric = summary.study.metric
    parts = [f"Differences in {title(metric)}."]
    if compared:
        parts += [
            "Difference: paired, for these test images. With new images: replicates and test images are both random "
            "(Hillis, 2007), for statements on the data set. These two hold for all comparisons at once.",
            "d: mean over standard deviation of the paired differences, with its noncentral t-interval. P(better): "
            "share of replicates in which the arm is better, ties half, with Clopper and Pearson's interval. "
            "Detectable: a difference that is found with probability 0.8. These hold for a single comparison.",
        ]
    if summary.best:
        parts.append(
            "Against the best other arm: intervals for all arms at once at 95 %, a guarantee of its own (Hsu, 1984, "
            "paired, with Bonferroni); an arm that may be best cannot be told from the best one."
        )
    inferences = [arm.scores[metric].inference for arm in summary.arms if arm.complete]
    reasons = list(dict.fromkeys(found.why for found in inferences if found.why)) if compared else []
    return (*parts, *(f"No interval with new images: {why}." for why in reasons[:3]))


def _row(summary: Summary, arm: ArmSummary, compared: bool) -> tuple[Entry, ...]:
    score = arm.scores[summary.study.metric]
    found, entries = score.inference, [Entry(level) for level in arm.coordinates.values()]
    if compared and arm.is_reference:
        entries += [Entry("reference"), *(Entry(DASH) for _ in range(4))]
    elif compared:
        words = difference_words(score.comparison) if score.comparison else DASH
        detectable = DASH if found.detectable is None else number(found.detectable)
        entries += [Entry(words, runs=score.runs), Entry(crossed_words(found.new_images))]
        entries += [Entry(effect_words(found.effect)), Entry(improvement_words(found.improvement)), Entry(detectable)]
    if summary.best:
        may = DASH if found.standing is None else "yes" if found.standing.may_be_best else "no"
        entries += [Entry(may), Entry(standing_words(found.standing))]
    return tuple(entries)


def crossed_words(found: Crossed | None) -> str:
    """For example "+0.041 [+0.012, +0.070]"."""
    return DASH if found is None else f"{number(found.mean, signed=True)} [{limit(found.low)}, {limit(found.high)}]"


def effect_words(found: Effect | None) -> str:
    """For example "+1.32 [+0.21, +2.40]"."""
    if found is None:
        return DASH
    value, low, high = (number(x, signed=True, decimals=2) for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def improvement_words(found: Improvement | None) -> str:
    """For example "0.80 [0.28, 0.99]"."""
    return DASH if found is None else f"{found.share:.2f} [{found.low:.2f}, {found.high:.2f}]"


def standing_words(found: Standing | None) -> str:
    """For example "[−0.020, +0.003]"."""
    return DASH if found is None else f"[{_end(found.low)}, {_end(found.high)}]"


def _end(value: float) -> str:
    return limit(value) if math.isfinite(value) else f"{'+' if value > 0 else MINUS}∞"
