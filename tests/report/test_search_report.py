"""The report of a study that searches: trials through a real tracking store, tables, pages, and what is missing."""

import csv
import json
import re
from dataclasses import replace

import pytest

from raysweep.artifacts.study_record import StudyRecord
from raysweep.cli.report import main
from raysweep.report import Results, build_report, log_report, stale_files, summarise, summary_rows
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.search_page import page_data, search_page
from raysweep.report.results.searches import TrialRecord
from raysweep.report.tables.arms import results_table
from raysweep.report.tables.searches import points_table, searched_value, trials_csv
from raysweep.report.text.findings import reading
from raysweep.tracking import schema
from raysweep.tracking.writer import Writer
from tests.report.conftest import make_tracking, no_pictures
from tests.report.searching import example, searched, told, write_search_study, write_trial

TUNING_ONLY = {"tuning": ("default", "searched")}


@pytest.fixture(scope="module")
def store(migrated, tmp_path_factory):
    """One tracking store with the example study; tests read it."""
    tracking = make_tracking(migrated, tmp_path_factory.mktemp("search"))
    with pytest.MonkeyPatch.context() as patch:
        no_pictures(patch)
        return write_search_study(
            tracking, example(searches={"noise=0": searched(12, 0)[1], "noise=0.3": searched(5, 1)[1]})
        )


@pytest.fixture(scope="module")
def results(store):
    return store.load("search_example")


@pytest.fixture(scope="module")
def report(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return build_report("search_example", folder, store.uri), folder


class TestLoading:
    def test_trials_come_back_as_they_were_written(self, results):
        assert [search.arm for search in results.searches] == ["noise=0", "noise=0.3"]
        for search, (_, trials) in zip(results.searches, (searched(12, 0), searched(5, 1)), strict=True):
            assert len(search.trials) == len(trials)
            assert search.problems == ()
            for found, made in zip(search.trials, trials, strict=True):
                assert (found.number, found.state, found.seconds) == (made.number, made.state, made.seconds)
                assert dict(found.point) == made.point
                assert found.values == pytest.approx(made.values)
                assert dict(found.last) == pytest.approx(dict(made.last))
                assert found.cause == made.cause
                assert found.replicate == 100
                assert found.run_id

    def test_pages_of_trials_are_put_together(self, store, results):
        assert store.load("search_example", page=4).searches == results.searches

    def test_trials_of_other_launches_count_and_those_of_other_searches_do_not(self, tracking):
        """A search goes on in a second launch; a search of another name is none of ours."""
        _, trials = searched(6, 3, pruned=0, failed=0)
        study = example("two", axes=TUNING_ONLY, replicates=1, searches={"": trials[:3]})
        write_search_study(tracking, study)
        study.searches = {"": trials}
        study.write_trials(tracking.client, tracking.store, launch="20260102-120000-bbbb")
        other = example("other", axes=TUNING_ONLY, replicates=1, searches={"": trials[:1]})
        other.write_trials(tracking.client, tracking.store)
        (search,) = tracking.load("two", launch="20260101-120000-aaaa").searches
        assert [trial.number for trial in search.trials] == list(range(6))
        assert "counted 3 trials, but 6 can be read" in search.problems[0]

    def test_a_storage_that_was_begun_anew_hides_older_trials(self, tracking):
        trials = searched(2, 3, pruned=0, failed=0)[1]
        study = example("anew", axes=TUNING_ONLY, replicates=1, searches={"": trials})
        write_search_study(tracking, study)
        event = {**study.as_event("", trials[0]), "key": "f" * 64}
        better = replace(trials[0], values=(0.99,))
        write_trial(Writer(tracking.client, tracking.store), "anew", "later", 1_800_000_000_000, event, better)
        (search,) = tracking.load("anew", launch="20260101-120000-aaaa").searches
        assert [trial.values[0] for trial in search.trials] == [0.99, pytest.approx(trials[1].values[0])]

    def test_what_cannot_be_read_is_said(self, tracking):
        trials = searched(4, 3, pruned=0, failed=0)[1]
        study = example("broken", axes=TUNING_ONLY, replicates=1, searches={"": trials})
        write_search_study(tracking, study)
        experiment = tracking.client.get_experiment_by_name("broken").experiment_id
        runs = tracking.client.search_runs([experiment], f"tags.`{schema.KIND}` = 'trial'")
        runs = {run.data.tags[schema.TRIAL]: run.info.run_id for run in runs}
        tracking.client.set_tag(runs["0"], schema.POINT, "{not json")
        tracking.client.set_tag(runs["1"], schema.TRIAL, "one")
        tracking.client.log_metric(runs["2"], "validation/macro_f1", float("nan"), step=9)
        loaded = tracking.load("broken")
        (search,) = loaded.searches
        assert [trial.number for trial in search.trials] == [2, 3]
        said = " ".join(search.problems)
        assert "counted 4 trials, but 2 can be read" in said
        assert "its point is not JSON" in said
        assert f"run {runs['1']} has no trial number" in said
        assert "without a finite objective, and left out: trial 2" in said
        assert search.problems[0] in reading(summarise(loaded))

    def test_a_search_that_the_plan_does_not_describe_is_said(self, tracking, monkeypatch):
        study = example("odd", axes=TUNING_ONLY, replicates=1, searches={"": searched(2, 0)[1]})
        plan = study.plan()
        plan["search"]["space"] = {"labels.alpha": {"kind": "normal"}}
        monkeypatch.setattr(type(study), "plan", lambda self: plan)
        loaded = write_search_study(tracking, study).load("odd")
        assert loaded.study.search is None
        assert any("unknown kind 'normal'" in words for words in reading(summarise(loaded)))


class TestTable:
    def test_trials_and_device_hours_stand_beside_the_score(self, results):
        header, rows = summary_rows(summarise(results))
        assert header[:6] == ["noise", "tuning", "n", "trials", "device-hours", "macro-F1 ↑"]
        hours = sum(90 + i for i in range(12)) / 3600
        assert rows[0][2:5] == ["5", "–", "–"]
        assert rows[1][2:5] == ["5", "12", f"{hours:.2f}"]
        assert rows[3][3] == "5"

    def test_differences_are_paired_with_the_default(self, results):
        summary = summarise(results)
        by_arm = {arm.name: arm for arm in summary.arms}
        ours, theirs = (by_arm[f"noise=0, tuning={t}"].scores["macro_f1"] for t in ("searched", "default"))
        assert ours.comparison.n == 5
        differences = [ours.values[r] - theirs.values[r] for r in range(5)]
        assert ours.comparison.difference == pytest.approx(sum(differences) / 5)
        assert by_arm["noise=0, tuning=default"].is_reference

    def test_caption_says_how_points_were_selected(self, results):
        text = " ".join(results_table(summarise(results)).caption)
        assert "selected on validation images of replicate 100 by macro-F1 (TPE, ASHA prunes): 17 trials (" in text
        assert "optimistic by selection and is not in the table" in text
        assert "Then replicated over fresh seeds" in text

    def test_seeds_that_are_not_fresh_are_said(self, results):
        study = replace(results.study, search=replace(results.study.search, replicate=0))
        text = " ".join(results_table(summarise(Results(study, results.cells, results.searches))).caption)
        assert "its seeds are not fresh" in text

    def test_points(self, results):
        table = points_table(summarise(results))
        assert [column.full_title for column in table.columns] == [
            "arm", "field", "default", "found", "validation: macro-F1", "trial",
        ]  # fmt: skip
        best = max((t for t in results.searches[0].trials if t.values), key=lambda t: t.values[0])
        alpha = next(row for row in table.rows if row[0].text == "noise=0" and row[1].text == "labels.alpha")
        assert alpha[2].text == "0.25"
        assert alpha[3].text == f"{best.point['labels.alpha']:.4g}"
        assert alpha[4].value == pytest.approx(best.values[0])
        assert alpha[4].runs == (best.run_id,)
        assert alpha[5].text == str(best.number)
        assert {row[1].text for row in table.rows if row[0].text == "noise=0"} == set(best.point)
        assert "\\label{tab:search_example_points}" in table_latex(table)

    def test_trials_as_csv(self, results):
        lines = list(csv.DictReader(trials_csv(summarise(results)).splitlines()))
        assert len(lines) == 17
        first, trial = lines[0], results.searches[0].trials[0]
        assert float(first["validation macro_f1"]) == pytest.approx(trial.values[0], rel=1e-5)
        assert float(first["labels.alpha"]) == pytest.approx(trial.point["labels.alpha"], rel=1e-5)
        assert [line["chosen"] for line in lines].count("yes") == 2


class TestFiles:
    def test_everything_is_written(self, report):
        files, folder = report
        names = {path.relative_to(folder).as_posix() for path in files.search_paths}
        stem = "search_example"
        assert names >= {f"{stem}_search.html", f"{stem}_points.csv", f"{stem}_trials.csv"}
        for figure in ("history", "parallel", "slices"):
            assert names >= {f"figures/{stem}_search_{figure}.png", f"figures/{stem}_search_{figure}.pdf"}
        assert set(files.search_paths) < set(files.paths)
        assert all(path.is_file() for path in files.paths)
        assert next(path for path in files.paths if path.suffix == ".html").name == f"{stem}.html"

    def test_pictures_reach_the_run_of_the_launch(self, report, store):
        files, _ = report
        experiment = store.client.get_experiment_by_name("search_example").experiment_id
        (run,) = store.client.search_runs([experiment], f"tags.`{schema.KIND}` = 'launch'")
        count = log_report(files, lambda file, to: store.client.log_artifact(run.info.run_id, str(file), to))
        there = [file.path for file in store.client.list_artifacts(run.info.run_id, "search")]
        figures = store.client.list_artifacts(run.info.run_id, "report/figures")
        own = [file.path for file in store.client.list_artifacts(run.info.run_id, "report") if not file.is_dir]
        assert len(there) + len(own) + len(figures) == count
        assert len(own) + len(figures) == len(files.paths)
        assert "search/search_example_search.html" in there
        assert "search/search_example_search_history.png" in there

    def test_pages_show_and_link_the_search(self, report):
        _, folder = report
        markdown, page = ((folder / f"search_example.{kind}").read_text() for kind in ("md", "html"))
        for words in ("## Search", "| noise=0 ", "(search_example_search.html)", "search_example_search_parallel.png"):
            assert words in markdown
        assert '<a href="search_example_search.html">' in page
        assert "\\label{tab:search_example_points}" in (folder / "search_example_paper.tex").read_text()

    def test_check(self, report, store, capsys):
        _, folder = report
        parts = ["search_example", "--tracking", store.uri, "--out", str(folder), "--check"]
        assert main(parts) == 0
        file = folder / "search_example_trials.csv"
        before = file.read_text()
        file.write_text(before.replace("complete", "pruned", 1))
        try:
            assert main(parts) == 1
            assert "search_example_trials.csv (differs)" in capsys.readouterr().out
        finally:
            file.write_text(before)

    def test_a_page_to_explore_needs_nothing_else(self, report, results):
        _, folder = report
        text = (folder / "search_example_search.html").read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
        data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))
        assert [len(arm["trials"]) for arm in data["arms"]] == [12, 5]
        trial, made = data["arms"][0]["trials"][0], results.searches[0].trials[0]
        assert trial["values"] == pytest.approx(list(made.values), rel=1e-5)
        assert trial["places"][0] == pytest.approx(made.point["labels.alpha"], rel=1e-5)
        assert trial["run"] == made.run_id
        assert len(text) < 60_000


class TestWhatIsMissing:
    def test_a_search_without_replicates(self, tracking, tmp_path, capsys):
        """Stopped between the search and its replicates."""
        trials = searched(4, 0, pruned=0, failed=0)[1]
        study = example("early", axes=TUNING_ONLY, replicated=False, searches={"": trials},
                        arms_told={"": {"search": "early"}})  # fmt: skip
        write_search_study(tracking, study)
        parts = ["early", "--tracking", tracking.uri, "--out", str(tmp_path / "out")]
        assert main(parts) == 0
        out = capsys.readouterr().out
        best = max(trials, key=lambda trial: trial.values[0])
        assert "No replicate is planned yet" in out
        assert f"no point is chosen yet; the best so far is trial {best.number}" in out
        assert (tmp_path / "out" / "figures" / "early_search_history.png").is_file()
        assert main([*parts, "--check"]) == 0

    def test_a_plan_from_before_the_search_is_over(self, results):
        """No cell and no axis "tuning" yet: the table is empty, and has the columns it will have."""
        plan = example(axes={}, reference={}, replicated=False, searches={"": ()}).plan()
        record = StudyRecord.read(plan, "launch")
        assert [axis.name for axis in record.axes] == ["tuning"]
        assert record.reference == {"tuning": "default"}
        summary = summarise(Results(record, (), ()))
        assert results_table(summary).rows == ()
        assert reading(summary)[0].startswith("No replicate is planned yet")

    def test_an_arm_whose_search_failed(self, results):
        lost, kept = results.searches[1], results.searches[0]
        failed = tuple(TrialRecord(i, "failed", {}, cause="DegenerateLoss: nan", run_id=str(i)) for i in range(3))
        facts = replace(lost.told, number=None, values=(), point={}, counts={"trials": 3, "failed": 3})
        cells = tuple(c for c in results.cells if c.arm != "noise=0.3, tuning=searched")
        summary = summarise(Results(results.study, cells, (kept, replace(lost, told=facts, trials=failed))))
        said = "Search of noise=0.3 found no point: 3 trials (3 failed), none with a score: DegenerateLoss: nan."
        assert any(words.startswith(said) for words in reading(summary))
        assert any(text.startswith(said) for _, text in results_table(summary).notes)
        assert points_table(summary).rows[-1][0].text == "noise=0.3"
        assert page_data(results.study.search, summary.searches)["arms"][1]["trials"][0]["state"] == "failed"

    def test_no_trial_at_all(self, tracking, tmp_path):
        study = example("nothing", axes=TUNING_ONLY, replicated=False, searches={"": ()},
                        arms_told={"": {"search": "nothing"}})  # fmt: skip
        write_search_study(tracking, study)
        report = build_report("nothing", tmp_path / "out", tracking.uri)
        assert "Search: no trial is in MLflow yet." in report.reading
        assert not (tmp_path / "out" / "nothing_search.html").exists()
        assert stale_files(tracking.load("nothing"), tmp_path / "out") == []

    def test_hostile_words_stay_words(self, results):
        hostile = "</script><script>alert(1)</script>"
        trials = (TrialRecord(0, "complete", {"labels.method": hostile}, (0.5,), cause=hostile),)
        search = replace(results.searches[0], trials=trials)
        study = replace(results.study, title=hostile)
        page = search_page(summarise(Results(study, results.cells, (search,))))
        assert page.count("<script") == 2
        assert "alert(1)</script>" not in page


def test_what_a_launch_tells_is_what_it_wrote():
    """The fixture counts as the contract says."""
    facts = told(searched(12, 0)[1], "s")
    assert facts["trials"] == facts["complete"] + facts["pruned"] + facts["failed"] == 12


def test_the_default_of_what_is_searched_in_shares_is_a_share():
    config = {
        "joint.frequency": "2.0",
        "train.decay_every": "4",
        "joint.warm_up": "0.25",
        "train.epochs": "16",
        "labels.method": "gaussian",
    }
    assert [searched_value(config, path) for path in config] == ["0.125", "0.25", "0.25", "16", "gaussian"]
