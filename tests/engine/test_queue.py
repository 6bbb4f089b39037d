"""The queue of tasks on a simulated cluster: order, waiting, failures. No Ray."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.stage import Stage
from raysweep.engine.queue import TaskQueue
from raysweep.recipes import Task


def task(name, *needs):
    return Task(
        stage=Stage("fit", {"name": name}),
        needs=frozenset(need.key for need in needs),
        fits=(("training", 3),),
        keep=frozenset(),
        cells=frozenset(),
    )


def for_cells(tasks):
    """The tasks with the cells that wait for them: whatever nobody needs is a cell."""
    cells = {job.key: {job.key} for job in tasks if not any(job.key in other.needs for other in tasks)}
    more = True
    while more:
        before = sum(map(len, cells.values()))
        for job in tasks:
            for need in job.needs:
                cells.setdefault(need, set()).update(cells.get(job.key, ()))
        more = sum(map(len, cells.values())) > before
    return [replace(job, cells=frozenset(cells[job.key])) for job in tasks]


def named(tasks):
    return None if tasks is None else [t.stage.params["name"] for t in tasks]


A = task("A")
SELECT = task("select", A)
B = task("B", SELECT)
WARM = task("warm-up", B)
LEFT, RIGHT = task("left", WARM), task("right", WARM, SELECT)
ALONE = task("alone")
ALL = for_cells([A, SELECT, B, WARM, LEFT, RIGHT, ALONE])
A, SELECT, B, WARM, LEFT, RIGHT, ALONE = ALL


class TestOneAfterAnother:
    def test_the_first_that_may_run_is_handed_out(self):
        queue = TaskQueue(ALL)
        assert queue.take() is A
        assert queue.take() is ALONE  # everything else waits for A
        assert queue.take() is None
        assert not queue.exhausted
        assert named(queue.running.values()) == ["A", "alone"]

    def test_a_task_is_free_once_all_it_needs_is_done(self):
        queue = TaskQueue(ALL)
        queue.take()
        queue.done(A.key)
        assert queue.take() is SELECT
        queue.done(SELECT.key)
        assert named([queue.take(), queue.take()]) == ["B", "alone"]
        queue.done(ALONE.key)
        assert queue.take() is None
        queue.done(B.key)
        assert queue.take() is WARM
        queue.done(WARM.key)
        assert named([queue.take(), queue.take()]) == ["left", "right"]
        assert queue.exhausted
        assert queue.take() is None

    def test_what_an_earlier_launch_has_made_is_not_waited_for(self):
        assert TaskQueue([RIGHT]).take() is RIGHT

    def test_nothing_to_do(self):
        queue = TaskQueue([])
        assert queue.exhausted
        assert queue.take() is None


class TestFailures:
    def test_what_needs_a_failed_task_is_lost_and_nothing_else(self):
        queue = TaskQueue(ALL)
        for done in (A, SELECT):
            assert queue.take() is done
            queue.done(done.key)
        assert queue.take() is B
        assert set(named(queue.failed(B.key))) == {"warm-up", "left", "right"}
        assert queue.take() is ALONE
        assert queue.exhausted
        assert named(queue.running.values()) == ["alone"]

    def test_a_leaf_loses_nothing(self):
        queue = TaskQueue([A, ALONE])
        queue.take()
        assert queue.failed(A.key) == []
        assert queue.take() is ALONE

    def test_the_first_failing_loses_all_that_hangs_on_it(self):
        queue = TaskQueue(ALL)
        assert queue.take() is A
        assert set(named(queue.failed(A.key))) == {"select", "B", "warm-up", "left", "right"}
        assert queue.take() is ALONE
        assert queue.exhausted

    def test_a_task_that_needs_two_is_lost_with_either(self):
        one, two = task("one"), task("two")
        queue = TaskQueue(for_cells([one, two, task("both", one, two)]))
        queue.take(), queue.take()
        queue.done(one.key)
        assert named(queue.failed(two.key)) == ["both"]
        assert queue.exhausted

    def test_what_no_cell_waits_for_any_more_is_not_run(self):
        """M_B of an arm that has failed: another arm's failure leaves it to run, its own does not."""
        m_a, m_b, other = task("M_A"), task("M_B"), task("other")
        queue = TaskQueue(for_cells([m_a, other, m_b, task("arm", m_a, m_b)]))
        assert named([queue.take(), queue.take()]) == ["M_A", "other"]
        assert queue.failed(other.key) == []
        assert set(named(queue.failed(m_a.key))) == {"M_B", "arm"}
        assert queue.exhausted

    def test_what_another_cell_waits_for_is(self):
        m_a, m_b = task("M_A"), task("M_B")
        queue = TaskQueue(for_cells([m_a, m_b, task("arm", m_a, m_b), task("other arm", m_b)]))
        queue.take()
        assert named(queue.failed(m_a.key)) == ["arm"]
        assert queue.take().key == m_b.key


@st.composite
def graphs(draw):
    """Tasks of a random graph, listed in any order: a queue may be given a need after what needs it."""
    tasks = []
    for n in range(draw(st.integers(1, 14))):
        needs = draw(st.sets(st.sampled_from(tasks), max_size=3)) if tasks else ()
        tasks.append(task(n, *needs))
    return draw(st.permutations(for_cells(tasks)))


def simulate(tasks, workers, random, fails=frozenset()):
    """Run on `workers` that finish in random order. Returns (keys in the order they were handed out, lost keys)."""
    queue, running, handed, done, lost = TaskQueue(tasks), [], [], set(), set()
    while not (queue.exhausted and not running):
        while len(running) < workers and (job := queue.take()) is not None:
            assert job.needs <= done, "handed out before what it needs was done"
            assert job.key not in handed
            handed.append(job.key)
            running.append(job)
        assert running, "tasks wait, but nothing runs"
        assert set(queue.running) == {job.key for job in running}
        job = running.pop(random.randrange(len(running)))
        if job.key in fails:
            lost |= {gone.key for gone in queue.failed(job.key)}
        else:
            done.add(job.key)
            queue.done(job.key)
    assert queue.take() is None
    return handed, lost


@given(graphs(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_task_runs_exactly_once(tasks, workers, random):
    handed, lost = simulate(tasks, workers, random)
    assert sorted(handed) == sorted(job.key for job in tasks)
    assert not lost


@given(graphs(), st.data(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_failures_lose_the_cells_that_need_them_and_only_those(tasks, data, workers, random):
    """Tasks that failed ones are needed for never run; every other cell is completed with all it needs."""
    fails = {job.key for job in data.draw(st.sets(st.sampled_from(tasks), max_size=3))}
    handed, lost = simulate(tasks, workers, random, fails)
    assert set(handed) | lost == {job.key for job in tasks}
    assert not set(handed) & lost
    failed = fails & set(handed)
    assert dependants(tasks, failed) <= lost
    lost_cells = frozenset().union(*(job.cells for job in tasks if job.key in failed))
    for job in tasks:
        if job.cells - lost_cells:
            assert job.key in handed
        if job.key in lost:
            assert job.cells <= lost_cells


@given(graphs())
def test_one_worker_takes_them_in_the_order_given_as_far_as_needs_allow(tasks):
    queue, waiting, done = TaskQueue(tasks), list(tasks), set()
    while waiting:
        first = next(job for job in waiting if job.needs <= done)
        assert queue.take() is first
        queue.done(first.key)
        waiting.remove(first)
        done.add(first.key)
    assert queue.exhausted


def dependants(tasks, fails):
    lost, more = set(), True
    while more:
        more = {job.key for job in tasks if job.needs & (lost | fails)} - lost
        lost |= more
    return lost


def test_the_queue_itself_knows_no_ray():
    """Loaded by file: the package around it starts Ray, the module must not need it."""
    script = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('queue_alone', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "assert module.TaskQueue([]).exhausted\n"
        "sys.exit(' '.join(m for m in ('ray', 'mlflow') if m in sys.modules) or 0)\n"
    )
    file = Path(__file__).parents[2] / "raysweep" / "engine" / "queue.py"
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tune_asks_the_queue():
    from raysweep.engine.searcher import TaskSearcher

    searcher = TaskSearcher(TaskQueue(ALL), lambda job: {"task": job.stage.params["name"]})
    assert searcher.suggest("t1") == {"task": "A"}
    assert searcher.suggest("t2") == {"task": "alone"}
    assert searcher.suggest("t3") is None  # wait
    searcher.on_trial_complete("t1", {"done": True})
    assert searcher.suggest("t3") == {"task": "select"}
    searcher.on_trial_complete("t2", {"failed": "DegenerateLoss: the loss became nan"})  # nothing needs it
    assert searcher.suggest("t4") is None
    searcher.on_trial_complete("t3", error=True)  # its process died for good: B and all after it are lost
    assert searcher.suggest("t4") == "FINISHED"
