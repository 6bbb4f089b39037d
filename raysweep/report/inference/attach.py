"""Adds to a summary what is inferred beside its comparisons: power, the best arms, effect sizes, new test images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import METRICS
from raysweep.report.results.statistics import LEVEL

from .best_arms import best_groups
from .effect import improvement, standardised
from .image_intervals import ImageIntervals, ImageReader
from .power import detectable_effect, family_power, std_of
from .score_inference import ScoreInference

if TYPE_CHECKING:  # it imports this package
    from raysweep.report.results.aggregate import ArmSummary, Summary


def inferred(summary: Summary, tables: float = 1.0) -> Summary:
    """The summary with a `ScoreInference` of every arm and score, its power, and the arms that may be best.

    Args:
        tables: as of `best_groups`.
    """
    study, best = summary.study, best_groups(summary, tables)
    standing = {name: found for group in best for name, found in group.standings.items()}
    levels = {score: LEVEL / max(1, summary.family) if score == study.metric else LEVEL for score in summary.columns}
    reader, arms = ImageReader(summary.columns), []
    for arm in summary.arms:
        reference = _reference_of(summary, arm)
        images = reader.intervals(arm, reference, levels)
        scores = {}
        for score in arm.scores:
            found, own = _of_score(summary, arm, reference, score), images.get(score, ImageIntervals())
            found = replace(found, new_images=own.difference, mean_new_images=own.mean, why=own.why)
            found = replace(found, standing=standing.get(arm.name)) if score == study.metric else found
            scores[score] = replace(arm.scores[score], inference=found)
        arms.append(replace(arm, scores=scores))
    compared = [c for arm in arms if study.metric in arm.scores and (c := arm.scores[study.metric].comparison)]
    return replace(summary, arms=tuple(arms), power=family_power(compared, summary.family), best=best)


def _of_score(summary: Summary, arm: ArmSummary, reference: ArmSummary | None, score: str) -> ScoreInference:
    """Effect size, probability of improvement and, for the headline score, the detectable difference."""
    comparison = arm.scores[score].comparison
    if comparison is None or reference is None:
        return ScoreInference()
    better, found = METRICS[score], None
    if better.directed:
        found = improvement(arm.scores[score].values, reference.scores[score].values, better.higher_is_better)
    detectable = None
    if score == summary.study.metric and comparison.error:
        detectable = detectable_effect(comparison.n, summary.family) * std_of(comparison)
    return ScoreInference(standardised(comparison), found, detectable)


def _reference_of(summary: Summary, arm: ArmSummary) -> ArmSummary | None:
    """The arm that it is compared with; None for a reference."""
    if not summary.study.reference or arm.is_reference:
        return None
    wanted = arm_name(summary.study.reference_of(arm.coordinates))
    return next((other for other in summary.arms if other.name == wanted), None)
