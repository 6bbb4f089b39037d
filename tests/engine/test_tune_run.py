"""Tune's side of a dispatcher: what is suggested, and what its callbacks pass on. Real leases, no Ray."""

import dataclasses
import pickle
from threading import Timer
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raysweep.engine import tune_run
from raysweep.engine.device_watch import DeviceWatch
from raysweep.engine.interrupt import CtrlC, StopAfterEpoch
from raysweep.engine.messages import Began, Done, Epoch, Failed, HostUnfit, Idle, Unusable, packed
from raysweep.engine.nodes.lost import MOST_LOSSES, LostNodes
from raysweep.engine.resources import Allotment
from raysweep.engine.tune_run import _Searcher, _Watch
from raysweep.pipeline import FitEvent
from tests.engine.test_task_dispatcher import ALONE, LEFT, RIGHT, SHARED, sides  # noqa: F401  (a fixture)

EVENT = FitEvent("e", "training", 1, 3, {"train/loss": 0.5}, training="t", until=3)


class Tune:
    """Tune's controller as far as a searcher and a callback see it."""

    def __init__(self, side, concurrency=2, machines=1):
        self.side = side
        devices = DeviceWatch(side.dispatcher, Allotment("CPU", concurrency, 1, concurrency, concurrency))
        devices.look = lambda: devices.allotment  # no Ray
        devices.machines = lambda: machines
        self.watch = _Watch(side.dispatcher, CtrlC(side.dispatcher.interrupt), side.store, devices)
        self.searcher = _Searcher(self.watch, {"device": "CPU"})
        self.trials = {}

    def suggest(self, name):
        """Names of the suggested tasks, or what else is suggested. The trial starts at once."""
        self.side.now += 10
        config = self.searcher.suggest(name)
        if not isinstance(config, dict):
            return config
        failures = SimpleNamespace(num_failures=0)
        trial = self.trials[name] = SimpleNamespace(
            trial_id=name, config=config, status=Trial.RUNNING, run_metadata=failures
        )
        self.watch.on_trial_start(0, [], trial)
        return [self.side.names[task["key"]] for task in config["work"]["tasks"]]

    def report(self, name, message):
        self.watch.on_trial_result(0, [], self.trials[name], packed(message))

    def complete(self, name):
        self.watch.on_trial_complete(0, [], self.trials[name])

    def make(self, name, task):
        self.side.store.put(task.key, lambda folder: (folder / "x").write_text("x"), {})
        self.report(name, Done(task.key, 1.0))
        self.complete(name)


@pytest.fixture
def tune(sides):  # noqa: F811
    return Tune(sides[0])


def test_tasks_are_suggested_as_their_inputs_finish_then_none_then_the_end(tune):
    assert [tune.suggest("t1"), tune.suggest("t2"), tune.suggest("t3")] == [["shared"], ["alone"], None]
    tune.make("t1", SHARED)
    assert [tune.suggest("t3"), tune.suggest("t4")] == [["left"], None]  # two at a time
    tune.make("t2", ALONE)
    assert tune.suggest("t4") == ["right"]
    tune.make("t3", LEFT)
    assert tune.suggest("t5") is None  # what runs might come back
    tune.make("t4", RIGHT)
    assert tune.suggest("t5") == Searcher.FINISHED
    assert tune.side.dispatcher.outcome.completed == {LEFT.key, RIGHT.key, ALONE.key}


def test_what_a_process_reports_reaches_the_listener(tune):
    tune.suggest("t1")
    tune.report("t1", Began(SHARED.key))
    tune.report("t1", Epoch(SHARED.key, EVENT, 2.0))
    tune.report("t1", Failed("DegenerateLoss: NaN", SHARED.key, 3.0))
    tune.complete("t1")
    assert tune.side.dispatcher.outcome.trained == {"training": (1, 1)}
    assert tune.side.heard.words == [("failed", "shared", "DegenerateLoss: NaN")]


def test_a_task_whose_process_leaves_without_a_result_waits_again(tune):
    tune.suggest("t1")
    tune.complete("t1")
    assert tune.side.heard.words == [("stopped", "shared")]
    assert tune.suggest("t2") == ["shared"]


def test_a_trial_that_got_no_process_is_given_back_though_no_callback_says_so(tune):
    tune.suggest("t1")
    tune.watch.active.clear()  # Tune never started it
    tune.trials["t1"].status = Trial.ERROR
    tune.watch.on_step_end(0, list(tune.trials.values()))
    assert tune.side.heard.words == [("stopped", "shared")]
    assert tune.suggest("t2") == ["shared"]


def test_a_process_that_is_lost_is_told_with_its_machine(tune):
    tune.suggest("t1")
    tune.report("t1", Began(SHARED.key, "w2"))
    for _ in range(2):  # the second was lost before it began anything
        tune.watch.on_trial_recover(0, [], tune.trials["t1"])
    assert tune.side.heard.words[-2:] == [("lost", "w2"), ("lost", "")]


def loses_process(tune, name):
    """The trial's process dies: Tune counts a failure, and starts it again until there are too many."""
    trial = tune.trials[name]
    trial.run_metadata.num_failures += 1
    if trial.run_metadata.num_failures <= tune_run.MAX_RETRIES:
        tune.watch.on_trial_recover(0, [], trial)
        return
    trial.status, trial.get_error = Trial.ERROR, lambda: None
    tune.watch.on_trial_error(0, [], trial)


@pytest.fixture
def lossy(tune, monkeypatch):
    """A cluster whose machines may go: `lossy.machines` are there."""
    tune.machines = {"n1", "n2"}
    tune.watch.nodes = LostNodes(lambda: frozenset(tune.machines), grace=0.0)
    monkeypatch.setattr(tune_run, "nodes_alive", lambda: frozenset(tune.machines))
    return tune


def test_a_process_that_dies_with_its_machine_is_no_failure_of_its_task(lossy):
    lossy.suggest("t1")
    for loss in range(2 * tune_run.MAX_RETRIES):
        lossy.machines.add(f"m{loss}")
        lossy.report("t1", Began(SHARED.key, "w2", f"m{loss}"))
        lossy.machines.remove(f"m{loss}")
        loses_process(lossy, "t1")
    assert lossy.side.heard.words == [("lost", "w2")] * (2 * tune_run.MAX_RETRIES)
    assert lossy.trials["t1"].run_metadata.num_failures == 0
    for _ in range(tune_run.MAX_RETRIES + 1):  # those of its own count as ever
        lossy.report("t1", Began(SHARED.key, "w1", "n1"))
        loses_process(lossy, "t1")
    assert "its process died" in lossy.side.dispatcher.outcome.failed[LEFT.key]


def test_a_machine_lost_after_the_last_retry_gives_the_task_to_another(lossy):
    lossy.suggest("t1")
    for _ in range(tune_run.MAX_RETRIES):
        lossy.report("t1", Began(SHARED.key, "w1", "n1"))
        loses_process(lossy, "t1")
    lossy.report("t1", Began(SHARED.key, "w2", "n2"))
    lossy.machines.remove("n2")
    loses_process(lossy, "t1")
    assert lossy.side.dispatcher.outcome.failed == {}
    assert lossy.suggest("t2") == ["shared"]


def test_a_task_that_takes_every_machine_with_it_fails_at_last(lossy):
    lossy.suggest("t1")
    for loss in range(MOST_LOSSES + tune_run.MAX_RETRIES + 1):
        assert lossy.side.dispatcher.outcome.failed == {}
        lossy.report("t1", Began(SHARED.key, "w2", f"m{loss}"))
        loses_process(lossy, "t1")
    assert LEFT.key in lossy.side.dispatcher.outcome.failed


def test_a_group_on_several_machines_may_lose_any_of_them(lossy):
    devices = lossy.watch.devices
    devices.allotment = dataclasses.replace(devices.allotment, per_cell=2)
    lossy.suggest("t1")
    lossy.report("t1", Began(SHARED.key, "w1", "n1"))
    lossy.machines.remove("n2")
    loses_process(lossy, "t1")
    assert lossy.trials["t1"].run_metadata.num_failures == 0


def test_a_report_of_a_trial_that_is_over_is_passed_over(tune):
    tune.suggest("t1")
    tune.complete("t1")
    tune.report("t1", Done(SHARED.key, 1.0))
    assert tune.side.heard.words == [("stopped", "shared")]


def test_a_place_that_cannot_be_used_ends_the_launch_and_blames_no_cell(tune):
    tune.suggest("t1")
    tune.report("t1", Unusable("no room left"))
    tune.complete("t1")
    assert tune.suggest("t2") == Searcher.FINISHED
    assert (tune.side.dispatcher.outcome.stopped, tune.side.dispatcher.outcome.failed) == ("no room left", {})


def test_a_product_that_a_worker_wrote_elsewhere_ends_the_launch_and_blames_no_cell(tune, monkeypatch):
    monkeypatch.setattr(tune_run, "SEEN_WITHIN", 0.1)
    tune.suggest("t1")
    tune.report("t1", Done(SHARED.key, 1.0, host="w2"))
    tune.complete("t1")
    assert tune.suggest("t2") == Searcher.FINISHED
    outcome = tune.side.dispatcher.outcome
    assert outcome.stopped.startswith("w2 wrote a product that this machine does not see in its store (")
    assert outcome.stopped.endswith("--store must be a folder that all machines share, or a URL")
    assert (outcome.failed, outcome.completed) == ({}, set())
    assert tune.side.store.failure(SHARED.key) is None
    assert tune.side.heard.words == [("stopped", "shared")]


def unfit(tune, *trials, host="w2"):
    """The machine of these trials cannot begin what they were given."""
    for name in trials:
        tune.report(name, HostUnfit(host, "no data set called 'mine'"))


def step(tune):
    tune.watch.on_step_end(0, list(tune.trials.values()))


def test_tasks_of_a_machine_that_cannot_begin_them_go_to_others_and_blame_no_cell(tune):
    assert tune.suggest("t1") == ["shared"]
    unfit(tune, "t1")
    assert tune.suggest("t2") == ["shared"]
    assert tune.suggest("t3") is None  # the unfit machine keeps a device
    step(tune)
    tune.report("t2", Began(SHARED.key, "w1"))
    tune.make("t2", SHARED)
    assert tune.suggest("t3") == ["left"]
    outcome = tune.side.dispatcher.outcome
    assert (outcome.failed, outcome.stopped, outcome.unfit) == ({}, "", {"w2": "no data set called 'mine'"})
    assert tune.side.store.failure(SHARED.key) is None
    assert tune.side.heard.words == [
        ("stopped", "shared"),
        ("unfit", "w2", "no data set called 'mine'"),
        ("complete", "shared"),
    ]


def test_a_machine_that_works_again_is_used_again(tune):
    tune.suggest("t1")
    unfit(tune, "t1")
    tune.complete("t1")  # it has kept its device long enough
    assert [tune.suggest("t2"), tune.suggest("t3")] == [["shared"], ["alone"]]
    tune.report("t2", Began(SHARED.key, "w2"))
    assert tune.side.dispatcher.outcome.unfit == {}
    assert tune.side.heard.words[-1] == ("fit", "w2")


def test_a_launch_ends_when_every_device_is_kept_by_a_machine_that_cannot_work(tune):
    tune.suggest("t1")
    unfit(tune, "t1")
    step(tune)
    assert not tune.side.dispatcher.stopping
    tune.suggest("t2")
    unfit(tune, "t2", host="w3")
    step(tune)
    assert tune.side.dispatcher.outcome.stopped == (
        "no machine can work\n  w2: no data set called 'mine'\n  w3: no data set called 'mine'"
    )
    for name in ("t1", "t2"):  # as `StopAfterEpoch` ends them
        tune.complete(name)
    assert tune.suggest("t3") == Searcher.FINISHED
    assert tune.side.dispatcher.outcome.failed == {}


@pytest.mark.parametrize(("pending", "seconds"), [(False, tune_run.WAIT_FOR_HOST), (True, tune_run.WAIT_FOR_NEW_HOST)])
def test_a_launch_waits_for_other_machines_no_longer_than_it_says(tune, pending, seconds, monkeypatch):
    tune.suggest("t1")
    unfit(tune, "t1")
    if pending:  # asked for, but no machine has taken it
        tune.suggest("t2")
        tune.watch.active.discard("t2")
    began = tune.watch.unfit_since
    for passed, stops in ((seconds - 1, False), (seconds + 1, True)):
        monkeypatch.setattr(tune_run.time, "monotonic", lambda passed=passed: began + passed)
        step(tune)
        assert tune.side.dispatcher.stopping == stops


def test_a_disk_that_is_full_on_one_machine_of_several_sets_that_machine_aside(sides):  # noqa: F811
    tune = Tune(sides[0], machines=2)
    tune.suggest("t1")
    tune.report("t1", Unusable("the store's disk is full", "w2"))
    outcome = tune.side.dispatcher.outcome
    assert (outcome.unfit, outcome.stopped) == ({"w2": "the store's disk is full"}, "")
    assert tune.suggest("t2") == ["shared"]
    tune.report("t2", Unusable("the store's disk is full", "w3"))
    step(tune)
    assert outcome.stopped == "no machine can work\n  w2: the store's disk is full\n  w3: the store's disk is full"
    assert outcome.failed == {}


def test_a_full_disk_where_no_other_machine_is_ends_the_launch(tune):
    tune.suggest("t1")
    tune.report("t1", Unusable("the store's disk is full", "here"))
    assert tune.side.dispatcher.outcome.stopped == "the store's disk is full"


def test_an_idle_process_ends_when_nothing_is_left_to_do_or_the_launch_stops():
    stopping, finished = [False], [False]
    stopper = StopAfterEpoch(lambda: stopping[0], lambda: False, lambda: finished[0])
    assert not stopper("t", packed(Idle()))
    finished[0] = True
    assert stopper("t", packed(Idle()))
    assert not stopper("t", packed(Began("k")))
    stopping[0], finished[0] = True, False
    assert stopper("t", packed(Idle()))


def test_a_shared_folder_may_show_a_product_late(tune):
    tune.suggest("t1")
    Timer(0.7, lambda: tune.side.store.put(SHARED.key, lambda folder: (folder / "x").write_text("x"), {})).start()
    tune.report("t1", Done(SHARED.key, 1.0, host="w2"))
    assert not tune.side.dispatcher.outcome.stopped
    assert tune.side.heard.words == [("complete", "shared")]


def test_the_first_exception_of_a_callback_is_kept_and_ends_the_launch(tune, monkeypatch):
    tune.suggest("t1")
    for error in (RuntimeError("first"), KeyError("second")):
        monkeypatch.setattr(tune.side.heard, "epoch", lambda work, event, error=error: _raise(error))
        tune.report("t1", Epoch(SHARED.key, EVENT, 1.0))
    assert tune.suggest("t2") == Searcher.FINISHED
    with pytest.raises(RuntimeError, match="first"):
        tune.watch.fault.check()


def _raise(error):
    raise error


def test_tune_may_pickle_both_whatever_threads_the_leases_have(tune):
    tune.suggest("t1")
    pickle.dumps((tune.searcher, tune.watch))


def dies(tune, name):
    """Tune gives a trial up whose process has died too often."""
    trial = tune.trials[name]
    trial.get_error = lambda: None
    tune.watch.on_trial_error(0, [], trial)


def test_a_process_that_dies_before_it_begins_blames_no_task(tune):
    """As on a machine whose disk is full, where Ray's own processes cannot start."""
    assert tune.suggest("t1") == ["shared"]
    dies(tune, "t1")
    assert ("lost", "") in tune.side.heard.words
    assert tune.suggest("t2") == ["shared"]
    tune.report("t2", Began(SHARED.key, "w1"))
    tune.watch.on_trial_recover(0, [], tune.trials["t2"])  # died on w1, and again before it began
    dies(tune, "t2")
    outcome = tune.side.dispatcher.outcome
    assert (outcome.failed, outcome.stopped) == ({}, "")
    assert tune.suggest("t3") == ["shared"]
    tune.report("t3", Began(SHARED.key, "w1"))
    dies(tune, "t3")
    assert set(outcome.failed.values()) == {"its process died"}


def test_a_launch_ends_whose_processes_all_die_before_they_begin(tune):
    for number in range(tune_run.MAX_DEATHS):
        assert not tune.side.dispatcher.stopping
        assert tune.suggest(f"t{number}")
        dies(tune, f"t{number}")
    outcome = tune.side.dispatcher.outcome
    assert outcome.stopped.startswith("10 processes in a row died before they could begin a task (its process died)")
    assert outcome.failed == {}
