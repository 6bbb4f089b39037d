"""A caption says by which score, and on whose images, the epoch was chosen."""

import pytest

from raysweep.config.experiment import Experiment
from raysweep.report.figures.curves import monitored
from raysweep.report.text.caption import caption
from raysweep.study import Axis, Study
from raysweep.study.discovery import find_study
from tests.report.test_overrides import launched

BEST = {"selection.weights": "best"}


def study(metric="accuracy", base=BEST, **more):
    return Study(
        "Any", axes=[Axis.of("train.batch_size", [16, 32])], metric=metric, columns=(metric,), base=base, **more
    )


def words(*how, **more):
    return " ".join(caption(launched(*how, **more)))


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", "The epoch is chosen by accuracy on validation images, the first of equal ones."),
        ("macro_f1", "The epoch is chosen by macro-F1 on validation images, the first of equal ones."),
        ("rmse_valence", "The epoch is chosen by RMSE V on validation images, the first of equal ones; in trainings "
         "that do not regress valence and arousal, by macro-F1."),
        ("kept_right", "The epoch is chosen by macro-F1 on validation images, the first of equal ones (kept B right "
         "is a score of labels, which no epoch has)."),
    ],
)  # fmt: skip
def test_by_which_score(metric, said):
    assert said in words(study(metric))


def test_an_override_and_an_axis_are_said():
    assert "chosen by NLL on" in words(study(), changes={"selection.metric": "nll"})
    both = Study("Any", axes=[Axis.of("selection.metric", ["accuracy", "nll", "ece"])], base=BEST)
    assert "chosen by accuracy, NLL or ECE on" in words(both)


@pytest.mark.parametrize("preset", ["demo", "paper"])
@pytest.mark.parametrize("name", ["dcjt_methods", "dcjt_mapping", "dcjt_extra_size", "dcjt_finetune"])
def test_dcjt_s_tables_say_accuracy_and_whose_labels_choose_where_only_b_is_trained_on(name, preset):
    said = words(find_study(name)[1].at(preset), preset)
    assert "The epoch is chosen by accuracy on validation images" in said
    alone = "Arms trained on extra data alone choose their epoch by the validation images and labels of the target A."
    assert (alone in said) == (name in ("dcjt_methods", "dcjt_finetune"))
    changed = words(find_study(name)[1].at(preset), preset, changes={"selection.metric": "macro_f1"})
    assert "The epoch is chosen by macro-F1 on validation images" in changed


@pytest.mark.parametrize("weights", ["swa", "last"])
def test_where_no_epoch_is_chosen_nothing_is_said(weights):
    assert "epoch is chosen" not in words(study(base={"selection.weights": weights}))
    assert "epoch is chosen" not in words(study(base={"selection.protocol": "last", "selection.weights": weights}))


def test_best_on_test():
    said = words(find_study("dcjt_methods")[1], changes={"selection.protocol": "best_on_test"})
    assert "The epoch is chosen by accuracy on test images" in said
    assert "M_A and M_B take their last epoch, so that no test label shapes what is trained on." in said


def test_arms_that_never_train_on_a():
    alone = "Arms trained on extra data alone choose their epoch by the validation images and labels of the target A."
    tuned = "Before fine-tuning the epoch is chosen by validation images of A (data.source), in fine-tuning by those of"
    pretrained = words(find_study("dcjt_finetune")[1])
    assert alone in pretrained
    assert tuned in pretrained
    assert alone not in words(find_study("dcjt_extra_size")[1])
    assert tuned not in words(find_study("dcjt_extra_size")[1])
    extra = study(base={**BEST, "joint.method": "extra", "joint.extra": "B"})
    assert alone in words(extra)
    assert "of the target A." not in words(study())


def test_helpers_are_named_where_there_are_any():
    said = "The epochs of M_A and M_B, too, are chosen by validation images of A."
    joint = {**BEST, "joint.method": "dcjt", "joint.extra": "B", "joint.warm_up": 0.0, "joint.frequency": 1.0}
    assert said in words(study(base=joint))
    own = {**joint, "joint.pseudo_va": "own", "joint.mapping": "none", "joint.relabel": False}
    assert said not in words(study(base=own))
    assert said not in words(study(base={**BEST, "joint.method": "combine", "joint.extra": "B"}))


def test_the_learning_curve_is_that_of_the_score():
    assert monitored(launched(study("accuracy")).study) == "val/accuracy"
    assert monitored(launched(study("rmse_arousal")).study) == "val/rmse_arousal"
    on_test = {**BEST, "selection.protocol": "best_on_test"}
    assert monitored(launched(study("ece", on_test)).study) == "test_epoch/ece"
    assert Experiment().selection.metric == "macro_f1"
