"""The data sets of an experiment: the target, extra sets, and one to fine-tune on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raysweep.config.experiment import Experiment
from raysweep.config.per_set import value_of
from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.dataset import TRAIN, FaceData
from raysweep.data.image_subset import draw
from raysweep.data.splits import subset
from raysweep.labels.registry import SOFT_LABELS, labels_without_needs


@dataclass(frozen=True)
class Leak:
    """Images that one set trains on and another is scored on: how many of the other's test, own validation, and
    training images that a replicate may hold out for validation. `field`: what names the first set. `same`: it holds
    the other's images with the other's labels, all of them."""

    field: str
    name: str
    scored: str
    test: int = 0
    validation: int = 0
    drawn: int = 0
    same: bool = False

    @property
    def summary(self) -> str:
        counts = [(self.test, "test"), (self.validation, "validation"), (self.drawn, "training")]
        return " and ".join(plural(count, f"{what} image") for count, what in counts if count) + f" of {self.scored}"


@dataclass(frozen=True)
class Sets:
    """`target` is A of DCJT, `extras` are B and further sets (every image of them is for training, or a replicate's
    share of them: `share_of`).

    `leaks`: what they train on though another set is scored on it.
    """

    target: FaceData
    extras: tuple[FaceData, ...] = ()
    finetune: FaceData | None = None
    leaks: tuple[Leak, ...] = ()

    @property
    def scored(self) -> FaceData:
        """The set whose test images the cell is scored on."""
        return self.finetune or self.target

    @property
    def all(self) -> tuple[FaceData, ...]:
        return (self.target, *self.extras, *([self.finetune] if self.finetune else []))


def draw_sets(every: Iterable[Sets]) -> None:
    """Draw built-in faces, and keep them, before processes ask for them that would all draw the same."""
    for sets in every:
        for data in sets.all:
            draw(data.images)


def share_of(experiment: Experiment, data: FaceData, number: int) -> FaceData:
    """What an experiment trains on of its extra set `number`: `joint.extra_share` of every class.

    Drawn anew in every replicate, so that the spread over replicates has what another part of the set would have
    given; or once. A smaller share lies within a larger one of the same draw.
    """
    joint = experiment.joint
    count = max(1, round(value_of(joint.extra_share, number) * len(data.rows(TRAIN))))
    return subset(data, TRAIN, count, experiment.seeds.split if joint.extra_draw == "anew" else None)


def replaces_own_va(experiment: Experiment, sets: Sets) -> bool:
    """Whether pseudo VA replace VA that A came with."""
    joint = experiment.joint
    return joint.kind.adapts and joint.pseudo_va in ("all", "subset") and sets.target.knows_va


def remarks(experiment: Experiment, sets: Sets) -> tuple[str, ...]:
    """What a reader must know about how an experiment uses its data sets; none of it is an error."""
    if not replaces_own_va(experiment, sets):
        return ()
    return (
        f"{sets.target.name} came with valence and arousal of its own: joint.pseudo_va={experiment.joint.pseudo_va} "
        "replaces them by M_B's pseudo VA, which are scored against them; joint.pseudo_va=own trains on them",
    )


def check_sets(experiment: Experiment, sets: Sets) -> None:
    """Raises UserError where data sets do not go together, or lack what the method needs."""
    _check_apart(experiment, sets)
    _check_leaks(experiment, sets)
    _check_va_only(experiment, sets)
    if not experiment.joint.kind.on_extra:
        _check_fusion(experiment, sets)
        return
    for extra in sets.extras:
        if extra.classes != sets.target.classes:  # fewer are put in A's order when they are loaded
            raise UserError(
                f"A and B must name the same expressions, but {sets.target.name} has {_listed(sets.target.classes)} "
                f"and {extra.name} has {_listed(extra.classes)}: {_same_classes(sets.target, extra)}"
            )
    if experiment.joint.kind.adapts:
        _check_affect(experiment, sets)


def _check_va_only(experiment: Experiment, sets: Sets) -> None:
    """Images with valence and arousal alone are for training on the target: what selects, maps or relabels images, or
    ranks them by what their labels say, needs labels."""
    count = int(sets.target.va_only.sum())
    joint, scn = experiment.joint.kind.on_extra or sets.finetune is not None, experiment.model.head == "scn"
    if not count or not (joint or scn):
        return
    what = "joint training and fine-tuning need" if joint else "model.head=scn needs"
    advice = f"prepare it with --option none=drop --as {sets.target.name}-faces, and name that one"
    images = f"{count:,} {'image' if count == 1 else 'images'}"
    raise UserError(f"{what} an expression of every image, but {images} of {sets.target.name} have none: {advice}")


def _same_classes(target: FaceData, extra: FaceData) -> str:
    """Advice: how to give B the expressions of A."""
    more = [name for name in extra.classes if name not in target.classes]
    other = "leave the others out of one of them"
    if more:
        other = (
            f"B may lack some of A's, but have no others: --set joint.drop={','.join(more)} leaves them out, "
            f"--set joint.map={more[0]}:NAME counts them as one of A's"
        )
    larger = max(target, extra, key=lambda data: data.num_classes)
    if larger.info.options.get("classes") == "8":
        return f"prepare {larger.name} with --option classes=7 --as {larger.name}-7, and name that one; or {other}"
    return other


def _check_fusion(experiment: Experiment, sets: Sets) -> None:
    """Labels fused with valence and arousal or votes need a set that has them; joint training does not need them."""
    method = experiment.labels.fused_method
    needs = SOFT_LABELS[method].needs
    for data in (sets.target, sets.finetune):
        if data is not None and needs == "votes" and not bool(data.votes.isfinite().any()):
            raise UserError(
                f"`labels.method={method}` needs rater votes, but {data.name} has none: use {labels_without_needs()}"
            )
        if data is not None and needs == "va" and not data.knows_va:
            fault = f"`labels.method={method}` needs valence and arousal"
            raise UserError(f"{fault}, but {data.name} has none: {_va_for(data)}")


def _va_for(data: FaceData) -> str:
    """Advice about a data set without valence and arousal."""
    ways = []
    if data.info.options.get("va") == "none":
        ways.append(
            f"prepare it with --option va=derived --as {data.info.reader}-va (from its votes: no evidence for fusion)"
        )
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


def _check_leaks(experiment: Experiment, sets: Sets) -> None:
    """No set may train on images that another is scored on, unless that is asked for.

    Refused, not only warned of: one option takes the images out, and a table with them says nothing.
    """
    for leak in sets.leaks:
        if leak.same:
            raise UserError(
                f"{leak.field} and data.source must be different data sets, but {leak.name} and {leak.scored} are the "
                "same images with the same labels"
            )
        if experiment.data.leave_out != "keep" and (leak.test or leak.validation):
            raise UserError(
                f"{leak.field}: {leak.name} trains on {leak.summary} (same pixels), which scores are taken on: take "
                "them out with --set data.leave_out=twins, or train on them knowingly with data.leave_out=keep"
            )


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
