"""Generated sentences at 0, 1, 2 and many."""

from dataclasses import replace

import pytest

from raysweep.core.formatting import listed, plural
from raysweep.report.figures import catalog as pictures
from raysweep.report.figures.catalog import _cut, _planes_words
from raysweep.report.results.aggregate import summarise
from raysweep.report.text.findings import reading
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
        self.replicate = replicate


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
    words = {name: words for name, _, words in pictures._figures(summarise(tracking.load("wide")), faces=False)}
    assert drawn["learning"] == min(panels, 6)
    assert ("The first 6 panels" in words["learning"]) == (panels > 6)


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


def test_a_note_on_data_is_no_sentence_of_its_own(shared):
    results = shared.load("ablation_alpha")
    note = "site A of the built-in faces, the target"
    study = replace(results.study, data=replace(results.study.data, notes=(note,)))
    assert f"Data note: {note}." in reading(summarise(replace(results, study=study)))
