"""Two data sets called l.csv and two studies called my.py, from the command line to the report."""

import json

import numpy as np
import pytest
from PIL import Image

from raysweep.cli.report import main
from tests.several_launches import run_all

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

STUDY = """
from raysweep.study import Axis, Study

study = Study({title!r}, [Axis.of("train.batch_size", [16])], base={{"train.epochs": 1, "train.swa_start": 0.0}})
"""


def write_set(folder, seed):
    folder.mkdir()
    draws = np.random.default_rng(seed)
    lines = ["path,expression,valence,arousal,split"]
    for i in range(90):
        pixels = draws.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        va = draws.uniform(-0.9, 0.9, 2)
        lines.append(f"{i}.png,{('happiness', 'sadness', 'anger')[i % 3]},{va[0]:.3f},{va[1]:.3f},"
                     f"{'test' if i % 5 == 0 else 'train'}")  # fmt: skip
    (folder / "l.csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three launches: both studies on A, the first on B, too."""
    folder = tmp_path_factory.mktemp("names")
    for seed, name in enumerate("AB"):
        write_set(folder / name, seed)
    for name in "ab":
        (folder / name).mkdir()
        (folder / name / "my.py").write_text(STUDY.format(title=f"What {name} asks"))
    launches = (("a/my.py", "A/l.csv"), ("b/my.py", "A/l.csv"), ("a/my.py", "B/l.csv"))
    for done in run_all(folder, [["run", study, "--preset", "smoke", "--on", data] for study, data in launches]):
        assert done.code == 0, done
    return folder


@pytest.fixture
def report(folder, monkeypatch, tmp_path, capsys):
    """Asks for a report: exit code, what it is about, and what was said."""
    monkeypatch.chdir(folder)

    def ask(*words):
        out = tmp_path / "out"
        code = main([*words, "--tracking", f"sqlite:///{folder}/mlflow.db", "--out", str(out)])
        said = capsys.readouterr()
        if code:
            assert not out.exists()
            return code, None, said.err
        (about,) = json.loads((out / ".subject.json").read_text())
        return code, (about["study"]["file"][-7:], about["data"][0]["source"][-7:]), said.err

    return ask


def test_every_launch_has_a_report_of_its_own(folder):
    titles = {path.parent.name: path.read_text().splitlines()[0] for path in (folder / "reports").glob("*/my.md")}
    assert sorted(titles.values()) == ["# What a asks", "# What a asks", "# What b asks"]
    of_a = [name for name, title in titles.items() if "a asks" in title]
    numbers = {(folder / "reports" / name / "my.csv").read_text() for name in of_a}
    assert len(numbers) == 2


def test_a_report_is_about_what_was_asked(report):
    assert report("a/my.py", "--on", "A/l.csv")[1] == ("a/my.py", "A/l.csv")
    assert report("a/my.py", "--on", "./B/l.csv")[1] == ("a/my.py", "B/l.csv")
    assert report("b/my.py", "--on", "A/l.csv")[1] == ("b/my.py", "A/l.csv")
    assert report("b/my.py")[1] == ("b/my.py", "A/l.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["my"], "several studies are called 'my'"),
        (["a/my.py", "--on", "l"], "several data sets are called 'l'"),
        (["b/my.py", "--on", "B/l.csv"], "has not been run on B/l.csv"),
        (["c/my.py"], "no such study file: c/my.py"),
        (["a/my.py", "--on", "A/l.csv", "B/l.csv"], "two data sets called 'l', A/l.csv and B/l.csv"),
        (["a/my.py", "--on", "A/l.csv", "A/../A/l.csv"], "twice (A/l.csv is the same)"),
    ],
)
def test_what_means_several_things_is_refused(report, words, message):
    code, _, said = report(*words)
    assert code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_what_changed_since_is_said(folder, report):
    data, study = folder / "A" / "l.csv", folder / "a" / "my.py"
    before = data.read_text(), study.read_text()
    try:
        data.write_text(before[0].replace("1.png,sadness", "1.png,anger"))
        code, _, said = report("a/my.py", "--on", "A/l.csv")
        assert (code, "A/l.csv holds something else now" in said) == (2, True)
        study.write_text(before[1].replace("[16]", "[16, 32]"))
        code, _, said = report("a/my.py", "--on", "B/l.csv")
        assert (code, "my.py has changed since it was launched" in said) == (2, True)
    finally:
        data.write_text(before[0])
        study.write_text("# the same in other words\n" + before[1])
    assert report("a/my.py", "--on", "A/l.csv")[1] == ("a/my.py", "A/l.csv")


def test_other_hosts_and_moved_folders(folder, report):
    for name in "Aa":
        (folder / name).rename(folder / f"moved {name}")
    try:
        assert report("moved a/my.py", "--on", "moved A/l.csv")[1] == ("a/my.py", "A/l.csv")
    finally:
        for name in "Aa":
            (folder / f"moved {name}").rename(folder / name)


def test_tags_say_what_was_run(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("my").experiment_id
    parts = ("data_source", "data_fingerprint", "study_content", "study_file", "extras")
    for kind, studies in (("launch", 2), ("cell", 1)):  # both studies ask for the same cell on A: it has one run
        runs = client.search_runs([experiment], f"tags.`raysweep.kind` = '{kind}'")
        data, prints, contents, files, extras = ({run.data.tags[f"raysweep.{name}"] for run in runs} for name in parts)
        assert len(data) == len(prints) == 2
        assert len(contents) == len(files) == studies
        assert extras == {"[]"}
