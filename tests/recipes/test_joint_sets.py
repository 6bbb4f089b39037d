"""The data sets an experiment names: which of their images are for training, and how many."""

import itertools

import numpy as np
import pytest
from PIL import Image

from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN
from raysweep.recipes import load_sets
from raysweep.recipes.label_stages import data_stage
from tests.recipes.small_joint import small_joint

NAMES = ("neutral", "happiness", "fear")


def folder_of(root, splits=("",), count=40, hue=0):
    """`count` pictures an expression and split, each of a colour of its own."""
    number = 0
    for split in splits:
        for name in NAMES:
            (root / split / name).mkdir(parents=True)
            for _ in range(count):
                number += 1
                pixels = np.full((32, 32, 3), (number % 256, number // 256, hue), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number:04}.png")
    return str(root)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    return {
        "A": folder_of(root / "A", ("train", "test"), 12, hue=10),
        "B": folder_of(root / "B", hue=20),
        "split": folder_of(root / "split", ("train", "validation", "test"), 10, hue=30),
        "C": folder_of(root / "C", ("train", "test"), 12, hue=40),
    }


def loaded(folders, extra="B", **changes):
    fields = {"data__source": folders["A"], "data__image_size": 32}
    fields["joint__extra"] = tuple(folders[name] for name in extra.split("+"))
    return load_sets(small_joint(**{**fields, **changes}))


def pictures(data, split=TRAIN):
    """Which pictures: their colours."""
    return {tuple(pixel) for pixel in data.images[data.rows(split)][:, :, 0, 0].tolist()}


def test_every_image_of_an_extra_set_is_for_training(folders):
    (extra,) = loaded(folders).extras
    assert len(extra.rows(TRAIN)) == len(extra) == 120


def test_but_not_those_it_came_with_for_testing(folders):
    (extra,) = loaded(folders, "split").extras
    assert len(extra.rows(TRAIN)) == 60  # training and validation: nothing is chosen on it
    assert len(extra.rows(TEST)) == 30


def test_several_extra_sets_in_order(folders):
    assert [data.name for data in loaded(folders, "split+B").extras] == ["split", "B"]


def test_the_target_alone_needs_no_other(folders):
    sets = loaded(folders, joint__method="target", joint__extra="nowhere")
    assert sets.extras == ()
    assert sets.scored is sets.target
    assert sets.all == (sets.target,)


def test_smaller_shares_are_subsets_of_larger_ones(folders):
    taken = [pictures(loaded(folders, joint__extra_share=share).extras[0]) for share in (0.1, 0.25, 0.5, 0.9, 1.0)]
    assert [len(these) for these in taken] == [12, 30, 60, 108, 120]
    for fewer, more in itertools.pairwise(taken):
        assert fewer < more


def test_shares_keep_the_classes(folders):
    (extra,) = loaded(folders, joint__extra_share=0.25).extras
    assert extra.labels.bincount(minlength=3).tolist() == [10, 10, 10]


def test_a_share_of_a_number_of_images(folders):
    (extra,) = loaded(folders, joint__extra_images=60, joint__extra_share=0.5).extras
    (all_sixty,) = loaded(folders, joint__extra_images=60).extras
    assert len(extra) == 30
    assert pictures(extra) < pictures(all_sixty)


def test_other_images_have_another_key(folders):
    half_of_sixty = loaded(folders, joint__extra_images=60, joint__extra_share=0.5).extras[0]
    thirty = loaded(folders, joint__extra_images=30).extras[0]
    same_pictures = pictures(half_of_sixty) == pictures(thirty)
    assert same_pictures == (data_stage(half_of_sixty).key == data_stage(thirty).key)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_number_of_a_s_images_is_not_b_s(folders, share):
    sets = loaded(folders, data__train_images=18, joint__extra_share=share)
    assert (len(sets.target.rows(TRAIN)), len(sets.extras[0])) == (18, 120 * share)


def test_fine_tuning_on_the_target_or_a_third_set(folders):
    again = loaded(folders, joint__finetune="target")
    assert again.finetune is again.target
    assert again.scored is again.target
    third = loaded(folders, joint__finetune=folders["C"])
    assert third.finetune.name == third.scored.name == "C"
    assert [data.name for data in third.all] == ["A", "B", "C"]
    assert (len(third.finetune.rows(TRAIN)), len(third.finetune.rows(TEST))) == (36, 36)


def test_a_set_that_is_not_there(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"affectnet is not prepared in .*: prepare it with"):
        load_sets(small_joint(data__source=folders["A"], data__image_size=32, joint__extra="affectnet"))
