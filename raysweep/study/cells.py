"""Makes the cells of a study: one experiment for every arm and replicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raysweep.config.class_changes import read_map_file
from raysweep.config.experiment import Experiment
from raysweep.config.presets import PRESETS
from raysweep.config.values import Word, read_value
from raysweep.core.errors import UserError, error_of_arms, unknown_name
from raysweep.core.parsing import split_names

from .overrides import changed_fields_of, kind_for, own_changes
from .search import Budget
from .study import TUNING, Arm, Axis, Study, Yours

PATHS = ("data.source", "model.weights", "joint.extra", "joint.finetune")
"""Fields that may hold a path."""

KEYWORDS = ("imagenet", "target", "faces")
"""Values of `PATHS` that are never a path, even if a folder of that name exists."""


@dataclass(frozen=True)
class Cell:
    """One arm of one replicate. `changed`: fields that the user set for every arm, with the values before and after;
    None: unknown."""

    arm: Arm
    replicate: int
    experiment: Experiment
    key: str = ""
    changed: Mapping[str, tuple[str, str]] | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.arm.name} #{self.replicate}"


def with_axis(study: Study, name: str, values: Sequence[Word]) -> Study:
    """The study with one axis replaced, narrowed or added.

    If `name` is a field path, the axis over that field is replaced or added. If it is the name of an axis, `values`
    choose among its levels, or are values of its field if it has only one.

    Raises:
        UserError: an unknown field, axis or level (names the nearest), or the same value twice.
    """
    for i, axis in enumerate(study.axes):
        if name != axis.name and not axis.sets(name):
            continue
        axes = list(study.axes)
        axes[i] = replace(_changed_axis(axis, name, values), own=axis.levels if axis.own is None else axis.own)
        reference = dict(study.reference)
        if axis.name in reference and reference[axis.name] not in axes[i].levels:
            raise UserError(
                f"--axis {name}: the study compares with {axis.name}={reference[axis.name]}, "
                f"so that level must stay among {', '.join(axes[i].levels)}"
            )
        return replace(study, axes=axes)
    if "." not in name:
        raise unknown_name("axis", name, [axis.name for axis in study.axes], "(or name a field, such as train.epochs)")
    added = Axis.of(name, [read_value(name, value) for value in values])
    if added.name in [axis.name for axis in study.axes]:  # two fields of different sections
        added = replace(added, name=name)
    return replace(study, axes=[*study.axes, replace(added, own={})])


def with_fixed(study: Study, changes: Mapping[str, Any]) -> tuple[Study, dict[str, Any]]:
    """The study with the axes over changed fields reduced to that one value, and the remaining changes.

    So `--set joint.extra=B` equals `--axis joint.extra=B` if a study sweeps that field. Only axes of the study's file
    over one field and outside `reference` are reduced; `make_cells` refuses changes of other swept fields.
    """
    left = dict(changes)
    axes = []
    for axis in study.axes:
        path = next((path for path in left if axis.is_over(path)), None)
        if path is not None and not axis.asked and axis.name not in study.reference:
            axis = replace(Axis.of(path, [left.pop(path)], axis.name), own=axis.levels)
        axes.append(axis)
    return replace(study, axes=axes), left


def _changed_axis(axis: Axis, name: str, values: Sequence[Word]) -> Axis:
    texts = [value.text for value in values]
    known = {**axis.levels, **axis.offered}
    texts = [_with_yours(axis, text, known) for text in texts]
    paths = {path for changes in axis.levels.values() for path in changes}
    if all(text in known for text in texts):
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise UserError(f"--axis {name}: the level {twice} is named twice: name it once")
        _check_yours(axis, texts, known)
        return Axis(axis.name, {text: known[text] for text in texts}, offered=axis.offered)
    if len(paths) > 1 and name != axis.name:
        some = f'"{axis.name}={",".join(list(known)[:2])},..."'
        raise UserError(
            f"--axis {name}: {_levels_that_set(axis, name)} and other fields together: name levels, --axis {some}, "
            f"or leave out what sets it{_others(axis, name)} and use --set"
        )
    if len(paths) > 1:
        wrong = next(text for text in texts if text not in known)
        raise unknown_name(f"level of axis {axis.name!r}:", wrong, known)
    (path,) = paths
    return Axis.of(path, [read_value(path, value) for value in values], axis.name)


def _with_yours(axis: Axis, text: str, known: dict[str, Mapping[str, Any]]) -> str:
    """The level named by LEVEL or LEVEL=VALUE; puts the value into the changes of the level in `known`."""
    level, equals, value = text.partition("=")
    needs = [path for path, given in axis.offered.get(level, {}).items() if isinstance(given, Yours)]
    if text in known or not equals or not needs:
        return text
    if not value:
        raise UserError(f"--axis {axis.name}: a value is missing after {text}")
    given = {path: _absolute_value(path, read_value(path, Word(value, quoted=True))) for path in needs}
    known[level] = {**known[level], **given}
    return level


def _check_yours(axis: Axis, levels: Sequence[str], known: Mapping[str, Mapping[str, Any]]) -> None:
    for level in levels:
        for path, value in known[level].items():
            if isinstance(value, Yours):
                raise UserError(
                    f"--axis {axis.name}: the level {level} needs {value.words} ({path}), which only you have: write "
                    f'"{level}=VALUE"'
                )


def make_cells(study: Study, preset: str, replicates: Sequence[int], changes: Mapping[str, Any]) -> list[Cell]:
    """Cells without keys. Precedence, lowest first: the study's metric, preset, its base, `changes`, the arm.

    For a tuned study, `replicates` must not contain the replicate of the search.
    """
    if study.search and study.is_tuned:
        fresh_replicates(study, preset, replicates)
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    swept = {path for axis in study.axes for changed in axis.levels.values() for path in changed}
    _check_paths(swept, {*changes, *study.base})
    _check_searched(study, swept, changes)
    for path in changes:
        if path in swept:
            raise UserError(f"--set {path}: {_instead(study, path)}")
    target = {**study.base, **changes}.get("data.source", "")
    own = own_changes(study, preset, kind_for(preset, str(target)))
    base = {**own, **changes}
    arms = _experiments(study, base)
    _check_distinct(arms)
    found = {path: v for path, v in changed_fields_of(_absolute(own), _absolute(base)).items() if path not in swept}
    return [
        Cell(arm, number, experiment.with_replicate(number), changed=found)
        for arm, experiment in arms
        for number in replicates
    ]


def _instead(study: Study, path: str) -> str:
    """Advice for `--set` on a field that levels of an axis set."""
    axis = next(axis for axis in study.axes if axis.sets(path))
    if axis.is_over(path):
        return f"the study sweeps this field; use --axis {path}=... instead"
    which = "it" if len(_setting(axis, path)) == 1 else "them"
    return f"{_levels_that_set(axis, path)}: leave {which} out{_others(axis, path)}"


def _setting(axis: Axis, path: str) -> list[str]:
    return [level for level, changes in axis.levels.items() if path in changes]


def _levels_that_set(axis: Axis, path: str) -> str:
    first, *more = _setting(axis, path)
    names = f"levels {', '.join([first, *more])}" if more else f"level {first}"
    return f"{names} of axis {axis.name!r} {'set' if more else 'sets'} this"


def _others(axis: Axis, path: str) -> str:
    """Advice to keep only the levels that do not set a field, or to edit a copy of the study's file."""
    others = [level for level in axis.levels if level not in _setting(axis, path)]
    return f' with --axis "{axis.name}={",".join(others)}"' if others else " in a copy of the study's file"


def _experiments(study: Study, base: Mapping[str, Any]) -> list[tuple[Arm, Experiment]]:
    """Every arm's experiment. Raises UserError for invalid experiments, naming the arms."""
    made, faults, arms = [], {}, study.arms()
    for arm in arms:
        try:
            made.append((arm, Experiment().with_changes(_absolute({**base, **arm.changes}))))
        except UserError as error:
            faults[arm.name] = str(error)
    if faults:
        raise error_of_arms(faults, len(arms))
    return made


def search_cells(study: Study, preset: str, changes: Mapping[str, Any]) -> list[Cell]:
    """One cell per arm, on the replicate of the search, without searched values.

    Raises:
        UserError: the search cannot be run in one of the arms.
    """
    assert study.search is not None
    assert not study.is_tuned
    cells = make_cells(study, preset, [study.search.replicate], changes)
    for cell in cells:
        study.search.check_arm(cell.arm.name, cell.experiment)
    return cells


def fresh_replicates(study: Study, preset: str, asked: Sequence[int] | None = None) -> Sequence[int]:
    """The replicates of a search's table: `asked`, or the preset's number of them after that of the search.

    Raises:
        UserError: the replicate of the search is among them.
    """
    assert study.search is not None
    searched = study.search.replicate
    if asked is None:
        return range(searched + 1, searched + 1 + PRESETS[preset].search_seeds)
    if searched in asked:
        raise UserError(
            f"replicate {searched} is searched on, so the table needs others: use --seeds {searched + 1}:"
            f"{searched + 1 + len(asked)}"
        )
    return asked


def search_budget(study: Study, preset: str, trials: int | None = None, device_hours: float | None = None) -> Budget:
    """Budget of an arm's search: the arguments, else the study's, else the preset's trials."""
    assert study.search is not None
    for name, value in (("trials", trials), ("device-hours", device_hours)):
        if value is not None and value <= 0:
            raise UserError(f"`{name} > 0` must hold, but got {value:g}")
    if trials is None and device_hours is None:
        trials, device_hours = study.search.trials, study.search.device_hours
    if trials is None and device_hours is None:
        trials = PRESETS[preset].search_trials
    return Budget(trials, device_hours)


def _check_searched(study: Study, swept: set[str], changes: Mapping[str, Any]) -> None:
    for path in study.search.space if study.search else ():
        if path in swept:
            raise UserError(f"{path} is searched inside each arm, so no axis can sweep it: leave it out of one of them")
        if path in changes:
            raise UserError(f"--set {path}: the study searches this field; take it out of the search's space to fix it")


def _check_paths(swept: set[str], fixed: set[str]) -> None:
    for path in sorted(swept | fixed):
        if path.startswith("seeds."):
            raise UserError(f"{path} is set by the replicate: choose replicates with --seeds, for example 100:105")
    if "selection.protocol" in swept:
        raise UserError(
            "a table has one selection protocol: launch the study once per protocol, with --set selection.protocol=..."
        )


def _check_distinct(arms: Sequence[tuple[Arm, Experiment]]) -> None:
    """Raises UserError if two arms have the same configuration; a best point may equal the default arm."""
    seen: dict[tuple[str, str | None], Arm] = {}
    for arm, experiment in arms:
        same = (experiment.model_dump_json(), arm.coordinates.get(TUNING))
        if same in seen:
            raise UserError(f"{seen[same].name} and {arm.name} are the same configuration: leave one of them out")
        seen[same] = arm


def _absolute(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with paths of existing files made absolute, since trials run in other folders."""
    return {path: _absolute_value(path, value) for path, value in changes.items()}


def _absolute_value(path: str, value: Any) -> Any:
    if path == "joint.extra":
        names = [str(name) for name in value] if isinstance(value, (list, tuple)) else None
        if names is None and not isinstance(value, str):
            return value
        return [_absolute_name(name) for name in (_extra_names(str(value)) if names is None else names)]
    if path == "data.map":
        return read_map_file(path, value)
    if path == "joint.map" and isinstance(value, str):
        return [read_map_file(path, part) for part in value.split("+")] if "+" in value else read_map_file(path, value)
    return _absolute_name(value) if path in PATHS and isinstance(value, str) else value


def _absolute_name(name: str) -> str:
    if name in KEYWORDS or not Path(name).expanduser().exists():
        return name
    return str(Path(name).expanduser().resolve())


def _extra_names(text: str) -> list[str]:
    """Splits names joined by +, preferring the longest name of an existing file if names contain a +.

    Raises:
        UserError: an unclosed quote.
    """
    if Path(text).expanduser().exists():
        return [text]
    try:
        parts = split_names(text)
    except ValueError as error:
        raise UserError(f"`joint.extra` takes names joined by +, one that holds a + in quotes, but {error}") from None
    names = []
    while parts:
        longest = next((n for n in range(len(parts), 1, -1) if Path("+".join(parts[:n])).expanduser().exists()), 1)
        names.append("+".join(parts[:longest]))
        parts = parts[longest:]
    return names
