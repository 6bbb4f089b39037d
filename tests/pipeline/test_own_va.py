"""A target that came with valence and arousal: what takes their place, how near it comes, and how to train on them."""

import numpy as np
import pytest

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.cli.run import main
from raysweep.config.values import Word
from raysweep.core.errors import UserError
from raysweep.metrics.compute import label_scores
from raysweep.pipeline import Sets, build, remarks
from raysweep.store.store import Store
from raysweep.study import find_study, make_cells, with_axis
from tests.own_sets import write_set
from tests.pipeline.small_joint import key_of, launch, make_a, make_b, result_of, small_joint

WITH, WITHOUT = make_a(with_va=True), make_a()
COUNTS = {"neutral": 24, "happiness": 24, "fear": 24}


@pytest.mark.parametrize("pseudo", ["all", "subset"])
def test_pseudo_va_that_take_the_place_of_a_s_own_are_told_and_scored(pseudo, tmp_path):
    made = small_joint(joint__pseudo_va=pseudo, train__epochs=4)
    sets, store = Sets(WITH, (make_b(),)), Store(tmp_path)
    (remark,) = remarks(made, sets)
    assert f"A came with valence and arousal of its own: joint.pseudo_va={pseudo} replaces them" in remark
    assert "joint.pseudo_va=own trains on them" in remark
    launch([made], sets, store)
    result = result_of(made, sets, store)
    own, given = result.labels.target_own_va, result.labels.target_va
    known = np.isfinite(own).all(1)
    assert result.scores["labels/pseudo_own_rmse"] == pytest.approx(np.sqrt(np.square((own - given)[known]).mean()))
    assert -1 <= result.scores["labels/pseudo_own_ccc"] <= 1
    assert "labels/pseudo_rmse" not in result.scores  # the truth is not known


@pytest.mark.parametrize(
    ("sets", "changes"),
    [
        (Sets(WITHOUT, (make_b(),)), {}),
        (Sets(WITH, (make_b(),)), {"joint__pseudo_va": "own"}),
        (Sets(WITH, (make_b(),)), {"joint__method": "combine"}),
        (Sets(WITH), {"joint__method": "target"}),
    ],
)
def test_nothing_to_tell(sets, changes):
    made = small_joint(**changes)
    assert remarks(made, sets) == ()
    assert "own_va" not in build(made, sets).params


def test_the_scores_need_a_cell_of_their_own():
    """Cells that were scored before they existed lack them."""
    made = small_joint()
    assert build(made, Sets(WITH, (make_b(),))).params["own_va"] == "scored"
    assert key_of(made, Sets(WITHOUT, (make_b(),))) == key_of(made, Sets(WITHOUT, (make_b(),)))


def test_scores_without_any_annotated_image():
    nothing = np.full((3, 2), np.nan, np.float32)
    assert label_scores(AdaptedLabels(target_va=np.zeros((3, 2), np.float32), target_own_va=nothing)) == {}


@pytest.mark.parametrize(
    ("study", "axis", "levels"),
    [
        ("dcjt_mapping", "pseudo VA", ["CLE", "CLS", "own"]),
        ("dcjt_pseudo_labels", "labels", ["DL", "DL & own VA"]),
    ],
)
def test_levels_that_need_va_are_there_when_asked_for(study, axis, levels):
    _, plain = find_study(study)
    assert not any("own" in level for level in plain.axis(axis).levels)
    chosen = with_axis(plain, axis, [Word(level) for level in levels])
    assert list(chosen.axis(axis).levels) == levels
    cells = make_cells(chosen, "smoke", [0], {})
    assert any(cell.experiment.joint.pseudo_va == "own" for cell in cells)
    if axis == "labels":
        with pytest.raises(UserError, match="did you mean 'DL & own VA'"):
            with_axis(plain, axis, [Word("DL"), Word("DL & own VAs")])


@pytest.mark.parametrize(
    "study", ["dcjt_methods", "dcjt_benchmark", "ablation_lambda", "dcjt_extra_size", "search_dcjt"]
)
def test_own_in_every_other_study(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a = write_set(tmp_path, "A", {"train": COUNTS, "test": dict.fromkeys(COUNTS, 8)}, va=True)
    b = write_set(tmp_path, "B", {"train": COUNTS}, seed=1, va=True)
    extra = ["--axis" if study == "dcjt_methods" else "--set", f"joint.extra={b}"]
    parts = [study, "--preset", "smoke", "--plan", "--on", str(a), *extra]
    assert main([*parts, "--set", "joint.pseudo_va=own"]) == 0
    assert "of its own" not in capsys.readouterr().out
    assert main(parts) == 0
    assert "  note     A came with valence and arousal of its own" in capsys.readouterr().out
