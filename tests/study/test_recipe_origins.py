"""`docs/recipes.md` and captions say where every value of `--preset paper` comes from."""

from pathlib import Path

import pytest

from raysweep.config.experiment import Experiment
from raysweep.data.names import named_kind
from raysweep.study import find_study, list_studies, make_cells
from raysweep.study.overrides import field_texts
from raysweep.study.recipe_origins import (
    AFF_WILD,
    AUTHORS,
    CAER,
    DCJT,
    DDAF,
    ORIGINS,
    OURS,
    PAPER,
    SOURCES,
    departures,
    paper_values,
    recipe_of,
    recipes_markdown,
)  # fmt: skip
from tests.pipeline.test_key_fields import every_field

DOC = Path(__file__).parents[2] / "docs" / "recipes.md"

PRINTED = {
    DDAF: {
        # section 4.2
        "train.batch_size": "256", "train.learning_rate": "0.00025", "train.decay_every": "30.0",
        "train.decay_factor": "0.5", "labels.alpha": "0.5", "train.epochs": "50", "model.backbone": "resnet18",
        "data.image_size": "224", "labels.within_std": "1.0", "selection.weights": "swa",
        # Equations 3, 6 to 9
        "labels.squared": "true", "objective.class_weights": "hard", "objective.cosine": "true",
        "objective.weighted_va": "true", "objective.weight_va": "1.0", "objective.va_reduction": "sum",
        # neither is named in 4.2
        "augment.erase": "0.0", "train.weight_decay": "0.0",
        # 4.1: retrained on the entire training set
        "selection.protocol": "last",
    },
    DCJT: {
        "train.batch_size": "128", "train.learning_rate": "0.001", "objective.weight_va": "15.0",
        "joint.warm_up": "30.0", "joint.frequency": "10.0", "data.image_size": "224", "labels.alpha": "1.0",
        "objective.cosine": "false", "objective.class_weights": "none", "augment.flip": "0.5", "augment.erase": "0.5",
        "augment.rotate": "0.0", "augment.brightness": "0.0", "train.swa_start": "none",
    },
    CAER: {
        "train.batch_size": "128", "train.learning_rate": "0.01", "objective.weight_va": "100.0",
        "joint.warm_up": "100.0", "joint.frequency": "5.0",
    },
    AFF_WILD: {"train.batch_size": "256", "labels.alpha": "0.5", "objective.cosine": "true"},
}  # fmt: skip
"""By hand from the papers."""

AUTHORS_HAVE = {
    DDAF: {"augment.rotate": "30.0", "augment.scale_max": "1.25", "augment.contrast": "0.5", "model.affect": "tanh"},
    DCJT: {"train.epochs": "120", "train.decay_every": "40.0", "train.decay_factor": "0.5", "model.affect": "linear",
           "joint.unit": "epoch", "objective.va_reduction": "mean"},
    CAER: {},
    AFF_WILD: {"objective.class_weights": "none"},
}  # fmt: skip
"""By hand from the authors' scripts."""


def test_the_document_is_made_of_the_data():
    assert DOC.read_text(encoding="utf-8") == recipes_markdown(), "run python -m raysweep.study.recipe_origins > it"


@pytest.mark.parametrize("recipe", ORIGINS)
def test_every_field_has_an_origin(recipe):
    """A new field needs a line."""
    assert set(ORIGINS[recipe]) == set(every_field(Experiment))
    assert {origin.source for origin in ORIGINS[recipe].values()} == set(SOURCES)
    for path, origin in ORIGINS[recipe].items():
        assert origin.place or origin.source not in (PAPER, AUTHORS), path
        assert origin.why or origin.source in (PAPER, AUTHORS), path
        assert f"| `{path}` |" in DOC.read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", ORIGINS)
def test_values_are_those_that_are_printed(recipe):
    values = paper_values(recipe)
    for path, word in PRINTED[recipe].items():
        assert (path, values[path]) == (path, word)
        assert ORIGINS[recipe][path].source == PAPER, path
    for path, word in AUTHORS_HAVE[recipe].items():
        assert (path, values[path]) == (path, word)
        assert ORIGINS[recipe][path].source == AUTHORS, path


def test_a_default_is_ddafs():
    """But for the protocol, which the preset sets."""
    words = field_texts({})
    assert {path for path, word in paper_values(DDAF).items() if words[path] != word} == {"selection.protocol"}


@pytest.mark.parametrize("name", list_studies())
def test_captions_at_preset_paper_name_what_differs(name):
    _, study = find_study(name)
    cells = make_cells(study, "paper", [1], {})
    configs = [field_texts(_flat(cell.experiment)) for cell in cells]
    found = departures(study.paper, named_kind(cells[0].experiment.data.source), configs)
    assert found
    joint = any(cell.experiment.joint.method == "dcjt" for cell in cells)
    assert any("pass of its own" in words for words in found) == joint
    assert any("75 %" in words for words in found) == (study.paper == "DDAF")
    assert any("held out" in words for words in found) == (study.paper == "DCJT")
    assert any("fine-tuning" in words for words in found) == any(c.experiment.joint.finetune for c in cells)


def test_what_the_user_changed_is_no_departure_of_ours():
    def of(**changes):
        words = {**paper_values(CAER), "joint.method": "dcjt"}
        return departures("DCJT", "caers", [words | {k.replace("__", "."): v for k, v in changes.items()}])

    assert sum("RAF-DB" in words for words in of()) == 3
    assert not any("120" in words for words in of(train__epochs="150"))
    assert not any("held out" in words for words in of(selection__protocol="best_on_test"))
    assert not any("M_B" in words for words in of(joint__labeller_weight_va="100.0"))
    assert not any("M_B" in words for words in of(joint__method="target"))


def test_aff_wild_has_no_class_weights_and_its_caption_says_so():
    def said(**changes):
        words = paper_values(AFF_WILD) | {name.replace("__", "."): value for name, value in changes.items()}
        return departures("DDAF", "affwild", [words])

    assert any("no class weights" in words for words in said())
    assert not any("class weights" in words for words in said(objective__class_weights="hard"))
    assert not any("class weights" in words for words in departures("DDAF", "affectnet", [paper_values(DDAF)]))
    study = find_study("ablation_alpha")[1]
    weights = [
        make_cells(study, "paper", [0], {"data.source": name})[0].experiment.objective.class_weights
        for name in ("Aff-Wild", "affectnet", "affwild2", "aff-wild-mine.csv")
    ]
    assert weights == ["none", "hard", "hard", "hard"]


def test_which_recipe():
    assert recipe_of("DDAF", "affwild") == AFF_WILD
    assert recipe_of("DCJT", "affwild") == DCJT
    assert recipe_of("DDAF", "caers") == DDAF
    assert recipe_of("DCJT", "rafdb") == recipe_of("DCJT", "faces") == DCJT
    assert recipe_of("DCJT", "caers") == CAER
    assert recipe_of("DCJT", "csv") == recipe_of("DCJT", "") == DCJT
    assert ORIGINS[CAER]["train.epochs"].source == OURS


def _flat(experiment):
    return {f"{section}.{name}": value for section, fields in experiment.model_dump().items()
            for name, value in fields.items()}  # fmt: skip
