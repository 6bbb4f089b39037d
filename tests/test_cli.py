"""What a person gets for a mistake: one line, the rule, the nearest name, exit code 2. Nothing is written."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

import raysweep
from raysweep.cli.run import main
from raysweep.models import BACKBONES
from raysweep.study import list_studies


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ablation_alhpa", "unknown study 'ablation_alhpa': did you mean 'ablation_alpha'?"),
        ("alpha", "did you mean 'ablation_alpha'?"),
        ("none.py", "no such study file: none.py"),
        ("ablation_alpha --preset dmo", "unknown preset 'dmo': did you mean 'demo'?"),
        ("ablation_alpha --set train.epoch=3", "unknown field 'train.epoch': did you mean 'train.epochs'?"),
        ("ablation_alpha --set train.epochs", "--set expects FIELD=VALUE, but got 'train.epochs'"),
        ("ablation_alpha --set train.epochs=0", "`train.epochs >= 1` must hold, but got 0"),
        ("ablation_alpha --set labels.noise_rate=-0.1", "`labels.noise_rate >= 0` must hold, but got -0.1"),
        ("ablation_alpha --set labels.alpha=0.2", "the study sweeps this field; use --axis labels.alpha=..."),
        ("ablation_alpha --axis labels.alpha=0,1.2,1", "`labels.alpha <= 1` must hold, but got 1.2"),
        ("ablation_alpha --axis alhpa=0,1", "unknown axis 'alhpa': did you mean 'alpha'?"),
        ("ablation_alpha --axis labels.alpha=0,0.5", "that level must stay among 0, 0.5"),
        ("ablation_alpha --axis labels.alpha", "--axis expects FIELD=VALUE,VALUE,..."),
        ("ablation_label_method --axis labels=Gausian,one-hot", "did you mean 'Gaussian'?"),
        ("ablation_alpha --seeds few", "--seeds expects a count such as 3, or a range such as 100:105, but got 'few'"),
        ("ablation_alpha --seeds 0", "--seeds expects a count"),
        ("ablation_alpha --on facs", "unknown data set 'facs': did you mean 'faces'?"),
        ("ablation_alpha --on /no/such/place", "/no/such/place: no such file or folder"),
        ("ablation_alpha --on faces facs", "unknown data set 'facs': did you mean 'faces'?"),
        ("ablation_alpha --on faces faces", "--on names faces twice"),
        ("--on faces ablation_alpha", "name a study before --on, which takes every argument after it"),
        ("ablation_alpha --set model.backbone=resnt18", "unknown backbone 'resnt18': did you mean 'resnet18'?"),
        ("ablation_alpha --set model.weights=/no/weights.pth", "no such file: /no/weights.pth"),
        ("ablation_alpha --axis data.image_size=32,48", "a study is scored on one data set, but its arms have several"),
        ("dcjt_mapping --set joint.warm_up=20", "`joint.warm_up < train.epochs` must hold, but got 20 >= 10"),
        ("dcjt_mapping --set joint.frequency=20", "`joint.frequency <= train.epochs` must hold, but got 20 > 10"),
        ("dcjt_mapping --set joint.extra=faces-c", "needs an extra set with valence and arousal, but faces-c has none"),
        ("dcjt_mapping --set joint.extra=faces-a", "joint.extra and data.source must be different data sets"),
        ("dcjt_mapping --set joint.extra=faces-x", "unknown data set 'faces-x': did you mean"),
        ("dcjt_mapping --set joint.warmup=3", "unknown field 'joint.warmup': did you mean 'joint.warm_up'?"),
        ("dcjt_mapping --set joint.extra=none", "`joint.extra` must be names joined by +"),
        ("ablation_alpha --set joint.method=dcjt", "`joint.method=dcjt` needs `joint.extra`"),
        ("ablation_alpha --set seeds.noise=7", "seeds.noise is set by the replicate"),
        ("ablation_alpha --axis seeds.init=1,2", "seeds.init is set by the replicate"),
        ("ablation_alpha --axis selection.protocol=last,validation", "a table has one selection protocol"),
        ("ablation_alpha --axis labels.alpha=0.5,.5,1", "labels.alpha: the value 0.5 is named twice"),
        ("ablation_alpha --axis labels.alpha=1.0,1,0", "labels.alpha: the value 1 is named twice"),
        ("ablation_alpha --axis alpha=0,0,1", "--axis alpha: the level 0 is named twice"),
        ("ablation_alpha --axis train.learning_rate=1e-3,0.001", "the value 0.001 is named twice"),
        ("ablation_alpha --axis labels.alpha=0:1:0.25", "write labels.alpha=0,0.25,0.5,0.75,1"),
        ("ablation_alpha --axis labels.alpha=0,,1", "a value is missing in '0,,1'"),
        ("ablation_alpha --axis labels.alpha='0,1", "a quote must close"),
        ("ablation_alpha --axis train.epochs=2,3 --axis train.epochs=4", "--axis names train.epochs twice"),
        ("ablation_alpha --axis alpha=0,1 --axis labels.alpha=0.5,1", "--axis names labels.alpha twice"),
        ("ablation_alpha --axis train.epochs=2,3 --axis epochs=2", "--axis names epochs twice"),
        ("ablation_alpha --set train.epochs=2 --set train.epochs=3", "--set names train.epochs twice"),
        ("ablation_alpha --set data.source=faces-c --on faces", "--on and --set data.source both name the data"),
        ("ablation_alpha --axis data.source=faces,./no.csv", "no.csv: no such file or folder"),
        ("", "name a study"),
    ],
)
def test_mistakes(words, message, capsys, empty_folder):
    plan = ["--plan"] if words else []
    preset = [] if "--preset" in words else ["--preset", "smoke"]
    assert main([*words.split(), *preset, *plan]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert "Traceback" not in said[-1]
    assert not list(empty_folder.glob("mlflow.db*"))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:////no/such/folder/mlflow.db", "the folder of sqlite:////no/such/folder/mlflow.db does not exist"),
        ("mlruns", "MLflow no longer keeps runs in a folder"),
        ("ftp://host", "expected sqlite:///FILE or http://HOST:PORT, but got 'ftp://host'"),
        ("http://127.0.0.1:9", "cannot use http://127.0.0.1:9"),
    ],
)
def test_a_tracking_store_that_cannot_be_used_is_said_before_training(uri, message, capsys, empty_folder):
    assert main(["ablation_alpha", "--preset", "smoke", "--tracking", uri]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (empty_folder / ".raysweep" / "stages").exists()


def test_a_file_that_is_no_database_is_refused(capsys, empty_folder):
    (empty_folder / "mlflow.db").write_text("this is a poem, not a database\n" * 50)
    assert main(["ablation_alpha", "--preset", "smoke"]) == 2
    assert "cannot write sqlite:///mlflow.db" in capsys.readouterr().err


def test_weights_that_cannot_be_had_are_said_before_training(capsys, monkeypatch, empty_folder):
    def no_network():
        raise URLError("name or service not known")

    monkeypatch.setitem(BACKBONES, "resnet18", replace(BACKBONES["resnet18"], imagenet=no_network))
    parts = [
        "ablation_alpha",
        "--preset",
        "smoke",
        "--set",
        "model.backbone=resnet18",
        "--set",
        "model.weights=imagenet",
    ]
    assert main(parts) == 2
    said = capsys.readouterr().err
    assert "ImageNet weights of resnet18 could not be downloaded" in said
    assert "--set model.weights=/path/to/weights.pth" in said
    torch.save({"state_dict": {"conv1.weight": torch.zeros(3)}}, empty_folder / "wrong.pth")
    assert main([*parts[:-1], "model.weights=wrong.pth"]) == 2
    assert "must fit encoder 'resnet18'" in capsys.readouterr().err
    (empty_folder / "poem.pth").write_text("not a checkpoint")
    assert main([*parts[:-1], "model.weights=poem.pth"]) == 2
    assert "cannot be read as a checkpoint of tensors" in capsys.readouterr().err


def test_labels_that_the_data_cannot_give_are_found_before_training(capsys, empty_folder):
    for name, value in (("fear", 40), ("anger", 200)):
        for i in range(20):
            (empty_folder / "mine" / name).mkdir(parents=True, exist_ok=True)
            picture = np.full((32, 32, 3), value + i, dtype=np.uint8)
            Image.fromarray(picture).save(empty_folder / "mine" / name / f"{i}.png")
    assert main(["ablation_alpha", "--preset", "smoke", "--on", str(empty_folder / "mine")]) == 2
    assert "needs valence and arousal, but mine has none" in capsys.readouterr().err
    assert main(["ablation_alpha", "--preset", "smoke", "--on", "faces", str(empty_folder / "mine")]) == 2
    assert "needs valence and arousal, but mine has none" in capsys.readouterr().err  # before faces are trained on
    assert not (empty_folder / ".raysweep" / "journal").exists()


def test_lists(capsys):
    assert main(["--list"]) == 0
    assert "ablation_noise_rate" in capsys.readouterr().out
    assert main(["--fields"]) == 0
    assert "labels.alpha" in capsys.readouterr().out


def test_a_plan_trains_nothing(capsys, empty_folder):
    assert main(["ablation_alpha", "--preset", "smoke", "--seeds", "2", "--plan"]) == 0
    assert "5 arms x 2 replicates = 10" in capsys.readouterr().out
    assert not (empty_folder / ".raysweep" / "stages").exists()


@pytest.mark.parametrize(
    ("axis", "arms"),
    [
        ("train.learning_rate=0.1234567,0.1234568", ["learning_rate=0.1234567", "learning_rate=0.1234568"]),
        ("objective.weight_va=[1.,2]", ["weight_va=1 ", "weight_va=2 "]),
        ("labels.va_noise=-0.0,1e-1", ["va_noise=0 ", "va_noise=0.1 "]),
    ],
)
def test_as_many_arms_as_values(axis, arms, capsys):
    parts = ["ablation_alpha", "--preset", "smoke", "--axis", "labels.alpha=1", "--plan", "--axis", *axis.split()]
    assert main(parts) == 0
    told = capsys.readouterr().out
    assert all(arm in told for arm in arms)
    assert f"{len(arms)} arms" in told


def test_two_fields_of_one_name_are_two_axes(capsys):
    text = "ablation_alpha --preset smoke --plan --axis labels.alpha=1 --axis selection.weights=swa,last"
    assert main([*text.split(), "--axis", "model.weights=none"]) == 0
    told = capsys.readouterr().out
    assert "weights=swa, model.weights=none" in told


def test_arms_of_one_configuration_are_refused(capsys, empty_folder):
    """Whatever their names: two levels, two axes, or two ways to write a path."""
    study = "from raysweep.study import Axis, Study\nstudy = Study('Mine', [{}])\n"
    one = "Axis('a', {'x': {'train.epochs': 2}, 'y': {'train.epochs': 2.0}})"
    two = "Axis('a', {'x': {'train.epochs': 2}, 'y': {'train.epochs': 3}}), Axis.of('train.epochs', [4])"
    for axes in (one, two):
        (empty_folder / "mine.py").write_text(study.format(axes))
        assert main(["mine.py", "--preset", "smoke", "--plan"]) == 2
        assert "a=y" in (said := capsys.readouterr().err)
        assert "are the same configuration" in said
    for name in ("one", "two"):
        torch.save({}, empty_folder / f"{name}.pth")
    parts = ["ablation_alpha", "--preset", "smoke", "--plan", "--axis", "labels.alpha=1", "--axis"]
    assert main([*parts, "model.weights=./one.pth,two.pth,one.pth"]) == 2
    assert "are the same configuration" in capsys.readouterr().err


def test_a_level_with_a_comma(capsys, empty_folder):
    """A path, quoted in --axis; an arm's name marks the comma, so that arms stay apart."""
    (empty_folder / "mine.py").write_text(
        "from raysweep.study import Axis, Study\n"
        "axis = Axis('how', {'slow, long': {'train.epochs': 3}, 'fast': {'train.epochs': 1}})\n"
        "study = Study('Mine', [axis], {'how': 'fast'}, base={'train.swa_start': 0.0})\n"
    )
    assert main(["mine.py", "--preset", "smoke", "--plan"]) == 0
    assert r"how=slow\, long" in capsys.readouterr().out
    assert main(["mine.py", "--preset", "smoke", "--plan", "--axis", "how=fast,'slow, long'"]) == 0
    assert "2 arms" in capsys.readouterr().out


def test_an_own_study_by_path(capsys, empty_folder):
    (empty_folder / "mine.py").write_text(
        "from raysweep.study import Axis, Study\n"
        "axis = Axis.of('train.batch_size', [32, 64])\n"
        "study = Study(title='Batch size', axes=[axis], reference={'batch_size': '64'})\n"
    )
    assert main(["mine.py", "--preset", "smoke", "--plan"]) == 0
    assert "batch_size=32" in capsys.readouterr().out
    (empty_folder / "mine.py").write_text("study = 3\n")
    assert main(["mine.py", "--plan"]) == 2
    assert "must define `study = Study(...)`, but `study` is int" in capsys.readouterr().err
    (empty_folder / "mine.py").write_text("1 / 0\n")
    assert main(["mine.py", "--plan"]) == 2
    assert "mine.py cannot be run: ZeroDivisionError" in capsys.readouterr().err


class TestOwnStudies:
    """A folder `search_spaces/` where the command is typed; a wheel's studies: test_wheel.py."""

    @pytest.fixture
    def own(self, empty_folder):
        """Copies of most of ours, one of them altered, and one more."""
        ours = Path(raysweep.__file__).parent.parent / "search_spaces"
        own = shutil.copytree(ours, empty_folder / "search_spaces", ignore=shutil.ignore_patterns("dcjt_*", "__*"))
        for name in ("mine", "weighted_l2"):
            (own / f"{name}.py").write_text(
                "from raysweep.study import Axis, Study\n"
                "study = Study('Mine', [Axis.of('train.batch_size', [32, 64])], {})\n"
            )
        return own

    def test_the_list_says_where_each_study_is_and_what_it_hides(self, own, capsys):
        assert main(["--list"]) == 0
        here, _, ours = capsys.readouterr().out.partition(f"in {Path(raysweep.__file__).parent.parent}")
        assert here.startswith(f"in {own}:\n")
        assert {"mine", "weighted_l2", "ablation_alpha"} <= {line.split()[0] for line in here.splitlines() if line}
        names = {line.split()[0] for line in ours.partition("\n\n")[0].splitlines()[1:]}
        assert names == {name for name in list_studies() if name.startswith("dcjt_")}
        assert (here + ours).count("hides") == 1  # a copy hides nothing
        assert f"hides {Path(raysweep.__file__).parent.parent / 'search_spaces' / 'weighted_l2.py'}" in here

    def test_one_place_needs_no_heading(self, capsys, monkeypatch):
        monkeypatch.chdir(Path(raysweep.__file__).parent.parent)
        assert main(["--list"]) == 0
        assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("in ")]

    def test_the_nearer_one_is_run_and_the_launch_says_so(self, own, capsys):
        assert main(["weighted_l2", "--preset", "smoke", "--plan"]) == 0
        said = capsys.readouterr()
        assert f"weighted_l2 is {own}/weighted_l2.py, which hides " in said.err
        assert "batch_size=32" in said.out

    @pytest.mark.parametrize("name", ["ablation_alpha", "mine", "dcjt_mapping", "search_spaces/weighted_l2.py"])
    def test_nothing_is_said_where_nothing_is_hidden(self, own, capsys, name):
        assert main([name, "--preset", "smoke", "--set", "train.epoch=3"]) == 2
        assert "hides" not in capsys.readouterr().err


def test_a_reader_that_has_read_enough_is_no_error():
    command = f"{sys.executable} -m raysweep.run --fields"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("data.source")
