"""Reading from a real tracking store that the real writer filled."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.errors import UserError
from raysweep.report import list_results, load_results, summarise
from raysweep.report.results.load import headline_scores


@pytest.fixture
def small(fabricate):
    """Two arms, two replicates."""
    return fabricate(
        "small",
        {"alpha": ("0.5", "1")},
        {"alpha": "1"},
        lambda where: 0.5,
        replicates=2,
        epochs=3,
        columns=("macro_f1",),
    )


class TestWholeStudy:
    def test_plan_becomes_a_record(self, shared):
        study = shared.load("ablation_alpha").study
        assert (study.name, study.metric, study.reference) == ("ablation_alpha", "macro_f1", {"alpha": "1"})
        assert study.axes[0].levels == ("0", "0.3", "0.5", "0.7", "1")
        assert study.axes[0].numeric
        assert study.data.counts == (3000, 0, 800)
        assert study.replicates == (0, 1, 2, 3, 4)
        assert study.recipe["labels.alpha"] == "0.5"

    def test_cells_carry_what_was_written(self, shared, alpha):
        results = shared.load("ablation_alpha")
        assert not results.incomplete
        assert len({cell.run_id for cell in results.cells}) == 25
        for cell, planned in zip(results.cells, alpha.cells(), strict=True):
            assert (cell.arm, cell.replicate, cell.key) == (planned["arm"], planned["replicate"], planned["key"])
            written = alpha.result(planned).scores
            assert cell.scores == {name[5:]: value for name, value in written.items() if name.startswith("test/")}

    def test_history_is_read_on_demand(self, shared, alpha):
        cell = shared.load("ablation_alpha").cells[0]
        curve = [metrics["val/macro_f1"] for metrics in alpha.result(alpha.cells()[0]).history]
        assert list(cell.history("val/macro_f1")) == list(enumerate(curve, 1))
        assert list(cell.history("no/such")) == []

    def test_states(self, shared):
        by_name = {cell.name: cell for cell in shared.load("ablation_noise_rate").cells}
        failed, missing = by_name["noise=0.3, method=one-hot #4"], by_name["noise=0.3, method=Gaussian #3"]
        assert (failed.state, failed.cause) == ("failed", "DegenerateLoss: the loss became nan in epoch 3")
        assert (missing.state, missing.run_id, missing.scores) == ("missing", None, {})
        assert by_name["noise=0.3, method=one-hot #1"].degenerate
        assert by_name["noise=0, method=one-hot #0"].code_version == "0.1.0+0000000.dirty"

    @pytest.mark.parametrize("page", [1, 7, 25, 1000])
    def test_paging_loses_nothing(self, shared, page):
        """`search_runs` gives at most a page and says nothing of the rest."""
        assert shared.load("ablation_alpha", page=page).cells == shared.load("ablation_alpha").cells

    def test_list(self, shared):
        listed = {study.name: study for study in list_results(shared.uri)}
        assert listed.keys() == {"ablation_alpha", "ablation_noise_rate", "dcjt_methods"}
        noise = listed["ablation_noise_rate"]
        assert (noise.launches, noise.cells, noise.complete, noise.newest) == (1, 59, 58, "20260101-120000-aaaa")


class TestLaunches:
    def test_newest_plan_with_cells_of_an_earlier_launch(self, tracking, small):
        tracking.write(small, launch="first", when=1_000_000)
        more = replace(small, replicates=3, missing=tuple((arm.name, 2) for arm in small.arms))
        tracking.write(more, launch="second", when=2_000_000)
        results = tracking.load("small")
        assert results.study.launch == "second"
        assert [cell.state for cell in results.cells] == ["complete", "complete", "missing"] * 2
        assert len(tracking.load("small", launch="first").cells) == 4

    def test_a_launch_by_run_id(self, tracking, small):
        tracking.write(small, launch="first", when=1_000_000)
        experiment = tracking.client.get_experiment_by_name("small")
        (run,) = tracking.client.search_runs([experiment.experiment_id], "tags.`raysweep.kind` = 'launch'")
        assert tracking.load("small", launch=run.info.run_id).study.launch == "first"

    def test_running_and_stopped(self, tracking, small):
        arms = [arm.name for arm in small.arms]
        tracking.write(replace(small, running=((arms[0], 0),), stopped=((arms[1], 1),)))
        assert [cell.state for cell in tracking.load("small").cells] == ["running", "complete", "complete", "stopped"]

    def test_of_two_runs_of_a_cell_the_complete_one_is_read(self, tracking, small):
        tracking.write(small)
        experiment = tracking.client.get_experiment_by_name("small").experiment_id
        cell = small.cells()[0]
        tags = {"raysweep.kind": "cell", "raysweep.key": cell["key"], "raysweep.arm": cell["arm"]}
        tags |= {"raysweep.replicate": "0", "raysweep.state": "running"}
        tracking.client.create_run(experiment, tags=tags)
        results = tracking.load("small")
        assert (results.cells[0].state, results.cells[0].twins) == ("complete", 1)
        assert any("several runs" in remark for remark in summarise(results).remarks)


class TestMistakes:
    def test_unknown_study_names_the_nearest(self, shared):
        with pytest.raises(UserError, match=r"unknown study 'ablation_alhpa': did you mean 'ablation_alpha'"):
            shared.load("ablation_alhpa")

    def test_empty_store(self, tracking):
        with pytest.raises(UserError, match=r"no study yet; run: python -m raysweep\.run ablation_alpha"):
            tracking.load("ablation_alpha")

    def test_never_launched(self, tracking):
        tracking.client.create_experiment("empty")
        with pytest.raises(UserError, match="has not been launched yet"):
            tracking.load("empty")

    def test_unknown_launch(self, shared):
        with pytest.raises(UserError, match=r"unknown launch '20260101-120000-aaab': did you mean '20260101"):
            shared.load("ablation_alpha", launch="20260101-120000-aaab")

    def test_no_such_store(self, tmp_path):
        with pytest.raises(UserError, match="does not exist"):
            load_results("ablation_alpha", f"sqlite:///{tmp_path / 'none.db'}")

    def test_launch_without_its_plan(self, tracking, small):
        tracking.write(small)
        for plan in Path(tracking.folder).rglob("plan.json"):
            plan.unlink()
        with pytest.raises(UserError, match=r"has no readable plan\.json"):
            tracking.load("small")

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda plan: plan.pop("study"), "study"),
            (lambda plan: plan["study"].update(metric="f1"), "unknown score 'f1'"),
            (lambda plan: plan["data"].update(counts=[1, 2]), "not as expected"),
            (lambda plan: plan["cells"][0]["coordinates"].pop("alpha"), "does not lie on the axes alpha"),
        ],
    )
    def test_a_plan_that_breaks_the_contract(self, tracking, small, damage, words):
        tracking.write(small)
        (file,) = Path(tracking.folder).rglob("plan.json")
        plan = json.loads(file.read_text())
        damage(plan)
        file.write_text(json.dumps(plan))
        with pytest.raises(UserError, match=words):
            tracking.load("small")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_in_mlflow_does_not_count(tracking, small, value):
    tracking.write(small)
    before = tracking.load("small")
    tracking.client.log_metric(before.cells[0].run_id, "test/macro_f1", value, step=99)
    summary = summarise(tracking.load("small"))
    counts = [(arm.complete, arm.scores["macro_f1"].spread.n) for arm in summary.arms]
    assert counts == [(2, 1), (2, 2)]
    assert summary.arms[0].scores["macro_f1"].spread.mean == before.cells[1].scores["macro_f1"]
    assert "1 complete cell has no finite macro_f1 and is left out of its mean." in summary.remarks


def test_scores_that_are_not_finite_are_no_scores():
    assert headline_scores({"test/ece": float("nan"), "test/nll": float("inf"), "test/brier": 0.1}) == {"brier": 0.1}


def test_a_plan_of_the_real_study_is_read(squares):
    """`Plan.describe` is the other end of the contract."""
    from raysweep.study import find_study, make_cells
    from raysweep.study.plan import Plan

    name, study = find_study("ablation_noise_rate")
    cells = make_cells(study, "smoke", [0, 1], {})
    plan = Plan(name, study, "smoke", cells, squares, (squares,), {}, frozenset(), ())
    described = plan.record("python -m raysweep.run x").describe()
    record = StudyRecord.read(json.loads(json.dumps(described)), "launch")
    assert len(record.cells) == 24
    assert record.arms == [dict(arm.coordinates) for arm in study.arms()]
    assert record.compared_axis.name == "method"
    assert record.recipe["labels.statistics"] == "clean"
    assert [(extra.name, extra.count) for extra in record.data.extras] == [("squares", 120)]
