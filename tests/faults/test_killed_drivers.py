"""Drill 1: the driver dies by SIGKILL at a random moment; the same command goes on."""

import random
import time

import pytest

from tests.faults.launches import Launch, epochs_told, events, run
from tests.faults.records import assert_same, outcome, statuses
from tests.faults.small_study import PLANNED, STUDY, WORDS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def starting(folder):
    """Its journal is there: the cluster is about to be used."""
    return lambda: events(folder)


def training(folder, epochs):
    before = epochs_told(folder)
    return lambda: epochs_told(folder) >= before + epochs


def between_cells(folder):
    return lambda: any(event["event"] == "complete" for event in events(folder))


def test_a_driver_killed_in_the_midst_of_training_ends_with_the_numbers_of_an_undisturbed_one(fresh, reference):
    with Launch(fresh, *WORDS) as launch:
        launch.wait_for("epochs", training(fresh, 3))
        launch.kill()
    assert epochs_told(fresh) >= 3
    last = run(fresh, *WORDS)
    assert last.epochs < PLANNED  # what was in the store or in a checkpoint was not trained again
    assert_same(outcome(fresh, STUDY), reference.cells)
    found = statuses(fresh, STUDY)
    assert sorted(found["launch"]) == ["FINISHED", "KILLED"]
    assert "RUNNING" not in found.get("training", [])


@pytest.mark.full
def test_a_driver_killed_again_and_again_ends_with_the_numbers_of_an_undisturbed_one(fresh, reference):
    chance = random.Random(4)
    moments = [
        ("the start", starting(fresh), 3.0),
        ("epochs", training(fresh, chance.randint(1, 4)), 0.5),
        ("a complete cell", between_cells(fresh), 0.2),
    ]
    told = 0
    for what, reached, spread in moments:
        with Launch(fresh, *WORDS) as launch:
            launch.wait_for(what, reached)
            time.sleep(chance.uniform(0, spread))
            launch.kill()
        assert epochs_told(fresh) >= told  # the journal is on disk whatever happens
        told = epochs_told(fresh)
    last = run(fresh, *WORDS)
    assert last.epochs < PLANNED  # what was in the store or in a checkpoint was not trained again
    assert_same(outcome(fresh, STUDY), reference.cells)
    found = statuses(fresh, STUDY)
    assert sorted(found["launch"]) == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    assert "RUNNING" not in found.get("training", [])
