"""Names of data sets on the command line: forgotten, mistyped, joined otherwise, or with a + in them."""

import shutil

import pytest

import raysweep.data.load as loading
from raysweep.core.words import join_names, split_names
from raysweep.data.names import BUILT_IN, READER_NAMES
from raysweep.data.sources import READERS
from raysweep.run import main
from raysweep.study import Axis, Study, find_study, make_cells
from tests.own_sets import write_set

COUNTS = {"neutral": 24, "happiness": 24, "fear": 24}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    write_set(root, "A", {"train": COUNTS, "test": dict.fromkeys(COUNTS, 8)})
    for seed, name in enumerate("BCD", 1):
        write_set(root, name, {"train": COUNTS, "test": dict.fromkeys(COUNTS, 8)}, seed=seed, va=name != "D")
    shutil.copytree(root / "B", root / "x+y")
    shutil.copy(root / "B.csv", root / "x+y.csv")
    return root


@pytest.fixture(autouse=True)
def working_folder(own, tmp_path, monkeypatch):
    monkeypatch.chdir(own)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    return tmp_path


def plan(study, *words):
    return main([study, *words, "--preset", "smoke", "--plan", "--store", ".store"])


def refused(capsys, *words):
    assert plan(*words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    return said[0]


def test_the_lists_of_names_are_those_of_the_loaders():
    assert set(BUILT_IN) == set(loading.SOURCES)
    assert set(READER_NAMES) == set(READERS)


@pytest.mark.parametrize(
    ("words", "fields", "remedy"),
    [
        (["dcjt_mapping", "--on", "A.csv"], "joint.extra=faces-b-moderate", "add --set joint.extra=SET"),
        (["dcjt_methods", "--on", "A.csv"], "joint.extra=faces-b-none", "add --axis joint.extra=SET"),
        (["search_dcjt", "--on", "A.csv"], "joint.extra=faces-b-moderate", "add --set joint.extra=SET"),
        (["dcjt_benchmark", "--set", "joint.extra=B.csv"], "data.source=faces-a", "name your target set with --on SET"),
        (
            ["dcjt_finetune", "--on", "A.csv", "--set", "joint.extra=B.csv+D.csv"],
            "joint.finetune=faces-c",
            "add --set joint.finetune=SET (or joint.finetune=target)",
        ),
        (
            ["ablation_alpha", "--set", "joint.finetune=A.csv"],
            "data.source=faces",
            "name your target set with --on SET",
        ),
    ],
)
def test_half_of_the_sets_replaced_is_refused_with_the_field_to_set(words, fields, remedy, capsys):
    said = refused(capsys, *words)
    assert f"is yours, but {fields} are drawn faces" in said
    assert said.endswith(remedy)


def test_arms_that_need_no_extra_set_are_not_blamed(capsys):
    assert refused(capsys, "dcjt_extra_size", "--on", "A.csv").startswith("raysweep: extra=10 % and 2 more arms: ")
    assert plan("dcjt_extra_size", "--on", "A.csv", "--axis", "extra=none") == 0


def test_drawn_faces_that_were_asked_for_by_name_are_taken(capsys):
    words = ["--set", "joint.extra=faces-b-none"]
    plan("dcjt_benchmark", "--on", "A.csv", *words)  # other classes, too: refused for that
    assert "drawn faces" not in capsys.readouterr().err


def test_a_study_of_one_s_own_may_name_both():
    base = {"data.source": "A.csv", "joint.method": "dcjt", "joint.extra": "faces-b-none"}
    axes = [Axis.of("joint.relabel", [True, False])]
    assert make_cells(Study("Mine", axes, base=base, paper="DCJT"), "smoke", [0], {})


def test_fine_tuning_with_sets_of_one_s_own(capsys):
    words = ["dcjt_finetune", "--on", "A.csv", "--set", "joint.finetune=C.csv", "--set"]
    assert plan(*words, "joint.extra=B.csv+D.csv") == 0
    said = capsys.readouterr().out
    assert "  extra    D, " in said
    one = refused(capsys, *words, "joint.extra=B.csv")
    assert "A + B + third combined and 1 more arm: `joint.extra_sets=2` needs so many extra sets" in one


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("B.cvs", "B.cvs: no such file or folder"),
        ("nowhere/B.csv", "nowhere/B.csv: no such file or folder"),
        ("fases-b-none", "unknown data set 'fases-b-none': did you mean 'faces-b-none'?"),
        ("affectnet", "affectnet is not prepared in"),
        ("B.csv, C.csv", "extra data sets are joined by +: joint.extra=B.csv+C.csv"),
        ("B.csv;C.csv;D.csv", "extra data sets are joined by +: joint.extra=B.csv+C.csv+D.csv"),
        ("'B.csv+C.csv", "a quote is not closed"),
    ],
)
def test_a_mistake_in_b_is_answered_before_a_is_read(value, words, capsys, monkeypatch):
    monkeypatch.setattr(loading, "load_data", lambda *given: pytest.fail("read"))
    assert words in refused(capsys, "dcjt_mapping", "--on", "A.csv", "--set", f"joint.extra={value}")


def test_a_mistake_in_one_level_names_the_arms(capsys):
    said = refused(capsys, "dcjt_methods", "--on", "A.csv", "--axis", "joint.extra=B.csv,C.cvs")
    assert said.startswith("raysweep: shift=C.cvs, method=extra only and 4 more arms: C.cvs: no such file")


@pytest.mark.parametrize("value", ["x+y.csv", "'x+y.csv'", '"x+y.csv" + C.csv', "x+y.csv+C.csv", "C.csv+x+y.csv"])
def test_a_file_with_a_plus_in_its_name(value, own):
    _, study = find_study("dcjt_mapping")
    cells = make_cells(study, "smoke", [0], {"data.source": "A.csv", "joint.extra": value})
    names = {"x+y.csv", *(["C.csv"] if "C.csv" in value else [])}
    assert {name.removeprefix(f"{own}/") for name in cells[0].experiment.joint.extra} == names


@pytest.mark.parametrize(
    "names", [["a.csv"], ["x+y.csv"], ["a", "x+y.csv", "b"], ["it's.csv", "bob's+.csv"], ["'q'+.csv", "c"], ["a b.csv"]]
)
def test_joined_names_come_apart_again(names):
    assert split_names(join_names(names)) == names
