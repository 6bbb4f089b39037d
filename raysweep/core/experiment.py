"""`Experiment`: one fully resolved configuration, and how a dotted path changes it.

The defaults are the recipe of the DDAF paper (section 4.2); where the authors' code adds something
the paper does not print (random erasing, weight decay) the field's docstring says so.
Symbols: alpha is Eq. 4's, `weight_va` is the lambda of the regression term.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import UserError, unknown_name

LabelMethod = Literal["one_hot", "uniform", "euclidean", "gaussian"]
NoiseKind = Literal["symmetric", "with_replacement", "confusion"]
WeightRule = Literal["hard", "soft", "capped", "none"]
Protocol = Literal["validation", "select_then_retrain", "last", "best_on_test"]
WeightsOf = Literal["best", "swa", "last"]


class Section(BaseModel):
    """A frozen group of fields. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Section):
    """Which faces, at which size."""

    source: str = Field("faces", description="name of a data set, or a path to a class folder or a CSV file")
    image_size: int = Field(224, ge=32, le=512, description="side of the square input, pixels")
    train_images: int | None = Field(None, ge=16, description="use this many training images; none = all there are")
    test_images: int | None = Field(None, ge=16, description="use this many test images; none = all there are")


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


class Model(Section):
    """Shared encoder and two heads."""

    backbone: str = Field("resnet18", description="name of an encoder")
    weights: str | None = Field("imagenet", description="imagenet, a path to a checkpoint, or none")


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
    erase: float = Field(0.5, ge=0, le=1, description="probability of random erasing (authors' code, not the paper)")
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
    weight_decay: float = Field(1e-5, ge=0, description="Adam's L2 term (authors' code, not the paper)")
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

    @property
    def swa_epoch(self) -> int | None:
        """First epoch (1-based) whose weights enter the average; None without SWA."""
        return None if self.swa_start is None else math.floor(self.swa_start * self.epochs) + 1


class Selection(Section):
    """Which weights are scored on the test images, and what chose them."""

    protocol: Protocol = Field("validation", description="what chooses the epoch")
    weights: WeightsOf = Field("swa", description="the headline: best epoch, SWA average, or last epoch")
    validation_share: float = Field(0.15, gt=0, lt=0.9, description="share of training images held out")
    validation_per_class: int | None = Field(None, ge=1, description="instead: this many a class (authors: 250)")


class Seeds(Section):
    """Four seeds, so that arms of one replicate differ only in what the arm changes."""

    split: int = Field(0, ge=0, description="which training images are held out")
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

    def with_changes(self, changes: Mapping[str, Any]) -> Experiment:
        """A copy with fields set by dotted path, validated as a whole.

        Raises:
            UserError: an unknown path (says the nearest), or a value out of range (says the rule).
        """
        tree = self.model_dump()
        for path, value in changes.items():
            check_path(path)
            section, field = path.split(".")
            tree[section][field] = "none" if value is None and "none" in field_choices(path) else value
        try:
            return Experiment.model_validate(tree)
        except ValidationError as error:
            raise UserError("; ".join(_sentence(e) for e in error.errors())) from None

    def with_replicate(self, number: int) -> Experiment:
        """All four seeds set to one replicate number."""
        return self.model_copy(update={"seeds": Seeds(split=number, noise=number, init=number, order=number)})

    def canonical(self) -> dict[str, Any]:
        """Nested plain values that are equal whenever the numbers must be equal.

        Fields that cannot matter are set to one value: at alpha = 1 the mixed label is not used, so
        Table 4's alpha = 1 and Table 3's one-hot are the same cell.
        """
        tree = self.model_dump()
        labels, objective, train = tree["labels"], tree["objective"], tree["train"]
        if labels["method"] == "one_hot" or labels["alpha"] == 1:
            labels.update(method="one_hot", alpha=1.0)
        if labels["method"] != "euclidean":
            labels["squared"] = None
        if labels["method"] not in ("euclidean", "gaussian"):
            labels["within_std"] = None
        if labels["noise_rate"] == 0:
            labels["noise_kind"] = None
            labels["statistics"] = None
        if objective["class_weights"] != "capped":
            objective["weight_cap"] = None
        if objective["class_weights"] == "none":
            objective["weighted_va"] = None
        train["decay_every"] = self.train.decay_epochs
        train["swa_start"] = self.train.swa_epoch
        return tree


def field_paths() -> dict[str, str]:
    """Every dotted path of an Experiment with its description, in order of declaration."""
    paths = {}
    for section, info in Experiment.model_fields.items():
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


def check_path(path: str) -> None:
    """Raises UserError, with the nearest path, unless an Experiment has this field."""
    if path not in field_paths():
        raise unknown_name("field", path, field_paths(), "`--fields` lists them all")


_RULES = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}


def _sentence(error: Any) -> str:
    """One pydantic error as rule and value."""
    path = ".".join(str(part) for part in error["loc"])
    kind, value = error["type"], error["input"]
    if kind in _RULES:
        return f"`{path} {_RULES[kind]} {error['ctx'][_LIMITS[kind]]:g}` must hold, but got {value!r}"
    if kind == "literal_error":
        return f"`{path}` must be one of {error['ctx']['expected']}, but got {value!r}"
    if kind == "value_error":
        return f"{path}: {error['ctx']['error']}" if path else str(error["ctx"]["error"])
    return f"`{path}`: {error['msg'][0].lower()}{error['msg'][1:]}, but got {value!r}"
