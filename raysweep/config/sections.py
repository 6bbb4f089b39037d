"""The sections of an `Experiment`: every field with its default, its bounds and what it is."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from raysweep.core.parsing import split_names
from raysweep.labels.registry import ONE_HOT, SOFT_LABELS
from raysweep.metrics.registry import MODEL_SCORES

from .class_changes import class_number, drop_words, each_set, map_words
from .methods import METHODS, Method
from .per_set import choices, numbers

NoiseKind = Literal["symmetric", "with_replacement", "confusion"]
WeightRule = Literal["hard", "soft", "capped", "none"]
Protocol = Literal["validation", "select_then_retrain", "last", "best_on_test"]
WeightsOf = Literal["best", "swa", "last"]
if TYPE_CHECKING:
    LabelMethod = str
    ImageScore = str
    JointMethod = str
else:  # names of what is registered
    LabelMethod = Literal[tuple(SOFT_LABELS)]
    ImageScore = Literal[MODEL_SCORES]
    JointMethod = Literal[tuple(METHODS)]
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


OF_NO_PAPER = "of_no_paper"


def of_no_paper(why: str) -> dict[str, JsonValue]:
    """For `Field(json_schema_extra=...)` of a field that no paper has: why its default is what it is.

    Fields of a paper's recipe are in `raysweep.study.recipe_origins` instead; a test demands one or the other.
    """
    return {OF_NO_PAPER: why}


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
    """How expression labels are made: noise first, then mixed labels, then fusion (DDAF 3.1-3.2, 5.1)."""

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
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the forward pass", json_schema_extra=of_no_paper("the plain choice")
    )
    deterministic: bool = Field(
        False,
        description="on a GPU: bitwise reproducible, slower (a CPU always is)",
        json_schema_extra=of_no_paper("speed; on a CPU it holds anyway"),
    )

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
    """Training on a second data set that is labelled by other criteria (DCJT). A is the target, B an extra set."""

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
    def kind(self) -> Method:
        """What the method trains on."""
        return METHODS[self.method]

    @property
    def used_extra(self) -> tuple[str, ...]:
        """The extra sets that are trained on."""
        return self.extra[: self.extra_sets] if self.kind.on_extra else ()

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
