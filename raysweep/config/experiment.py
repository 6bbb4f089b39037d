"""`Experiment`: one fully resolved configuration, and how a dotted path changes it.

The defaults are the recipe of the DDAF paper (section 4.2); what the authors' code adds (random erasing, weight decay)
is off. `raysweep.study.recipe_origins` says of every value where it comes from (`docs/recipes.md`).
Symbols: alpha is Eq. 4's, `weight_va` is the lambda of the regression term.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.parsing import join_names, split_names
from raysweep.labels.registry import ONE_HOT, SOFT_LABELS
from raysweep.metrics.registry import MODEL_SCORES

from .class_changes import class_number, drop_words, each_set, map_words
from .per_set import choices, numbers

NoiseKind = Literal["symmetric", "with_replacement", "confusion"]
WeightRule = Literal["hard", "soft", "capped", "none"]
Protocol = Literal["validation", "select_then_retrain", "last", "best_on_test"]
WeightsOf = Literal["best", "swa", "last"]
if TYPE_CHECKING:
    LabelMethod = str
    ImageScore = str
else:  # names of what is registered
    LabelMethod = Literal[tuple(SOFT_LABELS)]
    ImageScore = Literal[MODEL_SCORES]
JointMethod = Literal["target", "extra", "combine", "dcjt"]
PseudoVA = Literal["none", "own", "all", "subset"]
ExtraPart = Literal["none", "subset", "all"]
LeaveOut = Literal["none", "twins", "near_twins", "keep"]
VAMapping = Literal["none", "global", "per_class"]

SHARES = ("joint.warm_up", "joint.frequency", "train.decay_every", "scn.relabel_from")
"""Fields that are epochs, or a share of them below 1: searched as shares, an arm's own epochs count as their share."""


def _names(value: Any) -> Any:
    """ "a+b" as ("a", "b")."""
    return tuple(split_names(value)) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


def _options(value: Any) -> Any:
    """ "a=1,b=2" as ("a=1", "b=2"); a comma that no `name=` follows belongs to a value."""
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in re.split(r"[,;]\s*(?=\w+=)", value) if word.strip() not in ("", "none"))


ReaderOptions = Annotated[tuple[str, ...], BeforeValidator(_options)]

Classes = Annotated[int | None, BeforeValidator(partial(class_number, "data.classes"))]
Drop = Annotated[str | None, BeforeValidator(partial(drop_words, "data.drop"))]
Map = Annotated[str | None, BeforeValidator(partial(map_words, "data.map"))]

EXTRA_SPLITS = ("train", "train_validation", "all")
PER_SET = ("extra_splits", "extra_images", "extra_share", "extra_weight", "classes", "drop", "map")
"""Fields of `Joint` that may hold a value for each extra set."""

SplitsPerSet = Annotated[str | tuple[str, ...], BeforeValidator(choices("joint.extra_splits", EXTRA_SPLITS))]
ImagesPerSet = Annotated[
    int | tuple[int | None, ...] | None,
    BeforeValidator(numbers("joint.extra_images", least=16, whole=True, none=True)),
]
SharePerSet = Annotated[float | tuple[float, ...], BeforeValidator(numbers("joint.extra_share", above=0, most=1))]
ClassesPerSet = Annotated[int | tuple[int | None, ...] | None, BeforeValidator(each_set("joint.classes", class_number))]
DropPerSet = Annotated[str | tuple[str | None, ...] | None, BeforeValidator(each_set("joint.drop", drop_words))]
MapPerSet = Annotated[str | tuple[str | None, ...] | None, BeforeValidator(each_set("joint.map", map_words))]
WeightPerSet = Annotated[float | tuple[float, ...], BeforeValidator(numbers("joint.extra_weight", above=0))]


def epochs_of(value: float, epochs: int) -> float:
    """A schedule value in epochs: below 1 it is a share of them.

    >>> epochs_of(0.25, 20), epochs_of(30, 120)
    (5.0, 30)
    """
    return value * epochs if value < 1 else value


class Section(BaseModel):
    """A frozen group of fields. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Section):
    """Which faces, at which size."""

    source: str = Field("faces", description="name of a data set, or a path to a class folder or a CSV file")
    image_size: int = Field(224, ge=32, le=512, description="side of the square input, pixels")
    train_images: int | None = Field(None, ge=16, description="use this many training images; none = all there are")
    test_images: int | None = Field(None, ge=16, description="use this many test images; none = all there are")
    options: ReaderOptions = Field(
        (), description="K=V,...: how a folder or CSV file is read (see `python -m raysweep.data prepare --help`)"
    )
    classes: Classes = Field(None, description="7: without contempt; 8: refuse other classes; none: as they came")
    drop: Drop = Field(None, description="classes to leave out, joined by commas: contempt,disgust")
    map: Map = Field(
        None, description="classes that count as others: a file of pairs, or pairs such as fear:surprise,joy:happiness"
    )
    leave_out: LeaveOut = Field(
        "none",
        description="training images, of extra sets too, that validation or test have: take out twins (same pixels) or "
        "near_twins; none: refuse an extra set with them; keep: train on them, with a warning",
    )


class Labels(Section):
    """How the expression labels are made: noise first, then mixed labels, then fusion (DDAF 3.1-3.2, 5.1)."""

    method: LabelMethod = Field("euclidean", description="where the mixed label comes from")
    alpha: float = Field(0.5, ge=0, le=1, description="Eq. 4: share of the one-hot label; 1 = one-hot")
    squared: bool = Field(True, description="Euclidean: squared distances (paper) or not (the authors' code)")
    within_std: float | None = Field(
        1.0, gt=0, description="class means and Gaussians: box in std (paper: 1), none = all points"
    )
    statistics: Literal["clean", "noisy"] = Field("clean", description="labels that means and weights come from")
    noise_rate: float = Field(0.0, ge=0, lt=1, description="share of training labels flipped")
    noise_kind: NoiseKind = Field("symmetric", description="how they are flipped")
    va_noise: float = Field(0.0, ge=0, le=2, description="std of Gaussian noise on training valence and arousal")

    @property
    def fused_method(self) -> LabelMethod:
        """Where the mixed label comes from; alpha = 1 is one-hot, whatever the method."""
        return self.method if self.alpha < 1 else ONE_HOT


class Model(Section):
    """Shared encoder and two heads."""

    backbone: str = Field("resnet18", description="name of an encoder")
    weights: str | None = Field("imagenet", description="imagenet, a path to a checkpoint, or none")
    affect: Literal["tanh", "linear"] = Field("tanh", description="end of the VA head: tanh (DDAF) or nothing (DCJT)")
    head: Literal["plain", "scn"] = Field("plain", description="classifier: plain, or SCN's with importance weights")
    arm_alpha: Literal["learnt", "fixed"] = Field(
        "learnt",
        description="ARM's alpha: learnt from 1 (its paper), or fixed at 1 (DCJT authors' code, by accident)",
    )


class Objective(Section):
    """Equations 5-9 of DDAF, each term with its switch."""

    class_weights: WeightRule = Field("hard", description="weight of a sample: of its hard label, soft, capped, none")
    weight_cap: float = Field(5.0, ge=1, description="upper bound of a weight under the rule `capped`")
    cosine: bool = Field(True, description="Eq. 7: the cosine similarity term")
    weighted_va: bool = Field(True, description="Eq. 8: weight the L2 term by class, or plain L2")
    weight_va: float = Field(1.0, ge=0, description="lambda: factor of the L2 term (paper: 1)")
    va_reduction: Literal["sum", "mean"] = Field("sum", description="over V and A: sum (DDAF) or mean (DCJT)")


class Augment(Section):
    """Random changes of a training image. Zero or one switches an operation off."""

    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    rotate: float = Field(30.0, ge=0, le=180, description="largest rotation either way, degrees")
    translate: float = Field(0.1, ge=0, le=0.5, description="largest shift either way, share of the side")
    scale_min: float = Field(1.0, gt=0, description="smallest zoom")
    scale_max: float = Field(1.25, gt=0, description="largest zoom")
    brightness: float = Field(0.5, ge=0, le=1, description="colour jitter: factor in [1-b, 1+b]")
    contrast: float = Field(0.5, ge=0, le=1, description="colour jitter: factor in [1-c, 1+c]")
    erase: float = Field(0.0, ge=0, le=1, description="probability of random erasing (DCJT; DDAF's authors: 0.5)")
    erase_min: float = Field(0.02, gt=0, lt=1, description="smallest erased share of the area")
    erase_max: float = Field(0.25, gt=0, lt=1, description="largest erased share of the area")

    @model_validator(mode="after")
    def _ordered(self) -> Augment:
        for low, high in (("scale_min", "scale_max"), ("erase_min", "erase_max")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"`{low} <= {high}` must hold, but got {getattr(self, low)} > {getattr(self, high)}")
        return self


class Train(Section):
    """Optimiser and schedule."""

    epochs: int = Field(50, ge=1, description="passes over the training images")
    batch_size: int = Field(256, ge=2, description="images a step, over all devices")
    learning_rate: float = Field(2.5e-4, gt=0, description="Adam's")
    weight_decay: float = Field(0.0, ge=0, description="Adam's L2 term (DDAF's authors: 1e-5)")
    decay_every: float = Field(30, gt=0, description="epochs between steps of the learning rate; < 1 = share of epochs")
    decay_factor: float = Field(0.5, gt=0, le=1, description="factor of the learning rate at a step")
    swa_start: float | None = Field(0.75, ge=0, lt=1, description="average weights from this share on; none = no SWA")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the forward pass")
    deterministic: bool = Field(False, description="on a GPU: bitwise reproducible, slower (a CPU always is)")

    @property
    def decay_epochs(self) -> int:
        """Epochs between two steps of the learning rate, at least 1."""
        every = self.decay_every * self.epochs if self.decay_every < 1 else self.decay_every
        return max(1, round(every))

    def rate(self, epoch: int) -> float:
        """Adam's learning rate in an epoch (1-based): a step down every `decay_epochs`."""
        return self.learning_rate * self.decay_factor ** ((epoch - 1) // self.decay_epochs)

    def averages(self, epoch: int) -> bool:
        """Whether the weights after an epoch enter the SWA average."""
        return self.swa_epoch is not None and epoch >= self.swa_epoch

    @property
    def swa_epoch(self) -> int | None:
        """First epoch (1-based) whose weights enter the average; None without SWA."""
        return None if self.swa_start is None else math.floor(self.swa_start * self.epochs) + 1


class SelfCure(Section):
    """SCN (Wang et al., 2020): what `model.head=scn` trains with."""

    high_share: float = Field(0.7, gt=0, lt=1, description="share of a batch that counts as highly important")
    margin: float = Field(0.15, ge=0, lt=1, description="of the rank loss between the two groups")
    rank_weight: float = Field(1.0, ge=0, description="factor of the rank loss")
    relabel_from: float | None = Field(10, ge=0, description="first epoch of relabelling; < 1 = share of epochs")
    relabel_margin: float = Field(0.2, ge=0, lt=1, description="relabel where p_max - p_given exceeds this")
    relabel_among: Literal["low", "all"] = Field(
        "low", description="relabel samples of low importance alone (paper), or all (authors' code)"
    )

    def relabels(self, epoch: int, epochs: int) -> bool:
        """Whether labels change at the end of an epoch (1-based) of `epochs`."""
        return self.relabel_from is not None and epoch >= max(1, round(epochs_of(self.relabel_from, epochs)))


class Joint(Section):
    """Training on a second data set whose labels follow other habits (DCJT). A is the target, B an extra set."""

    method: JointMethod = Field("target", description="train on the target, an extra set, both as they are, or DCJT")
    extra: Names = Field((), description="extra data sets: names or paths, joined by +")
    extra_sets: int | None = Field(None, ge=1, description="train on the first so many of them; none = all")
    extra_splits: SplitsPerSet = Field(
        "train_validation", description="parts of an extra set to train on: train, train_validation, all; or one a set"
    )
    extra_images: ImagesPerSet = Field(
        None, description="use this many training images of each extra set; or one number a set: 480+none"
    )
    extra_share: SharePerSet = Field(
        1.0, description="then use this share of them (DCJT, Table 8); or one a set: 0.5+1"
    )
    extra_draw: Literal["anew", "once"] = Field(
        "anew",
        description="a share: drawn anew in every replicate, or once, the same images in all (paper: not said)",
    )
    extra_weight: WeightPerSet = Field(
        1.0, description="factor of an extra set's images in the loss; or one a set: 0.5+1"
    )
    classes: ClassesPerSet = Field(
        None, description="data.classes of the extra sets; or one a set: 7+none; none = as data.classes"
    )
    drop: DropPerSet = Field(
        None, description="data.drop of the extra sets; or one a set: contempt+none; none = as data.drop"
    )
    map: MapPerSet = Field(
        None, description="data.map of the extra sets; or one a set: fear:surprise+none; none = as data.map"
    )
    finetune: str | None = Field(None, description="fine-tune and score on this set afterwards; `target` = data.source")
    finetune_rate: float = Field(1.0, gt=0, le=1, description="learning rate of fine-tuning, share of the first")
    pseudo_va: PseudoVA = Field("subset", description="VA of A: none, its own, or from M_B trained on all or a subset")
    labeller_weight_va: float = Field(15.0, ge=0, description="lambda of M_B, which gives the pseudo VA")
    extra_part: ExtraPart = Field("all", description="what of B is trained on: none, what M_A agrees with, or all")
    mapping: VAMapping = Field("per_class", description="VA of B: as it is, one Gaussian (GCLM), one a class (EDCLM)")
    map_all: bool = Field(False, description="map all of B, not only what M_A disagrees with (section 3.3)")
    relabel: bool = Field(True, description="name the mapped part of B by the nearest class centre of A (Eq. 2-3)")
    schedule: Literal["joint", "concatenate"] = Field("joint", description="Algorithm 3, or A and B as one set")
    warm_up: float = Field(30, ge=0, description="epochs on A alone; < 1 = share of epochs")
    frequency: float | None = Field(10, gt=0, description="B joins every so many epochs; < 1 = share; none = never")
    unit: Literal["epoch", "batch"] = Field("epoch", description="B joins as a pass after A's, or batch by batch")
    draw: Literal["plain", "balanced"] = Field(
        "plain", description="B's images: each once, or classes evenly (authors)"
    )

    @property
    def used_extra(self) -> tuple[str, ...]:
        """The extra sets that are trained on."""
        return () if self.method == "target" else self.extra[: self.extra_sets]

    def joins(self, epoch: int, epochs: int) -> bool:
        """Whether B takes part in an epoch (1-based) of `epochs`.

        After the warm-up, when the frequency divides the number of the epoch, as in the authors' code and
        the text. Differs from the paper: Algorithm 3 prints >= for the end of the warm-up.
        """
        if self.frequency is None:
            return False
        every = max(1, round(epochs_of(self.frequency, epochs)))
        return epoch > round(epochs_of(self.warm_up, epochs)) and epoch % every == 0


class Selection(Section):
    """Which weights are scored on the test images, and what chose them."""

    protocol: Protocol = Field("validation", description="what chooses the epoch")
    metric: ImageScore = Field("macro_f1", description="score that chooses the epoch; a study sets its headline score")
    weights: WeightsOf = Field("swa", description="the headline: best epoch, SWA average, or last epoch")
    validation_share: float = Field(0.15, gt=0, lt=0.9, description="share of training images held out")
    validation_per_class: int | None = Field(None, ge=1, description="instead: this many a class (authors: 250)")

    @property
    def holds_out(self) -> bool:
        """Whether training images are held out for validation."""
        return self.protocol in ("validation", "select_then_retrain")

    @property
    def scores_epochs(self) -> bool:
        """Whether every epoch is scored, on validation images or on test."""
        return self.protocol != "last"


class Seeds(Section):
    """Four seeds, so that arms of one replicate differ only in what the arm changes."""

    split: int = Field(0, ge=0, description="which training images are held out, which share of an extra set is used")
    noise: int = Field(0, ge=0, description="which labels flip, and to what")
    init: int = Field(0, ge=0, description="initial weights")
    order: int = Field(0, ge=0, description="order of batches, augmentation")


class Experiment(Section):
    """One fully resolved configuration: everything that can change a number."""

    data: Data = Data()
    labels: Labels = Labels()
    model: Model = Model()
    objective: Objective = Objective()
    augment: Augment = Augment()
    train: Train = Train()
    joint: Joint = Joint()
    scn: SelfCure = SelfCure()
    selection: Selection = Selection()
    seeds: Seeds = Seeds()

    @model_validator(mode="after")
    def _headline_exists(self) -> Experiment:
        weights, protocol = self.selection.weights, self.selection.protocol
        if weights == "swa" and self.train.swa_start is None:
            raise ValueError("`selection.weights=swa` needs `train.swa_start`, but it is none")
        if weights == "best" and protocol == "last":
            raise ValueError("`selection.weights=best` needs a protocol that scores every epoch, but it is 'last'")
        if weights != "best" and protocol == "select_then_retrain":
            raise ValueError(
                f"`selection.protocol={protocol}` chooses the epoch: weights must be best, not {weights!r}"
            )
        if weights != "best" and protocol == "best_on_test":
            raise ValueError(f"`selection.protocol=best_on_test` reports the best epoch, but weights is {weights!r}")
        return self

    @model_validator(mode="after")
    def _self_cure_is_one_hot(self) -> Experiment:
        if self.model.head == "scn" and self.labels.fused_method != ONE_HOT:
            raise ValueError("`model.head=scn` changes hard labels: set labels.method=one_hot or labels.alpha=1")
        return self

    @model_validator(mode="after")
    def _joint_makes_sense(self) -> Experiment:
        joint, epochs = self.joint, self.train.epochs
        if joint.method != "target" and not joint.extra:
            raise ValueError(f"`joint.method={joint.method}` needs `joint.extra`, the name of an extra data set")
        for name in PER_SET:
            values = getattr(joint, name)
            if isinstance(values, tuple) and joint.method != "target" and len(values) != len(joint.extra):
                raise ValueError(
                    f"`joint.{name}` needs one value, or one for each of {len(joint.extra)} extra sets, "
                    f"but got {len(values)}: {join_names(values)}"
                    + (" (what is said of one set is joined by commas)" if name in ("drop", "map") else "")
                )
        if joint.method != "target" and joint.extra_sets is not None and joint.extra_sets > len(joint.extra):
            raise ValueError(
                f"`joint.extra_sets={joint.extra_sets}` needs so many extra sets, but "
                f"joint.extra={join_names(joint.extra)} names {len(joint.extra)}: join more by +, or leave these arms "
                "out with --axis"
            )
        if self.selection.protocol == "select_then_retrain" and joint.finetune:
            raise ValueError("`selection.protocol=select_then_retrain` does not go with `joint.finetune`")
        if joint.method == "dcjt":
            if joint.pseudo_va == "none" and joint.extra_part == "all" and (joint.mapping != "none" or joint.relabel):
                raise ValueError("`joint.mapping` and `joint.relabel` need VA of A, but `joint.pseudo_va` is none")
            if joint.schedule == "joint" and joint.extra_part != "none":
                self._schedule_fits(joint, epochs)
        return self

    @staticmethod
    def _schedule_fits(joint: Joint, epochs: int) -> None:
        if joint.warm_up >= epochs and joint.warm_up >= 1:
            raise ValueError(
                f"`joint.warm_up < train.epochs` must hold, but got {joint.warm_up:g} >= {epochs}: "
                "too few epochs for this schedule; raise train.epochs or lower joint.warm_up"
            )
        if joint.frequency is None:
            return
        if joint.frequency > epochs:
            raise ValueError(
                f"`joint.frequency <= train.epochs` must hold, but got {joint.frequency:g} > {epochs}: "
                "too few epochs for this schedule; raise train.epochs or lower joint.frequency"
            )
        if not any(joint.joins(epoch, epochs) for epoch in range(1, epochs + 1)):
            raise ValueError(
                f"B must join at least one of {epochs} epochs, but with joint.warm_up={joint.warm_up:g} and "
                f"joint.frequency={joint.frequency:g} it joins none; to leave it out, set joint.frequency=none, "
                "else raise train.epochs or lower one of the two"
            )

    def with_changes(self, changes: Mapping[str, Any]) -> Experiment:
        """A copy with fields set by dotted path, validated as a whole.

        Raises:
            UserError: an unknown path (says the nearest), or a value out of range (says the rule).
        """
        tree = self.model_dump()
        for path, value in changes.items():
            check_path(path, type(self))
            section, field = path.split(".")
            tree[section][field] = "none" if value is None and "none" in field_choices(path) else value
        try:
            return type(self).model_validate(tree)
        except ValidationError as error:
            raise UserError("; ".join(sentence(e) for e in error.errors())) from None

    def with_replicate(self, number: int) -> Experiment:
        """All four seeds set to one replicate number."""
        return self.model_copy(update={"seeds": Seeds(split=number, noise=number, init=number, order=number)})


def field_paths(model: type[Experiment] = Experiment) -> dict[str, str]:
    """Every dotted path of an Experiment with its description, in order of declaration."""
    paths = {}
    for section, info in model.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Section)
        for field, spec in info.annotation.model_fields.items():
            paths[f"{section}.{field}"] = spec.description or ""
    return paths


def flat_words(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted names and words.

    >>> flat_words({"labels": {"alpha": 0.5, "within_std": None}})
    {'labels.alpha': '0.5', 'labels.within_std': 'none'}
    """
    flat: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flat_words(value, f"{prefix}{name}.")
        elif isinstance(value, (tuple, list)):
            flat[prefix + name] = join_names(value) or "none"
        else:
            flat[prefix + name] = str(value).lower() if value is None or isinstance(value, bool) else str(value)
    return flat


def field_choices(path: str) -> tuple[str, ...]:
    """The values a field admits when it is a choice, else empty."""
    section, field = path.split(".")
    annotation = Experiment.model_fields[section].annotation
    assert annotation is not None
    choices = get_args(annotation.model_fields[field].annotation)
    return choices if choices and all(isinstance(c, str) for c in choices) else ()


def check_path(path: str, model: type[Experiment] = Experiment) -> None:
    """Raises UserError, with the nearest path, unless an Experiment has this field."""
    if path not in field_paths(model):
        raise unknown_name("field", path, field_paths(model), "`--fields` lists them all")


_RULES = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}


def sentence(error: Any, path: str = "") -> str:
    """One pydantic error as rule and value. `path`: of the field, where the error does not say it."""
    path = path or ".".join(str(part) for part in error["loc"])
    kind, value = error["type"], error["input"]
    if kind in _RULES:
        return f"`{path} {_RULES[kind]} {error['ctx'][_LIMITS[kind]]:g}` must hold, but got {value!r}"
    if kind == "literal_error":
        return f"`{path}` must be one of {error['ctx']['expected']}, but got {value!r}"
    if kind == "tuple_type":
        return f"`{path}` must be names joined by +, but got {value!r}"
    if kind == "value_error":
        text = str(error["ctx"]["error"])
        return f"{path}: {text}" if path and not text.startswith(f"`{path}") else text
    return f"`{path}`: {error['msg'][0].lower()}{error['msg'][1:]}, but got {value!r}"
