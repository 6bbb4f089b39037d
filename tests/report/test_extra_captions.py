"""Captions and columns of studies on several data sets: who is the target, and which way is better."""

from dataclasses import replace

import pytest

from raysweep.artifacts.study_record import ExtraRecord, StudyRecord
from raysweep.metrics.registry import METRICS
from raysweep.pipeline import Sets
from raysweep.report.formatting import title
from raysweep.report.results.aggregate import summarise
from raysweep.report.results.records import CellRecord, Results
from raysweep.report.text.caption_joint import extra_words, joint_recipe
from raysweep.store.store import Store
from raysweep.study import Axis, Cell, Study
from raysweep.study.plan import plan_cells
from tests.pipeline.small_joint import make_a, make_b, small_joint


def plan(tmp_path, sets, **changes):
    study = Study(
        "Any", [Axis.of("joint.relabel", [True, False])], metric="accuracy", columns=("accuracy", "pseudo_rmse")
    )
    cells = [Cell(arm, 0, small_joint(**changes).with_changes(arm.changes)) for arm in study.arms()]
    return plan_cells("any", study, "demo", cells, [sets] * len(cells), Store(tmp_path))


def test_the_target_of_a_fine_tuning_study_is_no_extra_set(tmp_path):
    third = replace(make_a(seed=3), name="C", fingerprint="C")
    described = plan(tmp_path, Sets(make_a(), (make_b(),), third), joint__finetune="C").record("").describe()
    record = StudyRecord.read(described, "launch").data
    assert record.name == "C"
    assert [(e.name, e.role) for e in record.extras] == [("A", "target"), ("B", "extra")]
    text = "; trained before on the target A (60 training images); extra data: B (80 training images)"
    assert extra_words(record.extras) == text


def test_without_fine_tuning_every_other_set_is_extra(tmp_path):
    sets = Sets(make_a(), (make_b(), make_b(seed=6, name="D")))
    record = StudyRecord.read(plan(tmp_path, sets).record("").describe(), "launch").data
    assert extra_words(record.extras) == "; extra data: B (80 training images) and D (80 training images)"
    again = Sets(make_a(), (make_b(),), None)
    again = replace(again, finetune=again.target)
    record = StudyRecord.read(plan(tmp_path, again, joint__finetune="target").record("").describe(), "launch").data
    assert extra_words(record.extras) == "; extra data: B (80 training images)"


def test_reports_of_older_launches_know_no_roles():
    assert extra_words([ExtraRecord("B", 10, ())]) == "; extra data: B (10 training images)"
    assert extra_words([]) == ""


def test_remarks_go_into_the_caption(tmp_path):
    sets = Sets(make_a(with_va=True), (make_b(),))
    described = plan(tmp_path, sets).record("").describe()
    assert any("A came with valence and arousal of its own" in note for note in described["study"]["notes"])


@pytest.mark.parametrize("score", METRICS)
def test_scores_without_a_truth_carry_no_arrow(score):
    assert (title(score, arrow=True)[-1] in "↑↓") == METRICS[score].directed
    assert METRICS[score].directed or METRICS[score].needs == "labels"


def results(scores, metric="accuracy", columns=("accuracy", "kept_share", "pseudo_rmse")):
    """Six replicates of a reference arm and another, whose scores are larger by about 0.2."""
    plan = {
        "study": {"name": "any", "title": "Any", "source": "", "metric": metric, "published": None, "notes": [],
                  "columns": list(columns), "reference": {"arm": "a"}, "axes": [{"name": "arm", "levels": ["a", "b"]}]},
        "preset": "demo", "replicates": list(range(6)), "protocol": "validation", "weights": "best", "cells": [],
        "data": {"name": "A", "fingerprint": "f", "classes": ["x", "y"], "counts": [9, 0, 9], "notes": []},
        "recipe": {}, "command": "",
    }  # fmt: skip
    cells = [
        CellRecord({"arm": arm}, f"arm={arm}", i, f"{arm}{i}", f"run{arm}{i}", "complete",
                   dict.fromkeys(scores, 0.5 + 0.01 * i + (0.2 + 0.001 * i * i) * (arm == "b")))
        for arm in "ab" for i in range(6)
    ]  # fmt: skip
    return Results(StudyRecord.read(plan, "launch"), tuple(cells))


def test_no_arm_is_better_in_a_share_without_a_truth():
    summary = summarise(results(("accuracy", "kept_share")))
    arm = summary.arm({"arm": "b"})
    assert arm.scores["accuracy"].comparison.verdict == "better"
    assert arm.scores["kept_share"].comparison.verdict == "exploratory"
    assert arm.scores["kept_share"].comparison.p_holm is not None


@pytest.mark.parametrize(
    ("scores", "shown", "unavailable"),
    [
        (("accuracy", "pseudo_rmse"), ("accuracy", "pseudo_rmse"), ("kept_share",)),
        (("accuracy", "pseudo_own_rmse"), ("accuracy", "pseudo_own_rmse"), ("kept_share", "pseudo_rmse")),
        (
            ("accuracy", "kept_share", "pseudo_rmse", "pseudo_own_rmse"),
            ("accuracy", "kept_share", "pseudo_rmse", "pseudo_own_rmse"),
            (),
        ),
    ],
)
def test_a_s_own_va_have_a_column_where_cells_know_them(scores, shown, unavailable):
    summary = summarise(results(scores))
    assert summary.columns == shown
    assert summary.unavailable == unavailable


def test_what_is_retrained_of_joint_training():
    config = {"joint.method": "dcjt", "objective.weight_va": "15.0"}
    assert "retrained" not in " ".join(joint_recipe([config]))
    words = joint_recipe([{**config, "selection.protocol": "select_then_retrain"}])
    assert "retrained on all images in its last step alone" in " ".join(words)
