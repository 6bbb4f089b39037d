"""Built-in faces that are drawn when pixels are asked for: what needs no pixel draws none."""

import itertools
from dataclasses import replace

import pytest
import torch

from raysweep.cli.run import main
from raysweep.config.sections import Data
from raysweep.data import load as load_module
from raysweep.data.dataset import TEST, TRAIN
from raysweep.data.digests import image_digests, picture_numbers
from raysweep.data.exclusions import leave_out
from raysweep.data.image_subset import Drawn, Picked
from raysweep.data.load import load_data
from raysweep.data.synthetic import SITES, build_faces, build_site
from raysweep.pipeline import load_sets

SOURCES = ("faces", "faces-a", "faces-b-none", "faces-b-strong", "faces-c", "faces-d")


@pytest.fixture
def undrawable(monkeypatch):
    """Rendering is an error."""

    def fail(*_, **__):
        raise AssertionError("a face was drawn")

    for module in ("build", "sites"):
        monkeypatch.setattr(f"raysweep.data.synthetic.{module}.render_faces", fail)
    for cached in (load_module._load, load_module._load_whole, load_sets.__globals__["_load"]):
        cached.cache_clear()
    yield
    for cached in (load_module._load, load_module._load_whole, load_sets.__globals__["_load"]):
        cached.cache_clear()


@pytest.mark.parametrize("words", [
    ["ablation_alpha", "--set", "data.train_images=20011"],
    ["dcjt_methods", "--set", "joint.extra_images=30011"],
    ["dcjt_finetune", "--set", "data.train_images=5003"],
    ["search_ddaf", "--set", "data.train_images=20011"],
    ["ablation_alpha", "--on", "faces-a", "--set", "labels.method=uniform", "--set", "data.train_images=20011"],
    ["dcjt_methods", "--set", "joint.extra_images=30011", "--set", "joint.extra_share=0.1", "--json"],
    ["dcjt_benchmark", "--set", "joint.extra=faces-b-strong+faces-c"],
    ["ablation_alpha", "--set", "data.drop=fear", "--set", "data.train_images=20011", "--preset", "smoke"],
    ["dcjt_methods", "--set", "data.leave_out=twins", "--set", "joint.extra_images=20011"],
])  # fmt: skip
def test_a_plan_draws_nothing(undrawable, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--plan"]) == 0, capsys.readouterr().err
    assert not list(tmp_path.glob(".raysweep/data/*faces*"))


def test_twins_of_built_in_faces_are_those_of_their_pixels():
    """Found by the pictures' numbers; a picture that is there twice, in training and in test, is taken out once."""
    data = load_data(Data(source="faces", image_size=32, train_images=50, test_images=16))
    again = torch.cat([torch.arange(len(data)), data.rows(TEST)[:2]])
    twice = data.take(again)
    twice = twice.with_splits(torch.cat([data.splits, torch.full((2,), TRAIN)]))
    kept = leave_out(twice, "twins", 0.9)
    by_pixels = leave_out(replace(twice, info=replace(twice.info, pictures=None)), "twins", 0.9)
    assert len(kept) == len(data)
    assert (kept.fingerprint, kept.notes) == (by_pixels.fingerprint, by_pixels.notes)
    assert "left out: 2 of training with pixel-identical twins" in kept.notes[-1]


def test_drawn_later_is_drawn_at_once():
    for later, now in (
        (load_data(Data(source="faces", image_size=32, train_images=50, test_images=16)),
         build_faces(size=32, train=50, validation=0, test=16)),
        (load_data(Data(source="faces-b-strong", image_size=32, train_images=50, test_images=16)),
         build_site(SITES["faces-b-strong"], size=32, train=50, test=16)),
    ):  # fmt: skip
        assert torch.equal(later.images[:], now.images)
        assert (later.fingerprint, later.images.shape) == (now.fingerprint, now.images.shape)


def test_they_are_kept_once_drawn(tmp_path):
    config = Data(source="faces-c", image_size=32, train_images=31, test_images=16)
    data = load_data(config, tmp_path)
    whole = data.images.whole if isinstance(data.images, Picked) else data.images
    assert isinstance(whole, Drawn)
    assert not whole.is_drawn
    assert not list(tmp_path.iterdir())
    some = data.images[torch.tensor([3, 1])]
    assert whole.is_drawn
    assert len(list(tmp_path.iterdir())) == 1
    load_module._load.cache_clear()
    load_module._load_whole.cache_clear()
    again = load_data(config, tmp_path)
    assert isinstance(again.images, torch.Tensor | Picked)
    assert torch.equal(again.images[torch.tensor([3, 1])], some)
    assert torch.equal(again.info.pictures, data.info.pictures)


def test_numbers_are_equal_where_pixels_are():
    """All pairs of built-in sets at several sizes: `faces` and `faces-a` share pictures, the strengths of B, too."""
    sets = [
        load_data(Data(source=source, image_size=32, train_images=train, test_images=test))
        for source in SOURCES
        for train, test in ((40, 16), (64, 24))
    ]
    shared = 0
    for left, right in itertools.combinations_with_replacement(sets, 2):
        pixels = image_digests(left)[:, None] == image_digests(right)[None]
        numbers = picture_numbers(left)[:, None] == picture_numbers(right)[None]
        assert (pixels == numbers).all(), (left.name, right.name)
        shared += left.name != right.name and bool(pixels.any())
    assert shared > 3
