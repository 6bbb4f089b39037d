"""The result as sentences, generated from the statistics."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.artifacts.study_record import AxisRecord
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import METRICS
from raysweep.report.formatting import listed, number, p_value, plural, title
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import MIN_REPLICATES, Comparison
from raysweep.report.tables.arms import difference_words

from .caption import incomplete_words, replicate_range, sentence
from .inference import best_words, new_images_words
from .searches import troubles


def reading(summary: Summary) -> list[str]:
    """Sentences on the claims in the headline score, on other scores, and on limits of the result."""
    if not summary.arms:
        return ["No replicate is planned yet: there is nothing to read in the table of results.", *troubles(summary)]
    if not any(arm.complete for arm in summary.arms):
        return [f"No cell is complete yet ({incomplete_words(summary)}): there is nothing to read.", *troubles(summary)]
    more = [*new_images_words(summary), *best_words(summary)]
    return [*_headline(summary), *more, *_other_scores(summary), *_limits(summary)]


def question(summary: Summary) -> str:
    """The question of the study, from its axes and reference."""
    study = summary.study
    axes = listed([f"{axis.name} ({_levels(axis)})" for axis in study.axes])
    text = f"How does {title(study.metric)} on the test images depend on {axes}?"
    if study.reference:
        text += f" Every arm is compared with the one at {arm_name(study.reference)} that is equal elsewhere."
    return text


def _levels(axis: AxisRecord) -> str:
    """Levels as a list, separated by semicolons if a level contains a comma."""
    return ("; " if any("," in level for level in axis.levels) else ", ").join(axis.levels)


def _headline(summary: Summary) -> list[str]:
    study = summary.study
    if not study.reference:
        return [_largest_mean(summary), "The study names no reference arm, so no differences are tested."]
    compared = _compared(summary, study.metric)
    if not compared:
        return [
            _largest_mean(summary),
            f"No arm shares a replicate that has {title(study.metric)} with its reference: no difference can be "
            "computed.",
        ]
    if max(comparison.n for _, comparison in compared) < MIN_REPLICATES:
        return [
            f"{_few(summary, compared)}: fewer than {MIN_REPLICATES} allow no claim about any arm.",
            _largest_mean(summary),
            _widest(compared, study.metric),
        ]
    claims = [_claim(summary, arm, c) for arm, c in compared if c.claims and not c.same_as]
    return [*claims, *_without_claim(summary, compared)]


def _few(summary: Summary, compared: Sequence[tuple[ArmSummary, Comparison]]) -> str:
    """Number of replicates, or, if there are enough, of those shared with the reference."""
    if max(arm.complete for arm in summary.arms) < MIN_REPLICATES:
        return replicate_range(summary).capitalize()
    counts = sorted({c.n for _, c in compared})
    some = plural(counts[-1], "replicate") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} replicates"
    return f"{some} with {title(summary.study.metric)} in an arm and its reference"


def _without_claim(summary: Summary, compared: Sequence[tuple[ArmSummary, Comparison]]) -> list[str]:
    """Comparisons without a finding, and untested ones with the reason."""
    study, sentences = summary.study, []
    alike = [(arm, c) for arm, c in compared if c.verdict == "not distinguishable" and not c.same_as]
    some = any(c.claims for _, c in compared)
    if alike and some:
        sentences.append(f"Not to be told from the reference: {'; '.join(arm.name for arm, _ in alike)}.")
    elif alike:
        counts = sorted({c.n for _, c in alike})
        n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        sentences.append(
            f"{_none_of(summary, [arm for arm, _ in alike])} from {arm_name(study.reference)} in "
            f"{title(study.metric)} beyond noise at {n} replicates ({_tests(summary)})."
        )
    reasons: dict[str, list[str]] = {}
    for arm, c in compared:
        if c.verdict == "no claim" and not c.same_as:
            by = f" ({difference_words(c)})" if c.p is None else ""
            reasons.setdefault(c.why, []).append(f"{arm.name}{by}")
    for arm in _uncompared(summary):
        why = f"no replicate has {title(study.metric)} both there and in the reference"
        reasons.setdefault(why, []).append(arm.name)
    if not alike and not some:
        sentences.append(f"No arm could be tested against {arm_name(study.reference)} in {title(study.metric)}.")
    sentences += [f"No claim of {'; '.join(arms)}: {why}." for why, arms in reasons.items()]
    own = [arm.name for arm, c in compared if c.same_as == arm_name(study.reference_of(arm.coordinates))]
    sentences += [f"The reference's own cells, so not tested: {'; '.join(own)}."] if own else []
    return sentences if some else [*sentences, _widest(compared, study.metric)]


def _none_of(summary: Summary, tested: Sequence[ArmSummary]) -> str:
    if len(tested) == summary.family:
        return "No arm differs"
    if len(tested) == 1:
        return f"The one arm tested, {tested[0].name}, does not differ"
    return f"None of the {plural(len(tested), 'arm')} tested differs"


def _uncompared(summary: Summary) -> list[ArmSummary]:
    """Arms that have no replicate with the headline score in both the arm and its reference."""
    score = summary.study.metric
    return [arm for arm in summary.arms if not arm.is_reference and arm.scores[score].comparison is None]


def _tests(summary: Summary) -> str:
    return "paired t" if summary.family < 2 else f"paired t, Bonferroni over {summary.family} comparisons"


def _claim(summary: Summary, arm: ArmSummary, comparison: Comparison) -> str:
    study = summary.study
    compared, rest = _split(summary, arm)
    where = f" at {rest}" if rest else ""
    assert comparison.p_adjusted is not None
    p = p_value(comparison.p_adjusted)
    lower = "" if METRICS[study.metric].higher_is_better else ", lower is better"
    reference = summary.arm(study.reference_of(arm.coordinates))
    spoilt = ", degenerate cells among them" if arm.degenerate or (reference and reference.degenerate) else ""
    same = [a.name for a, c in _compared(summary, study.metric) if c.same_as == arm.name]
    also = f", the same cells as {'; '.join(same)}" if same else ""
    return (
        f"{compared} is {comparison.verdict} than {arm_name(study.reference)}{where} by "
        f"{difference_words(comparison)} in {title(study.metric)} "
        f"(adjusted p {p if p.startswith('<') else '= ' + p}, {comparison.n} replicates{spoilt}{lower}{also})."
    )


def _widest(compared: Sequence[tuple[ArmSummary, Comparison]], metric: str) -> str:
    arm, comparison = max(compared, key=lambda pair: abs(pair[1].difference))
    text = f"The largest difference in {title(metric)} is {difference_words(comparison)} at {arm.name}"
    return (
        f"{text}; the interval in brackets is what the data leave open." if comparison.low is not None else f"{text}."
    )


def _largest_mean(summary: Summary) -> str:
    metric = summary.study.metric
    means = [(arm, s.spread) for arm in summary.arms if (s := arm.scores[metric]).spread is not None]
    if not means:
        return f"No complete cell has {title(metric)}."
    sign = 1 if METRICS[metric].higher_is_better else -1
    arm, spread = max(means, key=lambda pair: sign * (pair[1].mean if pair[1] else 0.0))
    assert spread is not None
    std = f" ± {number(spread.std)}" if spread.std is not None else ""
    return f"The best mean {title(metric)} is {number(spread.mean)}{std}, at {arm.name}."


def _other_scores(summary: Summary) -> list[str]:
    """Differences in other scores, for which no claim is made."""
    others = [title(score) for score in summary.columns if score != summary.study.metric]
    if not others or not summary.study.reference:
        return []
    whose = "its" if len(others) == 1 else "their"
    return [f"Exploratory, without claims: {listed(others)}; {whose} differences and p-values are in the CSV file."]


def _limits(summary: Summary) -> list[str]:
    study = summary.study
    sentences = []
    if summary.incomplete:
        sentences.append(f"The table is incomplete: {incomplete_words(summary)}.")
    degenerate = sum(arm.degenerate for arm in summary.arms)
    if degenerate:
        predict = "predicts" if degenerate == 1 else "predict"
        text = f"{plural(degenerate, 'cell')} {predict} one class for every test image (degenerate)"
        sentences.append(f"{text}; the means keep {'it' if degenerate == 1 else 'them'}.")
    if study.protocol == "best_on_test":
        sentences.append("The epoch was chosen on the test images (best on test): the scores are optimistic.")
    sentences += troubles(summary)
    sentences += [f"Data note: {sentence(note)}" for note in study.data.notes]
    return sentences


def _compared(summary: Summary, score: str) -> list[tuple[ArmSummary, Comparison]]:
    pairs = ((arm, arm.scores[score].comparison) for arm in summary.arms)
    return [(arm, comparison) for arm, comparison in pairs if comparison is not None]


def _split(summary: Summary, arm: ArmSummary) -> tuple[str, str]:
    """The compared levels, and the levels in common."""
    reference = summary.study.reference
    compared = {a: level for a, level in arm.coordinates.items() if a in reference}
    return arm_name(compared), arm_name({a: level for a, level in arm.coordinates.items() if a not in reference})
