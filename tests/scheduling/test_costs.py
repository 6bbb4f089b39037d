"""What tasks cost: images counted from the graph against images trained, speeds on disk, forecasts."""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from raysweep.engine.events import End
from raysweep.engine.speed_listener import SpeedListener
from raysweep.launch.forecast import forecast
from raysweep.launch.plan_view import PlanView
from raysweep.pipeline import FitEvent, Sets, build, plan_tasks
from raysweep.pipeline.run import run_task
from raysweep.scheduling import Speeds, simulate
from raysweep.scheduling.cost_model import work_of
from raysweep.scheduling.workload import Images
from raysweep.store.store import Store
from raysweep.study import Axis, Study, make_cells
from raysweep.study.plan import plan_cells
from tests.pipeline.small_joint import launch, make_a, make_b, small_joint

A, B = make_a(), make_b()
SETS = Sets(A, (B,))
PLAIN = {"joint__pseudo_va": "none", "joint__mapping": "none", "joint__relabel": False, "train__epochs": 4}
SMALL = "small at 224 px in float32"


@pytest.mark.parametrize(
    "changes",
    [
        PLAIN,
        {**PLAIN, "joint__unit": "batch"},
        {**PLAIN, "joint__unit": "batch", "train__batch_size": 9},  # B's batches come round again
        {**PLAIN, "joint__draw": "balanced", "train__batch_size": 17},  # a last batch of one is left out
        {**PLAIN, "selection__protocol": "last", "selection__weights": "last"},
        {"joint__method": "target", "train__epochs": 3},
        {"joint__method": "combine", "train__epochs": 3},
        {"joint__method": "extra", "train__epochs": 3},
        {"joint__pseudo_va": "all", "joint__mapping": "none", "joint__relabel": False, "train__epochs": 4},
    ],
)
def test_images_counted_are_images_trained_on(tmp_path, changes):
    cell = small_joint(**changes)
    trained = launch([cell], SETS, Store(tmp_path)).trained
    (task,) = plan_tasks([build(cell, SETS)], Store(tmp_path / "empty"))
    assert Images().of_task(task) == sum(event.images for event in trained) > 0
    assert all(event.seconds > 0 for event in trained)


def test_pieces_of_a_shared_training_count_every_image_once(tmp_path):
    cells = [small_joint(**PLAIN, joint__warm_up=w, joint__frequency=f) for w, f in itertools.product((1, 2), (1, 2))]
    tasks = plan_tasks([build(cell, SETS) for cell in cells], Store(tmp_path / "empty"))
    assert len(tasks) > len({build(cell, SETS).key for cell in cells})
    trained = launch(cells, SETS, Store(tmp_path)).trained
    assert sum(Images().of_task(task) for task in tasks) == sum(event.images for event in trained)


def test_what_a_selection_leaves_is_not_known_before(tmp_path):
    cell = small_joint(train__epochs=4)
    (task,) = plan_tasks([build(cell, SETS)], Store(tmp_path / "empty"))
    trained = launch([cell], SETS, Store(tmp_path)).trained
    assert Images().of_task(task) >= sum(event.images for event in trained)


def event(seconds=2.0, images=100, device="abacus", training="end", **words):
    return FitEvent("key", "joint", 1, 4, {}, training=training, seconds=seconds, images=images, device=device, **words)


def one_task(store, **changes):
    (task,) = plan_tasks([build(small_joint(**{**PLAIN, **changes}), SETS)], store)
    return task


class TestSpeeds:
    def test_nothing_is_known_before_anything_was_measured(self, tmp_path):
        store = Store(tmp_path)
        speeds, task = Speeds.read(store), one_task(store)
        assert speeds.seconds(task) is None
        assert speeds.on().unknown(task) == {SMALL}

    def test_images_times_the_median_and_the_rest(self, tmp_path):
        store, cell = Store(tmp_path), small_joint(**PLAIN)
        speeds, task = Speeds.read(store), one_task(store)
        for seconds in (50.0, 2.0, 3.0):  # the first epoch of a process warms up
            speeds.note(event(seconds, training=task.pieces[0][0].key), cell)
        speeds.note(event(1e6, replayed=True), cell)
        assert speeds.seconds(task) == pytest.approx(0.03 * Images().of_task(task))
        speeds.note_task(task, cell, 59.0, "abacus")
        assert speeds.seconds(task) == pytest.approx(0.03 * Images().of_task(task) + 4.0)
        speeds.save()
        assert Speeds.read(store).seconds(task) == pytest.approx(0.03 * Images().of_task(task) + 4.0)

    def test_speeds_are_kept_apart_by_device_and_how_many(self, tmp_path):
        cell = small_joint(**PLAIN)
        speeds, task = Speeds.read(Store(tmp_path)), one_task(Store(tmp_path))
        images = Images().of_task(task)
        speeds.note(event(1.0, device="abacus x2"), cell)
        assert speeds.on().seconds(task) is None
        assert speeds.on(per_trial=2).seconds(task) == pytest.approx(0.01 * images)
        speeds.note(event(8.0, device="abacus"), cell)
        speeds.note(event(4.0, device="slide rule"), cell)
        assert speeds.on("abacus").seconds(task) == pytest.approx(0.08 * images)
        assert speeds.on().seconds(task) == pytest.approx(0.04 * images)  # what was measured last
        assert speeds.on().devices == {"slide rule"}
        assert speeds.on("quipu").seconds(task) is None

    @pytest.mark.parametrize("other", [{"model__backbone": "resnet18"}, {"train__precision": "bfloat16"}])
    def test_speeds_are_kept_apart_by_work(self, tmp_path, other):
        speeds = Speeds.read(Store(tmp_path))
        speeds.note(event(), small_joint(**PLAIN))
        assert speeds.seconds(one_task(Store(tmp_path))) is not None
        assert speeds.seconds(one_task(Store(tmp_path), **other)) is None

    def test_a_task_that_only_scores_costs_the_rest(self, tmp_path):
        store, cell = Store(tmp_path), small_joint(**PLAIN)
        final = build(cell, SETS)
        store.put(final.inputs["model"].key, lambda folder: None, {})
        task, speeds = one_task(store), Speeds.read(store)
        assert task.epochs == 0
        speeds.note(event(), cell)
        assert speeds.seconds(task) is None
        assert speeds.on().unknown(task) == {f"the scoring of {SMALL}"}
        speeds.note_task(task, cell, 3.0, "abacus")
        assert speeds.seconds(task) == 3.0

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"seconds_an_image": 3}', "\0"])
    def test_a_harmed_file_is_measured_again(self, tmp_path, content):
        (tmp_path / "speeds.json").write_text(content)
        speeds = Speeds.read(Store(tmp_path))
        speeds.note(event(), small_joint(**PLAIN))
        speeds.save()
        assert Speeds.read(Store(tmp_path)).seconds(one_task(Store(tmp_path))) is not None

    def test_only_the_newest_samples_are_kept(self, tmp_path):
        for seconds in (100.0, 1.0):
            speeds = Speeds.read(Store(tmp_path))
            for _ in range(80):
                speeds.note(event(seconds), small_joint(**PLAIN))
            speeds.save()
        (values,) = json.loads((tmp_path / "speeds.json").read_text())["seconds_an_image"].values()
        assert values == [1.0] * 20 + [0.01] * 80


def test_several_writers_at_once_leave_a_whole_file(tmp_path):
    """Something of them arrives, and whoever reads meanwhile finds a whole file."""
    cell, path = small_joint(**PLAIN), tmp_path / "speeds.json"

    def write(number):
        for _ in range(20):
            speeds = Speeds(path)
            speeds.note(event(device=f"device {number}"), cell)
            speeds.save()

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        while not all(writer.done() for writer in writers):
            assert not path.exists() or json.loads(path.read_text())["version"] == 1
        for writer in writers:
            writer.result()
    assert json.loads(path.read_text())["seconds_an_image"]
    assert [file.name for file in tmp_path.iterdir()] == ["speeds.json"]


STUDY = Study(
    title="warm-up",
    paper="DCJT",
    base={"joint.method": "dcjt", "joint.extra": "B", "joint.pseudo_va": "none", "joint.mapping": "none",
          "joint.relabel": False, "train.epochs": 12, "joint.frequency": 2.0},
    axes=[Axis.of("joint.warm_up", [3, 5, 7, 9])],
    reference={},
)  # fmt: skip


def a_plan(store, **words):
    cells = make_cells(STUDY, "demo", [0, 1], {"data.image_size": 224})
    return plan_cells("warm-up", STUDY, "demo", cells, [SETS] * len(cells), store, **words)


class TestForecast:
    def test_what_nobody_has_measured_is_named(self, tmp_path):
        plan = a_plan(Store(tmp_path))
        expected = forecast(plan, Speeds.read(Store(tmp_path)), 4)
        assert expected.unknown == {SMALL}
        assert expected.device_seconds is None
        assert expected.wall_seconds is None
        assert expected.epochs == plan.epochs_to_train > 0

    def test_all_devices_together_and_the_wall(self, tmp_path):
        store = Store(tmp_path)
        plan, speeds = a_plan(store), Speeds.read(store)
        speeds.note(event(1.0, images=10), plan.cells[0].experiment)
        one, two, many = (forecast(plan, speeds, n) for n in (1, 2, 100))
        assert not one.unknown
        assert one.device_seconds == two.device_seconds == many.device_seconds == pytest.approx(one.images / 10)
        assert one.wall_seconds == pytest.approx(one.device_seconds)
        assert one.device_seconds / 2 <= two.wall_seconds < one.wall_seconds
        assert many.wall_seconds < two.wall_seconds
        costs = speeds.on()
        assert many.wall_seconds == pytest.approx(simulate(plan.tasks, 100, costs.seconds).wall_seconds)

    def test_trials_of_two_devices(self, tmp_path):
        store = Store(tmp_path)
        plan, speeds = a_plan(store), Speeds.read(store)
        speeds.note(event(1.0, images=10, device="abacus x2"), plan.cells[0].experiment)
        expected = forecast(plan, speeds, 4, per_trial=2)
        assert expected.device_seconds == pytest.approx(2 * expected.images / 10)
        assert expected.device_seconds / 4 <= expected.wall_seconds < expected.device_seconds / 2

    def test_nothing_to_do(self, tmp_path):
        plan = replace(a_plan(Store(tmp_path)), tasks=())
        expected = forecast(plan, Speeds.read(Store(tmp_path)), 4)
        assert (expected.epochs, expected.device_seconds, expected.wall_seconds) == (0, 0, 0)

    def test_a_launch_is_ordered_by_what_it_costs(self, tmp_path):
        """With equal epochs the arm whose epochs take longer goes first."""
        store = Store(tmp_path)
        slow = min(a_plan(store).tasks, key=lambda task: task.key).key
        plan = a_plan(store, seconds=lambda task: 1e6 if task.key == slow else 1.0)
        replicate = {cell.key: cell.replicate for cell in plan.cells}
        own = [task for task in plan.tasks if min(replicate[key] for key in task.cells)
               == min(replicate[key] for key in next(t for t in plan.tasks if t.key == slow).cells)]  # fmt: skip
        place = [task.key for task in own].index(slow)
        assert all(slow in needed_by(plan.tasks, task.key) for task in own[:place])


def needed_by(tasks, key):
    """Keys of the tasks that need this one, directly or not."""
    found, more = {key}, True
    while more:
        more = {task.key for task in tasks if task.needs & found} - found
        found |= more
    return found


def test_run_task_tells_the_device(tmp_path):
    cell, store, events = small_joint(**PLAIN), Store(tmp_path), []
    (task,) = plan_tasks([build(cell, SETS)], store)
    run_task(cell, SETS, task.key, task.keep, store, report=events.append)
    speeds = Speeds.read(store)
    for told in events:
        speeds.note(told, cell)
    speeds.save()
    assert {told.device for told in events} == Speeds.read(store).on().devices


def test_what_a_launch_takes_to_start_is_kept(tmp_path):
    speeds = Speeds.read(Store(tmp_path))
    assert speeds.start is None
    speeds.note_start(10.0)
    speeds.note_start(-1.0)  # a clock that stood still
    assert speeds.start == 5.0
    speeds.save()
    again = Speeds.read(Store(tmp_path))
    assert again.start == 5.0
    again.note_start(20.0)
    again.save()
    assert Speeds.read(Store(tmp_path)).start == 10.0


def test_the_start_is_what_came_before_the_first_epoch_that_was_trained(tmp_path, monkeypatch):
    study = Study("Any", [Axis.of("train.epochs", [2, 3])])
    cells = [replace(cell, experiment=small_joint(**PLAIN)) for cell in make_cells(study, "smoke", [0], {})]
    plan = plan_cells("any", study, "smoke", cells, [SETS] * len(cells), Store(tmp_path))
    speeds = Speeds.read(Store(tmp_path))
    timing = SpeedListener(speeds, plan.experiment_of, since=100.0)
    now = iter([130.0, 150.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    event = FitEvent(plan.tasks[0].key, "target", 1, 4, {}, True, seconds=3.0, images=60, device="x86_64")
    timing.epoch(plan.tasks[0], event)  # told again from a checkpoint
    assert speeds.start is None
    timing.epoch(plan.tasks[0], replace(event, replayed=False))
    timing.epoch(plan.tasks[0], replace(event, replayed=False))
    assert speeds.start == 130.0 - 100.0 - 3.0


@pytest.mark.parametrize("stopped", [False, True])
def test_a_launch_that_was_stopped_says_nothing_of_tasks_nor_of_the_start(tmp_path, monkeypatch, stopped):
    study = Study("Any", [Axis.of("train.epochs", [2])])
    cells = [replace(cell, experiment=small_joint(**PLAIN)) for cell in make_cells(study, "smoke", [0], {})]
    plan = plan_cells("any", study, "smoke", cells, [SETS] * len(cells), Store(tmp_path))
    speeds, told = Speeds.read(Store(tmp_path)), []
    monkeypatch.setattr(speeds, "note_task", lambda *words: told.append(words))
    timing = SpeedListener(speeds, plan.experiment_of, since=time.monotonic())
    timing.started(plan.tasks[0])
    if stopped:
        monkeypatch.setattr("raysweep.engine.speed_listener.slept", lambda: 60.0)
    timing.epoch(plan.tasks[0], FitEvent(plan.tasks[0].key, "target", 1, 4, {}, False, 0.0, 60, device="x86_64"))
    timing.ended(plan.tasks[0], End("complete"))
    assert (speeds.start is None, not told) == (stopped, stopped)


def test_a_plan_says_what_of_its_time_is_the_start(tmp_path):
    store = Store(tmp_path)
    study = Study("Any", [Axis.of("train.epochs", [2, 3])])
    cells = [replace(cell, experiment=small_joint(**PLAIN)) for cell in make_cells(study, "smoke", [0], {})]
    plan = plan_cells("any", study, "smoke", cells[:1], [SETS], store)
    words = PlanView(plan, store, [1], 1)
    assert "unknown" in "".join(words._time_lines())
    speeds = Speeds.read(store)
    work = f"{work_of(cells[0].experiment)} on x86_64"
    images = sum(Images().of_task(task) for task in plan.tasks)
    speeds._new_epochs[work].append(45 / images)
    speeds._new_rest[work].append(0.0)
    speeds.save()
    assert words._time_lines() == ["  time     0.013 device-hours at measured speed; about 45 s on 1 device"]
    speeds.note_start(15.0)
    speeds.save()
    assert "about 1 min 00 s on 1 device, including 15 s to start" in words._time_lines()[0]
