"""Whether a printed number may be compared with ours, and if not, what differs: one judge for all tables and figures.

A number is comparable where the arm was scored on the paper's data set (the reader of that release read it, and it has
the paper's expressions), trained on the paper's extra sets with the encoder that the number is of, and no field
differs from what `--preset paper` gives the same arm of the study that reproduces the table. Fields that cannot matter
beside the others do not count (`config/acting_fields.py`), nor do those of `NOT_RECIPE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from raysweep.artifacts.study_record import DataRecord, ExtraRecord, StudyRecord
from raysweep.config.acting_fields import acting_fields
from raysweep.config.experiment import Experiment, field_paths
from raysweep.config.values import level_name
from raysweep.core.errors import UserError
from raysweep.core.formatting import arm_name
from raysweep.report.formatting import listed
from raysweep.report.results.aggregate import Summary
from raysweep.study import PRESETS, own_changes
from raysweep.study.discovery import own_study
from raysweep.study.study import Yours

from . import PUBLISHED
from .table import PublishedTable, Setting

NOT_RECIPE: Mapping[str, str] = {
    "data.source": "which set it is, its reader says",
    "data.options": "which set it is, its reader says",
    "data.classes": "the expressions that are left say it",
    "data.drop": "the expressions that are left say it",
    "joint.extra": "which sets they are, their readers say",
    "joint.extra_sets": "how many are trained on is compared",
    "joint.classes": "B's expressions are A's",
    "joint.drop": "B's expressions are A's",
    "joint.finetune": "which set it is, its reader says",
    "train.deterministic": "changes nothing but time",
    "data.leave_out": "none and keep both train on everything",
}
"""Fields that are compared otherwise, or cannot matter, each with the reason. `data.leave_out` counts where it takes
images out. The precision counts: bfloat16 moves scores."""

PROTOCOLS = ("validation", "select_then_retrain", "best_on_test")
"""What may choose DCJT's epoch: the caption says which did, and the notes what the authors did."""

_WITHOUT_DCJT = ("joint.extra_", "joint.method", "joint.finetune_rate", "joint.map")
"""How the names begin of those fields of `Joint` that act where A and B are trained on without it."""
_SCHEDULE = ("joint.warm_up", "joint.frequency", "joint.unit", "joint.draw")

_FIRST = ("data.image_size", "train.epochs", "model.backbone", "model.weights", "data.train_images", "data.test_images")
_PHRASES = {
    "data.image_size": "{} px instead of {}",
    "train.epochs": "{} epochs instead of {}",
    "model.backbone": "encoder {} instead of {}",
    "model.weights": "initial weights {} instead of {}",
    "data.train_images": "{} training images instead of {}",
    "data.test_images": "{} test images instead of {}",
}
DATA_NAMES = {
    "affectnet": "AffectNet", "affwild": "Aff-Wild", "morphset": "MorphSet", "rafdb": "RAF-DB", "caers": "CAER-S",
    "ferplus": "FERPlus", "fer2013": "FER2013", "faces": "built-in faces", "csv": "a list of your own",
    "folder": "a folder of your own", "": "a set of unknown origin",
}  # fmt: skip
_OTHERWISE = {"rafdb": {"images": "original"}}
"""Options of readers that give other images than the papers used: RAF-DB's are the aligned ones (DCJT, section 4.2)."""

UNKNOWN = "the launch was planned before this was recorded"


@dataclass(frozen=True)
class Differences:
    """What is not as it was for a printed number: in the data sets, in the recipe. `unknown`: why nobody can tell."""

    data: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def none(self) -> bool:
        return not (self.data or self.recipe or self.unknown)


def published_table(study: StudyRecord) -> PublishedTable | None:
    """The paper's numbers that stand beside a study's."""
    return PUBLISHED.get(study.published or "")


def printed(summary: Summary, dataset: str, coordinates: Mapping[str, str], score: str) -> str | None:
    """The number that stands beside an arm, or None.

    Of the numbers on one data set that stands which is of the arm's encoder; where none is, all of them do, and
    `differences` says so.
    """
    table = published_table(summary.study)
    if table is None or table.printed(dataset, coordinates, score) is None:
        return None
    theirs, ours = _encoders(table, dataset, coordinates), encoder_of(summary, coordinates)
    rivals = {
        encoder
        for other, setting in table.settings.items()
        if other in table.rows and setting.data == table.settings[dataset].data
        for encoder in _encoders(table, other, coordinates)
    }
    return table.printed(dataset, coordinates, score) if ours in theirs or ours not in rivals else None


def value(summary: Summary, dataset: str, coordinates: Mapping[str, str], score: str) -> float | None:
    """The same as a number."""
    text = printed(summary, dataset, coordinates, score)
    return None if text is None else float(text)


def printed_on_same_data(summary: Summary, coordinates: Mapping[str, str], score: str) -> str | None:
    """The number on our data set, of the arm's encoder; where none is, of the encoder of the paper's recipe."""
    table = published_table(summary.study)
    ours = [d for d in table.datasets if same_data(summary, d)] if table else []
    if table is not None and ours:
        best = preset_encoder(own_study(table.study).paper)
        ours.sort(key=lambda dataset: best not in _encoders(table, dataset, coordinates))
    return next((text for d in ours if (text := printed(summary, d, coordinates, score))), None)


def same_data(summary: Summary, dataset: str) -> bool:
    """Whether the paper's numbers are on our data set: read by the same reader, with the same expressions.

    In a plan that does not say who read it, the whole name decides.

    >>> from raysweep.report.published.table import Setting
    >>> [named_as(name, Setting("affwild")) for name in ("affwild", "Aff-Wild", "affwild2", "affwild-mine")]
    [True, True, False, False]
    """
    table = published_table(summary.study)
    assert table is not None
    setting, data = table.settings[dataset], summary.study.data
    if data.kind is None:
        return named_as(data.name, setting)
    return not _other_data(summary.study, setting)


def named_as(name: str, setting: Setting) -> bool:
    """Whether a whole name is that of a paper's data set, however it is spelled."""
    known = {setting.data, DATA_NAMES[setting.data]}
    return _plain(name) in {_plain(word) for word in known}


def differences(summary: Summary, dataset: str, coordinates: Mapping[str, str]) -> Differences:
    """What differs between an arm of ours and the paper's that the number on `dataset` is of."""
    study, table = summary.study, published_table(summary.study)
    assert table is not None
    setting, name = table.settings[dataset], arm_name(coordinates)
    if study.data.kind is None or name not in study.configs:
        return _of_an_older_plan(study, setting)
    try:
        ours = Experiment().with_changes(study.configs[name])
    except UserError as error:
        return Differences(unknown=f"its configuration cannot be read ({error})")
    theirs = paper_experiment(table, dataset, coordinates, ours.model.weights)
    data = (*_other_data(study, setting), *_other_labels(study.data))
    data += (*_other_extras(study, ours, theirs), *_other_target(study, ours, setting))
    return Differences(data, _other_fields(ours, theirs))


def _of_an_older_plan(study: StudyRecord, setting: Setting) -> Differences:
    """What a plan without readers and configurations tells: another name or preset, never that all is the same."""
    data = () if named_as(study.data.name, setting) else (f"scored on {study.data.name}",)
    recipe = () if study.preset == "paper" else (f"the recipe of preset `{study.preset}`",)
    return Differences(data, recipe, "" if data or recipe else UNKNOWN)


def comparable(summary: Summary, dataset: str, coordinates: Mapping[str, str]) -> bool:
    """Whether the paper's number on `dataset` may be compared with this arm."""
    return differences(summary, dataset, coordinates).none


def paper_experiment(
    table: PublishedTable, dataset: str, coordinates: Mapping[str, str], weights: str | None = None
) -> Experiment:
    """What `--preset paper` gives the arm that a printed number is of, on the paper's data sets.

    `weights`: the file that a user gave where the level needs one (MS-Celeb); whether it is one, nobody can check.
    """
    study, setting = own_study(table.study), table.settings[dataset]
    fields = own_changes(study, "paper", setting.recipe_of)
    fields |= {"model.backbone": setting.encoder} if setting.encoder else {}
    given = {path: value for path, value in _level_changes(table, coordinates).items() if isinstance(value, Yours)}
    fields |= {**_level_changes(table, coordinates), **dict.fromkeys(given, weights)}
    extras = {"joint.extra": setting.extras} if setting.extras else {}
    tuned = {"joint.finetune": setting.data} if setting.target else {}
    return Experiment().with_changes({**fields, **extras, **tuned, "data.source": setting.recipe_of})


def _level_changes(table: PublishedTable, coordinates: Mapping[str, str]) -> dict[str, Any]:
    """What the levels of the table's own study change; axes and levels that it lacks change nothing."""
    changes: dict[str, Any] = {}
    for axis in own_study(table.study).axes:
        changes |= {**axis.offered, **axis.levels}.get(coordinates.get(axis.name, ""), {})
    return changes


@cache
def preset_encoder(paper: str) -> str:
    """Of a paper's recipe."""
    return Experiment().with_changes(PRESETS["paper"].fields(paper, "")).model.backbone


def _encoders(table: PublishedTable, dataset: str, coordinates: Mapping[str, str]) -> set[str]:
    """The encoder that a number is of; empty where none is printed there."""
    if not any(table.printed(dataset, coordinates, score) for score in table.scores(dataset)):
        return set()
    changed = _level_changes(table, coordinates).get("model.backbone")
    return {str(changed or table.settings[dataset].encoder or preset_encoder(own_study(table.study).paper))}


def encoder_of(summary: Summary, coordinates: Mapping[str, str]) -> str:
    """Of an arm of ours: as planned, else as its runs say."""
    study, arm = summary.study, summary.arm(coordinates)
    planned = study.configs.get(arm_name(coordinates), {}).get("model.backbone")
    ran = next((c.config["model.backbone"] for c in (arm.cells if arm else ()) if "model.backbone" in c.config), None)
    return str(planned or ran or study.recipe.get("model.backbone", ""))


def _other_data(study: StudyRecord, setting: Setting) -> tuple[str, ...]:
    data = study.data
    if data.kind != setting.data:
        return (f"scored on {data.name} ({DATA_NAMES.get(data.kind or '', data.kind)})",)
    if setting.classes is not None and set(data.classes) != set(setting.classes):
        names = "" if len(data.classes) != len(setting.classes) else f" ({', '.join(data.classes)})"
        return (f"{len(data.classes)} expressions{names} instead of {len(setting.classes)}",)
    return _read_otherwise(data.kind, data.options)


def _other_labels(data: DataRecord) -> tuple[str, ...]:
    """Of Aff-Wild: DDAF 4.1 takes its classes from AffectNet's Gaussians."""
    options = dict(data.options)
    if data.kind != "affwild" or options.get("gaussians_reader") == "affectnet":
        return ()
    whose = f"by the Gaussians of {name}" if (name := options.get("gaussians")) else "of the nearest published mean"
    return (f"classes {whose} instead of AffectNet's Gaussians",)


def _read_otherwise(kind: str | None, options: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    other = _OTHERWISE.get(kind or "", {})
    return tuple(f"{DATA_NAMES[str(kind)]} read with {k}={v}" for k, v in options if other.get(k) == v)


def _other_extras(study: StudyRecord, ours: Experiment, theirs: Experiment) -> tuple[str, ...]:
    """Extra sets that are not the paper's, in its order."""
    found = [_extra(study, source) for source in ours.joint.used_extra]
    if [extra.kind for extra in found] == list(theirs.joint.used_extra):
        return ()
    names = [f"{extra.name} ({DATA_NAMES.get(extra.kind or '', extra.kind)})" for extra in found]
    wanted = listed([DATA_NAMES[kind] for kind in theirs.joint.used_extra])
    return (f"extra data {listed(names) if names else 'none'} instead of {wanted or 'none'}",)


def _other_target(study: StudyRecord, ours: Experiment, setting: Setting) -> tuple[str, ...]:
    """The set that is trained on before another is fine-tuned on."""
    target = next((extra for extra in study.data.extras if extra.role == "target"), None)
    tuned = ours.joint.finetune not in (None, "target")
    kind = (target.kind or "" if target else study.data.kind or "") if tuned else ""
    if kind == setting.target:
        return ()
    named = {"": "nothing"} | {key: name for key, name in DATA_NAMES.items() if key}
    return (f"trained before on {named.get(kind, kind)} instead of {named[setting.target]}",)


def _extra(study: StudyRecord, source: str) -> ExtraRecord:
    unknown = ExtraRecord(source, 0, (), kind="")
    return next((extra for extra in study.data.extras if source in (extra.source, extra.name)), unknown)


def _other_fields(ours: Experiment, theirs: Experiment) -> tuple[str, ...]:
    """Fields that act and differ, the telling ones first, in words."""
    one, other = _acting(ours), _acting(theirs)
    order = dict.fromkeys([*_FIRST, *field_paths(), *one, *other])
    return tuple(_phrase(p, _at(ours, p), _at(theirs, p)) for p in order if one.get(p, ...) != other.get(p, ...))


def _acting(experiment: Experiment) -> dict[str, Any]:
    fields = acting_fields(experiment, lambda section: section != "seeds")
    left = {path: value for path, value in fields.items() if path not in NOT_RECIPE}
    if experiment.data.leave_out in ("twins", "near_twins"):
        left["data.leave_out"] = experiment.data.leave_out
    joint = experiment.joint
    if not joint.kind.adapts:
        left = {p: v for p, v in left.items() if not p.startswith("joint.") or p.startswith(_WITHOUT_DCJT)}
    elif joint.schedule != "joint" or joint.extra_part == "none":
        left = {path: value for path, value in left.items() if path not in _SCHEDULE}
    if experiment.selection.protocol in PROTOCOLS and experiment.selection.weights == "best":
        left.pop("selection.protocol", None)
    return left


def _at(experiment: Experiment, path: str) -> Any:
    section, name = path.split(".")
    return getattr(getattr(experiment, section), name)


def _phrase(path: str, ours: Any, theirs: Any) -> str:
    one, other = (_word(path, value) for value in (ours, theirs))
    phrase = _PHRASES.get(path, path + " {} instead of {}")
    return (phrase.replace("s instead", " instead") if one == "1" else phrase).format(one, other)


def _word(path: str, value: Any) -> str:
    if value is None and path in ("data.train_images", "data.test_images"):
        return "all"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else level_name(value)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
