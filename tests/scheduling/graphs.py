"""Tasks without data, and random graphs of them."""

from dataclasses import replace

from hypothesis import strategies as st

from raysweep.pipeline import Task
from raysweep.pipeline.stage import Stage


def task(name, *needs, epochs=3):
    return Task(
        stage=Stage("fit", {"name": name}),
        needs=frozenset(need.key for need in needs),
        fits=(("training", epochs),) if epochs else (),
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


@st.composite
def graphs(draw, most=14):
    """Tasks of a random graph, listed in any order: a queue may be given a need after what needs it."""
    tasks = []
    for n in range(draw(st.integers(1, most))):
        needs = draw(st.sets(st.sampled_from(tasks), max_size=3)) if tasks else ()
        tasks.append(task(n, *needs))
    return draw(st.permutations(for_cells(tasks)))


def dependants(tasks, fails):
    """Keys of the tasks that need one of these, directly or not."""
    lost, more = set(), True
    while more:
        more = {job.key for job in tasks if job.needs & (lost | fails)} - lost
        lost |= more
    return lost
