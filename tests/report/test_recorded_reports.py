"""Reports of recorded launches stay as they are, byte for byte, but for pictures: their bytes depend on Matplotlib.

`recorded/STUDY.zip` has the runs of a launch (tags, parameters, metrics and times in `runs.json`, a folder of artifacts
a run), which any version of MLflow can be given, and `recorded/STUDY/` the files of its report.

To write those anew: `RAYSWEEP_RECORD=1 python -m pytest tests/report/test_recorded_reports.py`; then read their diff.
"""

import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import Metric, Param

from raysweep.report import write_report, write_together
from tests.report.conftest import make_tracking

RECORDED = Path(__file__).parent / "recorded"
TEXTS = {".md", ".html", ".tex", ".csv", ".json"}


def restored(tracking, study):
    """Write the recorded runs of a study into a tracking store. Returns MLflow's new run ids with the recorded ones."""
    with zipfile.ZipFile(RECORDED / f"{study}.zip") as archive:
        archive.extractall(tracking.folder / study)
    client, given = tracking.client, {}
    experiment = client.create_experiment(study, artifact_location=(tracking.folder / "artifacts").as_uri())
    for run in json.loads((tracking.folder / study / "runs.json").read_text(encoding="utf-8")):
        tags = {name: given.get(value, value) for name, value in run["tags"].items()}  # the parent is a run, too
        made = given[run["run"]] = client.create_run(experiment, run["start"], tags).info.run_id
        curves, params = run["metrics"].items(), run["params"].items()
        metrics = [Metric(name, value, when, step) for name, curve in curves for step, when, value in curve]
        client.log_batch(made, metrics, [Param(name, value) for name, value in params])
        if (artifacts := tracking.folder / study / run["run"]).is_dir():
            client.log_artifacts(made, str(artifacts))
        client.set_terminated(made, run["status"], run["end"])
    return {made: recorded for recorded, made in given.items()}


def texts(folder, ids):
    """Name to content of a report's files, with the recorded run ids and without the bytes of pictures."""
    found = {}
    for file in sorted(folder.iterdir()):
        if file.suffix in TEXTS and file.name[0] != ".":
            text = re.sub(r'(?<=src="data:image/png;base64,)[^"]*', "", file.read_bytes().decode())
            found[file.name] = re.sub(r"(?:\b|(?<=%22))[0-9a-f]{32}\b", lambda m: ids.get(m[0], m[0]), text)
    return found


def compare(name, folder, ids):
    """With the recorded report; or record this one."""
    made, recorded = texts(folder, ids), RECORDED / name
    if os.environ.get("RAYSWEEP_RECORD"):
        recorded.mkdir(exist_ok=True)
        for file in recorded.iterdir():
            file.unlink()
        for file, text in made.items():
            (recorded / file).write_bytes(text.encode())
    expected = texts(recorded, {})
    assert list(made) == list(expected)
    for file, text in made.items():
        assert text == expected[file], file
    common = {".json"} if name.endswith("_together") else set()  # each report of one data set has its own
    assert {Path(file).suffix for file in made} == TEXTS - common


@pytest.fixture(scope="module")
def recorded(migrated, tmp_path_factory):
    """Study to (its results as loaded from MLflow, new run ids with the recorded ones)."""
    tracking, loaded = make_tracking(migrated, tmp_path_factory.mktemp("recorded")), {}
    for study in ("ablation_alpha", "search_ddaf"):
        ids = restored(tracking, study)
        loaded[study] = tracking.load(study, launch=next(iter(ids))), ids  # the launch's own run began first
    return loaded


@pytest.mark.parametrize("study", ["ablation_alpha", "search_ddaf"])
def test_the_report_of_a_launch(study, recorded, tmp_path):
    results, ids = recorded[study]
    write_report(results, tmp_path)
    compare(study, tmp_path, ids)


def test_the_common_report_of_two_data_sets(recorded, tmp_path):
    """The second is the first by another name."""
    results, ids = recorded["ablation_alpha"]
    other = replace(results, study=replace(results.study, data=replace(results.study.data, name="<other> faces")))
    write_together([results, other], tmp_path, [tmp_path / "first", tmp_path / "second"])
    compare("ablation_alpha_together", tmp_path, ids)
