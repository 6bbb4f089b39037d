"""The queue of tasks on a simulated cluster: order, waiting, batches, other launches, failures. No Ray."""

from hypothesis import given
from hypothesis import strategies as st

from raysweep.scheduling import TaskQueue
from raysweep.scheduling.queue import BATCH_SECONDS, TINY_SECONDS
from tests.scheduling.graphs import dependants, for_cells, graphs, task


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


class TestOtherLaunches:
    def test_what_another_launch_computes_goes_back_and_others_come_first(self):
        queue = TaskQueue(ALL)
        assert queue.take() is A
        queue.set_aside(A.key)
        assert named(queue.aside.values()) == ["A"]
        assert queue.take() is ALONE
        queue.done(ALONE.key)
        assert queue.take() is None
        assert not queue.exhausted  # A may come back
        queue.resume(A.key)
        assert queue.take() is A

    def test_what_another_launch_has_done_is_done(self):
        queue = TaskQueue(ALL)
        queue.take()
        queue.set_aside(A.key)
        queue.done(A.key)
        assert not queue.aside
        assert queue.take() is SELECT

    def test_a_waiting_task_may_be_set_aside_and_comes_back_in_its_place(self):
        queue = TaskQueue([A, SELECT, ALONE])
        queue.set_aside(SELECT.key)
        queue.take()
        queue.done(A.key)
        assert queue.take() is ALONE
        queue.resume(SELECT.key)
        queue.resume(SELECT.key)
        assert queue.take() is SELECT
        assert queue.take() is None
        assert queue.exhausted

    def test_what_another_launch_failed_at_is_lost_with_all_that_needs_it(self):
        queue = TaskQueue(ALL)
        queue.take()
        queue.set_aside(A.key)
        assert set(named(queue.failed(A.key))) == {"select", "B", "warm-up", "left", "right"}
        assert not queue.aside

    def test_what_is_aside_is_lost_when_no_cell_waits_for_it_any_more(self):
        m_a, m_b = task("M_A"), task("M_B")
        queue = TaskQueue(for_cells([m_a, m_b, task("arm", m_a, m_b)]))
        queue.take(), queue.take()
        queue.set_aside(m_b.key)
        assert set(named(queue.failed(m_a.key))) == {"M_B", "arm"}
        assert queue.exhausted


class TestBatches:
    def many(self, count, seconds, epochs=3):
        jobs = [task(n, epochs=epochs) for n in range(count)]
        return TaskQueue(jobs, lambda job: seconds)

    def test_tiny_tasks_travel_together(self):
        batch = self.many(100, 0.1).take_batch(1)
        assert len(batch) == 25
        assert sum(0.1 for _ in batch) >= BATCH_SECONDS - 1e-9

    def test_no_device_goes_without(self):
        queue = self.many(10, 0.1)
        assert [len(queue.take_batch(4)) for _ in range(4)] == [2, 2, 1, 1]
        assert queue.ready == 4

    def test_long_tasks_and_unknown_ones_go_alone(self):
        assert len(self.many(9, 2.0).take_batch(1)) == 1
        assert len(self.many(9, None).take_batch(1)) == 1

    def test_unknown_tasks_that_train_nothing_go_together(self):
        assert len(self.many(9, None, epochs=0).take_batch(1)) == 5

    def test_a_long_task_keeps_its_place_and_is_left_to_another_device(self):
        tiny, long = task("tiny"), task("long")
        queue = TaskQueue([tiny, long, task("tiny too")], lambda job: 50.0 if job is long else 0.1)
        assert named(queue.take_batch(1)) == ["tiny", "tiny too"]
        assert named(queue.take_batch(1)) == ["long"]
        assert queue.take_batch(1) == []

    @given(graphs(), st.integers(1, 6), st.floats(0.01, 3.0))
    def test_a_batch_is_ready_and_takes_no_more_than_its_share(self, tasks, devices, seconds):
        queue, done = TaskQueue(tasks, lambda job: seconds), set()
        while not queue.exhausted:
            ready = queue.ready
            batch = queue.take_batch(devices)
            assert all(job.needs <= done for job in batch)
            assert len(batch) <= max(1, ready // devices)
            assert len(batch) == 1 or (seconds < TINY_SECONDS and seconds * (len(batch) - 1) < BATCH_SECONDS)
            for job in batch:
                done.add(job.key)
                queue.done(job.key)
        assert done == {job.key for job in tasks}


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
