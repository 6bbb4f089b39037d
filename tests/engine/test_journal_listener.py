"""What a search's trials become in the journal; cells: `tests/tracking/test_shared_epochs.py`."""

import math
from contextlib import closing
from types import SimpleNamespace

import pytest

from raysweep.config.experiment import Experiment
from raysweep.engine.events import End, SearchTrial
from raysweep.engine.journal_listener import JournalListener
from raysweep.pipeline import FitEvent
from raysweep.tracking.journal import Journal

TRIAL = SearchTrial("s smoke", 3, "arm=a", {"arm": "a"}, 0, "k" * 64, {"labels.alpha": 0.5}, Experiment(), "own")


@pytest.fixture
def heard(tmp_path):
    """Gives events to a listener; returns what it wrote, without what all events have."""

    def write(*events):
        with closing(Journal(tmp_path / "j.jsonl")) as journal:
            listener = JournalListener("s", "l", "here", journal, SimpleNamespace(wake=lambda: None))
            listener.launched({"study": {}}, {"raysweep.preset": "smoke"})
            for name, *words in events:
                getattr(listener, name)(*words)
            _, *written = journal.events()
            return written

    return write


def epoch(number, training="own", replayed=False, **metrics):
    return FitEvent("e", "training", number, 4, metrics, replayed, training, 4)


def test_each_epoch_of_its_own_curve_is_written_once_whatever_process_trained_it(heard):
    first = [("epoch", TRIAL, epoch(n, **{"val/nll": 1.0 / n})) for n in (1, 2, 3)]
    again = [("epoch", TRIAL, epoch(1, replayed=True)), ("epoch", TRIAL, epoch(2)), ("epoch", TRIAL, epoch(4))]
    assert [e["epoch"] for e in heard(*first, *again)] == [1, 2, 3, 4]


def test_epochs_that_another_trial_trained_are_part_of_the_curve(heard):
    assert [e["epoch"] for e in heard(("epoch", TRIAL, epoch(1, replayed=True)), ("epoch", TRIAL, epoch(2)))] == [1, 2]


def test_models_made_on_the_way_are_not(heard):
    assert heard(("epoch", TRIAL, epoch(1, training="M_A's"))) == []


def test_a_trial_that_is_told_whole(heard):
    start, end = heard(("started", TRIAL), ("ended", TRIAL, End("complete", "", False, {"validation/nll": 0.5}, 8.0)))
    assert (start["event"], start["study"], start["launch"]) == ("trial", "s", "l")
    trial = {"search": "s smoke", "number": 3, "arm": "arm=a", "coordinates": {"arm": "a"}, "replicate": 0,
             "key": "k" * 64, "point": {"labels.alpha": 0.5}, "tags": {"raysweep.preset": "smoke"}}  # fmt: skip
    assert {name: value for name, value in start["trial"].items() if name != "config"} == trial
    assert start["trial"]["config"]["labels"]["method"] == Experiment().labels.method
    facts = {name: end[name] for name in ("event", "state", "scores", "seconds", "cause")}
    assert facts == {
        "event": "trial_end", "state": "complete", "scores": {"validation/nll": 0.5}, "seconds": 8.0, "cause": ""
    }  # fmt: skip


def test_scores_that_no_tracking_store_takes_are_left_out(heard):
    one = epoch(1, **{"val/nll": math.nan, "val/accuracy": 0.5})
    told, end = heard(
        ("epoch", TRIAL, one), ("ended", TRIAL, End("failed", "NaN", scores={"validation/nll": math.inf}))
    )
    assert told["metrics"] == {"val/accuracy": 0.5}
    assert (end["scores"], end["cause"]) == ({}, "NaN")
