"""The data sets an experiment names: which of their images are for training, and how many."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN, DatasetInfo
from raysweep.pipeline import Sets, build, load_sets
from raysweep.pipeline.datasets import share_of
from raysweep.pipeline.stage import Known, ancestry
from raysweep.pipeline.stages.labels import data_stage
from tests.pipeline.small_joint import make_a, make_b, small_joint

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


def shares(folders, **changes):
    """What a replicate trains on of each extra set."""
    fields = {"data__source": folders["A"], "data__image_size": 32, "joint__extra": (folders["B"],)}
    experiment = small_joint(**{**fields, **changes})
    sets = load_sets(experiment)
    return [share_of(experiment, extra, number) for number, extra in enumerate(sets.extras)]


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


@pytest.mark.parametrize("draw", ["anew", "once"])
def test_smaller_shares_are_subsets_of_larger_ones(folders, draw):
    taken = [
        pictures(shares(folders, joint__extra_share=share, joint__extra_draw=draw)[0])
        for share in (0.1, 0.25, 0.5, 0.9, 1.0)
    ]
    assert [len(these) for these in taken] == [12, 30, 60, 108, 120]
    for fewer, more in itertools.pairwise(taken):
        assert fewer < more


def test_shares_keep_the_classes(folders):
    (extra,) = shares(folders, joint__extra_share=0.25)
    assert extra.labels.bincount(minlength=3).tolist() == [10, 10, 10]


def test_a_share_of_a_number_of_images(folders):
    (extra,) = shares(folders, joint__extra_images=60, joint__extra_share=0.5)
    (all_sixty,) = loaded(folders, joint__extra_images=60).extras
    assert len(extra) == 30
    assert pictures(extra) < pictures(all_sixty)


def test_other_images_have_another_key(folders):
    half_of_sixty = shares(folders, joint__extra_images=60, joint__extra_share=0.5)[0]
    thirty = loaded(folders, joint__extra_images=30).extras[0]
    same_pictures = pictures(half_of_sixty) == pictures(thirty)
    assert same_pictures == (data_stage(half_of_sixty, Experiment()).key == data_stage(thirty, Experiment()).key)


def test_a_share_is_drawn_anew_in_every_replicate_or_once(folders):
    def drawn(draw, share=0.5):
        return [
            shares(folders, joint__extra_share=share, joint__extra_draw=draw, seeds__split=seed)[0] for seed in range(3)
        ]

    anew, once = drawn("anew"), drawn("once")
    assert len({frozenset(pictures(data)) for data in anew}) == len({data.fingerprint for data in anew}) == 3
    assert len({frozenset(pictures(data)) for data in once}) == len({data.fingerprint for data in once}) == 1
    assert {len(data) for data in (*anew, *once)} == {60}
    assert all(data.labels.bincount(minlength=3).tolist() == [20, 20, 20] for data in anew)
    whole = [*drawn("anew", 1.0), *drawn("once", 1.0)]
    assert len({data.fingerprint for data in whole}) == 1


@pytest.mark.parametrize("method", ["extra", "combine", "dcjt"])
def test_replicates_train_on_their_own_share(folders, method):
    """Built one by one and as a study builds them, with what is known of other cells; the target alone has no share."""

    def trained(draw, seed, known):
        experiment = small_joint(
            data__source=folders["A"], data__image_size=32, joint__extra=(folders["B"],), joint__extra_share=0.5,
            joint__extra_draw=draw, joint__method=method, seeds__split=seed,
            joint__pseudo_va="none", joint__mapping="none", joint__relabel=False,
        )  # fmt: skip
        stages = ancestry([build(experiment, load_sets(experiment), known)])
        (b,) = {s.data.fingerprint for s in stages if s.kind == "data" and s.data.name == "B"}
        return b

    for known in (Known(), None):
        found = [trained(draw, seed, known) for draw in ("anew", "once") for seed in (0, 1)]
        assert len(set(found)) == 3
        assert found[2] == found[3]


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_number_of_a_s_images_is_not_b_s(folders, share):
    changes = {"data__train_images": 18, "joint__extra_share": share}
    assert len(loaded(folders, **changes).target.rows(TRAIN)) == 18
    assert len(shares(folders, **changes)[0]) == 120 * share


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


def without_va(**options):
    """A set as a reader's options prepared it."""
    return replace(make_a(), name="mine", info=DatasetInfo(reader="ferplus", options=options))


@pytest.mark.parametrize("method", ["euclidean", "gaussian"])
@pytest.mark.parametrize("role", ["target", "finetune"])
def test_fusion_is_refused_with_what_to_do_where_nobody_has_va(method, role):
    sets = Sets(without_va()) if role == "target" else Sets(make_a(with_va=True), (), without_va())
    if role == "finetune":
        sets = replace(sets, finetune=replace(without_va(), fingerprint="another"))
    with pytest.raises(UserError) as error:
        build(small_joint(joint__method="target", labels__alpha=0.5, labels__method=method), sets)
    said = str(error.value)
    assert said.startswith(
        f"`labels.method={method}` needs valence and arousal, but mine has none: give it pseudo VA: "
    )
    assert "joint.method=dcjt with joint.extra=SET" in said
    assert said.endswith("or use labels.method=one_hot, uniform or votes")
    assert "\n" not in said


def test_fusion_is_refused_with_the_reader_s_own_remedy():
    with pytest.raises(UserError, match=r"prepare it with --option va=derived --as ferplus-va .*; give it pseudo VA"):
        build(small_joint(joint__method="target", labels__alpha=0.5), Sets(without_va(mode="majority", va="none")))
    with pytest.raises(UserError) as error:
        build(small_joint(joint__method="target", labels__alpha=0.5), Sets(without_va(va="derived")))
    assert "va=derived" not in str(error.value)


@pytest.mark.parametrize(
    "changes", [{"labels__method": "one_hot"}, {"labels__method": "uniform"}, {"labels__alpha": 1.0}]
)
def test_what_is_not_fused_with_va_needs_none(changes):
    assert build(small_joint(**{"joint__method": "target", "labels__alpha": 0.5, **changes}), Sets(without_va()))


def test_votes_of_a_set_that_has_none():
    sets = Sets(replace(make_a(), votes=torch.full((80, 4), torch.nan)))
    with pytest.raises(UserError, match="needs rater votes, but A has none: use one_hot or uniform"):
        build(small_joint(joint__method="target", labels__alpha=0.5, labels__method="votes"), sets)
    with pytest.raises(UserError, match=r"or use labels.method=one_hot or uniform$"):
        build(small_joint(joint__method="target", labels__alpha=0.5), sets)


def test_eight_expressions_against_seven_say_how_to_prepare_seven():
    eight = replace(make_b(classes=8), name="affectnet", info=DatasetInfo(reader="affectnet", options={"classes": "8"}))
    with pytest.raises(UserError, match=r"prepare affectnet with --option classes=7 --as affectnet-7, and name that"):
        build(small_joint(), Sets(make_a(classes=7), (eight,)))
    with pytest.raises(UserError, match=r"prepare affectnet with --option classes=7"):
        build(small_joint(), Sets(replace(eight, fingerprint="A"), (make_b(classes=7),)))
    assert build(small_joint(), Sets(make_a(classes=7), (make_b(classes=7),)))


@pytest.mark.parametrize("extra", ["twins", "near_twins"])
def test_a_set_without_its_twins_is_still_the_same_set(folders, extra):
    """Its images would be held out here and trained on there."""
    again = loaded(folders, "A", data__leave_out=extra)
    other = replace(
        again.target, fingerprint=f"{again.target.fingerprint} without 2 of 72 (0123456789abcdef)", name="A2"
    )
    with pytest.raises(UserError, match="must be different data sets"):
        build(small_joint(), replace(again, target=other))
