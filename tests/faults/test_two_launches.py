"""Drill 8: several launches at once on one store and one MLflow database."""

import json

import pytest

from raysweep.store.store import Store
from tests.faults.launches import Launch, run
from tests.faults.records import assert_same, outcome, statuses
from tests.faults.small_study import PLANNED, STUDY, WORDS
from tests.faults.stores import products

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def test_the_same_study_twice_at_once_trains_every_epoch_once(fresh, reference):
    with Launch(fresh, *WORDS, "--out", "one") as one, Launch(fresh, *WORDS, "--out", "two") as two:
        ends = [one.end(), two.end()]
    assert sum(end.epochs for end in ends) == PLANNED
    assert [end.told["done"] for end in ends] == [4, 4]
    assert_same(outcome(fresh, STUDY), reference.cells)


def test_workers_leave_mlflow_and_the_table_to_report_only(fresh, reference):
    assert run(fresh, *WORDS, "--report-only", code=1).told["missing"] == 4
    with Launch(fresh, *WORDS, "--worker") as one, Launch(fresh, *WORDS, "--worker") as two:
        ends = [one.end(), two.end()]
    assert sum(end.epochs for end in ends) == PLANNED
    assert not any(end.told["files"] for end in ends)
    assert outcome(fresh, STUDY) == {}
    last = run(fresh, *WORDS, "--report-only")
    assert (last.epochs, last.told["missing"]) == (0, 0)
    assert_same(outcome(fresh, STUDY), reference.cells)
    assert sorted(statuses(fresh, STUDY)["launch"]) == ["FAILED", *["FINISHED"] * 3]


DCJT = ("--preset", "smoke", "--json", "--set", "train.epochs=4")
BOTH = {
    "dcjt_mapping": ("--axis", "mapping=none", "--axis", "remainder=original", "--axis", "pseudo VA=CLE,CLS"),
    "ablation_warmup": ("--axis", "warm-up=0.25,0.5"),
}


def test_two_studies_that_share_a_training_train_it_once(fresh):
    plans = {study: plan(fresh, study, *words) for study, words in BOTH.items()}
    with (
        Launch(fresh, "dcjt_mapping", *DCJT, *BOTH["dcjt_mapping"]) as one,
        Launch(fresh, "ablation_warmup", *DCJT, *BOTH["ablation_warmup"]) as two,
    ):
        ends = [one.end(), two.end()]
    trained = sum(end.told["trained"].get("M_A", {"epochs": 0})["epochs"] for end in ends)
    assert trained == plans["dcjt_mapping"]["trainings"]["M_A"]["epochs"] == 4
    for study, words in BOTH.items():
        alone = f"{study}.db"
        run(fresh, study, *DCJT, *words, "--store", f"alone-{study}", "--tracking", f"sqlite:///{alone}")
        assert_same(outcome(fresh, study), outcome(fresh, study, alone))
    products(Store(fresh / ".raysweep"))  # none is broken


def plan(folder, study, *words):
    return json.loads(run(folder, study, *DCJT, *words, "--plan").stdout)
