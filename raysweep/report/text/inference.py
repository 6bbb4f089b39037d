"""Sentences on power, on the arms that may be best, and on new test images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raysweep.core.formatting import arm_name
from raysweep.report.formatting import limit, listed, number, plural, title
from raysweep.report.inference.best_arms import BestGroup
from raysweep.report.inference.crossed import Crossed
from raysweep.report.inference.power import ADVISED, MORE, POWER, Power, detectable_effect
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import MIN_REPLICATES

MOST_NAMED = 8
"""Arms that a sentence names; of more, it gives the number."""

HSU = "Hsu's multiple comparisons with the best, by paired t-limits with Bonferroni"


def power_words(summary: Summary) -> str:
    """Which differences the table's comparisons can find; "" without a comparison."""
    if not summary.family:
        return ""
    measured = summary.power
    n = measured.n if measured else 1
    base = measured or Power(summary.family, MIN_REPLICATES, detectable_effect(MIN_REPLICATES, summary.family), None)
    at = [base.at(count) for count in (n, MIN_REPLICATES, *MORE) if count >= max(n, MIN_REPLICATES)]
    first, *more = [one for i, one in enumerate(at) if one.n not in [other.n for other in at[:i]]]
    m = plural(summary.family, "comparison")
    here = f" (here {_difference(first)})" if first.std is not None else ""
    text = (
        f"Power: with m = {m} and n = {first.n} replicates a difference of {first.effect:.1f} standard deviations of "
        f"paired differences{here} is found with probability {POWER:g}"
    )
    each = [
        f"n = {one.n}: {one.effect:.1f}" + (f" ({_difference(one)})" if one.std is not None else "") for one in more
    ]
    text = f"{'; '.join([text, *each])}."
    return text if n >= ADVISED else f"{text} For claims {ADVISED} replicates are advised."


def _difference(power: Power) -> str:
    assert power.difference is not None
    return f"{power.difference:.2g}" if power.difference < 0.001 else number(power.difference)


def best_words(summary: Summary) -> list[str]:
    """Which arms cannot be told from the best in the headline score."""
    if not summary.best:
        return []
    mean = f"mean {title(summary.study.metric)}"
    kept = sum(len(group.may_be_best) for group in summary.best)
    if not any(group.excluded for group in summary.best):
        text = f"No arm can be excluded from having the best {mean}"
    elif len(summary.best) == 1:
        text = f"With 95 % confidence {_in_group(summary, summary.best[0], mean)}"
    elif kept <= MOST_NAMED:
        parts = [f"at {group.where} {_in_group(summary, group, '')}" for group in summary.best]
        text = f"With 95 % confidence in all of these statements together, the best {mean} is {'; '.join(parts)}"
    else:
        of = sum(len(group.standings) for group in summary.best)
        text = (
            f"With 95 % confidence {kept} of {of} arms may have the best {mean} of the "
            f"{len(summary.best)} groups that are compared; the table of differences marks them"
        )
    apart = "; a guarantee apart from that of the comparisons with the reference" if summary.study.reference else ""
    unjudged = [name for group in summary.best for name in group.unjudged]
    sentences = [f"{text} ({HSU}{apart})."]
    if unjudged:
        why = f"cells are missing or failed, or there are fewer than {MIN_REPLICATES} replicates"
        sentences.append(f"Not judged there: {_names(unjudged)}: {why}.")
    return sentences


def _in_group(summary: Summary, group: BestGroup, mean: str) -> str:
    """For example "alpha=0.5 has the best mean macro-F1 of 5 arms"; without `mean` only the arms."""
    names, of = [_short(summary, name) for name in group.may_be_best], len(group.standings)
    if not mean:
        some = f"one of {', '.join(names)}" if len(names) > 1 else names[0]
        return some if group.excluded else f"any of {of}"
    if len(names) == 1:
        return f"{names[0]} has the best {mean} of {of} arms"
    return f"the best {mean} is that of {_names(names)} ({len(names)} of {of} arms)"


def _short(summary: Summary, name: str) -> str:
    """The levels of an arm that are compared, if there are groups."""
    arm = next(arm for arm in summary.arms if arm.name == name)
    if len(summary.best) < 2:
        return name
    return arm_name({a: level for a, level in arm.coordinates.items() if a in summary.study.reference})


def _names(names: Sequence[str]) -> str:
    return listed(list(names), "or") if len(names) <= MOST_NAMED else plural(len(names), "arm")


def new_images_words(summary: Summary) -> list[str]:
    """Whether claims hold for new test images as well: those in the headline score, each once."""
    metric = summary.study.metric
    claimed = [
        arm for arm in summary.arms if (c := arm.scores[metric].comparison) is not None and c.claims and not c.same_as
    ]
    if not claimed:
        return []
    lasting: list[str] = []
    open_: list[str] = []
    lacking = []
    for arm in claimed:
        found = arm.scores[metric].inference.new_images
        if found is None:
            lacking.append(arm)
        else:
            (open_ if found.low <= 0 <= found.high else lasting).append(_with_interval(arm, found))
    return list(_sentences(summary, lasting, open_, lacking))


def _sentences(
    summary: Summary, lasting: Sequence[str], open_: Sequence[str], lacking: Sequence[ArmSummary]
) -> Iterator[str]:
    count, metric = summary.study.data.counts[2], summary.study.metric
    if lasting or open_:
        kept = f"these claims hold: {_some(lasting)}" if lasting else "none of these claims holds"
        left = f"; open: {_some(open_)}" if lasting and open_ else f": {_some(open_)}" if open_ else ""
        yield (
            f"For new test images as well (replicates and the {plural(count, 'test image')} both random, all "
            f"comparisons at once at 95 %) {kept}{left}."
        )
    reasons: dict[str, list[str]] = {}
    for arm in lacking:
        reasons.setdefault(arm.scores[metric].inference.why, []).append(arm.name)
    for why, names in reasons.items():
        yield (
            f"{'The claim' if len(names) == 1 else 'Claims'} of {_names(names)} {'is' if len(names) == 1 else 'are'} "
            f"about these {plural(count, 'test image')}; intervals for new ones are not available: {why}."
        )


def _with_interval(arm: ArmSummary, found: Crossed) -> str:
    return f"{arm.name} {number(found.mean, signed=True)} [{limit(found.low)}, {limit(found.high)}]"


def _some(parts: Sequence[str]) -> str:
    more = len(parts) - MOST_NAMED
    return "; ".join([*parts[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
