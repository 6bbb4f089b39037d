"""Origin of every value of `--preset paper`, for `docs/recipes.md` and for captions.

python -m raysweep.study.recipe_origins > docs/recipes.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from raysweep.config.experiment import field_paths, fields_of_no_paper
from raysweep.config.presets import PRESETS

from .overrides import field_texts

DDAF, DCJT, CAER, AFF_WILD = "DDAF", "DCJT", "DCJT on CAER-S", "DDAF on Aff-Wild"

TARGETS = {DDAF: ("DDAF", ""), DCJT: ("DCJT", "rafdb"), CAER: ("DCJT", "caers"), AFF_WILD: ("DDAF", "affwild")}
"""Recipe to the paper and the kind of the scored data set."""

PAPER, AUTHORS, OURS, STUDY = "paper", "authors", "ours", "study"

SOURCES = {
    PAPER: "the paper prints it, or lists what it uses without this",
    AUTHORS: "the authors' published code has it, the paper does not say",
    OURS: "neither says it, or we depart from both",
    STUDY: "the question that a study asks, or its data: no part of a recipe",
}


@dataclass(frozen=True)
class FieldOrigin:
    """Where the value of a field comes from, and why it is that.

    `place`: section, equation, table or file. `differs`: what a caption says where the value is not the paper's, or is
    one that the paper leaves open and scores depend on. `only`: a field and the value that it must have (after a "!",
    must not have) for this to matter.
    """

    source: str
    place: str = ""
    why: str = ""
    differs: str = ""
    only: tuple[str, str] | None = None


_IDLE_DDAF = FieldOrigin(STUDY, "", "no second data set in this paper")
_QUESTION = FieldOrigin(STUDY, "", "the images: what the user has")
_SCN = FieldOrigin(STUDY, "", "of SCN's arms alone; values of SCN's authors")
_SEED = FieldOrigin(STUDY, "", "set by the replicate")


def _paper(place: str, why: str = "", differs: str = "", only: tuple[str, str] | None = None) -> FieldOrigin:
    return FieldOrigin(PAPER, place, why, differs, only)


def _authors(place: str, why: str = "", differs: str = "", only: tuple[str, str] | None = None) -> FieldOrigin:
    return FieldOrigin(AUTHORS, place, why, differs, only)


def _ours(why: str, differs: str = "", only: tuple[str, str] | None = None) -> FieldOrigin:
    return FieldOrigin(OURS, "", why, differs, only)


_DDAF_CODE = "FER_C, training script"
_AFF_WILD_CODE = "FER_C, train_scale.py"
_DCJT_CODE = "DCJT, training script"
_JITTER = "section 4.2 names colour jitter, flips and affine transformations without sizes"
_FLIP_ERASE = "flips and erasing alone"

_OF_NO_PAPER = {path: _ours(why) for path, why in fields_of_no_paper().items()}

_ON_DDAF: Mapping[str, FieldOrigin] = {
    **_OF_NO_PAPER,
    **{path: _QUESTION for path in field_paths() if path.startswith("data.")},
    "data.image_size": _paper("4.2"),
    "labels.method": _paper("Eq. 3", "the paper has Euclidean and Gaussian labels; studies sweep both"),
    "labels.alpha": _paper("4.2"),
    "labels.squared": _paper("Eq. 3", "the authors' code does not square: an option"),
    "labels.within_std": _paper("4.2"),
    "labels.statistics": _authors(_DDAF_CODE, "means, Gaussians and weights before label noise"),
    "labels.noise_rate": FieldOrigin(STUDY, "4.4", "0, 10, 20 and 30 % in the noise study"),
    "labels.noise_kind": _paper("4.4", "a percentage of labels, to other classes; the authors' code draws with "
                                       "replacement: an option"),
    "labels.va_noise": FieldOrigin(STUDY, "", "not in the paper"),
    "model.backbone": _paper("4.2"),
    "model.weights": _authors(_DDAF_CODE),
    "model.arm_alpha": FieldOrigin(STUDY, "", "of ARM alone"),
    "model.affect": _authors(_DDAF_CODE),
    "model.head": FieldOrigin(STUDY, "", "the other one is SCN's"),
    "objective.class_weights": _paper("Eq. 5-6", "weight of the hard label, as the authors read Eq. 6"),
    "objective.weight_cap": FieldOrigin(STUDY, "", "of the rule `capped` alone"),
    "objective.cosine": _paper("Eq. 7"),
    "objective.weighted_va": _paper("Eq. 8"),
    "objective.weight_va": _paper("Eq. 9"),
    "objective.va_reduction": _paper("Eq. 8"),
    "augment.flip": _authors(_DDAF_CODE, _JITTER),
    "augment.rotate": _authors(_DDAF_CODE, _JITTER),
    "augment.translate": _authors(_DDAF_CODE, _JITTER),
    "augment.scale_min": _authors(_DDAF_CODE, _JITTER),
    "augment.scale_max": _authors(_DDAF_CODE, _JITTER),
    "augment.brightness": _authors(_DDAF_CODE, _JITTER),
    "augment.contrast": _authors(_DDAF_CODE, _JITTER),
    "augment.erase": _paper("4.2", "none is listed; the authors' code erases: `--set augment.erase=0.5`"),
    "augment.erase_min": _authors(_DDAF_CODE, "where erasing is on"),
    "augment.erase_max": _authors(_DDAF_CODE, "where erasing is on"),
    "train.epochs": _paper("4.2"),
    "train.batch_size": _paper("4.2"),
    "train.learning_rate": _paper("4.2"),
    "train.weight_decay": _paper("4.2", "none is listed; the authors' code has 1e-5: "
                                        "`--set train.weight_decay=1e-5`"),
    "train.decay_every": _paper("4.2"),
    "train.decay_factor": _paper("4.2"),
    "train.swa_start": _ours("the paper names SWA \"from the Pytorch library\", neither its start nor its learning "
                             "rate: 75 % is where SWA's own paper starts, and the step decay goes on",
                             differs="SWA starts at 75 % of the epochs with the step decay going on (the paper "
                                     "names SWA without either)"),
    **{path: _IDLE_DDAF for path in field_paths() if path.startswith("joint.")},
    **{path: _SCN for path in field_paths() if path.startswith("scn.")},
    "selection.protocol": _paper("4.1", "hyperparameters were chosen on a validation part, then the whole training "
                                        "set is trained on: they are known, so nothing is left to choose"),
    "selection.metric": FieldOrigin(
        STUDY, "", "the study's headline score; without validation images it chooses nothing"
    ),
    "selection.weights": _paper("4.2"),
    "selection.validation_share": FieldOrigin(STUDY, "", "nothing is held out"),
    "selection.validation_per_class": _authors(_DDAF_CODE, "250 there, for choosing hyperparameters; here nothing "
                                                           "is held out"),
    **{path: _SEED for path in field_paths() if path.startswith("seeds.")},
}  # fmt: skip

_ON_DCJT: Mapping[str, FieldOrigin] = {
    **_OF_NO_PAPER,
    **{path: _QUESTION for path in field_paths() if path.startswith("data.")},
    "data.image_size": _paper("4.2"),
    **{path: FieldOrigin(STUDY, "", "DDAF's: alpha = 1 and no noise leave it without effect")
       for path in field_paths() if path.startswith("labels.")},
    "labels.alpha": _paper("Eq. 4", "hard labels"),
    "model.backbone": _paper("Tables 1-6", "ARM is the better of the two encoders of the ablations; ResNet-18 is "
                                           "`--set model.backbone=resnet18`"),
    "model.weights": _paper("4.3", "MS-Celeb weights, of the best printed results, are a file of the user's"),
    "model.arm_alpha": _ours("learnt, as in ARM's own paper; the authors' code keeps it at 1, by accident: "
                             "`--set model.arm_alpha=fixed`"),
    "model.affect": _authors(_DCJT_CODE, "one linear layer gives logits and VA"),
    "model.head": FieldOrigin(STUDY, "", "the other one is SCN's"),
    "objective.class_weights": _paper("Eq. 4", "none is printed"),
    "objective.weight_cap": FieldOrigin(STUDY, "", "of the rule `capped` alone"),
    "objective.cosine": _paper("Eq. 5", "not in it"),
    "objective.weighted_va": FieldOrigin(STUDY, "", "without class weights it has no effect"),
    "objective.weight_va": _paper("4.2"),
    "objective.va_reduction": _authors(_DCJT_CODE, "PyTorch's MSE averages V and A"),
    "augment.flip": _paper("4.2"),
    "augment.rotate": _paper("4.2", _FLIP_ERASE),
    "augment.translate": _paper("4.2", _FLIP_ERASE),
    "augment.scale_min": _paper("4.2", _FLIP_ERASE),
    "augment.scale_max": _paper("4.2", _FLIP_ERASE),
    "augment.brightness": _paper("4.2", _FLIP_ERASE),
    "augment.contrast": _paper("4.2", _FLIP_ERASE),
    "augment.erase": _paper("4.2", "how often is the authors'"),
    "augment.erase_min": _authors(_DCJT_CODE),
    "augment.erase_max": _authors(_DCJT_CODE),
    "train.epochs": _authors(_DCJT_CODE, "the paper does not print it",
                             differs="120 epochs are the authors' configuration (not printed)"),
    "train.batch_size": _paper("4.2"),
    "train.learning_rate": _paper("4.2"),
    "train.weight_decay": _paper("4.2", "none is listed; effectively none in the authors' code"),
    "train.decay_every": _authors(_DCJT_CODE, "StepLR(40, 0.5)",
                                  differs="the learning rate halves every 40 epochs as in the authors' configuration "
                                          "(not printed)"),
    "train.decay_factor": _authors(_DCJT_CODE, "StepLR(40, 0.5)"),
    "train.swa_start": _paper("4.2", "none is listed"),
    "joint.method": FieldOrigin(STUDY, "", "the arms"),
    **{f"joint.{name}": FieldOrigin(STUDY, "", "the extra sets: what the user has") for name in
       ("extra", "extra_sets", "extra_images", "classes", "drop", "map")},
    "joint.extra_splits": _ours("the paper trains on AffectNet's training set; validation images of an extra set are "
                                "never scored, so they are trained on, too"),
    "joint.extra_share": _paper("Table 8"),
    "joint.extra_draw": _ours("Table 8 does not say whether its parts of B are drawn once: anew in every replicate, so "
                              "that intervals hold for any part of that size"),
    "joint.extra_weight": _paper("Eq. 6"),
    "joint.finetune": FieldOrigin(STUDY, "Table 7", "what is fine-tuned on"),
    "joint.finetune_rate": _ours("the paper does not say how it fine-tunes",
                                 "fine-tuning repeats the schedule of the first training (the paper does not say how "
                                 "it fine-tunes)", ("joint.finetune", "!none")),
    "joint.pseudo_va": _paper("3.2, Table 2"),
    "joint.labeller_weight_va": _ours("the paper gives no lambda of M_B: RAF-DB's"),
    "joint.extra_part": _paper("4.3, Experiment IV"),
    "joint.mapping": _paper("3.3, Table 2"),
    "joint.map_all": _paper("Algorithms 1-2", "section 3.3 reads as if all of B were mapped: an option"),
    "joint.relabel": _paper("Eq. 2-3"),
    "joint.schedule": _paper("Algorithm 3"),
    "joint.warm_up": _paper("4.2", "B joins after epoch 30, as in the text and the authors' code; Algorithm 3 "
                                   "prints >="),
    "joint.frequency": _paper("4.2"),
    "joint.unit": _authors(_DCJT_CODE, "the text of 3.4 reads the same way; Algorithm 3 mixes batches: an option",
                           "B joins as a pass of its own after A's, as in the authors' code (Algorithm 3 mixes "
                           "batches)", ("joint.method", "dcjt")),
    "joint.draw": _paper("Algorithm 3", "the authors' code draws B's classes evenly: an option"),
    **{path: _SCN for path in field_paths() if path.startswith("scn.")},
    "selection.protocol": _ours("the authors choose the epoch on the test images, of which the paper says nothing: "
                                "`--set selection.protocol=best_on_test` does; `select_then_retrain` trains on all "
                                "images again",
                                differs="training images are held out and choose the epoch (the published numbers had "
                                        "all of them, and the epoch that is best on test)"),
    "selection.metric": _authors(_DCJT_CODE, "the study's headline score"),
    "selection.weights": _authors(_DCJT_CODE, "the best epoch"),
    "selection.validation_share": _ours("RAF-DB and CAER-S have no validation part: as much as leaves 1,800 of "
                                        "RAF-DB's images to choose by"),
    "selection.validation_per_class": _ours("a share keeps small classes trainable"),
    **{path: _SEED for path in field_paths() if path.startswith("seeds.")},
}  # fmt: skip

_OF_RAF = "as on RAF-DB; none is printed for CAER-S"

ORIGINS: Mapping[str, Mapping[str, FieldOrigin]] = {
    DDAF: _ON_DDAF,
    DCJT: _ON_DCJT,
    CAER: {
        **_ON_DCJT,
        "train.epochs": _ours(_OF_RAF, "120 epochs are RAF-DB's (none are printed for CAER-S)"),
        "train.decay_every": _ours(_OF_RAF, "the learning rate halves every 40 epochs as on RAF-DB (not printed)"),
        "train.decay_factor": _ours(_OF_RAF),
        "joint.labeller_weight_va": _ours(
            _OF_RAF, "M_B's lambda of 15 is RAF-DB's (none is printed for CAER-S)", ("joint.method", "dcjt")
        ),
    },
    AFF_WILD: {
        **_ON_DDAF,
        "data.drop": FieldOrigin(
            STUDY, "", "the authors' code has seven classes there, the paper does not say: `--set data.drop=contempt`"
        ),
        "objective.class_weights": _authors(
            _AFF_WILD_CODE,
            "the paper names no exception",
            "no class weights are used, as in the authors' code for Aff-Wild (the paper does not say)",
        ),
        "selection.validation_per_class": _authors(
            _AFF_WILD_CODE, "2,000 frames in all there, for choosing hyperparameters; here nothing is held out"
        ),
    },
}
"""By recipe and field."""


def recipe_of(paper: str, kind: str) -> str:
    """Which recipe the preset `paper` gives for a study of this paper on a data set of this kind: a key of
    `ORIGINS`."""
    own = DCJT if paper == "DCJT" else DDAF
    return next((recipe for recipe, target in TARGETS.items() if target == (paper, kind)), own)


def paper_values(recipe: str) -> dict[str, str]:
    """Every field of `--preset paper` as text."""
    paper, target = TARGETS[recipe]
    chosen_by = {"selection.metric": "accuracy"} if paper == "DCJT" else {}  # the headline of that paper's studies
    return field_texts({**chosen_by, **PRESETS["paper"].fields(paper, target)})


def departures(paper: str, kind: str, configs: Iterable[Mapping[str, str]]) -> list[str]:
    """Caption texts at preset `paper`: values of some arm that differ from the paper or are not printed there.

    Args:
        paper: "DDAF" or "DCJT".
        kind: reader of the scored data set.
        configs: of the arms, field to value as text. A value that no arm has was overridden, which the caption says
            elsewhere.
    """
    recipe = recipe_of(paper, kind)
    values, arms = paper_values(recipe), list(configs)
    return [
        origin.differs
        for path, origin in ORIGINS[recipe].items()
        if origin.differs and any(arm.get(path) == values[path] and _matters(origin, arm) for arm in arms)
    ]


def _matters(origin: FieldOrigin, arm: Mapping[str, str]) -> bool:
    if origin.only is None:
        return True
    path, value = origin.only
    return arm.get(path) != value[1:] if value.startswith("!") else arm.get(path) == value


def recipes_markdown() -> str:
    """`docs/recipes.md`."""
    values = {recipe: paper_values(recipe) for recipe in ORIGINS}
    rows = [_row(path, values) for path in field_paths()]
    return "\n".join([*_HEAD, *rows, "", *_departure_lines(), ""])


_HEAD = (
    "# The recipes of `--preset paper`",
    "",
    "Every field, its value for both papers, and where that comes from. Made from `raysweep/study/recipe_origins.py` "
    "(`python -m raysweep.study.recipe_origins`), which captions read, too; a test holds both equal.",
    "",
    *(f"- *{source}*: {meaning}." for source, meaning in SOURCES.items()),
    "",
    "Sections, equations and tables are the paper's; a script is the authors'. CAER-S has the recipe of RAF-DB, and "
    "Aff-Wild DDAF's, but for the values in their columns.",
    "",
    "| field | DDAF | from | DCJT (RAF-DB) | from | CAER-S | Aff-Wild (DDAF) |",
    "|---|---|---|---|---|---|---|",
)


def _row(path: str, values: Mapping[str, Mapping[str, str]]) -> str:
    cells = [f"`{path}`"]
    for recipe in (DDAF, DCJT):
        cells += [f"`{values[recipe][path]}`", _from(ORIGINS[recipe][path])]
    for recipe, beside in ((CAER, DCJT), (AFF_WILD, DDAF)):
        own = values[recipe][path], ORIGINS[recipe][path]
        differs = own != (values[beside][path], ORIGINS[beside][path])
        cells.append(f"`{own[0]}` ({_from(own[1])})" if differs else "")
    return f"| {' | '.join(cells)} |".replace("  |", " |")


def _from(origin: FieldOrigin) -> str:
    place = f" {origin.place}" if origin.place else ""
    return f"*{origin.source}*{place}" + (f": {origin.why}" if origin.why else "")


def _departure_lines() -> Iterator[str]:
    yield "## What captions say"
    yield ""
    yield "At `--preset paper` a caption names what is not the paper's, where some arm has it:"
    for recipe, origins in ORIGINS.items():
        said = [origin.differs for origin in origins.values() if origin.differs]
        yield ""
        yield f"- {recipe}: {'; '.join(said)}."


if __name__ == "__main__":
    sys.stdout.write(recipes_markdown())
