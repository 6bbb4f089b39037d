"""Captions and notes of a table: data, recipe, selection, statistics, and defects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.labels.registry import SOFT_LABELS
from raysweep.report.formatting import DASH, file_stem, listed, number, one_line, plural, title
from raysweep.report.published import PUBLISHED
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.records import target_kind
from raysweep.report.results.statistics import MIN_REPLICATES, exact_interval, simultaneous, spread
from raysweep.report.tables.table import BETTER, DEGENERATE, INCOMPLETE, WORSE
from raysweep.study.recipe_origins import departures

from .caption_epoch import epoch_choice
from .caption_joint import extra_notes, extra_shares, extra_weights, extra_words, joint_recipe, label_notes
from .comparability import comparable_words, held_out_words, va_only_words
from .inference import power_words
from .overrides import override_words
from .searches import how_found, then_replicated, troubles

PROTOCOLS = {
    "validation": "validation images are held out of training and the test images are read once",
    "select_then_retrain": "validation images choose, the model is retrained on all training images, "
    "the test images are read once",
    "last": "all images are trained on for a fixed number of epochs, the test images are read once",
    "best_on_test": "BEST ON TEST: the epoch was chosen on the test images themselves, so these scores are optimistic "
    "and not comparable with scores selected by validation",
}

WEIGHTS = {
    "swa": "the stochastic weight average (SWA)",
    "best": "the weights of the chosen epoch",
    "last": "the weights of the last epoch",
}


def caption(summary: Summary) -> tuple[str, ...]:
    """The sentences above a table."""
    study = summary.study
    return (
        f"{study.title}{f' ({study.source})' if study.source else ''}.",
        f"Data: {_data(summary)}.",
        *(f"Data note: {sentence(note)}" for note in study.data.notes),
        *extra_notes(study.data.extras),
        _recipe(summary),
        *epoch_choice(study, configs(summary)),
        *override_words(study),
        *_departures(summary),
        *joint_recipe(cell.config for arm in summary.arms for cell in arm.cells),
        *extra_shares(cell.config for arm in summary.arms for cell in arm.cells),
        *extra_weights(cell.config for arm in summary.arms for cell in arm.cells),
        *_label_statistics(summary),
        *_search(summary),
        _statistics(summary),
        *(sentence(note) for note in study.notes),
    )


def notes(summary: Summary, published: bool = True) -> tuple[tuple[str, str], ...]:
    """The sentences below a table, each with its mark or "". `published`: include those on printed numbers."""
    lines: list[tuple[str, str]] = []
    if summary.incomplete:
        lines.append((INCOMPLETE, f"Not complete, the mean is over the cells that are: {incomplete_words(summary)}."))
    lines += [("", text) for text in _failed(summary)]
    degenerate = [_degenerate(arm, summary.study.metric) for arm in summary.arms if arm.degenerate]
    if degenerate:
        text = f"Degenerate: predicts one class for every test image: {'; '.join(degenerate)}. Kept in the means."
        lines.append((DEGENERATE, text))
    if summary.unavailable:
        names = listed([title(score) for score in summary.unavailable])
        has = "it" if len(summary.unavailable) == 1 else "them"
        lines.append(("", f"Not shown, because no cell has {has} with these data: {names}."))
    lines += [("", remark) for remark in summary.remarks]
    lines += [("", text) for text in troubles(summary)]
    lines += [("", sentence(note, 900)) for note in label_notes(summary)]
    if published:
        lines += [("", text) for text in _published_notes(summary)]
    return tuple(lines)


def _published_notes(summary: Summary) -> Iterator[str]:
    """Origin of printed numbers, and differences that limit their comparison with ours."""
    table = PUBLISHED.get(summary.study.published or "")
    if table is None:
        if summary.study.published:
            yield f"No published numbers are known under the name {summary.study.published!r}."
        return
    yield f"{'Columns of the paper' if table.datasets else 'Published methods'}: {table.source}, as printed."
    yield from comparable_words(summary)
    yield from filter(None, [held_out_words(summary), va_only_words(summary)])
    unknown = [
        axis.name
        for axis in summary.study.axes
        if table.datasets and not any(table.knows(d, axis.name) for d in table.datasets)
    ]
    if unknown:
        yield f"The paper does not vary {listed(unknown)}: its numbers repeat."
    yield from table.notes


def incomplete_words(summary: Summary) -> str:
    """For example "noise=0.3, method=one-hot: 1 failed (the loss became nan), 1 missing"."""
    parts = []
    for arm in summary.arms:
        pieces = []
        for state, count in arm.absent.items():
            causes = sorted({one_line(c.cause, 80) for c in arm.cells if c.state == state and c.cause})
            pieces.append(f"{count} {state}" + (f" ({'; '.join(causes)})" if causes and state == "failed" else ""))
        if pieces:
            parts.append(f"{arm.name}: {', '.join(pieces)}")
    return "; ".join(parts)


def _failed(summary: Summary) -> Iterator[str]:
    """Rates of failed trainings and of those without the headline score, and the meaning of the other scores."""
    metric = summary.study.metric
    rates, diverged = [], False
    for arm in summary.arms:
        failed, without = arm.absent.get("failed", 0), arm.without(metric)
        rates += [f"{arm.name} {_rate(failed + without, arm.complete + failed)}"] if failed + without else []
        diverged = diverged or without > 0
    if rates:
        fail = f"fail or end without a finite {title(metric)}" if diverged else "fail"
        these, them = ("this arm", "it") if len(rates) == 1 else ("these arms", "them")
        yield (
            f"Share of cells that {fail}, with its exact 95 % interval (Clopper-Pearson): {'; '.join(rates)}. Scores "
            f"of {these} are those of the trainings that do not, and no claim is made of {them}."
        )


def _degenerate(arm: ArmSummary, metric: str) -> str:
    """For example "alpha=1: 1 of 5 (20 % [0.5, 71.6]), macro-F1 of the others 0.512"."""
    text = f"{arm.name}: {_rate(arm.degenerate, arm.complete)}"
    others = spread([c.scores[metric] for c in arm.cells if c.complete and not c.degenerate and metric in c.scores])
    return text if others is None else f"{text}, {title(metric)} of the others {number(others.mean)}"


def _rate(count: int, of: int) -> str:
    low, high = exact_interval(count, of)
    return f"{count} of {of} ({100 * count / of:.0f} % [{100 * low:.1f}, {100 * high:.1f}])"


def replicate_range(summary: Summary) -> str:
    """Number of replicates of the arms: "5 replicates", or "3 to 5 replicates"."""
    counts = sorted({arm.complete for arm in summary.arms}) or [0]
    if len(counts) == 1:
        return plural(counts[0], "replicate")
    return f"{counts[0]} to {counts[-1]} replicates"


def sentence(text: str, limit: int = 600) -> str:
    """A text of others on one line, with a full stop."""
    flat = one_line(text, limit).rstrip(".")
    return f"{flat}." if flat else DASH


def label_of(study: StudyRecord) -> str:
    """The LaTeX label of a study's table."""
    return file_stem(study.name)


def preset_words(study: StudyRecord) -> str:
    """The preset without the number of replicates."""
    return f"Preset `{study.preset}`."


def configs(summary: Summary) -> list[Mapping[str, str]]:
    """Configurations of all cells that have a run; without any, the planned one of the first arm."""
    recipe = summary.study.recipe
    found: list[Mapping[str, str]] = [
        {**recipe, **cell.config} for arm in summary.arms for cell in arm.cells if cell.config
    ]
    return found or [recipe]


def _departures(summary: Summary) -> list[str]:
    """At preset `paper`: values of some arm that are not the paper's."""
    study = summary.study
    if study.preset != "paper":
        return []
    found = departures(study.paper, target_kind(study), configs(summary))
    text = f"{study.paper}'s, except that {listed(found)}" if found else f"{study.paper}'s"
    return [f"The recipe is {text} (docs/recipes.md)."]


def _values(summary: Summary, path: str) -> list[str]:
    """The values of a field in the arms."""
    return list(dict.fromkeys(config.get(path, "?") for config in configs(summary)))


def _data(summary: Summary) -> str:
    study = summary.study
    train, validation, test = study.data.counts
    text = f"{study.data.name}, {plural(len(study.data.classes), 'expression')}; "
    if study.protocol in ("last", "best_on_test"):
        text += f"{train + validation:,} training"
    elif validation:
        text += f"{train:,} training, {validation:,} validation"
    else:
        text += f"{train:,} training ({_held_out(summary)} of them held out for validation)"
    return f"{text} and {plural(test, 'test image')}{extra_words(study.data.extras)}"


def _held_out(summary: Summary) -> str:
    """Held-out training images, for example "15 %", "250 a class"."""
    parts = []
    for config in configs(summary):
        count, share = (config.get(f"selection.validation_{name}", "none") for name in ("per_class", "share"))
        parts.append(
            f"{count} a class" if count != "none" else f"{100 * float(share):g} %" if share != "none" else "some"
        )
    return listed(list(dict.fromkeys(parts)), "or")


def _recipe(summary: Summary) -> str:
    study = summary.study
    model, size, epochs = (
        listed(_values(summary, path), "or") for path in ("model.backbone", "data.image_size", "train.epochs")
    )
    scored = listed([WEIGHTS.get(word, word) for word in study.weights.split(" or ")], "or")
    return (
        f"Preset `{study.preset}` (encoder {model}, {size} pixels, {epochs} {'epoch' if epochs == '1' else 'epochs'}, "
        f"{plural(len(study.replicates), 'replicate')}); "
        f"protocol `{study.protocol}`: {PROTOCOLS.get(study.protocol, study.protocol)}; "
        f"scored: {scored}."
    )


def _label_statistics(summary: Summary) -> list[str]:
    """The label statistics that the arms use, and their source; "" if no arm uses any."""
    used: dict[str, list[str]] = {}
    borrowed = (
        ("Gaussians",) if dict(summary.study.data.options).get("gaussians_reader") else ()
    )  # a data note says whose
    for config in configs(summary):
        names = used.setdefault(config.get("labels.statistics", "clean"), [])
        names += [name for name in _statistics_used(config) if name not in (*names, *borrowed)]
    sentences = []
    for labels, found in used.items():
        if found:
            names_said = listed([name for name in _STATISTICS if name in found])
            which = f" of the arms at labels.statistics={labels}" if len(used) > 1 else ""
            start = f"Label statistics: {names_said}{which}"
            sentences.append(f"{start} come from the {labels} labels, {_WHY_THESE.get(labels, 'by choice')}.")
    return sentences


_WHY_THESE = {"clean": "as in the authors' code", "noisy": "which is what a user has"}
_STATISTICS = (*(soft.statistics for soft in SOFT_LABELS.values() if soft.statistics), "class weights")


def _statistics_used(config: Mapping[str, str]) -> list[str]:
    """Names of the statistics that a configuration computes from the labels of all images."""
    soft = SOFT_LABELS.get(config.get("labels.method", "")) if float(config.get("labels.alpha", 0)) < 1 else None
    names = [soft.statistics] if soft is not None and soft.statistics else []
    return names + ([] if config.get("objective.class_weights") == "none" else ["class weights"])


def _search(summary: Summary) -> list[str]:
    """How the points of the searched arms were found."""
    plan = summary.study.search
    if plan is None or not summary.searches:
        return []
    return [f"Arms at tuning=searched: {_small(how_found(plan, summary.searches))}", then_replicated(summary.study)]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _statistics(summary: Summary) -> str:
    """The rule for claims on differences in this table."""
    text = "Mean ± standard deviation over replicates."
    study, name = summary.study, title(summary.study.metric)
    if not study.reference:
        return text
    text += (
        f" Differences in {name} are paired by replicate with the arm at {arm_name(study.reference)}, "
        f"with {simultaneous(summary.family)} and p-values adjusted alike."
    )
    compared = [c for arm in summary.arms if (c := arm.scores[study.metric].comparison) is not None]
    if max((c.n for c in compared), default=0) < MIN_REPLICATES:
        text += f" Fewer than {MIN_REPLICATES} shared replicates allow no claim, so nothing is bold."
    else:
        text += (
            f" Bold and {BETTER}: better, {WORSE}: worse than the reference beyond noise (an interval without 0, at "
            f"least {MIN_REPLICATES} shared replicates, no failed or missing cell)."
        )
    if len(summary.columns) > 1:
        text += f" Scores other than {name} are exploratory: nothing is claimed of them."
    return f"{text} {power_words(summary)}".rstrip()
