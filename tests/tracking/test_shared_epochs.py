"""A cell says which epochs of its curve were computed for others, and its curve is whole all the same."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from raysweep.engine.events import End
from raysweep.engine.journal_listener import JournalListener
from raysweep.pipeline import FitEvent, Sets, Task, build, plan_tasks
from raysweep.pipeline.run import run_task
from raysweep.pipeline.stage import Attached, Stage
from raysweep.study import Axis, Cell, Study
from raysweep.study.plan import Plan
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import publish
from tests.pipeline.small_joint import make_a, small_joint

A = make_a(with_va=True)
EPOCHS = 5


class Killed(Exception):
    """Stands for a SIGKILL: nothing is told of the task any more."""


def plan_of(server, arms, name="s"):
    """A study of one axis whose levels are experiments, planned against the server's store."""
    study = Study("t", [Axis("arm", {arm: {} for arm in arms})], {})
    finals = [build(experiment, Sets(A)) for experiment in arms.values()]
    words = zip(study.arms(), arms.values(), finals, strict=True)
    cells = [Cell(arm, 0, experiment, final.key) for arm, experiment, final in words]
    done = frozenset(final.key for final in finals if server.store.get(final.key) is not None)
    tasks = plan_tasks({final.key: final for final in finals}.values(), server.store)
    return Plan(name, study, "smoke", cells, A, (), {final.key: final for final in finals}, done, tasks)


class Launch:
    """A launch without Ray, recorded and published as a real one is."""

    def __init__(self, server, tmp_path, arms, name="l1", study="s", kill=None):
        self.trained = {}  # task's key to the epochs it trained, by epoch's key
        self.server, self.plan = server, plan_of(server, arms, study)
        with closing(Journal(tmp_path / f"{study}-{name}.jsonl")) as journal:
            publisher = SimpleNamespace(wake=lambda: None)
            self.recorder = JournalListener(study, name, "here", journal, publisher)
            self.recorder.launched({}, {}, self.plan)
            killed = any(self._killed(task, kill) for task in self.plan.tasks)
            self.recorder.finished("KILLED" if killed else "FINISHED")
            for _ in publish(journal, server.writer):
                pass

    def _killed(self, task, kill):
        """Run a task; its process dies after the epoch `kill` of a cell's own training."""
        self.recorder.started(task)
        cell = self.plan.by_key[min(task.cells)][0]

        def report(event):
            self.recorder.epoch(task, event)
            if not event.replayed:
                self.trained.setdefault(task.key, []).append(event.epoch)
            if event.epoch == kill and not event.replayed and task.key in self.plan.by_key:
                raise Killed

        try:
            run_task(cell.experiment, Sets(A), task.key, task.keep, self.server.store, report=report)
        except Killed:
            return True
        self.recorder.ended(task, End("complete"))
        return False


def shared(server, study="s"):
    """Arm to the tag, of complete cells; their curves must be whole."""
    experiment = server.client.get_experiment_by_name(study).experiment_id
    tags = {}
    for run in server.client.search_runs([experiment], "tags.`raysweep.kind` = 'cell'"):
        if run.data.tags["raysweep.state"] == "complete":
            tags[run.data.tags["raysweep.arm"]] = run.data.tags.get("raysweep.shared_epochs")
            steps = [m.step for m in server.client.get_metric_history(run.info.run_id, "train/loss")]
            assert steps == list(range(1, int(run.data.params["train.epochs"]) + 1))
    return {arm.removeprefix("arm="): tag for arm, tag in tags.items()}


def arm(decay, **changes):
    """Learning rates differ from the epoch after `decay` on."""
    fields = {"joint__method": "target", "train__epochs": EPOCHS, "train__decay_every": float(decay), **changes}
    return small_joint(**fields)


LATE, EARLY, OTHER = arm(4), arm(3), arm(4, train__learning_rate=1e-3)


@pytest.fixture
def first(server, tmp_path):
    return Launch(server, tmp_path, {"late": LATE, "early": EARLY, "same": LATE, "other": OTHER})


def test_epochs_trained_for_several_cells_twins_and_cells_that_share_nothing(server, first):
    assert shared(server) == {"late": "1-3", "early": "1-3", "same": "1-5", "other": None}
    own = {cell.arm.name.removeprefix("arm="): first.trained[cell.key] for cell in first.plan.cells}
    assert own == {"late": [4, 5], "early": [4, 5], "same": [4, 5], "other": [1, 2, 3, 4, 5]}


def test_the_next_launch_changes_nothing_and_a_new_arm_says_what_it_found(server, first, tmp_path):
    longer = arm(4, train__epochs=EPOCHS + 2)
    again = Launch(server, tmp_path, {"late": LATE, "early": EARLY, "longer": longer}, "l2")
    assert list(again.trained.values()) == [[6, 7]]
    assert shared(server) == {"late": "1-3", "early": "1-3", "same": "1-5", "other": None, "longer": "1-5"}


def test_a_launch_that_only_publishes_says_that_all_was_found(server, first, tmp_path):
    Launch(server, tmp_path, {"late": LATE, "other": OTHER}, study="another")
    assert shared(server, "another") == {"late": "1-5", "other": "1-5"}


def test_what_an_attempt_trained_that_was_killed_is_its_own(server, tmp_path):
    Launch(server, tmp_path, {"late": LATE, "early": EARLY}, kill=4)
    assert shared(server) == {}
    second = Launch(server, tmp_path, {"late": LATE, "early": EARLY}, "l2")
    assert 4 not in second.trained[second.plan.cells[0].key]  # told again from its checkpoint
    assert shared(server) == {"late": "1-3", "early": "1-3"}
    attempts = {run.data.tags["raysweep.arm"]: run.data.tags["raysweep.attempts"] for run in server.runs()}
    assert attempts == {"arm=late": "l1,l2", "arm=early": "l2"}


def test_a_launch_that_died_before_it_could_say_that_the_cell_is_complete(server, tmp_path):
    plan = plan_of(server, {"other": OTHER})
    (task,) = plan.tasks
    cell = server.event("start", cell={**_words(plan.cells[0])}, shared="")
    server.writer.write(cell)
    run_task(OTHER, Sets(A), task.key, task.keep, server.store)
    Launch(server, tmp_path, {"other": OTHER}, "l2")
    assert shared(server) == {"other": None}


def _words(cell):
    return {"key": cell.key, "arm": cell.arm.name, "coordinates": dict(cell.arm.coordinates), "replicate": 0,
            "config": cell.experiment.model_dump(), "tags": {}}  # fmt: skip


class TestByHand:
    """A chain of four epochs; the cell's own task makes what the case says."""

    def recorder(self, tmp_path, makes, arms=1):
        chain = [Stage("start", {}, {})]
        for epoch in range(1, 5):
            inputs = {"before": chain[-1]}
            chain.append(Stage("fit", {"n": epoch}, inputs, Attached(epoch=epoch, title="training")))
        self.keys = [stage.key for stage in chain]
        final = Stage("evaluate", {}, {"model": chain[-1]})
        self.task = Task(final, frozenset(), (), frozenset(), frozenset({final.key}), frozenset(map(self.key, makes)))
        study = Study("t", [Axis("arm", {str(number): {} for number in range(arms)})], {})
        cells = [Cell(arm, 0, small_joint(), final.key) for arm in study.arms()]
        plan = Plan("s", study, "smoke", cells, A, (), {final.key: final}, frozenset(), (self.task,))
        self.journal = Journal(tmp_path / "j.jsonl")
        recorder = JournalListener("s", "l", "here", self.journal, SimpleNamespace(wake=lambda: None))
        recorder.launched({}, {}, plan)
        return recorder

    def key(self, epoch):
        return self.keys[epoch]

    def epoch(self, recorder, number, replayed=False):
        recorder.epoch(self.task, FitEvent(self.keys[number], "training", number, 4, {}, replayed, "t", 4))

    def told(self):
        with closing(self.journal):
            return [(e["event"], e["shared"]) for e in self.journal.events() if "shared" in e]

    def test_a_stored_epoch_that_was_damaged_and_trained_again_is_its_own(self, tmp_path):
        recorder = self.recorder(tmp_path, makes=[3])
        recorder.started(self.task)
        self.epoch(recorder, 1, replayed=True)
        for number in (2, 3, 4):
            self.epoch(recorder, number)
        recorder.ended(self.task, End("complete"))
        assert self.told() == [("start", "1-2"), ("complete", "1")]

    def test_a_process_that_died_and_tells_its_own_epochs_again(self, tmp_path):
        recorder = self.recorder(tmp_path, makes=[1])
        recorder.started(self.task)
        self.epoch(recorder, 1)
        self.epoch(recorder, 2)
        recorder.started(self.task)
        self.epoch(recorder, 1, replayed=True)
        self.epoch(recorder, 2, replayed=True)
        self.epoch(recorder, 3)
        self.epoch(recorder, 4)
        recorder.ended(self.task, End("complete"))
        assert self.told() == [("start", ""), ("start", ""), ("complete", "")]

    def test_epochs_that_another_launch_stored_since_the_plan_was_made(self, tmp_path):
        recorder = self.recorder(tmp_path, makes=[1])
        recorder.started(self.task)
        self.epoch(recorder, 1, replayed=True)
        self.epoch(recorder, 2, replayed=True)
        self.epoch(recorder, 3)
        self.epoch(recorder, 4)
        recorder.ended(self.task, End("complete"))
        assert self.told() == [("start", ""), ("complete", "1-2")]

    def test_a_cell_that_another_launch_finished(self, tmp_path):
        recorder = self.recorder(tmp_path, makes=[1])
        recorder.ended(self.task, End("complete"))
        assert self.told() == [("complete", "all")]

    def test_only_the_model_is_left_to_score(self, tmp_path):
        recorder = self.recorder(tmp_path, makes=[], arms=2)
        recorder.started(self.task)
        for number in (1, 2, 3, 4):
            self.epoch(recorder, number, replayed=True)
        recorder.ended(self.task, End("complete"))
        assert self.told() == [("start", "1-4"), ("start", "all"), ("complete", "1-4"), ("complete", "all")]
