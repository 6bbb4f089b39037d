"""Presets of studies of the DCJT paper: the recipes of section 4.2, and sizes for a laptop."""

import pytest
import torch

from raysweep.cli.data import main
from raysweep.study import PRESETS, find_study, list_studies, make_cells
from raysweep.study.cells import with_fixed
from tests.data.readers.trees import caers

RAF_DB = {
    "train.batch_size": 128,
    "train.learning_rate": 0.001,
    "train.epochs": 120,
    "train.decay_every": 40,
    "train.decay_factor": 0.5,
    "train.weight_decay": 0,
    "train.swa_start": None,
    "objective.weight_va": 15,
    "objective.va_reduction": "mean",
    "objective.class_weights": "none",
    "objective.cosine": False,
    "labels.alpha": 1,
    "joint.warm_up": 30,
    "joint.frequency": 10,
    "joint.unit": "epoch",
    "joint.draw": "plain",
    "joint.pseudo_va": "subset",
    "joint.extra_part": "all",
    "joint.mapping": "per_class",
    "joint.relabel": True,
    "joint.map_all": False,
    "joint.schedule": "joint",
    "model.backbone": "arm",
    "model.weights": "imagenet",
    "model.affect": "linear",
    "data.image_size": 224,
    "augment.flip": 0.5,
    "augment.erase": 0.5,
    "augment.rotate": 0,
    "augment.translate": 0,
    "augment.scale_min": 1,
    "augment.scale_max": 1,
    "augment.brightness": 0,
    "augment.contrast": 0,
    "selection.protocol": "validation",
    "selection.weights": "best",
}
CAER_S = {
    **RAF_DB,
    "train.learning_rate": 0.01,
    "objective.weight_va": 100,
    "joint.warm_up": 100,
    "joint.frequency": 5,
}


def recipe(target):
    _, study = find_study("dcjt_mapping")
    cells = make_cells(study, "paper", [0], {"data.source": target, "joint.extra": "affectnet.csv"})
    arm = {"pseudo VA": "CLS", "remainder": "relabelled", "mapping": "EDCLM"}
    return next(cell.experiment for cell in cells if cell.arm.coordinates == arm)


def values(experiment, paths):
    return {path: getattr(getattr(experiment, path.split(".")[0]), path.split(".")[1]) for path in paths}


@pytest.mark.parametrize(
    ("target", "expected", "joined"),
    [
        ("rafdb", RAF_DB, [40, 50, 60, 70, 80, 90, 100, 110, 120]),
        ("RAF_DB.csv", RAF_DB, [40, 50, 60, 70, 80, 90, 100, 110, 120]),
        ("caer_s", CAER_S, [105, 110, 115, 120]),
        ("/data/CAER-S/", CAER_S, [105, 110, 115, 120]),
        ("caers2", RAF_DB, [40, 50, 60, 70, 80, 90, 100, 110, 120]),  # another set
        ("/caer/rafdb", RAF_DB, [40, 50, 60, 70, 80, 90, 100, 110, 120]),  # the set's own name counts
    ],
)
def test_the_paper_s_recipes(target, expected, joined):
    experiment = recipe(target)
    assert values(experiment, expected) == expected
    assert [epoch for epoch in range(1, 121) if experiment.joint.joins(epoch, 120)] == joined
    assert experiment.train.rate(40) == expected["train.learning_rate"]
    assert experiment.train.rate(41) == expected["train.learning_rate"] / 2  # StepLR(40, 0.5)


def prepared(monkeypatch, home, reader, path, name):
    monkeypatch.setenv("RAYSWEEP_DATA", str(home))
    assert main(["prepare", reader, str(path), "--as", name, "--size", "224", "--workers", "1"]) == 0


@pytest.mark.parametrize("name", ["stills", "rafdb", "caer-s"])
def test_a_prepared_caer_s_has_its_recipe_whatever_it_is_called(tmp_path, monkeypatch, name):
    prepared(monkeypatch, tmp_path / "home", "caers", caers(tmp_path / "scenes"), name)
    experiment = recipe(name)
    assert values(experiment, CAER_S) == CAER_S


@pytest.mark.parametrize("name", ["caer-mine", "caers"])
def test_a_prepared_folder_of_the_user_s_has_raf_db_s_whatever_it_is_called(tmp_path, monkeypatch, name):
    prepared(monkeypatch, tmp_path / "home", "folder", caers(tmp_path / "mine"), name)
    experiment = recipe(name)
    assert values(experiment, RAF_DB) == RAF_DB


@pytest.mark.parametrize(("folder", "expected"), [("CAER-S", CAER_S), ("caer-mine", RAF_DB), ("caers2", RAF_DB)])
def test_a_folder_has_the_recipe_of_what_it_is_read_as(tmp_path, folder, expected):
    experiment = recipe(str(caers(tmp_path / folder)))
    assert values(experiment, expected) == expected


@pytest.mark.parametrize(("target", "rate"), [("rafdb", 1e-3), ("caer_s", 1e-2), ("fer2013.csv", 1e-3)])
def test_step_lr_40_and_no_average_in_every_arm(target, rate):
    """By PyTorch's own StepLR(40, 0.5), stepped after each of the 120 epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    steps = torch.optim.lr_scheduler.StepLR(optimizer, 40, 0.5)
    expected = []
    for _ in range(120):
        expected.append(steps.get_last_lr()[0])
        optimizer.step()
        steps.step()
    for name in ("dcjt_methods", "dcjt_mapping", "dcjt_extra_size", "dcjt_benchmark"):
        study, left = with_fixed(find_study(name)[1].at("paper"), {"joint.extra": "affectnet.csv"})
        for cell in make_cells(study, "paper", [0], {"data.source": target, **left}):
            train = cell.experiment.train
            assert [train.rate(epoch) for epoch in range(1, train.epochs + 1)] == pytest.approx(expected)
            assert train.swa_epoch is None


def test_ddaf_averages_the_last_quarter_with_the_step_decay_going_on():
    """Three quarters of 50 epochs are 37.5: the average is of 38 to 50; the one step is after 30."""
    for cell in make_cells(find_study("ablation_alpha")[1], "paper", [0], {"data.source": "affectnet"}):
        train = cell.experiment.train
        assert [epoch for epoch in range(1, 51) if train.averages(epoch)] == list(range(38, 51))
        assert [train.rate(epoch) for epoch in (1, 30, 31, 38, 50)] == [2.5e-4, 2.5e-4, 1.25e-4, 1.25e-4, 1.25e-4]
        assert (train.weight_decay, cell.experiment.augment.erase) == (0, 0)


@pytest.mark.parametrize("target", ["rafdb", "caer_s", "mine.csv"])
@pytest.mark.parametrize("name", ["dcjt_mapping", "dcjt_extra_size", "dcjt_pseudo_labels", "dcjt_benchmark"])
def test_dcjt_may_be_retrained_on_all_images_at_the_paper_s_size(name, target):
    changes = {
        "data.source": target,
        "joint.extra": "affectnet.csv",
        "selection.protocol": "select_then_retrain",
    }
    cells = make_cells(find_study(name)[1], "paper", [0], changes)
    assert {cell.experiment.selection.protocol for cell in cells} == {"select_then_retrain"}
    assert {cell.experiment.selection.weights for cell in cells} == {"best"}


def test_self_cure_as_its_authors_have_it():
    _, study = find_study("dcjt_methods")
    cells = make_cells(study, "paper", [0], {"data.source": "rafdb"})
    heads = [cell.experiment for cell in cells if cell.experiment.model.head == "scn"]
    assert {experiment.joint.method for experiment in heads} == {"target", "combine"}
    for experiment in heads:
        scn = experiment.scn
        assert (scn.high_share, scn.margin, scn.rank_weight) == (0.7, 0.15, 1.0)
        assert (scn.relabel_from, scn.relabel_margin) == (10, 0.2)
        assert experiment.objective.weight_va == 0


def test_the_recipe_of_the_other_paper_is_left_alone():
    _, study = find_study("ablation_alpha")
    experiment = make_cells(study, "paper", [0], {"data.source": "caer_s"})[0].experiment
    assert (experiment.train.epochs, experiment.train.learning_rate) == (50, 2.5e-4)
    assert experiment.joint.method == "target"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", list_studies())
def test_every_study_is_valid_at_every_size(name, preset):
    _, study = find_study(name)
    cells = make_cells(study, preset, [0, 1], {})
    assert len(cells) == 2 * len(study.arms())
    for cell in cells:
        joint, epochs = cell.experiment.joint, cell.experiment.train.epochs
        joins = [epoch for epoch in range(1, epochs + 1) if joint.joins(epoch, epochs)]
        if joint.method == "dcjt" and joint.schedule == "joint" and joint.frequency is not None:
            assert joins
        if preset == "demo" and joint.method == "dcjt":
            assert joint.extra


@pytest.mark.parametrize("preset", ["smoke", "demo"])
def test_small_sizes_pre_train_long_enough_to_share(preset):
    """Warm-up and B's first epoch are whole epochs, also where they are written as shares."""
    _, study = find_study("dcjt_mapping")
    experiment = make_cells(study, preset, [0], {})[0].experiment
    joins = [e for e in range(1, experiment.train.epochs + 1) if experiment.joint.joins(e, experiment.train.epochs)]
    assert joins[-1] == experiment.train.epochs
    assert (experiment.data.source, experiment.model.backbone) == ("faces-a", "small")
