"""Every study in `search_spaces/` runs from the command line in the smoke preset, on real Ray and MLflow.

`make test` plans all of them and runs one of each kind; `make test-full` runs all.
"""

from pathlib import Path

import pytest

from raysweep.study import find_study, list_studies
from tests.several_launches import ray_head, run_all

TWO_SETS = ["ablation_alpha", "--axis", "alpha=0.5,1", "--set", "train.epochs=1", "--on", "faces", "faces-b-none"]
TWO_MAPS = ["dcjt_mapping", "--axis", "mapping=none,GCLM"]

LAUNCHES = {
    "two maps": TWO_MAPS,
    "two maps again": TWO_MAPS,
    "one more map": ["dcjt_mapping"],
    "methods": ["dcjt_methods", "--axis", "shift=strong"],
    "fine-tuning": ["dcjt_finetune", "--axis", "pre-training=A only,B only,A + B combined"],
    "a shared warm-up": ["ablation_warmup", "--axis", "warm-up=0.25,0.5"],
    "label noise": ["ablation_noise_rate", "--axis", "noise=0,0.3"],
    "search": ["search_ddaf", "--trials", "2", "--axis", "noise=0"],
}
"""One launch of each kind that has a way of its own through the engine."""

REST = {
    name: [name, *(["--trials", "2"] if find_study(name)[1].search else [])]
    for name in list_studies()
    if name not in ("dcjt_mapping", "ablation_alpha")
}
"""The others, and those again at all their levels."""


def launched(folder, names):
    """How the launches of those names ended, in a store of that folder."""
    with ray_head(folder) as (address, access):
        smoke = ["--preset", "smoke", "--json", "--address", address]
        return run_all(folder, [["run", *words, *smoke] for words in names], **access)


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """The folder of the launches, what each told at its end, and what one on two data sets told."""
    folder = tmp_path_factory.mktemp("studies")
    *ended, two_sets = launched(folder, [*LAUNCHES.values(), TWO_SETS])
    return folder, dict(zip(LAUNCHES, ended, strict=True)), two_sets


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all_studies")
    return folder, dict(zip(REST, launched(folder, REST.values()), strict=True))


def check_report(folder, ended, words):
    assert ended.code == 0, ended
    (told,) = ended.told
    assert told["done"] == told["distinct_cells"]
    study = find_study(words[0])[1]
    table = next(Path(folder, file) for file in told["files"] if file.endswith(".md")).read_text()
    assert study.title in table
    axis, _, chosen = words[-1].partition("=")
    last = list(study.axes)[-1:]
    levels = chosen.split(",") if axis in [a.name for a in last] else [level for a in last for level in a.levels]
    assert all(f"| {level} |" in table or f" {level} " in table for level in levels)


@pytest.mark.timeout(1850)
@pytest.mark.parametrize("name", list(LAUNCHES))
def test_a_study_of_each_kind_runs_and_reports(launches, name):
    folder, ended, _ = launches
    check_report(folder, ended[name], LAUNCHES[name])


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(REST))
def test_every_study_runs_and_reports(rest, name):
    folder, ended = rest
    check_report(folder, ended[name], REST[name])


def test_every_study_plans(launches):
    """In the folder of the launches, where the data are decoded already."""
    folder, _, _ = launches
    commands = [["run", name, "--preset", "smoke", "--plan", "--json"] for name in list_studies()]
    before = {path.name for path in (folder / ".raysweep" / "stages").iterdir()}
    for (_, name, *_), ended in zip(commands, run_all(folder, commands), strict=True):
        assert ended.code == 0, ended
        assert ended.told[0]["study"] == name
    assert {path.name for path in (folder / ".raysweep" / "stages").iterdir()} == before


def test_several_data_sets_have_a_table_each_and_one_together(launches):
    folder, _, ended = launches
    assert ended.code == 0
    assert [(told["data"], told["done"]) for told in ended.told] == [("faces", 2), ("faces-b-none", 2)]
    reports = folder / "reports" / "ablation_alpha"
    tables = [(reports / name / "ablation_alpha.md").read_text() for name in ("faces", "faces-b-none")]
    assert tables[0] != tables[1]
    together = (reports / "ablation_alpha_together.md").read_text()
    assert all(f"| {name} " in together for name in ("faces", "faces-b-none"))


def test_what_is_trained_is_what_was_planned(launches):
    for name, ended in launches[1].items():
        planned = {title: work["epochs"] for title, work in ended.told[0]["trainings"].items()}
        trained = {title: work["epochs"] for title, work in ended.told[0]["trained"].items()}
        assert trained == planned, name


def test_the_models_of_steps_1_and_2_are_trained_once_for_the_whole_table(launches):
    first, again, more = (launches[1][name].told[0] for name in ("two maps", "two maps again", "one more map"))
    assert first["trained"]["M_A"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["M_B on all of B"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["M_B on the subset"] == {"pieces": 1, "epochs": 10}
    assert first["trained"]["joint"]["pieces"] == 8
    assert again["trained"] == {}
    assert set(more["trained"]) == {"joint"}
    assert more["trained"]["joint"]["pieces"] == 4


def test_a_finished_training_serves_other_studies(launches):
    """M_A of `dcjt_mapping` is the target-only arm of `dcjt_methods`, and the first half of a DCJT of other warm-up."""
    methods = launches[1]["methods"].told[0]
    assert "M_A" not in methods["trained"]
    assert methods["trained"]["target"]["pieces"] == 1  # SCN's; the plain one was M_A
    assert methods["trained"]["joint"]["pieces"] == 1
    assert set(launches[1]["a shared warm-up"].told[0]["trained"]) == {"joint"}


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
    asked = "tags.`raysweep.kind` = 'cell' AND tags.`raysweep.arm` LIKE '%mapping=EDCLM%'"
    for run in client.search_runs([experiment.experiment_id], asked):
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
