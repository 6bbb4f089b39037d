"""Names of data sets on the command line: forgotten, mistyped, joined otherwise, or with a + in them."""

import shutil
from pathlib import Path

import pytest

import raysweep.data.load as loading
from raysweep.cli.run import main
from raysweep.config.values import Word
from raysweep.core.parsing import join_names, split_names
from raysweep.data.names import BUILT_IN, READER_NAMES
from raysweep.data.readers import READERS
from raysweep.study import Axis, Study, find_study, make_cells, with_axis
from raysweep.study.cells import with_fixed
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
    assert f"is your data, but {fields} is a built-in set" in said
    assert said.endswith(remedy)


def test_arms_that_need_no_extra_set_are_not_blamed(capsys):
    assert refused(capsys, "dcjt_extra_size", "--on", "A.csv").startswith("raysweep: extra=10 % and 2 more arms: ")
    assert plan("dcjt_extra_size", "--on", "A.csv", "--axis", "extra=none") == 0


def test_drawn_faces_that_were_asked_for_by_name_are_taken(capsys):
    parts = ["--set", "joint.extra=faces-b-none"]
    plan("dcjt_benchmark", "--on", "A.csv", *parts)  # other classes, too: refused for that
    assert "drawn faces" not in capsys.readouterr().err


def test_a_study_of_one_s_own_may_name_both():
    base = {"data.source": "A.csv", "joint.method": "dcjt", "joint.extra": "faces-b-none"}
    axes = [Axis.of("joint.relabel", [True, False])]
    assert make_cells(Study("Mine", axes, base=base, paper="DCJT"), "smoke", [0], {})


def test_fine_tuning_with_sets_of_one_s_own(capsys):
    parts = ["dcjt_finetune", "--on", "A.csv", "--set", "joint.finetune=C.csv", "--set"]
    assert plan(*parts, "joint.extra=B.csv+D.csv") == 0
    said = capsys.readouterr().out
    assert "  extra    D, " in said
    one = refused(capsys, *parts, "joint.extra=B.csv")
    assert "A + B + third combined and 1 more arm: `joint.extra_sets=2` needs so many extra sets" in one


@pytest.mark.parametrize("finetune", ["C.csv", "target"])
@pytest.mark.parametrize("extra", [("B.csv", "D.csv"), ("D.csv", "B.csv")])
def test_what_each_arm_of_table_7_is_trained_on(own, extra, finetune):
    """B is the first set named, the third set joins it in the last two arms alone; all are fine-tuned alike."""
    changes = {"data.source": "A.csv", "joint.extra": "+".join(extra), "joint.finetune": finetune}
    found = {}
    for cell in make_cells(find_study("dcjt_finetune")[1], "smoke", [0], changes):
        joint = cell.experiment.joint
        assert Path(cell.experiment.data.source).name == "A.csv"
        assert Path(joint.finetune).name == finetune
        used = joint.extra if joint.extra_sets is None else joint.extra[: joint.extra_sets]
        found[cell.arm.coordinates["pre-training"]] = (
            joint.method, [Path(n).name for n in used] if joint.method != "target" else []
        )  # fmt: skip
    assert found == {
        "A only": ("target", []), "B only": ("extra", [extra[0]]), "A + B combined": ("combine", [extra[0]]),
        "A + B DCJT": ("dcjt", [extra[0]]), "A + B + third combined": ("combine", [*extra]),
        "A + B + third DCJT": ("dcjt", [*extra]),
    }  # fmt: skip


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


DCJT = ("dcjt_mapping", "dcjt_methods", "dcjt_pseudo_labels", "dcjt_extra_size", "dcjt_benchmark", "dcjt_finetune")


@pytest.mark.parametrize("study", DCJT)
def test_extra_sets_are_set_and_swept_alike_in_every_dcjt_study(study):
    """`--set joint.extra=B` and `--axis joint.extra=B` give the same experiments, whatever the study's file sweeps."""
    given = find_study(study)[1]
    narrowed = {"dcjt_finetune": "B.csv+D.csv"}.get(study, "B.csv")
    fixed, left = with_fixed(given, {"joint.extra": narrowed, "joint.labeller_weight_va": 3.0})
    swept = with_axis(given, "joint.extra", [Word(narrowed)])
    one = {cell.experiment for cell in make_cells(fixed, "smoke", [0], left)}
    assert one == {cell.experiment for cell in make_cells(swept, "smoke", [0], {"joint.labeller_weight_va": 3.0})}
    assert {cell.joint.extra for cell in one} == {tuple(str(Path(n).resolve()) for n in narrowed.split("+"))}


def test_set_does_not_undo_what_axis_said_nor_what_arms_are_compared_along():
    swept = with_axis(find_study("dcjt_methods")[1], "joint.extra", [Word("B.csv")])
    assert with_fixed(swept, {"joint.extra": "D.csv"}) == (swept, {"joint.extra": "D.csv"})
    alpha = find_study("ablation_alpha")[1]
    assert with_fixed(alpha, {"labels.alpha": 0.2}) == (alpha, {"labels.alpha": 0.2})


def test_a_field_that_one_level_sets_is_refused_with_a_way_that_works(capsys):
    parts = ["dcjt_methods", "--on", "A.csv", "--set", "joint.extra=B.csv"]
    said = refused(capsys, *parts, "--set", "joint.finetune=C.csv")
    kept = "method=target only,extra only,combination,SCN on target,SCN joint,DCJT"
    assert said.endswith(f"level pre-train + fine-tune of axis 'method' sets this: leave it out with --axis \"{kept}\"")
    assert kept in refused(capsys, *parts, "--axis", "joint.finetune=C.csv")
    cells = make_cells(*_with(kept, {"joint.extra": "B.csv", "joint.finetune": "C.csv"}))
    assert len(cells) == 6


def _with(levels, changes):
    axis, words = levels.split("=")
    study = with_axis(find_study("dcjt_methods")[1], axis, [Word(word) for word in words.split(",")])
    study, left = with_fixed(study, changes)
    return study, "smoke", [0], left


def test_weights_that_only_a_user_has_are_an_arm_with_their_file(capsys, tmp_path):
    parts = ["dcjt_methods", "--on", "A.csv", "--set", "joint.extra=B.csv", "--axis"]
    said = refused(capsys, *parts, "method=target only,DCJT from MS-Celeb")
    assert said.endswith('(model.weights), which only you have: write "DCJT from MS-Celeb=VALUE"')
    assert "no such file: nowhere.pth" in refused(capsys, *parts, "method=target only,DCJT from MS-Celeb=nowhere.pth")
    file = tmp_path / "w.pth"
    file.write_bytes(b"x")
    study = with_axis(
        find_study("dcjt_methods")[1], "method", [Word("target only"), Word(f"DCJT from MS-Celeb={file}")]
    )
    weights = {c.arm.coordinates["method"]: c.experiment.model.weights for c in make_cells(study, "smoke", [0], {})}
    assert weights == {"target only": None, "DCJT from MS-Celeb": str(file)}


def test_the_deeper_encoders_of_table_6_are_arms_of_the_paper_s_size():
    study = find_study("dcjt_benchmark")[1]
    assert list(study.at("demo").axes[0].levels) == ["target only", "DCJT"]
    cells = make_cells(study.at("paper"), "paper", [0], {"joint.extra": "faces-b-none"})
    backbones = {c.arm.coordinates["method"]: (c.experiment.joint.method, c.experiment.model.backbone) for c in cells}
    assert backbones == {
        "target only": ("target", "arm"), "DCJT": ("dcjt", "arm"), "ResNet-18": ("target", "resnet18"),
        "ResNet-50": ("target", "resnet50"), "Res2Net": ("target", "res2net50"),
    }  # fmt: skip
    chosen = with_axis(study, "method", [Word("target only"), Word("ResNet-50")]).at("paper")
    assert list(chosen.axes[0].levels) == ["target only", "ResNet-50"]
