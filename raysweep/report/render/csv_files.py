"""Everything as CSV: one line an arm and score, and one line a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raysweep.core.formatting import arm_name
from raysweep.core.spreadsheet import csv_text
from raysweep.report.inference.score_inference import ScoreInference
from raysweep.report.published.comparable import differences, printed, published_table
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.records import Results
from raysweep.report.results.statistics import Comparison
from raysweep.report.tables.table import NO_TICK, TICK, Column, Entry, ReportTable
from raysweep.report.text.searches import search_of

COMPARISON = ("shared", "difference", "low", "high", "p", "p_adjusted", "p_holm", "verdict", "why", "same_cells_as")
"""Columns of a comparison. `low`, `high` and `p_adjusted` of the headline score hold for the whole table at once."""

INFERENCE = (
    *("detectable", "d", "d_low", "d_high", "p_better", "p_better_low", "p_better_high"),
    *("may_be_best", "from_best_low", "from_best_high"),
    *("new_images_low", "new_images_high", "mean_new_images_low", "mean_new_images_high", "why_no_new_images"),
)
"""Columns of a `ScoreInference`; those of the headline score with new images hold for the whole table at once, too."""


def scores_csv(summary: Summary) -> str:
    """Long format: coordinates, score, mean, std, n, comparison with the reference, further inference, published values
    and whether each may be compared with ours, run ids."""
    study = summary.study
    table = published_table(study)
    datasets = table.datasets if table else ()
    head = [*(axis.name for axis in study.axes), "score", "mean", "std", "n", "planned", "degenerate", "reference"]
    head += ["trials", "device_hours"] if study.search else []
    head += [*COMPARISON, *INFERENCE]
    lines = [[*head, *(f"{what} {d}" for d in datasets for what in ("published", "comparable")), "runs"]]
    for arm in summary.arms:
        for score in summary.columns:
            theirs = (word for d in datasets for word in _published(summary, arm, d, score))
            lines.append([*_numbers(summary, arm, score), *theirs, " ".join(arm.scores[score].runs)])
    return csv_text(lines)


def cells_csv(results: Results) -> str:
    """Every planned cell: where it stands, what it scored, and the run it is."""
    study = results.study
    head = [*(axis.name for axis in study.axes), "replicate", "state", "cause", "degenerate", *study.columns]
    lines = [[*head, "code_version", "data_fingerprint", "device", "key", "run"]]
    for cell in results.cells:
        parts = [*cell.coordinates.values(), str(cell.replicate), cell.state, " ".join(cell.cause.split())]
        parts += ["yes" if cell.degenerate else "no", *(_digits(cell.scores.get(score)) for score in study.columns)]
        lines.append([*parts, cell.code_version, cell.data_fingerprint, cell.device, cell.key, cell.run_id or ""])
    return csv_text(lines)


def tables_csv(tables: Sequence[ReportTable]) -> str:
    """Long format of declared tables: table, labels of the row, title of the column, what stands there, mean, std, run
    ids."""
    lines = [["table", "row", "column", "shown", "marks", "mean", "std", "runs"]]
    for table in tables:
        for row in table.rows:
            named = list(zip(table.columns, row, strict=True))
            labels = "; ".join(filter(None, (_label(*pair) for pair in named)))
            for column, entry in named:
                if _label(column, entry) is None:
                    numbers = [_digits(entry.value), _digits(entry.std), " ".join(entry.runs)]
                    lines.append(
                        [f"{table.label}{table.tag}", labels, column.full_title, entry.plain, entry.marks, *numbers]
                    )
    return csv_text(lines)


def _label(column: Column, entry: Entry) -> str | None:
    """What an entry says of its row ("" where a tick is absent), or None where it is of a column of numbers."""
    if entry.text in (TICK, NO_TICK):
        return column.full_title if entry.text == TICK else ""
    return f"{column.full_title}={entry.plain}" if column.left else None


def _published(summary: Summary, arm: ArmSummary, dataset: str, score: str) -> tuple[str, str]:
    """A printed number, and whether it may be compared with ours."""
    number = printed(summary, dataset, arm.coordinates, score)
    if number is None:
        return "", ""
    found = differences(summary, dataset, arm.coordinates)
    return number, "unknown" if found.unknown else "yes" if found.none else "no"


def _numbers(summary: Summary, arm: ArmSummary, score: str) -> list[str]:
    values = arm.scores[score]
    spread = values.spread
    parts = [*arm.coordinates.values(), score]
    parts += [_digits(spread.mean), _digits(spread.std), str(spread.n)] if spread else ["", "", "0"]
    parts += [str(arm.planned), str(arm.degenerate)]
    reference = "" if not summary.study.reference or arm.is_reference else _reference_words(summary, arm)
    found = (*_comparison(values.comparison), *_inference(values.inference))
    return [*parts, reference, *_search_cost(summary, arm), *found]


def _search_cost(summary: Summary, arm: ArmSummary) -> list[str]:
    """Two words in a study that searches, else none."""
    if summary.study.search is None:
        return []
    search = search_of(summary, arm.coordinates)
    return [str(search.counts["trials"]), _digits(search.device_hours)] if search else ["", ""]


def _reference_words(summary: Summary, arm: ArmSummary) -> str:
    return arm_name(summary.study.reference_of(arm.coordinates))


def _comparison(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [""] * len(COMPARISON)
    c = comparison
    numbers = map(_digits, (c.difference, c.low, c.high, c.p, c.p_adjusted, c.p_holm))
    return [str(c.n), *numbers, c.verdict, c.why, c.same_as]


def _inference(found: ScoreInference) -> list[str]:
    effect, better, standing = found.effect, found.improvement, found.standing
    numbers = [_digits(found.detectable)]
    numbers += [_digits(x) for x in (effect.value, effect.low, effect.high)] if effect else [""] * 3
    numbers += [_digits(x) for x in (better.share, better.low, better.high)] if better else [""] * 3
    numbers += ["" if standing is None else "yes" if standing.may_be_best else "no"]
    numbers += [_digits(x) for x in (standing.low, standing.high)] if standing else [""] * 2
    for interval in (found.new_images, found.mean_new_images):
        numbers += [_digits(interval.low), _digits(interval.high)] if interval else [""] * 2
    return [*numbers, found.why]


def _digits(value: float | None) -> str:
    """Six significant digits: the last bits of a mean differ between machines."""
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"
