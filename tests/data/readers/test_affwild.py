"""Aff-Wild: frames become records with derived classes, split by video."""

import math

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.readers import affwild as module
from raysweep.data.readers import read_listing
from tests.data.readers.trees import affwild, kinds, pts, read, write_lines


def lists(root, name, valence, arousal, part="train"):
    write_lines(root / "annotations" / part / "valence" / f"{name}.txt", *valence)
    write_lines(root / "annotations" / part / "arousal" / f"{name}.txt", *arousal)


def test_frames_are_records(tmp_path):
    listing, records, problems = read("affwild", affwild(tmp_path))
    assert len(records) == listing.total == 15
    assert not problems
    first = records[0]
    assert (first.path, first.frame, first.subject) == (tmp_path / "videos/train/1.mp4", 0, "1")
    assert (first.va, first.box) == ((0.6, 0.1), (10, 20, 100, 120))
    assert first.where == "annotations/train/valence/1.txt:1"
    assert {record.path.name for record in records if record.subject == "10"} == {"10.avi"}
    assert [record.subject for record in records[::3]] == ["1", "2", "3", "10", "11"]
    assert [record.frame for record in records[:3]] == [0, 1, 2]
    assert len(listing.files) == 10
    assert "circular" in listing.notes[0]


def test_a_fifth_of_the_videos_is_for_testing(tmp_path):
    listing, records, _ = read("affwild", affwild(tmp_path, videos=[str(i) for i in range(20)], frames=1, boxes=False))
    splits = {record.subject: record.split for record in records}
    assert list(splits.values()).count("test") == 4
    assert listing.notes[1].startswith("split 80/20 by video (derived")
    assert "no face boxes" in listing.notes[2]


def test_a_split_of_the_release_is_kept(tmp_path):
    affwild(tmp_path)
    listing, records, _ = read("affwild", affwild(tmp_path, videos=("7",), part="validation"))
    assert {record.split for record in records if record.subject == "7"} == {"validation"}
    assert {record.split for record in records if record.subject != "7"} == {"train"}
    assert len(listing.notes) == 1


def test_the_class_is_that_of_the_nearest_published_mean(tmp_path):
    torch.manual_seed(0)
    va = 2 * torch.rand(5000, 2, dtype=torch.float64) - 1  # more frames than are labelled at once
    affwild(tmp_path, videos=("1",), boxes=False)
    lists(tmp_path, "1", va[:, 0].tolist(), va[:, 1].tolist())
    _, records, _ = read("affwild", tmp_path)
    nearest = torch.cdist(va, torch.tensor(AFFECTNET_MEANS, dtype=torch.float64)).argmin(1).tolist()
    assert [record.expression for record in records] == [EXPRESSIONS[k] for k in nearest]


def test_frames_that_cannot_be_used(tmp_path):
    affwild(tmp_path, videos=("1", "2"), boxes=False)
    lists(tmp_path, "1", ["0.1", "-5", "nan", "", "1.1", "x", "0.2"], ["0.1", "0", "0", "0", "0", "0", "0.2"])
    _, records, problems = read("affwild", tmp_path)
    assert [record.frame for record in records if record.subject == "1"] == [0, 6]
    where = "annotations/train/valence/1.txt"
    expected = ["VA missing", "VA missing", "VA missing", "VA out of range", "bad row"]
    assert kinds(problems) == [(f"{where}:{i}", kind, True) for i, kind in enumerate(expected, 2)]


@pytest.mark.parametrize("shorter", ["valence", "arousal"])
def test_lists_of_different_length(tmp_path, shorter):
    affwild(tmp_path, videos=("1", "2"), boxes=False)
    write_lines(tmp_path / "annotations" / "train" / shorter / "1.txt", "0.5")
    _, records, problems = read("affwild", tmp_path)
    assert [record.frame for record in records] == [0, 0, 1, 2]
    (problem,) = problems
    assert (problem.kind, problem.where[-5:]) == ("bad row", "txt:2")
    assert f"{shorter} ends before" in problem.detail


BOXES = {
    "not a face": None,
    "box outside": pts(right=10),
    "bad row": ["version: 1", "{", "1 2", "}"],
}


@pytest.mark.parametrize("kind", BOXES)
def test_frames_without_a_box(tmp_path, kind):
    affwild(tmp_path, videos=("1", "2"))
    file = tmp_path / "bboxes" / "train" / "1" / "2.pts"
    file.unlink()
    if BOXES[kind]:
        write_lines(file, *BOXES[kind])
    _, records, problems = read("affwild", tmp_path)
    assert len(records) == 5
    assert kinds(problems) == [("annotations/train/valence/1.txt:2", kind, True)]  # boxes count from 1, so do rows


@pytest.mark.parametrize("corner", ["nan 1", "inf 1", "x 1", "", "1 2 3"])
def test_boxes_that_are_none(tmp_path, corner):
    affwild(tmp_path, videos=("1", "2"))
    write_lines(tmp_path / "bboxes/train/1/1.pts", *pts()[:3], corner, *pts()[4:])
    _, records, problems = read("affwild", tmp_path)
    assert (len(records), [problem.kind for problem in problems]) == (5, ["bad row"])


def test_what_a_video_lacks(tmp_path):
    affwild(tmp_path)
    (tmp_path / "videos/train/1.mp4").unlink()
    (tmp_path / "annotations/train/valence/2.txt").unlink()
    (tmp_path / "annotations/train/arousal/3.txt").unlink()
    (tmp_path / "bboxes/train/10").rename(tmp_path / "away")
    write_lines(tmp_path / "videos/train/11.avi", "the same video again")
    write_lines(tmp_path / "videos/train/._12.avi", "nothing")
    _, records, problems = read("affwild", tmp_path)
    assert {record.path.name for record in records} == {"11.mp4"}
    expected = [("image missing", True), ("VA missing", True), ("VA missing", True), ("bad row", True)]
    assert [(p.kind, p.fatal) for p in problems] == [*expected, ("duplicate row", False)]


def test_other_releases(tmp_path):
    write_lines(tmp_path / "annotations" / "train" / "1.txt", "valence,arousal", "0.1,0.2")  # as Aff-Wild2 has them
    (tmp_path / "videos" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match="needs videos/train/ and annotations/train/"):
        read_listing("affwild", tmp_path, {})
    (tmp_path / "annotations" / "train" / "valence").mkdir()
    with pytest.raises(UserError, match=r"one \.txt file a video"):
        read_listing("affwild", tmp_path, {})


def test_published_gaussians_are_complete():
    assert len(module.CODES) == len(module.NEAREST_MEAN.priors) == 8
    assert math.isclose(float(module.NEAREST_MEAN.priors.sum()), 1)
