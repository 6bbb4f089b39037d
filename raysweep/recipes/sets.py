"""The data sets of an experiment: the target, extra sets, and one to fine-tune on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.experiment import Data, Experiment
from raysweep.data.dataset import TRAIN, FaceData
from raysweep.data.load import load_data
from raysweep.data.splits import all_trained, subset


@dataclass(frozen=True)
class Sets:
    """`target` is A of DCJT, `extras` are B and further sets (every image of them is for training)."""

    target: FaceData
    extras: tuple[FaceData, ...] = ()
    finetune: FaceData | None = None

    @property
    def scored(self) -> FaceData:
        """The set whose test images the cell is scored on."""
        return self.finetune or self.target

    @property
    def all(self) -> tuple[FaceData, ...]:
        return (self.target, *self.extras, *([self.finetune] if self.finetune else []))


def load_sets(experiment: Experiment, cache: Path | None = None) -> Sets:
    """Read what an experiment names. Decoded images are kept below `cache`.

    Raises:
        UserError: a name or path that does not exist, or data that cannot be used.
    """
    joint = experiment.joint
    return _load(experiment.data, joint.used_extra, joint.extra_images, joint.extra_share, joint.finetune, cache)


@lru_cache(maxsize=16)
def _load(
    config: Data, extra: tuple[str, ...], images: int | None, share: float, finetune: str | None, cache: Path | None
) -> Sets:
    target = load_data(config, cache)
    extras = []
    for source in extra:
        wanted = Data(source=source, image_size=config.image_size, train_images=images)
        data = all_trained(load_data(wanted, cache, hold_out=False))
        extras.append(subset(data, TRAIN, max(1, round(share * len(data.rows(TRAIN))))))
    if finetune is None or finetune == "target":
        return Sets(target, tuple(extras), target if finetune else None)
    return Sets(target, tuple(extras), load_data(config.model_copy(update={"source": finetune, "options": ()}), cache))


def check_sets(experiment: Experiment, sets: Sets) -> None:
    """Raises UserError where data sets do not go together, or lack what the method needs."""
    _check_apart(experiment, sets)
    if experiment.joint.method == "target":
        _check_fusion(experiment, sets)
        return
    for extra in sets.extras:
        if extra.classes != sets.target.classes:
            raise UserError(
                f"A and B must name the same expressions, but {sets.target.name} has {_listed(sets.target.classes)} "
                f"and {extra.name} has {_listed(extra.classes)}: {_same_classes(sets.target, extra)}"
            )
    if experiment.joint.method == "dcjt":
        _check_affect(experiment, sets)


def _same_classes(target: FaceData, extra: FaceData) -> str:
    """How to give both the same expressions."""
    larger = max(target, extra, key=lambda data: data.num_classes)
    if larger.info.get("options", {}).get("classes") == "8":
        return f"prepare {larger.name} with --option classes=7 --as {larger.name}-7, and name that one"
    return "leave the others out of one of them"


def _check_fusion(experiment: Experiment, sets: Sets) -> None:
    """Labels fused with valence and arousal or votes need a set that has them; joint training makes do without."""
    method = experiment.labels.fused_method
    for data in (sets.target, sets.finetune):
        if data is not None and method == "votes" and not bool(data.votes.isfinite().any()):
            raise UserError(
                f"`labels.method=votes` needs rater votes, but {data.name} has none: use one_hot or uniform"
            )
        if data is not None and method in ("euclidean", "gaussian") and not data.knows_va:
            needs = f"`labels.method={method}` needs valence and arousal"
            raise UserError(f"{needs}, but {data.name} has none: {_va_for(data)}")


def _va_for(data: FaceData) -> str:
    """What to do about a set without valence and arousal."""
    ways = []
    if data.info.get("options", {}).get("va") == "none":
        name = data.info["reader"]
        ways.append(f"prepare it with --option va=derived --as {name}-va (from its votes: no evidence for fusion)")
    ways.append("give it pseudo VA: a study of DCJT, or joint.method=dcjt with joint.extra=SET, a set that has VA")
    votes = bool(data.votes.isfinite().any())
    ways.append(f"or use labels.method={'one_hot, uniform or votes' if votes else 'one_hot or uniform'}")
    return "; ".join(ways)


def _check_apart(experiment: Experiment, sets: Sets) -> None:
    """No set may come twice: the images that one holds out would be trained on in the other."""
    joint = experiment.joint
    roles = [("data.source", experiment.data.source, sets.target)]
    names = dict(enumerate(joint.used_extra))
    roles += [("joint.extra", names.get(i, f"#{i}"), data) for i, data in enumerate(sets.extras)]
    if sets.finetune is not None and sets.finetune is not sets.target:
        roles.append(("joint.finetune", str(joint.finetune), sets.finetune))
    seen: dict[str, tuple[str, str]] = {}
    for role, name, data in roles:
        origin = data.fingerprint.split(" ")[0]  # whatever was left out of it since
        for word in (name, origin):
            if word in seen:
                before, its_name = seen[word]
                both = f"both are {data.name}" if data.name == its_name else f"{its_name} and {data.name} are the same"
                raise UserError(f"{role} and {before} must be different data sets, but {both}")
        seen |= {name: (role, data.name), origin: (role, data.name)}


def _check_affect(experiment: Experiment, sets: Sets) -> None:
    joint = experiment.joint
    needs = joint.pseudo_va in ("all", "subset")
    if needs and not any(extra.knows_va for extra in sets.extras):
        names = _listed([extra.name for extra in sets.extras])
        raise UserError(
            f"`joint.pseudo_va={joint.pseudo_va}` needs an extra set with valence and arousal, but {names} has none: "
            "add the columns to its CSV, or name another set"
        )
    if joint.pseudo_va == "own" and not sets.target.knows_va:
        raise UserError(f"`joint.pseudo_va=own` needs valence and arousal in {sets.target.name}, but it has none")
    adapts = joint.extra_part == "all" and (joint.mapping != "none" or joint.relabel)
    lacking = [extra.name for extra in sets.extras if not extra.knows_va]
    if adapts and not needs and lacking:
        raise UserError(
            f"`joint.mapping` and `joint.relabel` need valence and arousal of every extra set, but {_listed(lacking)} "
            f"has none: joint.pseudo_va=subset gives pseudo VA, joint.pseudo_va={joint.pseudo_va} does not"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
