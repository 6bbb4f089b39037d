"""Parts of a data set without copies, and `data.leave_out`: training images that are in test, too, leave."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import raysweep.data.exclusions as leaving
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.audit import near_links, survey
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.digests import CacheFolder, ImageCaches
from raysweep.data.exclusions import leave_out
from raysweep.data.image_subset import Picked, pick
from raysweep.data.listing import FaceRecord
from raysweep.data.load import load_data
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.location import Home
from raysweep.data.prepare.reader import read_digests, read_prepared
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.splits import subset
from raysweep.store.files import LocalFiles
from raysweep.training import Trainer
from tests.conftest import make_squares
from tests.data.prepare.listings import CLASSES, listing

WHOLE = torch.arange(9 * 3 * 2 * 2).reshape(9, 3, 2, 2).to(torch.uint8)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_picked_reads_like_a_copy(places, data):
    copied = WHOLE[torch.tensor(places)]
    picked = pick(WHOLE, torch.tensor(places))
    assert (len(picked), picked.shape, picked.numel()) == (len(copied), copied.shape, copied.numel())
    assert torch.equal(picked.to(torch.device("cpu")), copied)
    row = data.draw(st.integers(0, len(places) - 1))
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places))))
    for rows in (row, slice(row, None), slice(None, row), torch.tensor([row, row]), mask, np.array([row, 0])):
        assert torch.equal(picked[rows], copied[rows])
    again = torch.tensor([row, 0])
    assert torch.equal(pick(picked, again)[:], copied[again])
    assert pick(picked, again).whole is WHOLE


def test_a_part_of_a_set_shares_its_images():
    data = make_squares()
    part = subset(subset(data, TRAIN, 40), TEST, 20)
    assert isinstance(part.images, Picked)
    assert part.images.whole is data.images
    assert part.fingerprint == f"{data.fingerprint} 40 of 120 in 0 20 of 40 in 2"


def test_training_on_a_part_is_training_on_a_copy_of_it(quick):
    part = subset(make_squares(), TRAIN, 60)
    copied = replace(part, images=part.images[:])
    ends = []
    for data in (part, copied):
        trainer = Trainer(quick, data)
        metrics = [result.metrics for result in trainer.epochs(until=2)]
        ends.append((metrics[-1]["train/loss"], metrics[-1]["val/nll"], trainer.targets.noise_hash))
        weights = torch.cat([value.flatten() for value in trainer.model.state_dict().values()])
        ends[-1] = (*ends[-1], weights.double().sum().item())
    assert ends[0] == ends[1]


def test_twins_among_a_part_are_found_without_a_copy():
    data = make_squares(40)
    images = data.images.clone()
    images[39] = images[2]
    part = replace(data, images=images).take(torch.arange(1, 40))
    surveyed = survey(part.images)
    assert surveyed.digests[38] == surveyed.digests[1]
    links, same = (near_links(some, surveyed, threshold=0.5) for some in (part.images, part.images[:]))
    assert links.left.tolist() == same.left.tolist()


def picture(path: Path, seed: int, lighter: int = 0) -> Path:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 200, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((48, 48), Image.Resampling.BICUBIC)).clip(0, 200) + lighter
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


@pytest.fixture
def faces(place, tmp_path):
    """18 training, 6 validation and 6 test images. Training 0 is test 0; training 1 is test 1, lighter; training 2 is
    validation 0; training 3 and 4 are one picture."""
    raw = tmp_path / "raw"
    twins = {("train", 0): (300, 0), ("train", 1): (301, 9), ("train", 2): (200, 0), ("train", 4): (103, 0)}
    twins |= {("validation", 0): (200, 0), ("test", 0): (300, 0), ("test", 1): (301, 0)}
    records = []
    for split, start, count in (("train", 100, 18), ("validation", 200, 6), ("test", 300, 6)):
        for i in range(count):
            path = picture(raw / split / f"{i}.png", *twins.get((split, i), (start + i, 0)))
            records.append(FaceRecord(path, CLASSES[i % 3], f"{split}:{i}", split=split))
    return prepare_listing(listing(raw, iter(records)), place.folder("small", 48), Crop(48))


def load(which, cache=None, **fields):
    return load_data(Data(source="small", image_size=48, leave_out=which, **fields), cache)


def counts(data):
    return [len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST)]


def test_without_being_asked_nothing_leaves(faces):
    data = load("none")
    assert (counts(data), data.fingerprint, data.notes) == ([18, 6, 6], faces.fingerprint, ())


def test_exact_twins_of_what_is_scored_leave_training(faces):
    whole, data = load("none"), load("twins")
    assert counts(data) == [16, 6, 6]
    assert len(data.images.whole) == 30  # all of the file is mapped, nothing copied
    assert torch.equal(data.images[:], whole.images[torch.tensor([i for i in range(30) if i not in (0, 2)])])
    assert data.notes == (
        "2 of 30 images left out: 2 of training with pixel-identical twins in a split that is scored",
    )
    assert data.fingerprint.startswith(f"{faces.fingerprint} without 2 of 30 (")
    assert data.fingerprint.split(" ")[0] == faces.fingerprint  # by which `recipes.sets` knows a set again


def test_near_twins_leave_too_and_are_looked_for_once(faces, place, tmp_path, monkeypatch):
    data = load("near_twins", tmp_path / "cache")
    assert counts(data) == [15, 6, 6]
    assert "3 of training with pixel-identical or near twins" in data.notes[0]
    (kept,) = place.folder("small", 48).glob("twins-*.npy")
    assert not (tmp_path / "cache").exists()
    assert place.names() == ["small"]
    monkeypatch.setattr(leaving, "all_twins", lambda *words: pytest.fail("looked for again"))
    again = load("near_twins", tmp_path / "other cache", train_images=16)
    assert again.fingerprint == data.fingerprint  # 15 are fewer than 16
    monkeypatch.undo()
    kept.write_bytes(kept.read_bytes()[:-5])  # half a file
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    assert load("near_twins", tmp_path / "third").fingerprint == data.fingerprint
    assert len(np.load(kept)) == 30


def test_a_home_that_may_not_be_written_leaves_it_to_the_cache(faces, place, tmp_path, monkeypatch):
    data = read_prepared(place.folder("small", 48), "small")

    class ReadOnly(LocalFiles):
        def write(self, name, content):
            raise PermissionError(name)

    places = [CacheFolder(ReadOnly(place.local), "small/48px"), CacheFolder(LocalFiles(tmp_path / "cache"), "")]
    rest = leave_out(data, "near_twins", 0.85, ImageCaches(None, places))
    assert len(list((tmp_path / "cache").glob("twins-*.npy"))) == 1
    monkeypatch.setattr(leaving, "all_twins", lambda *words: pytest.fail("looked for again"))
    assert leave_out(data, "near_twins", 0.85, ImageCaches(None, places)).fingerprint == rest.fingerprint


def test_digests_of_the_store_are_those_of_the_pixels(faces, place):
    folder = place.folder("small", 48)
    assert read_digests(folder, 30).tolist() == survey(read_prepared(folder, "small").images).digests.tolist()


def test_a_set_without_twins_says_that_it_was_looked_at(place, tmp_path):
    raw = tmp_path / "apart"
    for i in range(24):
        picture(raw / ("test" if i % 4 == 0 else "train") / CLASSES[i % 3] / f"{i}.png", i)
    plain, searched = (load_data(Data(source=str(raw), image_size=48, leave_out=which)) for which in ("none", "twins"))
    assert searched.fingerprint == plain.fingerprint
    assert searched.notes == ("looked for pixel-identical twins across splits, and no image has one",)


def test_twins_of_photographs_that_are_not_prepared(tmp_path, monkeypatch):
    raw = tmp_path / "loose"
    for i in range(24):
        picture(raw / ("test" if i % 4 == 0 else "train") / CLASSES[i % 3] / f"{i}.png", i if i < 23 else 0)
    data = load_data(Data(source=str(raw), image_size=48, leave_out="near_twins"), tmp_path / "cache")
    assert counts(data) == [17, 0, 6]
    assert len(list((tmp_path / "cache").glob("twins-*.npy"))) == 1


def test_the_field_knows_its_values():
    rule = "`data.leave_out` must be one of 'none', 'twins', 'near_twins' or 'keep', but got 'all'"
    with pytest.raises(UserError, match=rule):
        Experiment().with_changes({"data.leave_out": "all"})
    assert Experiment().with_changes({"data.leave_out": None}).data.leave_out == "none"
