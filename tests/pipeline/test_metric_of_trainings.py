"""Which score chooses the epoch of which training: the study's, in every training that can have it."""

import math
from dataclasses import replace

import pytest

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.metrics.registry import needing
from raysweep.pipeline import Sets, build
from raysweep.study import Axis, Study
from raysweep.study.cells import make_cells
from raysweep.study.discovery import find_study, list_studies
from tests.pipeline.small_joint import fits, key_of, make_a, make_b, small_joint

SETS = Sets(make_a(), (make_b(),))


def study(metric, **more):
    return Study("Any", axes=[Axis.of("train.batch_size", [16, 32])], metric=metric, columns=(metric,), **more)


def metrics(cells):
    return {cell.experiment.selection.metric for cell in cells}


@pytest.mark.parametrize("preset", ["smoke", "demo", "paper"])
@pytest.mark.parametrize(
    ("name", "metric"),
    [("dcjt_methods", "accuracy"), ("dcjt_finetune", "accuracy"), ("ablation_alpha", "macro_f1"),
     ("weighted_l2", "rmse_valence")],
)  # fmt: skip
def test_studies_choose_by_their_headline_score(preset, name, metric):
    assert metrics(make_cells(find_study(name)[1], preset, [0], {})) == {metric}


@pytest.mark.parametrize("name", list_studies())
def test_no_study_chooses_by_another_score_than_its_headline(name):
    """Scores of labels aside, which no epoch has. The headline of DCJT's tables is accuracy."""
    own = find_study(name)[1]
    expected = Experiment().selection.metric if own.metric in needing("labels") else own.metric
    assert metrics(make_cells(own.at("paper"), "paper", [0], {})) == {expected}
    if (own.published or "").startswith("dcjt"):
        assert expected == "accuracy"


def test_order_of_precedence():
    assert metrics(make_cells(study("nll"), "smoke", [0], {})) == {"nll"}
    assert metrics(make_cells(study("nll", base={"selection.metric": "ece"}), "smoke", [0], {})) == {"ece"}
    cells = make_cells(study("nll"), "smoke", [0], {"selection.metric": "ccc_valence"})
    assert metrics(cells) == {"ccc_valence"}
    assert cells[0].changed == {"selection.metric": ("nll", "ccc_valence")}
    assert metrics(make_cells(study("kept_right"), "smoke", [0], {})) == {Experiment().selection.metric}


def trained_by(experiment, sets=SETS):
    """Title of a training to the score that chooses its epoch."""
    return {s.attached.title: s.experiment.selection.metric for s in fits(build(experiment, sets))}


def test_every_training_of_a_method_by_the_same_score():
    found = trained_by(small_joint(selection__metric="accuracy"))
    assert found == {"M_A": "accuracy", "M_B on the subset": "accuracy", "joint": "accuracy"}


def test_a_training_without_regression_is_not_chosen_by_va():
    sets = Sets(make_a(with_va=True), (make_b(),))
    found = trained_by(small_joint(selection__metric="rmse_valence"), sets)
    assert found == {"M_A": "macro_f1", "M_B on the subset": "rmse_valence", "joint": "rmse_valence"}
    target = {"joint__method": "target", "selection__metric": "ccc_arousal"}
    assert trained_by(small_joint(**target), sets) == {"target": "ccc_arousal"}
    assert trained_by(small_joint(**target)) == {"target": "macro_f1"}  # A has no VA, so nothing is regressed


def test_m_a_is_the_target_only_arm_whatever_chooses():
    for metric in ("accuracy", "macro_f1", "rmse_valence"):
        joint = small_joint(selection__metric=metric)
        alone = joint.with_changes({"joint.method": "target", "objective.weight_va": 0.0})
        m_a = {stage.key for stage in fits(build(joint, SETS_VA)) if stage.attached.title == "M_A"}
        assert m_a == {stage.key for stage in fits(build(alone, SETS_VA))}


SETS_VA = Sets(make_a(with_va=True), (make_b(),))


@pytest.mark.parametrize("metric", ["rmse_valence", "ccc_arousal", "kl_votes"])
def test_a_score_that_the_watched_images_cannot_have_is_refused_when_it_is_planned(metric):
    a = make_a()
    sets = Sets(replace(a, votes=a.votes * math.nan), (make_b(),))
    with pytest.raises(UserError, match=rf"`selection.metric={metric}` chooses the epoch .* images of A .* none"):
        build(small_joint(selection__metric=metric), sets)
    build(small_joint(selection__metric=metric, selection__protocol="last", selection__weights="last"), sets)


def test_the_metric_is_in_no_key_where_nothing_is_watched():
    last = {"selection__protocol": "last", "selection__weights": "last"}
    assert key_of(small_joint(**last), SETS) == key_of(small_joint(**last, selection__metric="nll"), SETS)
    test = {"selection__protocol": "best_on_test"}
    assert key_of(small_joint(**test), SETS) != key_of(small_joint(**test, selection__metric="nll"), SETS)
