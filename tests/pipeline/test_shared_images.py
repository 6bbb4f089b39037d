"""What one data set trains on and another is scored on: found by pixels, refused, taken out, or told."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import raysweep.data.digests as digests
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.digests import CacheFolder, ImageCaches, image_digests
from raysweep.data.load import SOURCES, load_data
from raysweep.data.shared_images import CHOSEN_ON, MAYBE, TESTED, Scored, shared_roles
from raysweep.pipeline import build, load_sets
from raysweep.store.files import LocalFiles
from tests.own_sets import read_list, write_list, write_set
from tests.pipeline.small_joint import make_a, small_joint

COUNTS = {"neutral": 16, "happiness": 16, "fear": 16}
FEWER = dict.fromkeys(COUNTS, 6)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A with a validation part, N without, B, C; and lists that mix their images."""
    root = tmp_path_factory.mktemp("own")
    write_set(root, "A", {"train": COUNTS, "val": FEWER, "test": FEWER})
    write_set(root, "N", {"train": COUNTS, "test": FEWER}, seed=9)
    write_set(root, "B", {"train": COUNTS}, seed=1, va=True)
    write_set(root, "C", {"train": COUNTS, "test": FEWER}, seed=2)
    rows = {name: read_list(root / f"{name}.csv") for name in "ABCN"}
    for name, source, split, count in (
        ("tests", "A", "test", 18),
        ("one test", "A", "test", 1),
        ("two tests", "A", "test", 2),
        ("validation", "A", "val", 18),
        ("training", "A", "train", 10),
        ("c tests", "C", "test", 18),
        ("drawn", "N", "train", 10),
    ):
        taken = [[*row[:4], "train"] for row in rows[source] if row[4] == split][:count]
        write_list(root / f"B with {name}.csv", rows["B"] + taken, va=True)
        write_list(root / f"A with {name}.csv", rows["A"] + taken)
    return root


def experiment(own, target="A", extra="B", **changes):
    fields = {"data__source": f"{own / target}.csv", "data__image_size": 32, "joint__extra": (f"{own / extra}.csv",)}
    return small_joint(**{**fields, **changes})


def loaded(own, *names, **changes):
    return load_sets(experiment(own, *names, **changes))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("B with tests", "trains on 18 test images of A"),
        ("B with one test", r"trains on 1 test image of A \("),
        ("B with two tests", "trains on 2 test images of A"),
        ("B with validation", "trains on 18 validation images of A"),
    ],
)
@pytest.mark.parametrize("method", ["extra", "combine", "dcjt"])
def test_images_that_a_is_scored_on_are_refused(own, extra, words, method):
    made = experiment(own, "A", extra, joint__method=method)
    with pytest.raises(UserError, match=words) as error:
        build(made, load_sets(made))
    assert "data.leave_out=twins" in str(error.value)
    assert "\n" not in str(error.value)


def test_training_images_of_a_that_has_a_validation_part_are_no_leak(own):
    sets = loaded(own, "A", "B with training")
    assert sets.leaks == ()
    assert build(experiment(own, "A", "B with training"), sets)


def test_training_images_that_a_replicate_may_hold_out_are_told_not_refused(own):
    made = experiment(own, "N", "B with drawn")
    sets = load_sets(made)
    assert build(made, sets)
    assert "trains on 10 training images of N" in sets.extras[0].notes[-1]
    last = {"selection__protocol": "last", "selection__weights": "last"}
    assert loaded(own, "N", "B with drawn", **last).extras[0].notes == ()  # nothing is held out


def test_validation_images_are_trained_on_under_protocols_that_hold_nothing_out(own):
    last = {"selection__protocol": "last", "selection__weights": "last"}
    assert loaded(own, "A", "B with validation", **last).leaks == ()


@pytest.mark.parametrize("which", ["twins", "near_twins"])
@pytest.mark.parametrize(("extra", "count"), [("B with tests", 18), ("B with validation", 18), ("B with two tests", 2)])
def test_leave_out_takes_them_out_of_the_extra_set(own, which, extra, count):
    made = experiment(own, "A", extra, data__leave_out=which)
    sets, plain = load_sets(made), loaded(own, "A", "B")
    assert sets.leaks == ()
    (b,) = sets.extras
    assert torch.equal(b.images[:], plain.extras[0].images[:])
    assert f"{count} of {48 + count} images left out: {count} " in b.notes[-1]
    assert f" without {count} of {48 + count} (" in b.fingerprint
    assert build(made, sets)


def test_they_leave_before_the_limit(own):
    whole = loaded(own, "A", "B", joint__extra_images=24)
    rest = loaded(own, "A", "B with tests", joint__extra_images=24, data__leave_out="twins")
    assert len(rest.extras[0]) == len(whole.extras[0]) == 24


def test_knowingly(own):
    made = experiment(own, "A", "B with tests", data__leave_out="keep")
    sets = load_sets(made)
    assert build(made, sets)
    assert sets.extras[0].notes[-1].startswith("WARNING: it trains on 18 test images of A (same pixels)")
    plain = loaded(own, "A", "B with tests")
    assert sets.extras[0].fingerprint == plain.extras[0].fingerprint


def test_without_a_leak_the_notes_say_that_it_was_looked_for(own):
    (b,) = loaded(own, "A", "B", data__leave_out="twins").extras
    assert b.notes == ("looked for images of A with the same pixels that are scored or chosen on, and found none",)


def test_near_twins_leave_where_they_are_asked_for(own, tmp_path):
    """Lighter copies of A's test images, at a size where pictures can be told apart."""
    rows = read_list(own / "B.csv")
    (tmp_path / "light").mkdir()
    for i, row in enumerate(row for row in read_list(own / "A.csv") if row[4] == "test"):
        pixels = np.asarray(Image.open(own / row[0]).resize((48, 48), Image.Resampling.BICUBIC))
        Image.fromarray((pixels * 0.9 + 12).astype(np.uint8)).save(tmp_path / "light" / f"{i}.png")
        rows.append([f"light/{i}.png", *row[1:4], "train"])
    shutil.copytree(own / "B", tmp_path / "B")
    extra = {"joint__extra": (str(write_list(tmp_path / "light.csv", rows, va=True)),), "data__image_size": 48}
    exact, near = (loaded(own, data__leave_out=which, **extra).extras[0] for which in ("twins", "near_twins"))
    assert len(exact) == 66
    assert len(near) == 48
    assert "18 test images of A with the same or nearly the same picture" in near.notes[-1]
    again = load_sets(experiment(own, data__leave_out="near_twins", **extra), tmp_path / "cache")
    assert again.extras[0].fingerprint == near.fingerprint
    assert len(list((tmp_path / "cache").glob("shared-*.npy"))) == 1


def as_folder(own, name, root):
    """The same images as a class folder."""
    for i, (path, expression, *_, split) in enumerate(read_list(own / f"{name}.csv")):
        place = root / split / expression / f"other name {i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own / path, place)
    return str(root)


def as_lossless_webp(own, name, root):
    """The same pixels in other files."""
    rows = read_list(own / f"{name}.csv")
    for row in rows:
        file = root / row[0].replace(".png", ".webp")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.open(own / row[0]).save(file, lossless=True)
    return str(write_list(root / "again.csv", [[row[0].replace(".png", ".webp"), *row[1:]] for row in reversed(rows)]))


@pytest.mark.parametrize("how", [as_folder, as_lossless_webp])
@pytest.mark.parametrize("which", ["none", "twins", "keep"])
def test_the_same_images_in_another_form_are_the_same_set(own, tmp_path, how, which):
    made = experiment(own, joint__extra=(how(own, "A", tmp_path / "again"),), data__leave_out=which)
    with pytest.raises(UserError, match=r"must be different data sets, but .* are the same images"):
        build(made, load_sets(made))


def test_a_that_is_fine_tuned_on_c_trains_on_none_of_c_s_tests(own):
    tuned = {"joint__finetune": str(own / "C.csv"), "joint__method": "target"}
    made = experiment(own, "A with c tests", **tuned)
    with pytest.raises(UserError, match=r"data\.source: A with c tests trains on 18 test images of C"):
        build(made, load_sets(made))
    left = loaded(own, "A with c tests", data__leave_out="twins", **tuned)
    assert len(left.target.rows(TRAIN)) == 48
    assert "18 of 102 images left out" in left.target.notes[-1]
    both = experiment(own, "A", "B with c tests", joint__finetune=str(own / "C.csv"))
    with pytest.raises(UserError, match=r"joint\.extra: B with c tests trains on 18 test images of C"):
        build(both, load_sets(both))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one test", "1 test image has"),
        ("two tests", "2 test images have"),
        ("tests", "18 test images have"),
        ("validation", "18 validation images have"),
        ("training", None),
    ],
)
def test_a_set_s_own_twins_are_told(own, name, words):
    """Copies under other names: one list may not name an image twice."""
    rows = read_list(own / f"A with {name}.csv")
    for i, row in enumerate(rows[84:]):
        shutil.copy(own / row[0], own / f"copy {name} {i}.png")
        row[0] = f"copy {name} {i}.png"
    write_list(own / f"twice {name}.csv", rows)
    (note,) = loaded(own, f"twice {name}", joint__method="target").target.notes or ("",)
    assert (words is None) == (not note)
    assert words is None or note.startswith(f"WARNING: {words} the same pixels as training images")


def test_which_built_in_sets_have_images_in_common():
    """`faces` is site A; sites B are one set of images with three crowds of raters. No test image is trained on."""
    sets = {name: load_data(Data(source=name, image_size=32, train_images=64, test_images=32)) for name in SOURCES}
    shared = set()
    for name, data in sets.items():
        for other in sets.values():
            roles = shared_roles(data, ImageCaches(), Scored(other)) if other is not data else np.zeros(1)
            assert set(roles.tolist()) <= {0, MAYBE}
            shared |= {frozenset((name, other.name))} if roles.any() else set()
        ours = image_digests(data)
        assert len(np.unique(ours)) == len(ours)
    crowds = [f"faces-b-{strength}" for strength in ("none", "moderate", "strong")]
    assert shared == {frozenset(("faces", "faces-a")), *map(frozenset, itertools.combinations(crowds, 2))}


def test_a_built_in_set_under_its_other_name():
    made = small_joint(data__source="faces", data__image_size=32, data__train_images=64, data__test_images=32,
                       joint__extra=("faces-a",), joint__extra_images=64)  # fmt: skip
    sets = load_sets(made)
    assert "it trains on 64 training images of faces" in sets.extras[0].notes[-1]


def test_roles():
    a = make_a(40)
    splits = a.splits.clone()
    splits[25:30] = VALIDATION
    b = replace(a, splits=torch.zeros(40, dtype=torch.int64), fingerprint="again")
    assert shared_roles(b, ImageCaches(), Scored(a.with_splits(splits)))[24:31].tolist() == [
        0,
        *[CHOSEN_ON] * 5,
        TESTED,
    ]
    assert shared_roles(b, ImageCaches(), Scored(a))[28:31].tolist() == [MAYBE, MAYBE, TESTED]
    assert shared_roles(b, ImageCaches(), Scored(a, watched=False))[28:31].tolist() == [0, 0, TESTED]
    assert not shared_roles(b.with_splits(torch.full((40,), TEST)), ImageCaches(), Scored(a)).any()


def test_digests_are_made_once_and_remembered(tmp_path, monkeypatch):
    data = replace(make_a(40), fingerprint="remembered")
    kept = ImageCaches(None, (CacheFolder(LocalFiles(tmp_path), ""),))
    first = image_digests(data, kept)
    (file,) = tmp_path.glob("digests-*.npy")
    monkeypatch.setattr(digests, "_KNOWN", type(digests._KNOWN)())
    part = data.take(torch.tensor([7, 3]))
    assert image_digests(part, kept).tolist() == [first[7], first[3]]
    file.write_bytes(file.read_bytes()[:-3])  # half a file
    monkeypatch.setattr(digests, "_KNOWN", type(digests._KNOWN)())
    assert np.array_equal(image_digests(data, kept), first)
