"""`--plan` answers what a run would refuse, names the arms concerned, and counts the images of every class."""

import json

import pytest

from raysweep.cli.run import main
from raysweep.core.errors import error_of_arms
from tests.own_sets import write_set

THREE = {"neutral": 24, "happiness": 24, "fear": 24}
EIGHT = {"neutral": 8, "happiness": 8, "fear": 8}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def plan(*words):
    return main([*words, "--preset", "smoke", "--plan"])


def error(capsys):
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    return said[0]


@pytest.mark.parametrize(
    ("study", "option", "field"),
    [
        ("ablation_alpha", "--set", "labels.method"),
        ("dcjt_methods", "--axis", "joint.extra"),
        ("search_dcjt", "--set", "joint.extra"),
    ],
)
def test_a_class_that_is_in_test_alone(study, option, field, empty_folder, capsys):
    ours = write_set(empty_folder, "A", {"train": THREE, "test": {**EIGHT, "disgust": 5}})
    theirs = write_set(empty_folder, "B", {"train": {**THREE, "disgust": 24}}, seed=1, va=True)
    assert plan(study, "--on", str(ours), option, f"{field}={theirs if field == 'joint.extra' else 'uniform'}") == 2
    said = error(capsys)
    assert "every class needs a training image, but A has none of: disgust (0 validation, 5 test images)" in said
    assert "data.train_images=320 is a limit: raise it" in said


def test_a_class_that_another_replicate_lacks_is_found_in_the_plan(empty_folder, capsys):
    """Held out by subject: in some replicates all of fear."""
    ours = write_set(empty_folder, "A", {"train": {"neutral": 30, "happiness": 30, "fear": 2}, "test": EIGHT})
    lines = ours.read_text().splitlines()
    subjects = [line + f",s{min(i, 60) // 6}" for i, line in enumerate(lines[1:])]
    ours.write_text("\n".join([lines[0] + ",subject", *subjects]) + "\n")
    parts = ["ablation_alpha", "--on", str(ours), "--set", "labels.method=uniform"]
    codes = {seed: plan(*parts, "--seeds", f"{seed}:{seed + 1}") for seed in range(12)}
    capsys.readouterr()
    assert set(codes.values()) == {0, 2}
    first = next(seed for seed, code in codes.items() if code == 2)
    assert plan(*parts, "--seeds", str(first + 1)) == 2
    assert "A has none of: fear" in error(capsys)


def test_too_few_epochs_name_the_arms_that_they_are_too_few_for(capsys):
    assert plan("dcjt_methods", "--set", "train.epochs=4", "--set", "joint.frequency=5") == 2
    said = error(capsys)
    assert "shift=none, method=DCJT and 2 more arms: `joint.frequency <= train.epochs` must hold" in said
    assert "too few epochs for this schedule" in said
    assert plan("dcjt_extra_size", "--set", "joint.warm_up=10") == 2
    assert "extra=10 % and 2 more arms: `joint.warm_up < train.epochs`" in error(capsys)


@pytest.mark.parametrize(("epochs", "least"), [(4, 7), (6, 7)])
def test_a_searched_schedule_says_too_few_epochs(epochs, least, capsys):
    assert plan("search_dcjt", "--set", f"train.epochs={epochs}") == 2
    said = error(capsys)
    assert f"joint.frequency=1 of train.epochs={epochs} is a share of" in said
    assert f"too few epochs: set train.epochs={least} or more, or lower joint.frequency" in said


def test_a_searched_schedule_of_several_arms_names_the_arm(capsys):
    assert plan("search_dcjt", "--set", "train.epochs=4", "--axis", "joint.unit=epoch,batch") == 2
    assert error(capsys).startswith("raysweep: unit=epoch: joint.frequency=1 of train.epochs=4")


def test_a_plan_counts_the_images_of_every_class(empty_folder, capsys):
    ours = write_set(empty_folder, "A", {"train": THREE, "val": EIGHT, "test": EIGHT})
    theirs = write_set(empty_folder, "B", {"train": THREE, "test": EIGHT}, seed=1, va=True)
    parts = ["dcjt_benchmark", "--on", str(ours), "--set", f"joint.extra={theirs}"]
    assert plan(*parts) == 0
    said = capsys.readouterr().out
    assert "A, 72 training, 24 validation and 24 test images, 3 expressions" in said
    assert "training       72: neutral 24, happiness 24, fear 24" in said
    assert "validation     24: neutral 8, happiness 8, fear 8" in said
    assert plan(*parts, "--json") == 0
    ours, theirs = json.loads(capsys.readouterr().out)["images"]
    assert ours == {"name": "A", "notes": [], "classes": {name: [24, 8, 8] for name in THREE}}
    assert theirs["name"] == "B"


def test_a_fault_of_every_arm_is_nobody_s():
    assert str(error_of_arms({"a": "x", "b": "x"}, 2)) == "x"
    assert str(error_of_arms({"a": "x", "b": "y"}, 2)) == "a: x"
    assert str(error_of_arms({"a": "x", "b": "x"}, 3)) == "a and 1 more arm: x"
    assert str(error_of_arms({"a": "x"}, 1)) == "a: x"
    assert str(error_of_arms({"": "x"}, 1)) == "x"
