"""`STUDY_results.json` and the foot of the page: every number with what it comes from."""

import csv
import json
import math
import statistics

import pytest
import scipy.stats
from mlflow.entities import Metric

from raysweep.report import load_results, summarise, write_report
from raysweep.report.results.arm_runs import arm_runs
from raysweep.report.results.provenance import provenance
from raysweep.report.text.provenance import provenance_words
from raysweep.tracking import schema
from raysweep.tracking.writer import Writer

STEM = "ablation_noise_rate"


@pytest.fixture(scope="module")
def document(written):
    return json.loads((written[STEM][1] / f"{STEM}_results.json").read_text())


def test_every_planned_cell_with_its_run_seeds_code_data_and_device(document, shared):
    results = shared.load(STEM)
    assert document["version"] == 1
    assert len(document["cells"]) == len(results.cells) == 60
    for told, cell in zip(document["cells"], results.cells, strict=True):
        assert (told["run"], told["state"], told["key"]) == (cell.run_id, cell.state, cell.key)
        run = shared.client.get_run(cell.run_id) if cell.run_id else None
        logged = (
            {n.removeprefix("test/"): v for n, v in run.data.metrics.items() if n.startswith("test/")} if run else {}
        )
        assert told["scores"] == pytest.approx(logged, rel=1e-5)
        assert told["device"] == ("x86_64" if cell.complete else "")
    dirty = next(told for told in document["cells"] if told["replicate"] == 0)
    assert dirty["code"] == {"version": "0.1.0+0000000.dirty", "commit": "0000000", "clean": False}
    failed = next(told for told in document["cells"] if told["state"] == "failed")
    assert failed["cause"].startswith("DegenerateLoss")
    missing = next(told for told in document["cells"] if told["state"] == "missing")
    assert missing["run"] is None
    assert missing["hours"] is None


def test_means_and_runs_agree_with_the_cells(document):
    cells = {(told["arm"], told["replicate"]): told for told in document["cells"] if told["state"] == "complete"}
    assert len(document["scores"]) == 12 * 3
    for told in document["scores"]:
        own = [cells[told["arm"], value["replicate"]] for value in told["values"]]
        values = [cell["scores"][told["score"]] for cell in own]
        assert told["n"] == len(values)
        assert told["mean"] == pytest.approx(statistics.fmean(values), rel=1e-5)
        assert told["std"] == pytest.approx(statistics.stdev(values), rel=1e-3)
        assert told["runs"] == [cell["run"] for cell in own]


def test_every_number_of_the_tables_names_its_runs(document, written):
    runs = {told["run"] for told in document["cells"]}
    table = next(table for table in document["tables"] if table["label"] == STEM)
    numbers = [entry for row in table["rows"] for entry in row if isinstance(entry, dict)]
    assert len(numbers) == 12 * 3 + 9 - 1  # scores, and differences but for one arm without a shared replicate
    assert all(entry["runs"] and set(entry["runs"]) <= runs for entry in numbers)


def test_differences_are_those_of_the_csv_file(document, written):
    with (written[STEM][1] / f"{STEM}.csv").open() as stream:
        rows = {(f"noise={row['noise']}, method={row['method']}", row["score"]): row for row in csv.DictReader(stream)}
    told = [score for score in document["scores"] if score["comparison"]]
    assert len(told) == 8 * 3
    for score in told:
        row, comparison = rows[score["arm"], score["score"]], score["comparison"]
        for name in ("difference", "low", "high", "p"):
            assert float(row[name]) == comparison[name]


def test_no_path_of_this_machine_and_nothing_that_is_not_a_number(tracking, fabricate, tmp_path):
    study = fabricate("odd", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=2, epochs=1)
    study.recipe = {"data.source": str(tmp_path / "secret" / "faces.csv")}
    tracking.write(study)
    run = tracking.load("odd").cells[0].run_id
    tracking.client.log_batch(run, [Metric("test/ece", math.inf, 1, 1)])
    write_report(tracking.load("odd"), tmp_path / "out")
    text = (tmp_path / "out" / "odd_results.json").read_text()
    assert "secret" not in text
    json.loads(text, parse_constant=pytest.fail)


class TestTime:
    """Hand-computed device-hours."""

    def study(self, tracking, fabricate, tags=(), **more):
        study = fabricate("timed", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=2, epochs=4)
        for name, value in more.items():
            setattr(study, name, value)
        tracking.write(study)  # four epochs of one second in each complete cell
        return load_results("timed", tracking.uri)

    def test_epochs_of_complete_cells(self, tracking, fabricate):
        results = self.study(tracking, fabricate)
        for cell in results.cells:
            tracking.client.set_tag(cell.run_id, schema.SHARED_EPOCHS, "")
        made = provenance(load_results("timed", tracking.uri))
        assert made.hours == {"complete cells": pytest.approx(4 * 4 / 3600)}
        assert made.untimed == 0

    def test_shared_epochs_cost_nothing_and_several_devices_cost_more(self, tracking, fabricate):
        results = self.study(tracking, fabricate, devices={0: "NVIDIA H100 x2", 1: "NVIDIA H100"})
        for cell in results.cells:
            tracking.client.set_tag(cell.run_id, schema.SHARED_EPOCHS, "1-2" if cell.replicate else "3")
        made = provenance(load_results("timed", tracking.uri))
        assert made.hours["complete cells"] == pytest.approx((2 * 3 * 2 + 2 * 2) / 3600)

    def test_failed_cells_and_shared_trainings_are_counted_apart(self, tracking, fabricate):
        results = self.study(tracking, fabricate, failed={("kind=b", 1): "nan"})
        failed = next(cell for cell in results.cells if cell.state == "failed")
        for cell in results.cells:
            tracking.client.set_tag(cell.run_id, schema.SHARED_EPOCHS, "")
        tracking.client.log_batch(failed.run_id, [Metric("seconds", 7.0, 1, step) for step in (1, 2)])
        experiment = tracking.client.get_experiment_by_name("timed").experiment_id
        for fingerprint in ("f" * 16, "another"):
            tags = {schema.KIND: "training", schema.DATA_FINGERPRINT: fingerprint}
            run = tracking.client.create_run(experiment, tags=tags).info.run_id
            tracking.client.log_batch(run, [Metric("seconds", 5.0, 1, step) for step in (1, 2, 3)])
        made = provenance(load_results("timed", tracking.uri))
        assert made.hours == {
            "complete cells": pytest.approx(12 / 3600),
            "failed cells": pytest.approx(14 / 3600),
            "trainings that cells share": pytest.approx(15 / 3600),
        }

    @pytest.mark.parametrize("tag", ["1-", "x", "9" * 5000, "1-99999999999", "-"])
    def test_a_tag_that_somebody_edited(self, tracking, fabricate, tag):
        results = self.study(tracking, fabricate)
        tracking.client.set_tag(results.cells[0].run_id, schema.SHARED_EPOCHS, tag)
        assert load_results("timed", tracking.uri).cells[0].spent() >= 0


def test_the_foot_of_the_page(shared, written):
    results = shared.load(STEM)
    words = dict(provenance_words(results, provenance(results)))
    assert words["Code"].startswith("raysweep 0.1.0, commit 0000000, with uncommitted changes (")
    assert "commit 1a2b3c4, clean (46 cells)" in words["Code"]
    assert "faces (fingerprint ffffffffffffffff)" in words["Data"]
    assert words["Devices"] == "x86_64."
    assert "--seeds 5" in words["Launch"]
    page = (written[STEM][1] / f"{STEM}.html").read_text()
    assert "<dt>Device-hours</dt>" in page


def test_runs_of_arms_have_the_tables_numbers_and_are_no_cells(tracking, fabricate):
    study = fabricate("armed", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=3, epochs=1)
    study.failed = {("kind=b", 1): "nan"}
    before = tracking.write(study).load("armed")
    arms = arm_runs(summarise(before))
    Writer(tracking.client, tracking.store).log_arms("armed", before.study.launch, arms)
    experiment = tracking.client.get_experiment_by_name("armed").experiment_id
    runs = tracking.client.search_runs([experiment], "tags.`raysweep.kind` = 'arm'")
    found = {run.data.tags[schema.ARM]: run for run in runs}
    assert found["kind=b"].info.run_name == "kind=b, mean of 2 (2 of 3 cells)"
    values = [c.scores["macro_f1"] for c in before.cells if c.arm == "kind=b" and c.complete]
    half = scipy.stats.t.ppf(0.975, 1) * scipy.stats.sem(values)
    told, mean = found["kind=b"].data.metrics, statistics.fmean(values)
    assert told["n/macro_f1"] == 2
    assert told["std/macro_f1"] == pytest.approx(statistics.stdev(values))
    assert (told["ci_low/macro_f1"], told["ci_high/macro_f1"]) == pytest.approx((mean - half, mean + half))
    after = tracking.load("armed")
    assert [cell.run_id for cell in after.cells] == [cell.run_id for cell in before.cells]
    assert provenance(after) == provenance(before)
