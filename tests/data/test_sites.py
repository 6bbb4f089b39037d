"""The built-in sites: the same pictures, other habits of labelling, as strong as stated."""

import json
from dataclasses import replace

import pytest
import torch

from raysweep.cli.data import main
from raysweep.config.sections import Data
from raysweep.data.cache import load_packed, save_packed
from raysweep.data.classes import ClassChanges, changed_classes
from raysweep.data.dataset import TEST, TRAIN, FaceData
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.load import SOURCES, load_data
from raysweep.data.synthetic import SITES, build_faces, build_site, criteria_at, criteria_of
from raysweep.data.synthetic.criteria import compare
from raysweep.data.synthetic.raters import RaterModel

STRENGTHS = ("faces-b-none", "faces-b-moderate", "faces-b-strong")


def small(name: str, train: int = 320, test: int = 64) -> FaceData:
    return build_site(SITES[name], size=32, train=train, test=test)


@pytest.fixture(scope="module")
def built() -> dict[str, FaceData]:
    return {name: small(name) for name in SITES}


@pytest.fixture(scope="module")
def measured():
    return {name: criteria_at(site) for name, site in SITES.items()}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("faces-a", 0, 0), ("faces-b-none", 0, 0), ("faces-b-moderate", 0.18, 0.22), ("faces-b-strong", 0.38, 0.42),
     ("faces-c", 0.03, 0.07)],
)  # fmt: skip
def test_share_of_likeliest_labels_moved(measured, name, low, high):
    assert low <= measured[name].likeliest_moved <= high


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("faces-b-none", 0.07, 0.09), ("faces-b-moderate", 0.15, 0.20), ("faces-b-strong", 0.25, 0.30)],
)
def test_error_of_the_written_affect(measured, name, low, high):
    assert (measured[name].va_rmse > low).all()
    assert (measured[name].va_rmse < high).all()


def test_strengths_are_ordered(measured):
    none, moderate, strong = (measured[name] for name in STRENGTHS)
    assert none.labels_moved == pytest.approx(none.own, abs=0.01)
    assert none.labels_moved + 0.1 < moderate.labels_moved < strong.labels_moved - 0.1
    assert (none.site_centres - none.target_centres).abs().max() < 0.05


def test_no_expression_is_lost(measured):
    for criteria in measured.values():
        assert criteria.kept.min() >= 0.25
        assert criteria.labelled.sum(0).min() >= 100


def test_the_strengths_show_the_same_pictures(built):
    none, *others = (built[name] for name in STRENGTHS)
    for other in others:
        assert torch.equal(none.images, other.images)
        assert torch.equal(none.subjects, other.subjects)
        assert torch.equal(none.splits, other.splits)
        assert torch.equal(none.info.truth_va, other.info.truth_va)
        assert torch.equal(none.info.target_probs, other.info.target_probs)
        assert not torch.equal(none.labels, other.labels)
        assert not torch.equal(none.va, other.va)


def test_a_is_the_built_in_faces_without_affect(built):
    faces = build_faces(size=32, train=320, validation=0, test=64, seed=0)
    for name in ("images", "labels", "votes", "subjects", "splits"):
        assert torch.equal(getattr(built["faces-a"], name), getattr(faces, name))
    assert torch.equal(built["faces-a"].info.rater_probs, faces.info.rater_probs)


def test_who_wrote_affect_down(built):
    for name, data in built.items():
        assert data.va.isfinite().all() if name in STRENGTHS else data.va.isnan().all()


def test_target_probabilities_are_as_raters(built):
    for name in ("faces-a", "faces-b-none"):
        assert torch.equal(built[name].info.target_probs, built[name].info.rater_probs)
    for data in built.values():
        assert data.info.target_probs.shape == (384, 8)
        assert data.info.target_probs.dtype == torch.float32
        assert torch.allclose(data.info.target_probs.sum(1), torch.ones(384))
        assert (data.info.version, data.info.sites_version) == (1, 1)


def test_the_test_split_is_balanced(built):
    """By the site's own raters; B's strengths share faces that no shift chose."""
    for name in ("faces-a", "faces-b-none", "faces-c"):
        rows = built[name].rows(TEST)
        assert torch.equal(built[name].labels[rows], built[name].votes[rows].argmax(1))
        assert torch.bincount(built[name].labels[rows], minlength=8).tolist() == [8] * 8


def test_every_expression_is_there_to_train_on(built):
    for data in built.values():
        assert torch.bincount(data.labels[data.rows(TRAIN)], minlength=8).min() >= 1


def test_sites_show_different_people(built):
    people = [set(built[name].subjects.tolist()) for name in ("faces-a", "faces-b-none", "faces-c")]
    assert not people[0] & people[1]
    assert not people[1] & people[2]
    assert not torch.equal(built["faces-a"].images, built["faces-c"].images)


def test_a_site_is_built_alike_twice(built):
    again, first = small("faces-b-strong"), built["faces-b-strong"]
    assert again.fingerprint == first.fingerprint
    for name in ("images", "labels", "va", "votes", "subjects", "splits"):
        assert torch.equal(getattr(again, name), getattr(first, name))


def test_the_fingerprint_names_the_site_and_its_habit(built):
    assert len({data.fingerprint for data in built.values()}) == len(SITES)
    site = SITES["faces-b-strong"]
    milder = build_site(replace(site, raters=replace(site.raters, halo=0.1)), size=32, train=320, test=64)
    assert milder.fingerprint != built["faces-b-strong"].fingerprint


def test_a_larger_training_split_leaves_the_others_alone(built):
    larger, first = small("faces-b-moderate", train=360), built["faces-b-moderate"]
    assert torch.equal(larger.images[larger.rows(TEST)], first.images[first.rows(TEST)])


def test_a_wrong_count_is_refused():
    with pytest.raises(ValueError, match="`train >= 1` must hold, but got train=0"):
        build_site(SITES["faces-c"], size=32, train=0)


def test_sites_are_sources_with_captions(tmp_path, built):
    assert set(SITES) < set(SOURCES)
    data = load_data(Data(source="faces-b-strong", image_size=32, train_images=320, test_images=64), tmp_path)
    assert data.notes == ("site B of the built-in faces, shift strong",)
    assert data.name == "faces-b-strong"
    assert torch.equal(data.images[:], built["faces-b-strong"].images)
    assert [path.name for path in tmp_path.iterdir()] == ["faces-b-strong-v1.1-32px-320-64"]


def test_a_site_survives_the_disk(tmp_path, built):
    save_packed(built["faces-a"], tmp_path / "a")
    back = load_packed(tmp_path / "a")
    assert back is not None
    assert back.va.isnan().all()
    assert back.info.facts == built["faces-a"].info.facts
    assert back.info.arrays.keys() == built["faces-a"].info.arrays.keys()
    for name, array in back.info.arrays.items():
        assert torch.equal(array, built["faces-a"].info.arrays[name]), name


def test_what_another_version_wrote_besides_is_left_alone(tmp_path, built):
    save_packed(built["faces-a"], tmp_path / "a")
    description = json.loads((tmp_path / "a" / "data.json").read_text())
    description["info"] |= {"lenses": [1, 2], "remarks": ["blurred"]}
    (tmp_path / "a" / "data.json").write_text(json.dumps(description))
    assert load_packed(tmp_path / "a").info.facts == {"version": 1, "sites_version": 1, "remarks": ("blurred",)}


def test_true_affect_stays_whatever_becomes_of_the_classes(built):
    two = changed_classes(built["faces-a"], ClassChanges(dropped=EXPRESSIONS[2:]))
    again = changed_classes(two, ClassChanges(mapped=((EXPRESSIONS[0], "calm"),)))
    assert torch.equal(again.info.truth_va, two.info.truth_va)
    assert (again.info.target_probs.shape[1], again.info.came_with) == (2, EXPRESSIONS[:2])


def test_criteria_by_hand():
    """Two expressions, four faces: the site calls one face otherwise and writes valence 0.5 too high."""
    target = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    site = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.2, 0.8]])
    truth = torch.zeros(4, 2)
    found = compare(target, site, torch.tensor([0, 1, 0, 1]), truth, truth + torch.tensor([0.5, 0.0]))
    assert found.likeliest.tolist() == [[1, 1], [0, 2]]
    assert (found.likeliest_moved, found.labels_moved) == (0.25, 0.5)
    assert found.own == pytest.approx(0.15)
    assert found.kept.tolist() == [0.5, 1.0]
    assert found.va_rmse.tolist() == [0.5, 0.0]
    assert found.site_centres.tolist() == [[0.5, 0.0], [0.5, 0.0]]
    assert found.site_true_centres.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_the_built_images_agree_with_the_tables(built):
    """20,000 faces nobody draws and 320 that are drawn come from one population."""
    assert criteria_of(built["faces-b-strong"]).likeliest_moved == pytest.approx(0.40, abs=0.08)
    assert SITES["faces-b-none"].raters == RaterModel(site="b")


@pytest.mark.parametrize(("source", "words"), [("faces-b-strong", "RMSE against"), ("faces-a", "the site keeps")])
def test_show_prints_the_criteria(source, words, tmp_path, monkeypatch, capsys):
    site = SITES[source]
    monkeypatch.setitem(SITES, source, replace(site, train=320, test=64))
    out = tmp_path / "sheet.png"
    assert main(["show", source, "--size", "32", "--store", str(tmp_path), "--out", str(out)]) == 0
    assert words in capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG")


def test_sites_draws_the_criteria(tmp_path, capsys):
    assert main(["sites", "--out", str(tmp_path / "deep" / "sites.png")]) == 0
    assert "faces-b-moderate: likeliest label differs from the target's in 20." in capsys.readouterr().out
    assert (tmp_path / "deep" / "sites.png").read_bytes().startswith(b"\x89PNG")
