"""Drill 4: a cell that always fails is marked, told again, and taken up again only when asked for."""

import pytest

from tests.faults.launches import events, run
from tests.faults.records import assert_same, outcome

pytestmark = [
    pytest.mark.full,  # in short: tests/test_end_to_end.py
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

STUDY = "ablation_alpha"
WORDS = (STUDY, "--preset", "smoke", "--json", "--axis", "alpha=1", "--axis", "train.learning_rate=0.002,1e30")
GOOD, BAD = ("alpha=1, learning_rate=0.002", "0"), ("alpha=1, learning_rate=1e+30", "0")


def test_the_rest_completes_and_only_retry_failed_takes_it_up_again(fresh):
    first = run(fresh, *WORDS, code=1)
    recorded = outcome(fresh, STUDY)
    assert recorded[GOOD].state == "complete"
    assert recorded[BAD].state == "failed"
    assert recorded[BAD].status == "FAILED"
    assert recorded[BAD].cause.startswith("DegenerateLoss: the loss became")
    name = f"{BAD[0]} #{BAD[1]}"
    assert first.told["failed"] == {name: recorded[BAD].cause}

    again = run(fresh, *WORDS, code=1)
    assert again.told["trained"] == {}
    assert name in again.text  # it says which cell failed before ...
    assert "--retry-failed" in again.text  # ... and what to do about it
    assert outcome(fresh, STUDY) == recorded

    taken_up = run(fresh, *WORDS, "--retry-failed", code=1)
    assert taken_up.told["failed"] == {name: recorded[BAD].cause}
    assert taken_up.told["done"] == 1
    starts = [event["cell"]["arm"] for event in events(fresh) if event["event"] == "start"]
    assert starts.count(BAD[0]) == 2
    assert starts.count(GOOD[0]) == 1
    assert_same(outcome(fresh, STUDY), recorded, failed=[BAD])
