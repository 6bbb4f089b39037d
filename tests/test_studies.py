"""Every study in `search_spaces/` runs from the command line in the smoke preset, on real Ray and MLflow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raysweep.study import find_study, list_studies

RUNNER = """
import contextlib, io, json, sys
from raysweep.run import main
for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*words, "--preset", "smoke", "--json"])
    told, text = [], out.getvalue().strip()
    while text:  # an object a data set
        value, end = json.JSONDecoder().raw_decode(text)
        told, text = [*told, value], text[end:].strip()
    print(json.dumps({"code": code, "told": told}), flush=True)
"""
"""Several launches in one process, one after another: torch, ray and mlflow are imported once."""

MAPPING = ["dcjt_mapping"]
TWO_SETS = ["ablation_alpha", "--axis", "alpha=0.5,1", "--set", "train.epochs=1", "--on", "faces", "faces-b-none"]
TWO_MAPS = [*MAPPING, "--axis", "mapping=none,GCLM"]
FEWER = {
    "ablation_noise_rate": ["--axis", "noise=0,0.3"],
    "ablation_votes": ["--axis", "noise=0,0.3"],
    "dcjt_methods": ["--axis", "shift=moderate,strong"],
}
"""The largest studies at some of their levels: the others differ by a number."""

LAUNCHES = {
    "two maps": TWO_MAPS,
    "two maps again": TWO_MAPS,
    "one more map": MAPPING,
    **{
        name: [name, *FEWER.get(name, [])]
        for name in list_studies()
        if name not in ("dcjt_mapping", "ablation_alpha") and find_study(name)[1].search is None
    },
}


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """The folder of all launches, what each told at its end, and what one on two data sets told."""
    folder = tmp_path_factory.mktemp("studies")
    command = [sys.executable, "-c", RUNNER, json.dumps([*LAUNCHES.values(), TWO_SETS])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"code"')]
    assert len(told) == len(LAUNCHES) + 1, done.stderr[-3000:]
    ended = {name: {**one, "told": one["told"][0]} for name, one in zip(LAUNCHES, told, strict=False)}
    return folder, ended, told[-1]


@pytest.mark.timeout(1850)
@pytest.mark.parametrize("name", list(LAUNCHES))
def test_every_study_runs_and_reports(launches, name):
    folder, ended, _ = launches
    assert ended[name]["code"] == 0, ended[name]
    told = ended[name]["told"]
    assert told["done"] == told["distinct_cells"]
    study = find_study(LAUNCHES[name][0])[1]
    table = next(Path(folder, file) for file in told["files"] if file.endswith(".md")).read_text()
    assert study.title in table
    assert all(f"| {level} |" in table or f" {level} " in table for level in study.axes[-1].levels)


def test_several_data_sets_have_a_table_each_and_one_together(launches):
    folder, _, ended = launches
    assert ended["code"] == 0
    assert [(told["data"], told["done"]) for told in ended["told"]] == [("faces", 2), ("faces-b-none", 2)]
    reports = folder / "reports" / "ablation_alpha"
    tables = [(reports / name / "ablation_alpha.md").read_text() for name in ("faces", "faces-b-none")]
    assert tables[0] != tables[1]
    together = (reports / "ablation_alpha_together.md").read_text()
    assert all(f"| {name} " in together for name in ("faces", "faces-b-none"))


def test_what_is_trained_is_what_was_planned(launches):
    for name, ended in launches[1].items():
        planned = {title: work["epochs"] for title, work in ended["told"]["trainings"].items()}
        trained = {title: work["epochs"] for title, work in ended["told"]["trained"].items()}
        assert trained == planned, name


def test_the_models_of_steps_1_and_2_are_trained_once_for_the_whole_table(launches):
    first, again, more = (launches[1][name]["told"] for name in ("two maps", "two maps again", "one more map"))
    assert first["trained"]["M_A"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["M_B on all of B"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["M_B on the subset"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["joint"]["pieces"] == 8
    assert again["trained"] == {}
    assert set(more["trained"]) == {"joint"}
    assert more["trained"]["joint"]["pieces"] == 4


def test_a_finished_training_serves_other_studies(launches):
    """M_A of `dcjt_mapping` is the target-only arm of `dcjt_methods`; its DCJT arm is there, too."""
    methods = launches[1]["dcjt_methods"]["told"]
    assert "M_A" not in methods["trained"]
    assert methods["trained"]["target"]["pieces"] == 1  # SCN's; the plain one was M_A
    assert methods["trained"]["joint"]["pieces"] == 1  # strong shift; moderate was there


def test_every_run_is_closed_and_says_so(launches):
    """Arms that share a warm-up tell of it again: a cell that is complete stays complete."""
    from mlflow import MlflowClient

    folder = launches[0]
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for study in ("dcjt_mapping", "ablation_warmup", "dcjt_finetune"):
        experiment = client.get_experiment_by_name(study)
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
        assert {run.info.status for run in runs} == {"FINISHED"}, study
        cells = [run for run in runs if run.data.tags["raysweep.kind"] == "cell"]
        assert {run.data.tags["raysweep.state"] for run in cells} == {"complete"}
        for run in cells:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, "val/accuracy")]
            assert steps == list(range(1, 11)), run.info.run_name  # a whole curve, once
    trainings = [run for run in runs if run.data.tags["raysweep.kind"] == "training"]
    assert {run.data.tags["raysweep.title"] for run in trainings} >= {"extra", "combination"}


def test_pictures_of_the_labels_come_with_the_cell(launches):
    from mlflow import MlflowClient

    folder = launches[0]
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("dcjt_mapping")
    for run in client.search_runs([experiment.experiment_id], "tags.`raysweep.arm` LIKE '%mapping=EDCLM%'"):
        artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"labels.npz", "labels_va.png", "labels_truth.png"} <= artifacts
        assert 0 < run.data.metrics["labels/kept_share"] < 1


def test_attention_comes_with_the_cell_and_stands_in_the_report(launches):
    from mlflow import MlflowClient

    folder = launches[0]
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("ablation_noise_rate")
    cells = client.search_runs([experiment.experiment_id], "tags.`raysweep.kind` = 'cell'")
    for run in cells:
        assert {"attention.npz", "attention.png"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
        assert "raysweep.pictures" not in run.data.tags
    page = (folder / "reports" / "ablation_noise_rate" / "ablation_noise_rate.md").read_text()
    assert "figures/ablation_noise_rate_attention.png" in page
    assert "Pearson's correlation between the map of an image at noise=0 and at a further level" in page
