"""What a launch changed of its study and preset, as plain values for `plan.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.config.experiment import Experiment, field_choices, flat_words
from raysweep.config.presets import PRESETS
from raysweep.core.formatting import plural
from raysweep.data.names import named_kind
from raysweep.metrics.registry import needing

from .search import Budget
from .study import Axis, Study, Yours


def overrides(
    study: Study,
    preset: str,
    experiment: Experiment,
    changed: Mapping[str, Sequence[str]] | None,
    replicates: Sequence[int],
    budget: Budget | None = None,
) -> dict[str, Any]:
    """Differences from a launch of the study with this preset and no other option. Empty if there are none.

    Args:
        experiment: of one arm.
        changed: field to its values before and after the user's changes (`changed_fields_of`); None: take the fields
            of the experiment that differ from the study and preset and that no axis sweeps.
        replicates: of the table.
        budget: of an arm's search, if the study has one.

    Returns:
        "fields": path to [before, after]; "axes": name to levels "own" (of the study's file; none for an added axis)
        and "now", and values that the user gave to levels ("given": by level and path); "replicates": numbers;
        "budget": the search's [before, after]. Only entries that differ.
    """
    if changed is None:
        changed = _unlike(study, preset, experiment)
    axes = {
        axis.name: {"own": list(axis.own or ()), "now": list(axis.levels), **_given(axis)}
        for axis in study.axes
        if axis.own is not None and list(axis.own.items()) != list(axis.levels.items())
    }
    found = {
        "fields": {path: list(values) for path, values in changed.items()},
        "axes": axes,
        "replicates": [] if list(replicates) == _own_replicates(study, preset) else list(replicates),
        "budget": _budget(study, preset, budget) if budget and study.search else [],
    }
    return {name: value for name, value in found.items() if value}


def _given(axis: Axis) -> dict[str, Any]:
    """Values that the user gave to levels that need one, by level and path."""
    given = {
        level: {p: str(changes[p]) for p, value in axis.offered.get(level, {}).items() if isinstance(value, Yours)}
        for level, changes in axis.levels.items()
    }
    given = {level: values for level, values in given.items() if values}
    return {"given": given} if given else {}


def epoch_choice(study: Study) -> dict[str, Any]:
    """The headline score chooses the epoch, unless it is a score of adapted labels, which epochs do not have."""
    return {} if study.metric in needing("labels") else {"selection.metric": study.metric}


def kind_for(preset: str, source: str) -> str:
    """The kind of the data set of this name if the preset's recipe depends on it, else ""."""
    return named_kind(source) if PRESETS[preset].targets else ""


def own_changes(study: Study, preset: str, kind: str) -> dict[str, Any]:
    """Fields set by a study's metric, preset and base on a data set of this kind, without changes of the user."""
    return {**epoch_choice(study), **PRESETS[preset].fields(study.paper, kind), **study.base}


def changed_fields_of(own: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Fields that two sets of changes to an `Experiment` set differently: path to both values, as text."""
    before, after = field_texts(own), field_texts(now)
    return {path: (before[path], after[path]) for path in before if before[path] != after[path]}


def field_texts(changes: Mapping[str, Any]) -> dict[str, str]:
    """Every field of a changed `Experiment` as text. Sections are validated separately, since a study may be invalid as
    a whole without the user's changes."""
    fields: dict[str, str] = {}
    for section, value in Experiment():
        values = {path.split(".")[1]: _named(path, v) for path, v in changes.items() if path.startswith(f"{section}.")}
        made = type(value).model_validate({**value.model_dump(), **values})
        fields |= flat_words(made.model_dump(), f"{section}.")
    return fields


def _unlike(study: Study, preset: str, experiment: Experiment) -> dict[str, tuple[str, str]]:
    own = field_texts(own_changes(study, preset, kind_for(preset, experiment.data.source)))
    now = flat_words(experiment.model_dump(exclude={"seeds"}))
    swept = {path for arm in study.arms() for path in arm.changes}
    return {path: (own[path], text) for path, text in now.items() if text != own.get(path, text) and path not in swept}


def _named(path: str, value: Any) -> Any:
    return "none" if value is None and "none" in field_choices(path) else value


def _own_replicates(study: Study, preset: str) -> list[int]:
    if study.search is None:
        return list(range(PRESETS[preset].seeds))
    first = study.search.replicate + 1
    return list(range(first, first + PRESETS[preset].search_seeds))


def _budget(study: Study, preset: str, budget: Budget) -> list[str]:
    assert study.search is not None
    trials, hours = study.search.trials, study.search.device_hours
    own = Budget(PRESETS[preset].search_trials if trials is None and hours is None else trials, hours)
    return [] if own == budget else [_budget_text(own), _budget_text(budget)]


def _budget_text(budget: Budget) -> str:
    parts = [plural(budget.trials, "trial")] if budget.trials is not None else []
    if budget.device_hours is not None:
        parts.append(f"{budget.device_hours:g} {'device-hour' if budget.device_hours == 1 else 'device-hours'}")
    return " or ".join(parts) + " an arm"
