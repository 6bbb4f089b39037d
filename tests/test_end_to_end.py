"""The main job with real processes: Ray, Tune, Train, MLflow and the report, from one command line."""

import json
import os
import re
import socket

import pytest

from tests.several_launches import run_all

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SWEEP = ["ablation_alpha", "--preset", "smoke", "--axis", "train.learning_rate=0.003,1e30", "--axis", "alpha=0.5,1"]
REPORT = ["report", "ablation_alpha", "--out", "again"]


def runs_of(folder, study):
    """Every MLflow run of a study, by name."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=500)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """One smoke sweep over alpha, with arms that cannot be trained; then again, and what a report makes of it."""
    folder = tmp_path_factory.mktemp("sweep")
    again = ["run", *SWEEP, "--json"]
    commands = [["run", *SWEEP], again, [*again, "--retry-failed"], REPORT, [*REPORT, "--check"]]
    return folder, run_all(folder, commands, RAY_OVERRIDE_RESOURCES='{"CPU": 1}')  # a second process: ten seconds more


def test_a_failing_cell_is_told_with_its_cause_and_the_others_finish(swept):
    folder, (first, *_) = swept
    assert first.code == 1
    assert first.stdout.count("the loss became") >= 2
    assert "2 of 4 cells done" in first.stdout
    _, runs = runs_of(folder, "ablation_alpha")
    assert runs["alpha=1, learning_rate=0.003 #0"].info.status == "FINISHED"
    failed = runs["alpha=1, learning_rate=1e+30 #0"]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["raysweep.cause"].startswith("DegenerateLoss: the loss became")


def test_mlflow_shows_what_a_researcher_compares(swept):
    folder, _ = swept
    client, runs = runs_of(folder, "ablation_alpha")
    cell = runs["alpha=0.5, learning_rate=0.003 #0"]
    assert cell.data.params["labels.alpha"] == "0.5"
    assert cell.data.tags["raysweep.state"] == "complete"
    for name in ("study", "arm", "replicate", "key", "code_version", "data_fingerprint", "noise_hash", "weights_hash"):
        assert cell.data.tags[f"raysweep.{name}"]
    product = folder / ".raysweep" / "stages" / cell.data.tags["raysweep.key"]
    manifest = json.loads((product / "manifest.json").read_text())
    assert cell.data.tags["raysweep.host"] == manifest["host"] == socket.gethostname()
    assert [m.step for m in client.get_metric_history(cell.info.run_id, "val/macro_f1")] == [1, 2]
    for score in ("accuracy", "macro_f1", "rmse_valence", "ccc_arousal", "ece", "nll", "brier", "kl_votes"):
        assert f"test/{score}" in cell.data.metrics
        assert f"test_best/{score}" in cell.data.metrics
        assert f"test_swa/{score}" in cell.data.metrics
    artifacts = {file.path for file in client.list_artifacts(cell.info.run_id)}
    assert {"config.json", "confusion.png", "va_scatter.png", "result.json", "predictions.npz"} <= artifacts
    launches = {r.info.run_id for r in runs.values() if r.data.tags["raysweep.kind"] == "launch"}
    assert cell.data.tags["mlflow.parentRunId"] in launches


def test_the_table_has_the_papers_numbers_and_marks_what_failed(swept):
    folder, _ = swept
    page = (folder / "reports" / "ablation_alpha" / "ablation_alpha.md").read_text()
    assert "failed" in page
    assert (folder / "reports" / "ablation_alpha" / "ablation_alpha_paper.tex").read_text().count("toprule") >= 1


def test_the_same_command_again_trains_nothing_and_says_what_failed(swept):
    _, (_, again, *_) = swept
    (told,) = again.told
    assert again.code == 1
    assert told["done"] == 2
    assert told["trained"] == {}
    assert len(told["failed"]) == 2
    assert "--retry-failed" in again.stdout + again.stderr


def test_only_when_asked_a_failed_cell_is_taken_up_again(swept):
    folder, (_, again, retried, *_) = swept
    assert retried.code == 1
    assert retried.told[0]["done"] == 2
    assert retried.told[0]["failed"] == again.told[0]["failed"]
    client, _ = runs_of(folder, "ablation_alpha")
    experiment = client.get_experiment_by_name("ablation_alpha").experiment_id
    cells = client.search_runs([experiment], "tags.`raysweep.kind` = 'cell'")
    assert len(cells) == 4  # no cell is recorded twice


def test_the_report_is_rebuilt_from_mlflow_alone(swept):
    folder, (*_, built, checked) = swept
    assert (built.code, checked.code) == (0, 0)
    out = folder / "again"
    ours = folder / "reports" / "ablation_alpha"
    assert (out / "ablation_alpha.csv").read_bytes() == (ours / "ablation_alpha.csv").read_bytes()


GROUPS = """
from raysweep.study import Axis, Study
study = Study(
    title="Cells on two devices",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate", "train.epochs": 2},
    axes=[Axis("training", {
        "several stages": {"joint.method": "dcjt"},
        "diverges": {"joint.method": "target", "train.learning_rate": 1e30, "objective.weight_va": 0.0},
    })],
)
"""


GROUPED = ["run", "groups.py", "--preset", "smoke", "--json", "--devices-per-trial"]
needs_two_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


@needs_two_cores
def test_a_cell_on_two_devices_trains_in_a_worker_group(tmp_path):
    """Ranks that labelled images each for itself would cut different batches, and wait for each other for ever."""
    (tmp_path / "groups.py").write_text(GROUPS)
    refused, done = run_all(tmp_path, [[*GROUPED, "1000"], [*GROUPED, "2", "--axis", "training=several stages"]])
    assert refused.code == 2
    assert re.search(rf"needs 1000 devices, but the cluster has {os.cpu_count()} CPU", refused.stderr)
    assert done.code == 0, done
    (told,) = done.told
    assert told["done"] == 1, (told["failed"], told["stopped"])
    assert told["trained"]["M_A"] == {"pieces": 1, "epochs": 2}
    _, runs = runs_of(tmp_path, "groups")
    cell = runs["training=several stages #0"]
    assert cell.data.tags["raysweep.state"] == "complete"
    assert cell.data.tags["raysweep.device"].endswith(" x2")
    launches = [run for run in runs.values() if run.data.tags["raysweep.kind"] == "launch"]
    assert len(launches) == 1  # what was refused has left nothing


@needs_two_cores
@pytest.mark.full
def test_a_group_that_fails_says_its_cause(tmp_path):
    (tmp_path / "groups.py").write_text(GROUPS)
    (done,) = run_all(tmp_path, [[*GROUPED, "2"]])
    assert done.code == 1, done
    (told,) = done.told
    assert told["done"] == 1, (told["failed"], told["stopped"])
    assert told["failed"]["training=diverges #0"].startswith("DegenerateLoss: the loss became")
