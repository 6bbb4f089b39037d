"""The checklist says Yes only where the records show it."""

from dataclasses import replace

import pytest

from raysweep.report import summarise, write_report
from raysweep.report.results.provenance import provenance
from raysweep.report.text.checklist import checklist


def items(results):
    found = checklist(results, summarise(results), provenance(results), ["raysweep run x"])
    return {item.number: item for item in found}


@pytest.fixture
def study(fabricate):
    made = fabricate("listed", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=3, epochs=1)
    made.config = lambda where: {}
    return made


def test_a_complete_study_of_committed_code(tracking, study):
    found = items(tracking.write(study).load("listed"))
    assert {number: item.answer for number, item in found.items()} == {
        4: "Yes", 6: "Yes", 7: "Yes", 8: "Yes", 12: "To be stated",
    }  # fmt: skip
    words = " ".join(sentence for item in found.values() for sentence in item.sentences)
    for part in (
        "seeds init, noise, order and split",
        "one standard deviation over 3 replicates",
        "commit 1a2b3c4, clean",
    ):
        assert part in words


def test_uncommitted_code_failed_cells_and_selection_on_test(tracking, study):
    study.versions, study.protocol = {0: "0.1.0+0000000.dirty"}, "best_on_test"
    study.failed = {("kind=b", 1): "nan", ("kind=b", 2): "nan"}
    found = items(tracking.write(study).load("listed"))
    assert {n: found[n].answer for n in (4, 6, 7, 8)} == {4: "Partly", 6: "Partly", 7: "No", 8: "Partly"}
    assert any("kind=b: 2 failed (nan)" in sentence for sentence in found[7].sentences)


def test_licences_of_known_and_unknown_sets(tracking, study):
    results = tracking.write(study).load("listed")
    known = replace(results, study=replace(results.study, data=replace(results.study.data, kind="rafdb")))
    drawn = replace(results, study=replace(results.study, data=replace(results.study.data, kind="faces")))
    assert items(drawn)[12].answer == "Yes"
    assert items(known)[12].answer == "To be stated"
    assert "must not be passed on (check it against" in items(known)[12].sentences[0]
    unknown = replace(results, study=replace(results.study, data=replace(results.study.data, kind="csv")))
    assert items(unknown)[12].sentences[0].endswith("state it.")


def test_words_of_others_stay_words(tracking, study, tmp_path):
    study.title, study.data = "<script>", "a|b `c` <img src=x>"
    write_report(tracking.write(study).load("listed"), tmp_path / "out")
    text = (tmp_path / "out" / "listed_checklist.md").read_text()
    assert "<img" not in text.replace("\\<img", "")
    assert "## 7. Experiment statistical significance: Yes" in text
