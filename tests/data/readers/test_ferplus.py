"""FERPlus: the authors' three rules, both forms of the images, and the official counts where the votes are at hand."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.listing import PROBLEMS
from raysweep.data.readers import read_listing
from raysweep.data.readers.ferplus import CHOICES, RULES, derived_va, label
from raysweep.data.readers.values import Rejected
from tests.data.readers.trees import PIXELS, fer2013, ferplus, kinds, read, votes_row, write_rows

OFFICIAL = Path(__file__).parents[3].parent / "shared" / "data" / "ferplus_votes.csv"


def votes(**counts):
    return [float(counts.get(choice, 0)) for choice in CHOICES]


@pytest.mark.parametrize(
    ("counts", *RULES),
    [
        ({"neutral": 10}, "neutral", {"neutral"}, {"neutral"}),
        ({"neutral": 6, "fear": 4}, "neutral", {"neutral", "fear"}, {"neutral", "fear"}),
        ({"neutral": 5, "fear": 5}, "no majority", {"neutral", "fear"}, {"neutral", "fear"}),
        (
            {"neutral": 3, "fear": 2, "anger": 1, "sadness": 1, "happiness": 1},
            "neutral",
            {"neutral", "fear"},
            {"neutral", "fear"},
        ),
        ({"neutral": 8, "unknown": 2}, "neutral", {"neutral"}, {"neutral"}),
        ({"neutral": 2, "NF": 8}, "not a face", "not a face", "not a face"),
        ({"unknown": 6, "fear": 4}, "not a face", "not a face", "not a face"),
        ({"neutral": 1, "fear": 1}, "no majority", "no majority", "no majority"),
        ({"neutral": 3, "fear": 3, "anger": 2, "sadness": 2}, "no majority", "no majority", {"neutral", "fear"}),
        ({}, "no majority", "no majority", "no majority"),
    ],
)
def test_three_rules(counts, majority, probability, multi_target):
    for mode, expected in zip(RULES, (majority, probability, multi_target), strict=True):
        if isinstance(expected, str) and expected in PROBLEMS:
            with pytest.raises(Rejected) as fault:
                label(votes(**counts), mode)
            assert fault.value.kind == expected
            continue
        name, kept = label(votes(**counts), mode)
        chosen = {expression for expression, weight in zip(EXPRESSIONS, kept, strict=True) if weight}
        if mode == "majority":
            assert (name, chosen) == (expected, {*counts} & {*EXPRESSIONS})
        else:
            assert (name, chosen) == ("neutral", expected)


def test_votes_follow_the_canonical_order():
    assert label(votes(sadness=6, surprise=4), "majority")[1] == (0, 0, 6, 4, 0, 0, 0, 0)
    assert label(votes(sadness=6, surprise=4), "probability")[1] == (0, 0, 6, 4, 0, 0, 0, 0)
    assert label(votes(sadness=6, surprise=4), "multi_target")[1] == (0, 0, 1, 1, 0, 0, 0, 0)


def test_derived_affect_is_the_weighted_mean():
    neutral, fear = AFFECTNET_MEANS[0], AFFECTNET_MEANS[4]
    found = derived_va(votes(neutral=3, fear=1, unknown=6))
    assert found == pytest.approx([0.75 * neutral[i] + 0.25 * fear[i] for i in (0, 1)])


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10), st.sampled_from([*RULES]))
@settings(max_examples=200, deadline=None)
def test_labels_of_any_votes(counts, mode):
    try:
        name, kept = label([float(count) for count in counts], mode)
    except Rejected:
        return
    assert counts[CHOICES.index(name)] == max(counts)
    assert sum(kept) > 0
    assert len(kept) == 8
    assert all(-1 <= value <= 1 for value in derived_va(counts))


def test_png_files(tmp_path):
    listing, (face,), problems = read("ferplus", ferplus(tmp_path), va="derived")
    assert face.path == tmp_path / "data/FER2013Train/fer0000000.png"
    assert (face.expression, face.split, face.votes) == ("happiness", "train", (1, 9, 0, 0, 0, 0, 0, 0))
    assert face.va == pytest.approx(derived_va(votes(happiness=9, neutral=1)))
    assert listing.notes == (
        "valence and arousal are derived from the votes: fusion with them is circular, and no claim about it",
    )
    assert (problems, face.pixels, listing.classes) == ([], b"", EXPRESSIONS)
    assert read("ferplus", tmp_path)[0].notes == ()


def test_pixels_of_fer2013(tmp_path):
    rows = [votes_row(happiness=9), votes_row("fer1.png", "PrivateTest", fear=9), votes_row("", "PublicTest", NF=10)]
    ferplus(tmp_path, *rows)
    shutil.rmtree(tmp_path / "data")
    reversed_pixels = " ".join(PIXELS.split()[::-1])
    fer2013(tmp_path, (0, PIXELS, "Training"), (0, reversed_pixels, "PrivateTest"), (0, PIXELS, "PublicTest"))
    listing, (one, two), problems = read("ferplus", tmp_path)
    assert (one.pixels[1], two.pixels[1]) == (1, 254)
    assert (two.path, two.where) == (tmp_path / "fer2013.csv", "fer2013new.csv:3")
    assert kinds(problems) == [("fer2013new.csv:4", "no image name", True)]
    assert len(listing.files) == 2


def test_rows_that_do_not_belong_together(tmp_path):
    ferplus(tmp_path, *(votes_row(f"fer{i}.png", fear=9) for i in range(5)))
    shutil.rmtree(tmp_path / "data")
    fer2013(tmp_path, *[(0, PIXELS, "Training")] * 2, (0, PIXELS, "PublicTest"), (0, "1 2", "Training"), ("", ""))
    _, records, problems = read("ferplus", tmp_path)
    assert len(records) == 2
    assert [problem.kind for problem in problems] == ["bad row", "image unreadable", "bad row"]
    assert "Usage is Training here, but 'PublicTest'" in problems[0].detail
    fer2013(tmp_path, *[(0, PIXELS, "Training")] * 4)
    with pytest.raises(UserError, match="must list the same images, but have 5 and 4 rows"):
        read_listing("ferplus", tmp_path, {})


@pytest.mark.parametrize(("votes_at", "pixels_at"), [((), (0, 1)), ((0, 1), ()), ((0, 1), (4, 5)), ((2, 3), (2, 3))])
def test_stray_quotes_do_not_join_lines_and_shift_the_rest(votes_at, pixels_at, tmp_path):
    """A quote that begins in one row and ends in the next would be one value over two lines."""
    ferplus(tmp_path, *(votes_row(f"fer{i}.png", fear=9) for i in range(8)))
    shutil.rmtree(tmp_path / "data")
    fer2013(tmp_path, *[(0, " ".join([str(i)] * 2304), "Training") for i in range(8)])
    for name, at in (("fer2013new.csv", votes_at), ("fer2013.csv", pixels_at)):
        lines = (tmp_path / name).read_bytes().split(b"\r\n")
        for i in at:
            cells = lines[i + 1].split(b",")
            cells[1] = b'"'
            lines[i + 1] = b",".join(cells)
        (tmp_path / name).write_bytes(b"\r\n".join(lines))
    _, records, problems = read("ferplus", tmp_path)
    whole = sorted(set(range(8)) - {*votes_at, *pixels_at})
    assert [(r.where, r.pixels[0]) for r in records] == [(f"fer2013new.csv:{i + 2}", i) for i in whole]
    assert len(problems) == 8 - len(whole)


def test_rows_of_votes_that_give_no_face(tmp_path):
    rows = [votes_row(happiness=9), votes_row(""), votes_row("../a.png", fear=9), votes_row("b.png", "Test", fear=9)]
    rows += [votes_row("c.png", fear=-1), votes_row("d.png", fear=0.5), votes_row("e.png", fear="x"), ["Training", "f"]]
    rows += [votes_row("g.png", fear=5, anger=5), votes_row("h.png", NF=9), votes_row("i.png", fear="1e300")]
    _, records, problems = read("ferplus", ferplus(tmp_path, *rows))
    assert len(records) == 1
    expected = ["no image name", "path escapes", *["bad row"] * 5, "no majority", "not a face", "bad row"]
    assert kinds(problems) == [(f"fer2013new.csv:{i}", kind, True) for i, kind in enumerate(expected, 3)]
    assert problems[7].detail == "anger 5, fear 5"


def test_a_repeated_image_is_told_and_kept_as_in_the_official_counts(tmp_path):
    _, records, problems = read("ferplus", ferplus(tmp_path, votes_row(fear=9), votes_row(fear=9)))
    assert len(records) == 2
    assert kinds(problems) == [("fer2013new.csv:3", "duplicate row", False)]


def test_votes_without_images(tmp_path):
    write_rows(tmp_path / "fer2013new.csv", [votes_row(fear=9)], ("Usage", "Image name", *CHOICES))
    with pytest.raises(UserError, match=r"needs fer2013.csv, or FER2013Train/"):
        read_listing("ferplus", tmp_path, {})


@pytest.mark.skipif(not OFFICIAL.exists(), reason="ferplus_votes.csv is not here")
def test_official_counts(tmp_path):
    ferplus(tmp_path)
    shutil.copyfile(OFFICIAL, tmp_path / "fer2013new.csv")
    listing, records, problems = read("ferplus", tmp_path)
    assert Counter(record.split for record in records) == {"train": 25060, "validation": 3199, "test": 3153}
    counts = Counter(problem.kind for problem in problems)
    assert counts == {"no majority": 4200, "no image name": 173, "not a face": 102, "duplicate row": 3}
    assert listing.total == 35887
