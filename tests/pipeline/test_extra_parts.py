"""Which parts of an extra set are trained on, how many of them, and what they weigh."""

import pytest
import torch

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.pipeline import Sets, build, load_sets
from raysweep.pipeline.datasets import share_of
from raysweep.report.text.caption_joint import extra_weights
from raysweep.store.store import Store
from tests.own_sets import write_set
from tests.pipeline.small_joint import fits, key_of, make_a, make_b, products, small_joint, stage_of

TRAINED = {"neutral": 30, "happiness": 30, "fear": 30}
HELD = dict.fromkeys(TRAINED, 20)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    write_set(root, "A", {"train": TRAINED, "val": HELD, "test": HELD})
    write_set(root, "B", {"train": TRAINED, "val": HELD, "test": HELD}, seed=1, va=True)
    write_set(root, "D", {"train": TRAINED}, seed=2, va=True)
    write_set(root, "E", {"train": TRAINED, "val": {"fear": 1}, "test": {"fear": 1}}, seed=3, va=True)
    return root


def loaded(own, extra="B", **changes):
    fields = {"data__source": str(own / "A.csv"), "data__image_size": 32}
    fields["joint__extra"] = tuple(str(own / f"{name}.csv") for name in extra.split("+"))
    return load_sets(small_joint(**{**fields, **changes}))


@pytest.mark.parametrize(
    ("parts", "count", "note"),
    [
        ("train", 90, ("its 60 validation images and 60 test images are not trained on",)),
        ("train_validation", 150, ("its 60 test images are not trained on; joint.extra_splits=all adds them",)),
        ("all", 210, ()),
    ],
)
def test_parts_of_an_extra_set(own, parts, count, note):
    (b,) = loaded(own, joint__extra_splits=parts).extras
    assert len(b.rows(TRAIN)) == count
    assert not len(b.rows(VALIDATION))
    assert b.notes == note


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ("train", "its 1 validation image and 1 test image are not trained on"),
        ("train_validation", "its 1 test image is not trained on; joint.extra_splits=all adds them"),
    ],
)
def test_a_part_of_one_image(own, parts, note):
    (e,) = loaded(own, "E", joint__extra_splits=parts).extras
    assert e.notes == (note,)


def test_other_parts_have_another_key(own):
    keys = set()
    for parts in ("train", "train_validation", "all"):
        made = small_joint(joint__extra_splits=parts)
        keys.add(key_of(made, loaded(own, joint__extra_splits=parts)))
    assert len(keys) == 3
    d = [loaded(own, "D", joint__extra_splits=parts).extras[0].fingerprint for parts in ("train", "all")]
    assert d[0] == d[1]  # it has no other parts


@pytest.mark.parametrize(("asked", "used"), [(48, 48), (120, 120), (150, 150), (1000, 150)])
def test_a_limit_counts_what_is_trained_on_with_its_validation_part(own, asked, used):
    (b,) = loaded(own, joint__extra_images=asked).extras
    assert len(b.rows(TRAIN)) == used


@pytest.mark.parametrize(("protocol", "trained"), [("last", 60), ("validation", 60)])
def test_the_same_limit_of_a(own, protocol, trained):
    """Under `last` A's validation images are trained on, so they are among those that are limited."""
    a = loaded(own, data__train_images=60, selection__protocol=protocol, selection__weights="last").target
    assert len(a.rows(TRAIN)) == trained
    assert len(a.rows(VALIDATION)) == (60 if protocol == "validation" else 0)


def test_one_value_a_set(own):
    b, d = loaded(own, "B+D", joint__extra_images="48+none", joint__extra_splits="all+train").extras
    assert (len(b.rows(TRAIN)), len(d.rows(TRAIN))) == (48, 90)
    experiment = small_joint(joint__extra=("B", "D"), joint__extra_share="0.5+1")
    parts = [share_of(experiment, data, number) for number, data in enumerate((b, d))]
    assert [len(part.rows(TRAIN)) for part in parts] == [24, 90]
    assert not len(b.rows(TEST))


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("extra_images", "8", "`joint.extra_images >= 16` must hold, but got 8"),
        ("extra_images", "48+8", "`joint.extra_images >= 16` must hold, but got 8"),
        (
            "extra_images",
            "48+few",
            "must be a whole number, or one a set joined by +, but got 'few'",
        ),
        ("extra_images", "20.5", "must be a whole number"),
        ("extra_images", "48+48+48", "needs one value, or one for each of 2 extra sets, but got 3: 48+48+48"),
        ("extra_share", "0.5+0", "`joint.extra_share > 0` must hold, but got 0"),
        ("extra_share", "1.5", "`joint.extra_share <= 1` must hold, but got 1.5"),
        ("extra_weight", "-1", "`joint.extra_weight > 0` must hold, but got -1"),
        ("extra_weight", "true", "must be a number"),
        ("extra_splits", "train+tset", "must be one of train, train_validation, all, or one a set joined by +"),
    ],
)
def test_values_that_make_no_sense(field, value, rule):
    with pytest.raises(UserError) as error:
        small_joint(joint__extra="B+D", **{f"joint__{field}": value})
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_a_list_of_values_survives_a_round_trip():
    made = small_joint(joint__extra="B+D", joint__extra_images="48+none", joint__extra_weight="0.5+2")
    assert Experiment.model_validate(made.model_dump()) == made
    assert Experiment.model_validate_json(made.model_dump_json()) == made
    assert made.joint.extra_images == (48, None)


@pytest.mark.parametrize("method", ["combine", "extra", "dcjt"])
def test_weights_of_extra_images(method, tmp_path):
    sets = Sets(make_a(), (make_b(), make_b(seed=6, name="D")))
    plain, heavy = (
        small_joint(joint__method=method, joint__extra="B+D", joint__extra_weight=weight) for weight in (1, "1+3")
    )
    context = products(Store(tmp_path))
    final = build(heavy, sets)
    assert final.key != key_of(plain, sets)
    assert key_of(plain, sets) == key_of(small_joint(joint__method=method, joint__extra="B+D"), sets)
    if method == "dcjt":
        assert any(s.params.get("weight") == 3 for fit in fits(final) for s in fit.inputs.values())
        return
    trained = fits(final)[0].inputs
    parts = [context.product(stage) for name, stage in sorted(trained.items()) if name.startswith("trained")]
    b, d = parts[-2:]
    assert torch.equal(b.targets.weights_N[b.rows], torch.ones(len(b.rows)))
    assert torch.equal(d.targets.weights_N[d.rows], torch.full((len(d.rows),), 3.0))
    assert stage_of(final, "targets")


def test_weights_in_the_caption():
    config = {"joint.method": "combine", "joint.extra_weight": "0.5+1.0"}
    assert extra_weights([config, {"joint.method": "target", "joint.extra_weight": "1.0"}]) == [
        "In the loss, images of the extra data weigh 0.5, 1."
    ]
    assert extra_weights([{**config, "joint.extra_weight": "1.0"}]) == []
    assert extra_weights([{"joint.method": "dcjt"}, {"joint.method": "target"}]) == []
