"""The main job with real processes: Ray, Tune, Train, MLflow and the report, from one command line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "raysweep.run"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def run(folder: Path, *words: str, check: int | None = 0, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*RUN, *words], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert check is None or done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def runs_of(folder: Path, study: str):
    """Every MLflow run of a study, by name."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=500)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """One smoke sweep over alpha, with an arm that cannot be trained."""
    folder = tmp_path_factory.mktemp("sweep")
    words = ["ablation_alpha", "--preset", "smoke", "--axis", "train.learning_rate=0.003,1e30", "--axis", "alpha=0.5,1"]
    return folder, words, run(folder, *words, check=1)


def test_a_failing_cell_is_told_with_its_cause_and_the_others_finish(swept):
    folder, _, done = swept
    assert done.stdout.count("the loss became") >= 2
    assert "2 of 4 cells done" in done.stdout
    _, runs = runs_of(folder, "ablation_alpha")
    assert runs["alpha=1, learning_rate=0.003 #0"].info.status == "FINISHED"
    failed = runs["alpha=1, learning_rate=1e+30 #0"]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["raysweep.cause"].startswith("DegenerateLoss: the loss became")


def test_mlflow_shows_what_a_researcher_compares(swept):
    folder, _, _ = swept
    client, runs = runs_of(folder, "ablation_alpha")
    cell = runs["alpha=0.5, learning_rate=0.003 #0"]
    assert cell.data.params["labels.alpha"] == "0.5"
    assert cell.data.tags["raysweep.state"] == "complete"
    for name in ("study", "arm", "replicate", "key", "code_version", "data_fingerprint", "noise_hash", "weights_hash"):
        assert cell.data.tags[f"raysweep.{name}"]
    assert [m.step for m in client.get_metric_history(cell.info.run_id, "val/macro_f1")] == [1, 2]
    for score in ("accuracy", "macro_f1", "rmse_valence", "ccc_arousal", "ece", "nll", "brier", "kl_votes"):
        assert f"test/{score}" in cell.data.metrics
        assert f"test_best/{score}" in cell.data.metrics
        assert f"test_swa/{score}" in cell.data.metrics
    artifacts = {file.path for file in client.list_artifacts(cell.info.run_id)}
    assert {"config.json", "confusion.png", "va_scatter.png", "result.json", "predictions.npz"} <= artifacts
    launches = [r for r in runs.values() if r.data.tags["raysweep.kind"] == "launch"]
    assert cell.data.tags["mlflow.parentRunId"] == launches[0].info.run_id


def test_the_table_has_the_papers_numbers_and_marks_what_failed(swept):
    folder, _, _ = swept
    page = (folder / "reports" / "ablation_alpha" / "ablation_alpha.md").read_text()
    assert "failed" in page
    assert (folder / "reports" / "ablation_alpha" / "ablation_alpha.tex").read_text().count("toprule") >= 1


def test_the_same_command_again_trains_only_what_failed(swept):
    folder, words, _ = swept
    before = {name: r.info.run_id for name, r in runs_of(folder, "ablation_alpha")[1].items() if "#" in name}
    done = run(folder, *words, "--json", check=1)
    told = json.loads(done.stdout)
    assert told["done"] == 2
    assert len(told["failed"]) == 2
    after = {name: r.info.run_id for name, r in runs_of(folder, "ablation_alpha")[1].items() if "#" in name}
    assert after == before  # no cell is recorded twice


def test_the_report_is_rebuilt_from_mlflow_alone(swept):
    folder, _, _ = swept
    out = folder / "again"
    command = [sys.executable, "-m", "raysweep.report", "ablation_alpha", "--out", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=200)
    check = [*command, "--check"]
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True, timeout=200).returncode == 0
    (out / "ablation_alpha.csv").write_text("something else\n")
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True, timeout=200).returncode == 1


def test_more_devices_than_there_are_is_refused_before_launch(tmp_path):
    done = run(tmp_path, "ablation_alpha", "--preset", "smoke", "--devices-per-trial", "1000", check=2)
    cores = os.cpu_count()
    assert re.search(rf"asks for 1000 devices, but the cluster has {cores} CPU", done.stderr)
    assert not (tmp_path / ".raysweep" / "journal").exists()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_cells_on_two_devices_train_in_worker_groups_and_fail_with_their_cause(tmp_path):
    words = ["--preset", "smoke", "--axis", "alpha=1", "--axis", "train.learning_rate=0.003,1e30"]
    done = run(tmp_path, "ablation_alpha", *words, "--devices-per-trial", "2", check=1)
    assert "FAILED alpha=1, learning_rate=1e+30 #0: DegenerateLoss: the loss became" in done.stdout
    _, runs = runs_of(tmp_path, "ablation_alpha")
    cell = runs["alpha=1, learning_rate=0.003 #0"]
    assert cell.data.tags["raysweep.state"] == "complete"
    assert cell.data.tags["raysweep.device"].endswith(" x2")


ONE_CELL = """
from raysweep.study import Axis, Study

study = Study(
    title="The whole method",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate"},
    axes=[Axis.of("joint.method", ["dcjt"])],
)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_a_method_of_several_stages_on_two_devices(tmp_path):
    """Ranks that labelled images each for itself would cut different batches, and wait for each other for ever."""
    (tmp_path / "one_cell.py").write_text(ONE_CELL)
    words = ["--preset", "smoke", "--set", "train.epochs=4", "--devices-per-trial", "2", "--json"]
    done = run(tmp_path, "one_cell.py", *words, seconds=550)
    told = json.loads(done.stdout)
    assert told["done"] == 1
    assert told["trained"]["M_A"] == {"pieces": 1, "epochs": 4}


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(tmp_path):
    words = ["ablation_alpha", "--preset", "smoke", "--axis", "alpha=0,1", "--set", "train.epochs=24"]
    process = subprocess.Popen(
        [*RUN, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    partial = tmp_path / ".raysweep" / "partial"
    deadline = time.monotonic() + 120
    while not list(partial.glob("*/fit.pt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = descendants(process.pid)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "To go on:" in output
    deadline = time.monotonic() + 15
    while alive(children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(children)
    _, runs = runs_of(tmp_path, "ablation_alpha")
    assert {r.info.status for r in runs.values()} == {"KILLED"}
    undisturbed = run(tmp_path, *words, "--store", "fresh", "--tracking", "sqlite:///other.db", "--json")
    resumed = run(tmp_path, *words, "--json")
    keys = json.loads(resumed.stdout)["cell_keys"].values()
    assert set(keys) == set(json.loads(undisturbed.stdout)["cell_keys"].values())
    for key in keys:
        ours, theirs = (
            json.loads((tmp_path / store / "stages" / key / "result.json").read_text())
            for store in (".raysweep", "fresh")
        )
        assert ours["facts"]["weights_hash"] == theirs["facts"]["weights_hash"]
    assert {r.info.status for name, r in runs_of(tmp_path, "ablation_alpha")[1].items() if "#" in name} == {"FINISHED"}


def descendants(pid: int) -> set[int]:
    """Process numbers below `pid`, from /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
    found, frontier = set(), {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run (a zombie does not)."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.add(pid)
    return running
