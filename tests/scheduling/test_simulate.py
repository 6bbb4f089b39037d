"""The simulated cluster, by property: what any schedule must keep, whatever the graph and the costs."""

import itertools
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raysweep.scheduling import Happens, simulate
from tests.scheduling.graphs import dependants, for_cells, graphs, task

costs = st.lists(st.integers(1, 20), min_size=14, max_size=14)


def seconds_by_key(tasks, values):
    named = sorted(tasks, key=lambda job: job.stage.params["name"])
    return {job.key: float(value) for job, value in zip(named, values, strict=False)}


def longest_way(tasks, seconds):
    """Seconds of the longest chain of needs."""
    ends = {}
    while len(ends) < len(tasks):
        for job in tasks:
            if job.key not in ends and job.needs <= ends.keys():
                ends[job.key] = seconds[job.key] + max((ends[need] for need in job.needs), default=0.0)
    return max(ends.values())


def run(tasks, values, devices, **words):
    seconds = seconds_by_key(tasks, values)
    return simulate(tasks, devices, lambda job: seconds[job.key], **words), seconds


@given(graphs(), costs, st.integers(1, 6))
def test_every_task_once_after_its_needs_one_at_a_time_on_a_device(tasks, values, devices):
    schedule, seconds = run(tasks, values, devices)
    assert sorted(span.key for span in schedule.spans) == sorted(job.key for job in tasks)
    ends = {span.key: span.end for span in schedule.spans}
    begins = {span.key: span.begin for span in schedule.spans}
    for job in tasks:
        assert all(ends[need] <= begins[job.key] for need in job.needs)
        assert ends[job.key] - begins[job.key] == seconds[job.key]
    for device in range(devices):
        own = sorted((span.begin, span.end) for span in schedule.spans if span.device == device)
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(own))


@given(graphs(), costs, st.integers(1, 6))
def test_no_device_is_idle_while_something_is_ready(tasks, values, devices):
    """A task begins the moment that its last need is done, or else every device is at work up to its beginning."""
    schedule, _ = run(tasks, values, devices)
    ends = {span.key: span.end for span in schedule.spans}
    needs = {job.key: job.needs for job in tasks}
    for span in schedule.spans:
        ready = max((ends[need] for need in needs[span.key]), default=0.0)
        moments = {ready, *(s.begin for s in schedule.spans if ready <= s.begin < span.begin)}
        for moment in {m for m in moments if m < span.begin}:
            assert sum(s.begin <= moment < s.end for s in schedule.spans) == devices


@given(graphs(), costs, st.integers(1, 6))
def test_graham_s_bound(tasks, values, devices):
    schedule, seconds = run(tasks, values, devices)
    total, longest = sum(seconds.values()), longest_way(tasks, seconds)
    assert schedule.busy_seconds == total
    assert max(longest, total / devices) <= schedule.wall_seconds + 1e-9
    assert schedule.wall_seconds <= total / devices + longest + 1e-9
    if devices == 1:
        assert schedule.wall_seconds == total


@given(graphs(), costs, st.integers(1, 4), st.data())
def test_failures_lose_what_needs_them_and_the_rest_completes(tasks, values, devices, data):
    fails = {job.key for job in data.draw(st.sets(st.sampled_from(tasks), max_size=3))}
    schedule, _ = run(tasks, values, devices, happens=Happens(fails=fails))
    ran = {span.key for span in schedule.spans}
    assert ran | set(schedule.lost) == {job.key for job in tasks}
    assert not ran & set(schedule.lost)
    assert dependants(tasks, fails & ran) <= set(schedule.lost)
    assert {span.key for span in schedule.spans if span.outcome == "failed"} == fails & ran
    lost_cells = frozenset().union(*(job.cells for job in tasks if job.key in fails & ran))
    assert {job.key for job in tasks if job.cells - lost_cells} <= ran


@given(graphs(), costs, st.integers(2, 5), st.data())
def test_deaths_re_run_only_what_was_running(tasks, values, devices, data):
    deaths = data.draw(
        st.lists(
            st.tuples(st.integers(0, 40).map(float), st.integers(1, devices - 1)), max_size=3, unique_by=lambda d: d[1]
        )
    )
    schedule, _ = run(tasks, values, devices, happens=Happens(deaths=deaths))
    done = [span.key for span in schedule.spans if span.outcome == "done"]
    assert sorted(done) == sorted(job.key for job in tasks)
    died = [span for span in schedule.spans if span.outcome == "died"]
    assert {(span.end, span.device) for span in died} <= set(deaths)
    assert Counter(span.key for span in schedule.spans) == Counter(done) + Counter(span.key for span in died)
    for time, device in deaths:
        assert not any(span.device == device and span.end > time for span in schedule.spans)


@given(graphs(), costs, st.lists(st.tuples(st.integers(1, 30).map(float), st.integers(1, 3)), min_size=1, max_size=3))
def test_a_cluster_that_begins_with_nothing_and_scales_up(tasks, values, arrivals):
    schedule, seconds = run(tasks, values, 0, happens=Happens(arrivals=arrivals))
    assert not schedule.left
    first = min(time for time, _ in arrivals)
    assert min(span.begin for span in schedule.spans) == first
    # what all of them together could do, had they been there when the last came
    last, most = max(time for time, _ in arrivals), sum(count for _, count in arrivals)
    assert schedule.wall_seconds <= last + sum(seconds.values()) / most + longest_way(tasks, seconds) + 1e-9


@given(graphs(), st.floats(0.01, 0.9), st.integers(1, 4), st.floats(0.0, 2.0))
def test_tiny_tasks_in_batches_are_done_once_each(tasks, seconds, devices, start_up):
    schedule = simulate(tasks, devices, lambda job: seconds, start_up)
    ends = {span.key: span.end for span in schedule.spans}
    assert sorted(ends) == sorted(job.key for job in tasks)
    assert len(schedule.spans) == len(tasks)
    for span in schedule.spans:
        job = next(job for job in tasks if job.key == span.key)
        assert all(ends[need] <= span.begin + 1e-9 for need in job.needs)


def test_a_batch_pays_its_start_up_once():
    jobs = [task(n) for n in range(10)]
    assert simulate(jobs, 1, lambda job: 0.1, start_up=5.0).wall_seconds == pytest.approx(6.0)
    assert simulate(jobs, 1, lambda job: 1.0, start_up=5.0).wall_seconds == 60.0


def test_when_every_device_dies_the_rest_is_left():
    jobs = [task("a"), task("b")]
    schedule = simulate(jobs, 1, lambda job: 10.0, happens=Happens(deaths=[(15.0, 0)]))
    assert schedule.left == [jobs[1].key]
    assert [span.outcome for span in schedule.spans] == ["done", "died"]
    again = simulate(jobs, 1, lambda job: 10.0, happens=Happens(deaths=[(15.0, 0)], arrivals=[(100.0, 1)]))
    assert not again.left
    assert again.wall_seconds == 110.0


@given(graphs(), costs, st.integers(1, 6), st.data())
def test_one_more_device_is_never_much_worse(tasks, values, devices, data):
    """Graham: a list schedule on more devices may be longer, but not beyond twice the best."""
    assume(len(tasks) > 1)
    fewer, _ = run(tasks, values, devices)
    more, _ = run(tasks, values, devices + 1)
    assert more.wall_seconds <= 2 * fewer.wall_seconds


def test_a_launch_that_is_cut_short_leaves_whole_replicates():
    """Two replicates of three arms on one shared training each, on one device."""
    from raysweep.study.plan import ordered

    roots = [task(f"warm-up {r}") for r in (0, 1)]
    arms = [task(f"arm {r}.{n}", roots[r]) for n in range(3) for r in (0, 1)]
    tasks = for_cells([*roots, *arms])
    replicates = {job.key: int(job.stage.params["name"].split(" ")[1][0]) for job in tasks}
    schedule = simulate(ordered(tasks, replicates), 1, lambda job: 10.0)
    names = {job.key: job.stage.params["name"] for job in tasks}
    order = [names[span.key] for span in schedule.spans]
    assert order == ["warm-up 0", "arm 0.0", "arm 0.1", "arm 0.2", "warm-up 1", "arm 1.0", "arm 1.1", "arm 1.2"]
