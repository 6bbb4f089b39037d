"""The points that searches found, as a table; and every trial as CSV."""

from __future__ import annotations

from collections.abc import Mapping

from raysweep.artifacts.study_record import SEARCHED, TUNING, Value
from raysweep.config.sections import SHARES
from raysweep.core.formatting import arm_name
from raysweep.core.spreadsheet import csv_text
from raysweep.report.figures.search_scale import value_words
from raysweep.report.formatting import DASH, MINUS, title
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.searches import SearchRecord
from raysweep.report.text.caption import label_of, preset_words
from raysweep.report.text.overrides import label_tag, override_words
from raysweep.report.text.searches import counts_words, hours_words, how_found, then_replicated, troubles

from .table import Column, Entry, ReportTable


def points_table(summary: Summary) -> ReportTable:
    """A row an arm and field: its value by default and where the search ended, with the trial's validation score."""
    study, plan = summary.study, summary.study.search
    assert plan is not None
    named = any(search.arm for search in summary.searches)
    columns = [Column("arm", left=True)] if named else []
    columns += [Column("field", left=True), Column("default"), Column("found")]
    columns += [Column(title(name), "validation") for name in plan.objectives]
    rows: list[tuple[Entry, ...]] = []
    rules: set[int] = set()
    for search in summary.searches:
        if rows:
            rules.add(len(rows))
        rows += [(*([Entry(search.arm)] if named else []), *row) for row in _rows(summary, search)]
    caption = (f"{study.title}: the best points found.", preset_words(study), *override_words(study),
               how_found(plan, summary.searches), then_replicated(study))  # fmt: skip
    return ReportTable(f"{label_of(study)}_points", (*columns, Column("trial")), tuple(rows), caption, _notes(summary),
                 frozenset(rules if named else ()), label_tag([study]))  # fmt: skip


def _rows(summary: Summary, search: SearchRecord) -> list[tuple[Entry, ...]]:
    plan = summary.study.search
    assert plan is not None
    told = search.told
    if told.number is None:
        return [tuple(Entry(DASH) for _ in range(4 + len(plan.objectives)))]
    runs = (search.chosen.run_id,) if search.chosen else ()
    values = told.values or (search.chosen.values if search.chosen else ())
    scores = [Entry(value=value, runs=runs) for value in values] or [Entry(DASH)] * len(plan.objectives)
    point = told.point or (search.chosen.point if search.chosen else {})
    order = [range_.path for range_ in plan.space]
    fields = sorted(point, key=lambda path: (order.index(path) if path in order else len(order), path))
    return [
        (Entry(path), Entry(_default(summary, search, path)), Entry(value_words(point[path])), *scores,
         Entry(str(told.number)))
        for path in fields
    ]  # fmt: skip


def _default(summary: Summary, search: SearchRecord, path: str) -> str:
    """The field's value in the arm as it is: from one of its runs; from the recipe where no axis could change it."""
    for arm in summary.arms:
        rest = {axis: level for axis, level in arm.coordinates.items() if axis != TUNING}
        name = arm_name(rest)
        if arm.coordinates.get(TUNING) != SEARCHED and name == (search.arm if rest else ""):
            found = next((cell.config for cell in arm.cells if path in cell.config), None)
            if found is not None:
                return searched_value(found, path)
    alone = [axis.name for axis in summary.study.axes] == [TUNING]
    return searched_value(summary.study.recipe, path) if alone and path in summary.study.recipe else DASH


def searched_value(config: Mapping[str, str], path: str) -> str:
    """A field's value as it is searched: of what is searched in shares of the epochs, the share."""
    text, epochs = config[path], config.get("train.epochs", "")
    if path in SHARES and epochs.isdecimal() and text[:1].isdecimal() and float(text) >= 1:
        return value_words(float(text) / int(epochs))
    return _short(text)


def _short(text: str) -> str:
    """A configuration's word, numbers with four significant digits."""
    try:
        return value_words(float(text)) if not text.lstrip("-").isdecimal() else text.replace("-", MINUS)
    except ValueError:
        return text


def _notes(summary: Summary) -> tuple[tuple[str, str], ...]:
    """What each search took, and what went wrong."""
    lines = []
    for search in summary.searches if len(summary.searches) > 1 else ():
        hours = search.device_hours
        spent = f", {hours_words(hours)} device-hours" if hours is not None else ""
        lines.append(("", f"{search.arm}: {counts_words(search.counts)}{spent}."))
    return (*lines, *(("", text) for text in troubles(summary)))


def points_csv(table: ReportTable) -> str:
    """The table of points, one line an arm and field."""
    head = [column.full_title for column in table.columns]
    lines = [[_plain(entry) for entry in row] for row in table.rows]
    return csv_text([head, *lines])


def trials_csv(summary: Summary) -> str:
    """Every trial: its arm, where it stands, objectives, device-seconds, the value of every field, and its run."""
    plan = summary.study.search
    assert plan is not None
    paths = [range_.path for range_ in plan.space]
    head = ["arm", "search", "trial", "state", "chosen", "cause", "replicate"]
    head += [f"validation {name}" for name in plan.objectives]
    lines = [[*head, "device_seconds", *paths, "key", "run"]]
    for search in summary.searches:
        for trial in search.trials:
            chosen = "yes" if trial.number == search.told.number else "no"
            parts = [search.arm, search.told.search, str(trial.number), trial.state, chosen,
                     " ".join(trial.cause.split())]  # fmt: skip
            parts.append("" if trial.replicate is None else str(trial.replicate))
            parts += [_digits(value) for value in trial.values or (None,) * len(plan.objectives)]
            parts.append(_digits(trial.seconds))
            parts += [_setting(trial.point[path]) if path in trial.point else "" for path in paths]
            lines.append([*parts, trial.key, trial.run_id])
    return csv_text(lines)


def _plain(entry: Entry) -> str:
    text = entry.text if entry.value is None else f"{entry.value:.6g}"
    return text.replace(DASH, "").replace(MINUS, "-")


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _setting(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value_words(value).replace(MINUS, "-")
