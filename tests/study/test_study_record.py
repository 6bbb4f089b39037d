"""`plan.json`: what a launch writes is what a report reads, files of before there was a version among them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raysweep.artifacts.study_record import FORMAT, PlannedSearch, StudyRecord
from raysweep.store.store import Store
from raysweep.study import find_study
from raysweep.study.plan import make_plan
from raysweep.study.request import make_request
from raysweep.study.search_plan import plan_search

RECORDED = Path(__file__).parent / "recorded"
"""Files that launches wrote before the record had a version: a table, and the table of a search."""


def planned(name, tmp_path, preset="smoke"):
    study = find_study(name)[1].at(preset)
    return make_request(name, study, preset, {}), Store(tmp_path)


@pytest.mark.parametrize("name", ["ablation_alpha", "dcjt_finetune", "ablation_votes"])
def test_what_is_written_is_read(name, tmp_path):
    request, store = planned(name, tmp_path)
    plan = make_plan(name, request.study, "smoke", request.cells, store, store.local / "data")
    record = plan.record("python -m raysweep.run x")
    there = json.loads(json.dumps(record.describe()))
    again = StudyRecord.read(there, "launch")
    assert again == replace(record, launch="launch")
    assert again.describe() == there
    assert again.configs.keys() == {cell.arm.name for cell in plan.cells}
    assert [cell.key for cell in again.cells] == [cell.key for cell in plan.cells]


@pytest.mark.parametrize("name", ["search_ddaf", "search_dcjt"])
def test_what_is_written_of_a_search_is_read(name, tmp_path):
    request, store = planned(name, tmp_path)
    plan = plan_search(name, request.study, "smoke", request.cells, request.budget, store.local / "data")
    found = {"search": "s", "trials": 3, "complete": 2, "pruned": 1, "failed": 0, "device_hours": 0.5, "number": 1,
             "value": [0.25], "point": {"train.epochs": 3, "labels.method": None}}  # fmt: skip
    there = json.loads(json.dumps(plan.describe({arm.cell.arm.name: found for arm in plan.arms})))
    assert PlannedSearch.read(there).describe() == there


@pytest.mark.parametrize("name", ["ablation_alpha", "search_ddaf"])
def test_a_file_without_a_version_is_read_and_says_the_same(name):
    there = json.loads((RECORDED / f"{name}.json").read_text())
    assert "version" not in there
    record = StudyRecord.read(there, "launch")
    assert record.describe() == {"version": FORMAT.version, **there}
    assert (record.name, record.launch, record.search_trouble) == (name, "launch", "")


def test_the_same_study_is_described_as_before(tmp_path):
    """All but what names the machine or the code: keys are those of before, too."""
    request, store = planned("ablation_alpha", tmp_path)
    plan = make_plan("ablation_alpha", request.study, "smoke", request.cells, store, store.local / "data")
    now, before = plan.record("c").describe(), json.loads((RECORDED / "ablation_alpha.json").read_text())
    for described in (now, before):
        described.pop("command")
        described["study"].pop("file")
        described["study"].pop("tables", None)  # not recorded then
    assert now == {"version": FORMAT.version, **before}


def older(**changes):
    """A file as the first versions wrote it, which said less."""
    there = json.loads((RECORDED / "ablation_alpha.json").read_text())
    for name in ("overrides", "experiment", "arms"):
        del there[name]
    for name in ("file", "content", "paper"):
        del there["study"][name]
    for name in ("kind", "options", "source", "extras"):
        del there["data"][name]
    there["study"].update(changes)
    return there


def test_what_the_first_versions_did_not_say_is_unknown():
    record = StudyRecord.read(older(columns=["ece"]), "launch")
    assert (record.paper, record.overrides, record.configs, record.data.kind) == ("DDAF", None, {}, None)
    assert record.columns == (record.metric, "ece")
    assert StudyRecord.read(older(source="DCJT, Table 3"), "launch").paper == "DCJT"


def test_an_extra_set_that_is_named_twice_is_one():
    there = older()
    extra = {"name": "B", "count": 3, "notes": []}
    there["data"]["extras"] = [extra, {**extra, "name": "C"}, extra]
    assert [e.name for e in StudyRecord.read(there, "launch").data.extras] == ["B", "C"]


def test_a_search_that_has_no_table_yet_has_its_axis_all_the_same():
    there = json.loads((RECORDED / "search_ddaf.json").read_text())
    there["cells"] = []
    there["study"]["axes"] = [axis for axis in there["study"]["axes"] if axis["name"] != "tuning"]
    record = StudyRecord.read(there, "launch")
    assert (record.axes[-1].name, record.axes[-1].levels) == ("tuning", ("default", "searched"))
    assert record.reference["tuning"] == "default"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda there: there.update(version=FORMAT.version + 1), "written by a newer raysweep"),
        (lambda there: there["data"].update(counts=[1, 2]), "counts"),
        (lambda there: there["study"].update(axes="alpha"), "."),
        (lambda there: there["cells"][0].update(replicate="first"), "replicate"),
        (lambda there: there.update(study=[]), "."),
    ],
)
def test_what_does_not_follow_the_contract_is_refused(change, what):
    there = json.loads((RECORDED / "ablation_alpha.json").read_text())
    change(there)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError), match=what):
        StudyRecord.read(there, "launch")


@pytest.mark.parametrize("search", [{"sampler": "tpe"}, [], 3, {"space": 1}])
def test_a_search_that_cannot_be_read_costs_its_page_and_not_the_table(search):
    there = json.loads((RECORDED / "search_ddaf.json").read_text())
    record = StudyRecord.read({**there, "search": search}, "launch")
    assert record.search is None
    assert record.search_trouble
    assert record.cells
