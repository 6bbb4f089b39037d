"""Tune's side of the hand-out."""

import pickle

from ray.tune.search import Searcher

from raysweep.engine.study_searcher import TaskSearcher
from tests.engine.test_handout import ALONE, LEFT, RIGHT, SHARED, sides  # noqa: F401  (a fixture)


def names(batch):
    return {"work": [task.stage.params["name"] for task in batch]}


def test_tune_gets_tasks_as_their_inputs_finish_then_waits_then_is_told_the_end(sides):  # noqa: F811
    side = sides[0]
    searcher = TaskSearcher(side.handout, names)
    assert searcher.suggest("t1") == {"work": ["shared"]}
    assert searcher.suggest("t2") == {"work": ["alone"]}
    assert searcher.suggest("t3") is None
    side.make(SHARED)
    assert [searcher.suggest("t3"), searcher.suggest("t4")] == [{"work": ["left"]}, {"work": ["right"]}]
    side.make(LEFT), side.make(RIGHT)
    assert searcher.suggest("t5") is None  # what runs might come back
    side.make(ALONE)
    assert searcher.suggest("t5") == Searcher.FINISHED


def test_tune_may_pickle_it_whatever_threads_the_leases_have(sides):  # noqa: F811
    searcher = TaskSearcher(sides[0].handout, names)
    searcher.suggest("t1")
    pickle.dumps(searcher)
