"""Generated sentences at 0, 1, 2 and many."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from raysweep.core.formatting import listed, plural
from raysweep.pipeline.datasets import Leak
from raysweep.report.figures import curves as pictures
from raysweep.report.figures.adapted_labels import _planes_words
from raysweep.report.figures.attention import Constancy, attention_words
from raysweep.report.figures.catalog import draw_pictures
from raysweep.report.figures.curves import _cut
from raysweep.report.results.aggregate import summarise
from raysweep.report.text.caption import caption, notes
from raysweep.report.text.caption_joint import label_notes
from raysweep.report.text.findings import question, reading
from raysweep.report.text.overrides import replicate_words


def test_the_helpers():
    assert [plural(n, "cell") for n in (0, 1, 2, 1000)] == ["0 cells", "1 cell", "2 cells", "1,000 cells"]
    assert [listed(list("abc")[:n]) for n in range(4)] == ["none", "a", "a and b", "a, b and c"]
    assert [replicate_words(range(n)) for n in (1, 2, 3)] == ["replicate 0", "replicates 0 and 1", "replicates 0 to 2"]


@pytest.mark.parametrize("there", [0, 1, 5, 6, 7, 20])
def test_panels_are_first_ones_only_where_there_are_more(there):
    words = _cut([None] * there)
    assert words == ("" if there <= 6 else " The first 6 panels.")


class Arm:
    def __init__(self, replicate):
        self.replicate, self.planes = replicate, {}


@pytest.mark.parametrize("there", [1, 3, 4, 5])
def test_arms_are_first_ones_only_where_there_are_more(there):
    words = _planes_words([Arm(0)] * there)
    assert ("The first 4 arms" in words) == (there > 4)
    assert "(replicate 0)" in words
    assert "(replicates 0 and 1)" in _planes_words([Arm(0), Arm(1)])


@pytest.mark.parametrize("panels", [5, 6, 7])
def test_a_study_with_so_many_panels(tracking, fabricate, monkeypatch, panels):
    """As it is drawn: the figure has at most six, and its caption says so where that is not all."""
    levels = tuple(str(i) for i in range(panels))
    study = fabricate(
        "wide", {"size": levels, "kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=1, epochs=3
    )
    tracking.write(study)
    drawn = {}
    monkeypatch.setattr(pictures, "draw_learning", lambda shown, *_: drawn.setdefault("learning", len(shown)))
    captions = {one.stem: one.caption for one in draw_pictures(summarise(tracking.load("wide")), "s", faces=False)}
    assert drawn["learning"] == min(panels, 6)
    assert ("The first 6 panels" in captions["s_learning"]) == (panels > 6)


def remarks(results, count, **changes):
    """What is said where so many cells are like that."""
    cells = tuple(replace(cell, **(changes if i < count else {})) for i, cell in enumerate(results.cells))
    return summarise(replace(results, cells=cells)).remarks


def test_remarks_on_cells(shared):
    results = shared.load("ablation_alpha")
    dirty = {"code_version": "0.1.0+1a2b3c4.dirty"}
    assert not any("uncommitted" in words for words in remarks(results, 0, **dirty))
    assert "1 of 25 complete cells was computed by code with uncommitted changes." in remarks(results, 1, **dirty)
    assert "2 of 25 complete cells were computed by code with uncommitted changes." in remarks(results, 2, **dirty)
    one = replace(results, cells=results.cells[:1])
    assert "1 of 1 complete cell was computed by code with uncommitted changes." in remarks(one, 1, **dirty)
    assert "1 cell has several runs; the newest complete one is read." in remarks(results, 1, twins=1)
    assert "2 cells have several runs; the newest complete one is read." in remarks(results, 2, twins=1)
    lacking = {"scores": {"accuracy": 0.5}}
    assert "1 complete cell has no finite ece and is left out of its mean." in remarks(results, 1, **lacking)
    assert "2 complete cells have no finite ece and are left out of its mean." in remarks(results, 2, **lacking)
    mixed = next(words for words in remarks(results, 1, device="other") if "kinds of device" in words)
    assert "other (1 cell), x86_64 (24 cells)" in mixed


def everything_said(results):
    summary = summarise(results)
    below = (words for _, words in notes(summary))
    figures = (picture.caption for picture in draw_pictures(summary, "s", faces=False))
    return [question(summary), *caption(summary), *below, *reading(summary), *figures]


COUNTED = "arm|cell|replicate|epoch|image|expression|comparison|panel|note|run|version|sample|trial|value|method"


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("name", ["ablation_noise_rate", "dcjt_methods"])
def test_no_sentence_has_one_of_many_or_two_of_one(shared, name, count):
    """As many replicates, images, failed and foreign cells, and runs of a cell."""
    results = shared.load(name)
    kept = [c for c in results.cells if c.replicate < count]
    cells = [replace(c, data_fingerprint="x", twins=1, code_version="a.dirty") if i < count else c
             for i, c in enumerate(kept)]  # fmt: skip
    cells[-count:] = [replace(c, state="failed", cause="lost", scores={}) for c in cells[-count:]]
    cells[0] = replace(cells[0], degenerate=True)
    data = replace(results.study.data, counts=(count, 0, count), classes=results.study.data.classes[:count],
                   extras=tuple(replace(e, count=count) for e in results.study.data.extras))  # fmt: skip
    study = replace(results.study, data=data, replicates=tuple(range(count)))
    for words in everything_said(replace(results, study=study, cells=tuple(cells))):
        assert not re.search(rf"(?<![\d.,])(?<!to )1 (\w+ )?({COUNTED})s\b(?! (named|instead))", words), words
        assert not re.search(rf"(?<![\d.,]) ([02-9]|\d\d+) ({COUNTED})\b", words), words


@pytest.mark.parametrize(("failed", "said"), [
    (0, None), (1, "Scores of this arm are those of the trainings that do not, and no claim is made of it."),
    (2, "Scores of these arms are those of the trainings that do not, and no claim is made of them."),
])  # fmt: skip
def test_arms_of_which_cells_failed(shared, failed, said):
    results = shared.load("ablation_alpha")
    arms = [f"alpha={level} #0" for level in ("0", "0.3")[:failed]]
    cells = tuple(replace(c, state="failed", scores={}) if c.name in arms else c for c in results.cells)
    found = [
        words for _, words in notes(summarise(replace(results, cells=cells))) if words.startswith("Share of cells")
    ]
    assert len(found) == (said is not None)
    assert said is None or found[0].endswith(said)


def test_scores_that_no_cell_has_and_those_that_are_exploratory(shared):
    results = shared.load("ablation_alpha")
    every = ("macro_f1", "accuracy", "ece")
    for there, hidden, free in (
        (every, None, "accuracy and ECE; their differences"),
        (every[:2], "no cell has it with these data: ECE.", "accuracy; its differences"),
        (every[:1], "no cell has them with these data: accuracy and ECE.", None),
    ):
        cells = tuple(replace(c, scores={n: c.scores[n] for n in there}) for c in results.cells)
        summary = summarise(replace(results, study=replace(results.study, columns=every), cells=cells))
        below, read = " ".join(words for _, words in notes(summary)), " ".join(reading(summary))
        assert ("Not shown" in below) == (hidden is not None)
        assert (hidden or "") in below
        assert ("Exploratory" in read) == (free is not None)
        assert (free or "") in read


def test_cells_on_other_data(shared):
    results = shared.load("ablation_alpha")
    said = "on other data than the launch describes."
    assert not any(said in words for words in remarks(results, 0, data_fingerprint="other"))
    assert f"1 of 25 complete cells was computed {said}" in remarks(results, 1, data_fingerprint="other")
    assert f"2 of 25 complete cells were computed {said}" in remarks(results, 2, data_fingerprint="other")


@pytest.mark.parametrize(("images", "said"), [(1, "mean over 1 test image;"), (12, "mean over 12 test images;")])
def test_maps_of_so_many_images(images, said):
    shown = SimpleNamespace(fixed={}, replicate=0, faces=[None], places=(3, 3), flat=False)
    along = Constancy(axis=SimpleNamespace(name="noise"), first="0", images=images, lines=(), between=(), flat=0.0)
    words = attention_words(shown, along)
    assert said in words
    assert "the first test image of 1 expression and" in words


@pytest.mark.parametrize(("counts", "said"), [
    ((1, 0), "1 test image of A"), ((2, 1), "2 test images and 1 validation image of A"),
    ((1000, 0), "1,000 test images of A"),
])  # fmt: skip
def test_images_that_are_trained_on_and_scored(counts, said):
    assert Leak("joint.extra", "B", "A", *counts).summary == said


def test_notes_that_differ_in_numbers_are_one_whether_there_is_one_sample_or_more(shared):
    results = shared.load("ablation_alpha")
    note = "EDCLM fell back to the global map for fear ({} in A, 3 in B)"
    cells = tuple(
        replace(c, label_notes=(note.format(plural(1 + c.replicate, "sample")),)) if c.arm == "alpha=0" else c
        for c in results.cells
    )
    assert label_notes(summarise(replace(results, cells=cells))) == [
        f"Labels: {note.format('1 sample')} (alpha=0, numbers vary with the cell)"
    ]


def test_a_note_on_data_is_no_sentence_of_its_own(shared):
    results = shared.load("ablation_alpha")
    note = "site A of the built-in faces, the target"
    study = replace(results.study, data=replace(results.study.data, notes=(note,)))
    assert f"Data note: {note}." in reading(summarise(replace(results, study=study)))
