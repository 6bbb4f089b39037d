"""Who computes what when several launches share a store. Real stores and leases, no Ray."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from raysweep.config.experiment import Experiment
from raysweep.engine.events import Listener
from raysweep.engine.task_dispatcher import TaskDispatcher
from raysweep.pipeline import FitEvent, Task
from raysweep.pipeline.stage import Stage
from raysweep.scheduling.queue import TaskQueue
from raysweep.store.leases import Leases
from raysweep.store.store import Store


class Heard(Listener):
    """Remembers what it is told."""

    def __init__(self):
        self.words = []

    def ended(self, work, end):
        cause = (end.cause,) if end.cause else ()
        self.words.append((end.state, name(work), *cause))

    def waiting(self, work, holder):
        self.words.append(("waiting", name(work)))

    def process_lost(self, host):
        self.words.append(("lost", host))

    def host_unfit(self, host, reason):
        self.words.append(("unfit", host, reason))

    def host_fit(self, host):
        self.words.append(("fit", host))


def make_task(title, *needs):
    stage = Stage("fit", {"name": title})
    keys = frozenset({stage.key})
    return Task(stage, frozenset(n.key for n in needs), (("training", 3),), keys, frozenset({stage.key}), keys)


def name(task):
    return task.stage.params["name"]


SHARED = make_task("shared")
LEFT, RIGHT, ALONE = make_task("left", SHARED), make_task("right", SHARED), make_task("alone")
SHARED = replace(SHARED, cells=frozenset({LEFT.key, RIGHT.key}))
TASKS = [SHARED, LEFT, RIGHT, ALONE]


class Side:
    """One launch: a dispatcher with its own leases on a store, and a clock that it turns itself."""

    def __init__(self, store, owner, tasks=TASKS, noted=None, waits=True):
        cells = {key: [] for task in tasks for key in task.cells}
        experiment = Experiment()
        plan = SimpleNamespace(tasks=tasks, by_key=cells, noted=noted or {}, experiment_of=lambda task: experiment)
        self.heard, self.now = Heard(), 0.0
        self.leases = Leases(store, owner)
        self.store = store
        self.dispatcher = TaskDispatcher(
            plan, TaskQueue(tasks), store, self.leases, self.heard, clock=lambda: self.now, waits=waits
        )
        self.names = {task.key: name(task) for task in tasks}
        self.count = 0

    def take(self):
        """Names of the tasks of the next trial; trials are called "1", "2", ..."""
        self.now += 10
        self.count += 1
        return [self.names[given.key] for given in self.dispatcher.next(str(self.count))]

    def make(self, task):
        self.store.put(task.key, lambda folder: (folder / "x").write_text("x"), {})
        self.dispatcher.done("", task.key)


@pytest.fixture
def sides(tmp_path):
    both = [Side(Store(tmp_path), "launch one"), Side(Store(tmp_path), "launch two")]
    yield both
    for side in both:
        side.leases.close()


class TestOneLaunch:
    def test_hands_out_what_is_ready_and_is_finished_after_the_last(self, sides):
        side = sides[0]
        assert [side.take(), side.take(), side.take()] == [["shared"], ["alone"], []]
        assert not side.dispatcher.finished
        side.make(SHARED)
        assert [side.take(), side.take(), side.take()] == [["left"], ["right"], []]
        for task in (LEFT, RIGHT, ALONE):
            assert not side.dispatcher.finished
            side.make(task)
        assert side.dispatcher.finished
        assert side.dispatcher.outcome.completed == {LEFT.key, RIGHT.key, ALONE.key}
        assert side.dispatcher.outcome.elsewhere == 0

    def test_a_failure_is_remembered_for_the_cells_it_takes_along_and_for_nothing_else(self, sides):
        side = sides[0]
        side.take()
        side.dispatcher.failed("1", "DegenerateLoss: NaN", SHARED.key)
        assert side.dispatcher.outcome.failed == dict.fromkeys((LEFT.key, RIGHT.key), "DegenerateLoss: NaN")
        assert side.take() == ["alone"]
        assert [side.store.failure(t.key) is not None for t in TASKS] == [True, True, True, False]
        assert side.store.failure(LEFT.key)["cause"] == "DegenerateLoss: NaN"

    def test_success_forgets_a_failure(self, sides):
        side = sides[0]
        side.store.note_failure(ALONE.key, {"cause": "once"})
        side.take(), side.take()
        side.make(ALONE)
        assert side.store.failure(ALONE.key) is None

    def test_of_a_dead_process_the_task_it_was_at_fails_and_the_rest_is_handed_out_again(self, sides):
        side = Side(sides[0].store, "launch three", [LEFT2 := make_task("l"), RIGHT2 := make_task("r"), make_task("z")])
        given = side.take() + side.take() + side.take()
        assert given == ["l", "r", "z"]
        side.dispatcher.trials = {"1": [LEFT2.key, RIGHT2.key], "3": side.dispatcher.trials["3"]}  # as tiny ones travel
        side.dispatcher.failed("1", "its process died")
        side.dispatcher.give_back("1")
        assert side.heard.words == [("failed", "l", "its process died"), ("stopped", "r")]
        assert side.take() == ["r"]
        side.leases.close()

    def test_hearing_twice_of_the_same_task_counts_once(self, sides):
        side = sides[0]
        side.take(), side.take()
        side.make(ALONE)
        side.dispatcher.done("2", ALONE.key)
        side.dispatcher.failed("2", "no", ALONE.key)
        side.dispatcher.give_back("2")
        assert side.heard.words == [("complete", "alone")]
        assert side.take() == []

    def test_after_a_stop_nothing_is_handed_out(self, sides):
        side = sides[0]
        side.dispatcher.stop("no room left")
        assert side.take() == []
        assert side.dispatcher.finished
        assert side.dispatcher.outcome.stopped == "no room left"

    def test_epochs_count_once_a_piece_and_replayed_ones_not(self, sides):
        side = sides[0]
        for epoch in (1, 2, 3):
            event = FitEvent(f"e{epoch}", "M_A", epoch, 3, {}, replayed=epoch == 1, training="t", until=3)
            side.dispatcher.epoch("1", SHARED.key, event)
        assert side.dispatcher.outcome.trained == {"M_A": (1, 2)}


class TestTwoLaunches:
    def test_what_one_computes_the_other_leaves_and_takes_other_work(self, sides):
        one, two = sides
        assert one.take() == ["shared"]
        assert two.take() == ["alone"]
        assert two.heard.words == [("waiting", "shared")]
        assert two.take() == []
        assert not two.dispatcher.finished

    def test_what_one_has_made_the_other_need_not_make(self, sides):
        one, two = sides
        one.take(), two.take()
        one.make(SHARED)
        assert one.take() == ["left"]
        assert two.take() == ["right"]  # seen in the store, by a look at what was set aside
        one.make(LEFT), two.make(RIGHT), two.make(ALONE)
        assert [one.take(), two.take()] == [[], []]
        assert one.dispatcher.finished
        assert two.dispatcher.finished
        assert one.dispatcher.outcome.completed == two.dispatcher.outcome.completed == {LEFT.key, RIGHT.key, ALONE.key}
        assert (one.dispatcher.outcome.elsewhere, two.dispatcher.outcome.elsewhere) == (2, 2)

    def test_a_worker_is_finished_when_others_compute_all_that_is_left(self, sides):
        """Not while a task waits for an input that another launch makes: it may be free then."""
        one, two = sides[0], Side(sides[0].store, "launch three", waits=False)
        one.take(), two.take()
        two.make(ALONE)
        assert two.take() == []
        assert not two.dispatcher.finished
        one.make(SHARED)
        assert one.take() == ["left"]
        assert two.take() == ["right"]
        assert not two.dispatcher.finished
        two.make(RIGHT)
        assert two.take() == []
        assert two.dispatcher.finished
        two.leases.close()

    def test_what_the_other_gave_up_is_taken_over(self, sides):
        one, two = sides
        one.take(), two.take(), two.take()
        one.leases.close()
        assert two.take() == ["shared"]

    def test_what_failed_there_fails_here_without_another_try(self, sides):
        one, two = sides
        one.take(), two.take()
        one.dispatcher.failed("1", "DegenerateLoss: NaN", SHARED.key)
        two.take()
        assert ("failed", "shared", "DegenerateLoss: NaN") in two.heard.words
        assert two.dispatcher.outcome.failed == dict.fromkeys((LEFT.key, RIGHT.key), "DegenerateLoss: NaN")

    @pytest.mark.parametrize("ahead", [-86400.0, 600.0, 86400.0])
    def test_what_failed_before_is_tried_again_whatever_its_clock_said(self, tmp_path, ahead):
        """A failure noted by a clock ten minutes ahead is not one of a launch beside ours."""
        store, facts = Store(tmp_path), {"cause": "old", "time": time.time() + ahead}
        store.note_failure(SHARED.key, facts)
        side = Side(store, "launch three", noted={SHARED.key: facts})
        assert side.take() == ["shared"]
        side.make(SHARED)
        assert not side.dispatcher.outcome.failed
        side.leases.close()

    @pytest.mark.parametrize("ahead", [-86400.0, 86400.0])
    def test_what_fails_there_fails_here_whatever_its_clock_says(self, sides, ahead, monkeypatch):
        one, two = sides
        one.take(), two.take()
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr("raysweep.engine.task_dispatcher.time.time", lambda: now + ahead)
            one.dispatcher.failed("1", "DegenerateLoss: NaN", SHARED.key)
        two.take()
        assert ("failed", "shared", "DegenerateLoss: NaN") in two.heard.words

    def test_what_was_made_between_plan_and_hand_out_is_found(self, sides):
        one, two = sides
        assert [one.take(), one.take()] == [["shared"], ["alone"]]
        one.make(SHARED), one.make(ALONE)
        assert two.take() == ["left"]
        assert ("complete", "alone") in two.heard.words or two.take() == ["right"]
