"""Which fields of an `Experiment` enter the key of which kind of stage: all of them, but those named here.

`raysweep.pipeline.stage_kinds` says which kind has which of these.

A field that nobody thought of is in the key: of every training's steps, or, in a section that has stages of its own
(`data`, `labels`, `model`), of those. To leave one out takes a line below with the reason, and
`tests/pipeline/test_key_fields.py` must say where it acts. What stands at its default, or cannot matter beside the
other fields (`raysweep.config.acting_fields`), is left out of every key: a new field moves no key until it is set. So a
default must not change without raising the versions of the kinds that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.config.acting_fields import acting_fields
from raysweep.config.experiment import Experiment

HELD_OUT = ("selection.validation_share", "selection.validation_per_class", "seeds.split")
"""What decides which images are held out, where any are."""


@dataclass(frozen=True)
class Reach:
    """What of an experiment a kind of stage depends on.

    `sections`: their fields can change its product; none: every section, such as are new among them. `without`: fields
    of these, or whole sections, that are not in the key, each with the reason.
    """

    sections: tuple[str, ...] | None
    without: Mapping[str, str]

    def reads(self, section: str) -> bool:
        return section not in self.without and (self.sections is None or section in self.sections)

    def fields(self, experiment: Experiment) -> dict[str, Any]:
        """What is in the key of an experiment: fields that act and differ from their defaults, by dotted path."""
        acting = acting_fields(experiment, self.reads)
        return {path: value for path, value in acting.items() if path not in self.without}


_BY_EPOCH = "each epoch's own: `rate`, `join`, `average` and `relabel` of its stage, and the length of the chain"
_GRAPH = "decides which stages there are, and which reads which"
_SETS = "the fingerprints of the data sets say what it gave"
_MADE_BEFORE = "the stage `labels`, which this one reads, has it"
_LOSS = "of the loss alone: the steps have it"
_CHOSEN = "of choosing an epoch: the steps, which keep the best one, have it"
_SCORED = "of scoring alone: whatever reads the weights of a training says which"

_GRAPH_OF_JOINT = {
    "joint.method": _GRAPH,
    "joint.extra": _SETS,
    "joint.extra_sets": _SETS,
    "joint.extra_splits": _SETS,
    "joint.extra_images": _SETS,
    "joint.extra_share": _SETS,
    "joint.extra_draw": _SETS,
    "joint.extra_weight": "`weight` of the targets of each extra set",
    "joint.classes": _SETS,
    "joint.drop": _SETS,
    "joint.map": _SETS,
    "joint.finetune": _SETS,
    "joint.finetune_rate": _BY_EPOCH,
    "joint.pseudo_va": _GRAPH,
    "joint.labeller_weight_va": "M_B's `objective.weight_va`",
    "joint.extra_part": _GRAPH,
    "joint.schedule": _GRAPH,
    "joint.warm_up": _BY_EPOCH,
    "joint.frequency": _BY_EPOCH,
    "joint.unit": _BY_EPOCH,
    "joint.draw": _BY_EPOCH,
}
_OF_ADAPT = dict.fromkeys(("joint.mapping", "joint.map_all", "joint.relabel"), "what B's labels become: `adapt`")
WEIGHTS_DECIDE = Reach(
    ("selection",),
    {
        "selection.protocol": "`watch` of the steps, or the kind of the stage, says what of it matters",
        **dict.fromkeys(HELD_OUT[:2], "the stages `labels` and `step` have it"),
        "selection.metric": _CHOSEN,
    },
)

DATA = Reach(
    ("data",),
    {
        "data.source": "the fingerprint says what was read, wherever it lies",
        "data.image_size": "`pixels` is the size that was read",
        "data.train_images": _SETS,
        "data.test_images": _SETS,
        "data.options": _SETS,
        "data.classes": _SETS,
        "data.drop": _SETS,
        "data.map": _SETS,
        "data.leave_out": _SETS,
    },
)

LABELS = Reach(
    ("labels", "selection", "seeds"),
    {
        **dict.fromkeys(
            ("labels.method", "labels.alpha", "labels.squared", "labels.within_std", "labels.statistics"),
            "what is made of the labels afterwards: `targets`",
        ),
        "selection.protocol": "`held_out` says what of it matters",
        "selection.metric": _CHOSEN,
        "selection.weights": _SCORED,
        "seeds.init": "of initial weights alone: `start`",
        "seeds.order": "of batches and augmentation alone: `step`",
    },
)

TARGETS = Reach(
    ("labels", "objective"),
    {
        "labels.noise_rate": _MADE_BEFORE,
        "labels.noise_kind": _MADE_BEFORE,
        "labels.va_noise": _MADE_BEFORE,
        **dict.fromkeys(("objective.cosine", "objective.weighted_va", "objective.weight_va"), _LOSS),
        "objective.va_reduction": _LOSS,
    },
)

START = Reach(
    ("model", "seeds"),
    {
        "model.weights": "`weights` is the checksum of what it names",
        "seeds.split": "of held-out images alone: `labels` and `step`",
        "seeds.noise": "of labels alone: `labels`",
        "seeds.order": "of batches and augmentation alone: `step`",
    },
)

STEP = Reach(
    None,
    {
        "data": "the data sets that are trained on and watched are inputs",
        "labels": "the targets are inputs",
        "model": "the chain begins with `start`",
        "train.epochs": _BY_EPOCH,
        "train.learning_rate": _BY_EPOCH,
        "train.decay_every": _BY_EPOCH,
        "train.decay_factor": _BY_EPOCH,
        "train.swa_start": _BY_EPOCH,
        "scn.relabel_from": _BY_EPOCH,
        **_GRAPH_OF_JOINT,
        **_OF_ADAPT,
        "selection.protocol": "`watch` says what of it matters",
        "selection.weights": _SCORED,
        "seeds.noise": "of labels alone: `labels`",
        "seeds.init": "of initial weights alone: `start`",
    },
)

ADAPT = Reach(("joint",), _GRAPH_OF_JOINT)
