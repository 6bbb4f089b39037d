"""Aff-Wild with the Gaussians of a prepared AffectNet: they give the classes and the Gaussian labels (DDAF 4.1)."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.classes import ClassChanges, changed_classes, in_order_of
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.listing import FaceRecord
from raysweep.data.load import load_data
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.location import Home
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.readers import affwild as module
from raysweep.training import prepare_targets
from tests.data.prepare.listings import listing, photograph
from tests.data.readers.trees import affwild, read, write_lines

IMAGES = 25
"""Training images a class."""


def points(seed=0):
    """Valence, arousal and class of a donor: classes of unequal size and spread about the published means."""
    draws, va, labels = np.random.default_rng(seed), [], []
    for k, mean in enumerate(AFFECTNET_MEANS):
        count = IMAGES * (4 if k == 1 else 1)
        va.append(np.float32(mean) + np.float32(0.05 + 0.04 * k) * draws.standard_normal((count, 2), dtype=np.float32))
        labels += [k] * count
    return np.clip(np.concatenate(va), -1, 1), np.array(labels)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


def donor(home, tmp_path, name="affectnet", classes=EXPRESSIONS, seed=0, size=32, unknown=()):
    """A prepared set with the points above for training, others far away for testing, some without VA."""
    photo, (va, labels) = photograph(tmp_path / "donor" / "a.png", 1), points(seed)
    entries = []
    for i, (point, k) in enumerate(zip(va.tolist(), labels, strict=True)):
        if (expression := EXPRESSIONS[k]) in classes:
            known = (float("nan"),) * 2 if expression in unknown else tuple(point)
            entries.append(FaceRecord(photo, expression, f"list:{i}", known))
    entries += [FaceRecord(photo, name, f"test:{name}", (0.99, -0.99), split="test") for name in classes]
    entries += [FaceRecord(photo, "", "list:none", (0.9, 0.9)), FaceRecord(photo, "neutral", "list:no VA")]
    some = listing(tmp_path / "donor", iter(entries), name="affectnet", classes=classes, reader="affectnet")
    return prepare_listing(some, home.folder(name, size), Crop(size))


def posterior(at, number=8, box=True, seed=0):
    """(N, K) by NumPy and SciPy: priors over all points, moments over those in the box of one standard deviation."""
    va, labels = (part.astype(np.float64) if part.dtype == np.float32 else part for part in points(seed))
    joint = []
    for k in range(number):
        mine = va[labels == k]
        inside = (np.abs(mine - mine.mean(0)) < mine.std(0)).all(1) if box else np.ones(len(mine), bool)
        fit = multivariate_normal(mine[inside].mean(0), np.cov(mine[inside].T, bias=True))
        joint.append(np.log(len(mine)) + fit.logpdf(at))
    joint = np.stack(joint, 1)
    joint = np.exp(joint - joint.max(1, keepdims=True))
    return joint / joint.sum(1, keepdims=True)


def frames(tmp_path, count=400, seed=5):
    at = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    root = affwild(tmp_path / "wild", videos=("1",), boxes=False)
    for column, name in enumerate(("valence", "arousal")):
        write_lines(root / "annotations" / "train" / name / "1.txt", *at[:, column].tolist())
    return root, at


@pytest.mark.parametrize("number", [8, 7])
def test_the_class_is_the_most_probable_under_affectnet_s_gaussians(home, tmp_path, number):
    donor(home, tmp_path)
    root, at = frames(tmp_path)
    listed, records, _ = read("affwild", root, gaussians="affectnet", classes=str(number))
    expected = posterior(at, number).argmax(1)
    assert [record.expression for record in records] == [EXPRESSIONS[k] for k in expected]
    nearest = ((at[:, None] - np.array(AFFECTNET_MEANS)[None, :number]) ** 2).sum(2).argmin(1)
    assert (nearest != expected).mean() > 0.1  # the rule without Gaussians is another one
    used = IMAGES * (number + 3)
    assert f"priors, means and covariances of {used} training images of affectnet (box" in listed.notes[0]
    assert "Gaussian labels use, too" in listed.notes[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_another_affectnet_gives_other_classes(home, tmp_path, seed):
    """Its own points decide, priors among them: without those other frames would have other classes."""
    donor(home, tmp_path, seed=seed)
    root, at = frames(tmp_path, count=4000)
    _, records, _ = read("affwild", root, gaussians="affectnet")
    own = posterior(at, seed=seed)
    assert [record.expression for record in records] == [EXPRESSIONS[k] for k in own.argmax(1)]
    assert (own.argmax(1) != posterior(at).argmax(1)).any()
    assert (own.argmax(1) != (own / np.bincount(points(seed)[1])).argmax(1)).any()


def test_without_a_prepared_affectnet_the_note_says_what_stands_in(tmp_path):
    listed, _, _ = read("affwild", affwild(tmp_path))
    assert "the nearest of AffectNet's published class means, and Gaussian labels are fitted" in listed.notes[0]
    assert "the paper takes both from AffectNet's Gaussians (--option gaussians=NAME" in listed.notes[0]
    assert listed.gaussians is None


def stored(home, tmp_path, name="affectnet", target="wild", classes=EXPRESSIONS):
    """A prepared set whose classes were taken from Gaussians, with a photograph for every frame."""
    gaussians = module.borrowed_gaussians(name, classes)
    photo, at = photograph(tmp_path / "w" / "a.png", 2), np.random.default_rng(7).uniform(-1, 1, (300, 2))
    at = np.concatenate([at, AFFECTNET_MEANS])  # so that every class has a frame
    likely = posterior(at, len(classes)).argmax(1)
    entries = [
        FaceRecord(photo, classes[k], f"w:{i}", tuple(va)) for i, (k, va) in enumerate(zip(likely, at, strict=True))
    ]
    some = listing(tmp_path / "w", iter(entries), name="affwild", classes=classes, gaussians=gaussians)
    manifest = prepare_listing(some, home.folder(target, 32), Crop(32))
    return manifest, read_prepared(home.folder(target, 32), target)


def soft(data, box=1.0, **labels):
    changes = {"labels.method": "gaussian", "labels.alpha": 0.0, "labels.within_std": box, **labels}
    return prepare_targets(Experiment().with_changes(changes), data).soft_NK.numpy()


@pytest.mark.parametrize("box", [1.0, None])
def test_gaussian_labels_are_the_posterior_of_the_same_gaussians(home, tmp_path, box):
    donor(home, tmp_path)
    _, data = stored(home, tmp_path)
    at = data.va.numpy().astype(np.float64)
    expected = posterior(at, box=box is not None)
    np.testing.assert_allclose(soft(data, box), expected, atol=1e-6)
    np.testing.assert_allclose(soft(data, box, **{"labels.alpha": 0.5, "labels.noise_rate": 0.3}).sum(1), 1, atol=1e-5)
    noisy = soft(data, box, **{"labels.noise_rate": 0.3, "labels.statistics": "noisy"})
    np.testing.assert_allclose(noisy, expected, atol=1e-6)  # noise never reaches them


def test_another_box_is_refused(home, tmp_path):
    donor(home, tmp_path)
    _, data = stored(home, tmp_path)
    with pytest.raises(UserError, match=r"`labels.within_std` must be 1.0 or none where Gaussians are borrowed"):
        soft(data, 2.0)


def test_the_same_frames_under_other_gaussians_are_another_data_set(home, tmp_path):
    donor(home, tmp_path)
    donor(home, tmp_path, "again", seed=0)
    first, _ = stored(home, tmp_path)
    same, _ = stored(home, tmp_path, "affectnet", "same")
    assert first.fingerprint == same.fingerprint
    other = listing(tmp_path / "w", iter(()), name="affwild", classes=EXPRESSIONS)
    with pytest.raises(UserError, match="holds affwild with other Gaussians"):
        prepare_listing(other, home.folder("wild", 32), Crop(32))


def test_classes_that_leave_or_change_place_take_their_gaussians_along(home, tmp_path):
    donor(home, tmp_path)
    _, data = stored(home, tmp_path)
    seven = changed_classes(data, ClassChanges.of("data", 7, None, None, strict=True))
    np.testing.assert_allclose(soft(seven), posterior(seven.va.double().numpy(), 7), atol=1e-6)
    turned = in_order_of(data, EXPRESSIONS[::-1], "another set")
    np.testing.assert_allclose(soft(turned), posterior(data.va.double().numpy())[:, ::-1], atol=1e-6)
    merged = changed_classes(data, ClassChanges.of("data", None, None, "contempt:anger", strict=True))
    assert merged.gaussians is None
    assert "classes were merged, so Gaussian labels are fitted to these images, not borrowed" in merged.notes


def test_a_video_is_prepared_with_them_and_read_again(home, tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    donor(home, tmp_path)
    root, at = frames(tmp_path, count=12)
    with av.open(str(root / "videos/train/1.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        for i in range(12):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * i, np.uint8), format="rgb24")))
        film.mux(stream.encode())
    parts = ("gaussians=affectnet",)
    data = load_data(Data(source=str(root), image_size=32, options=parts), tmp_path / "cache", hold_out=False)
    expected = posterior(at).argmax(1).tolist()
    assert data.labels.tolist() == expected
    assert torch.equal(
        data.gaussians.within(1.0).priors, module.borrowed_gaussians("affectnet", EXPRESSIONS).fits[1.0].priors
    )


@pytest.mark.parametrize(
    ("made", "options", "words"),
    [
        (None, {"gaussians": "affectnet"}, "nothing is prepared under that name in .*data prepare affectnet PATH"),
        ({}, {"gaussians": "affectnt"}, "unknown prepared set 'affectnt': did you mean 'affectnet'"),
        ({"classes": EXPRESSIONS[:7]}, {"gaussians": "affectnet"}, "no class contempt: give --option classes=7"),
        ({"unknown": ("fear", "anger")}, {"gaussians": "affectnet"}, "no training image of fear, anger in affectnet"),
        ({}, {"gaussians": "../affectnet"}, "prepared"),
    ],
)
def test_what_cannot_be_borrowed(home, tmp_path, made, options, words):
    if made is not None:
        donor(home, tmp_path, **made)
    with pytest.raises(UserError, match=words):
        read("affwild", affwild(tmp_path / "wild"), **options)


def test_a_set_that_lies_elsewhere_is_named_with_its_place(home, tmp_path):
    donor(Home(tmp_path / "other"), tmp_path)
    listed, _, _ = read("affwild", affwild(tmp_path / "wild"), gaussians=f"{tmp_path}/other/affectnet")
    assert "training images of affectnet (box" in listed.notes[0]


def test_a_set_at_a_url_is_read_without_its_images(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("RAYSWEEP_DATA", "memory://borrowed")
    monkeypatch.chdir(tmp_path)
    place = Home("memory://borrowed")
    place.publish("affectnet", 32, donor(place, tmp_path))
    for left in (tmp_path / "caches").rglob("*.parquet"):
        left.unlink()
    root, at = frames(tmp_path)
    _, records, _ = read("affwild", root, gaussians="affectnet")
    assert [record.expression for record in records] == [EXPRESSIONS[k] for k in posterior(at).argmax(1)]
    assert not list((tmp_path / "caches").rglob("*.parquet"))
