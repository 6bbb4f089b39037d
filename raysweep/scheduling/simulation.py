"""A simulated cluster that uses the task queue of the engine."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from raysweep.pipeline import Task

from .queue import TaskQueue


class Span(NamedTuple):
    """A task on a device. `begin`, `end`: seconds since the launch, until it was done, failed, or the device died."""

    key: str
    device: int
    begin: float
    end: float
    outcome: Literal["done", "failed", "died"]


@dataclass
class Schedule:
    """Result of a simulated launch. `lost`: keys of tasks whose inputs failed; `left`: keys of tasks without a device
    at the end."""

    spans: list[Span] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def wall_seconds(self) -> float:
        """From the launch to the end of the last task."""
        return max((span.end for span in self.spans), default=0.0)

    @property
    def busy_seconds(self) -> float:
        """Busy time summed over devices, without start-up."""
        return sum(span.end - span.begin for span in self.spans)


@dataclass(frozen=True)
class Happens:
    """Events of a simulated cluster. Times in seconds since the launch.

    `arrivals`: (time, number of new devices); `deaths`: (time, index of the device in order of arrival); `fails`: keys
    of tasks that fail at their end.
    """

    arrivals: Sequence[tuple[float, int]] = ()
    deaths: Sequence[tuple[float, int]] = ()
    fails: Collection[str] = ()


NOTHING = Happens()


def simulate(
    tasks: Sequence[Task],
    devices: int,
    seconds_of: Callable[[Task], float],
    start_up: float = 0.0,
    happens: Happens = NOTHING,
) -> Schedule:
    """Simulate tasks on a number of devices.

    Args:
        tasks: by priority.
        devices: number at the start; 0 if all arrive later.
        seconds_of: cost of a task.
        start_up: seconds to start a trial (a task or a batch).
        happens: arrivals and deaths of devices, and failing tasks.
    """
    cluster = _Cluster(TaskQueue(tasks, seconds_of), seconds_of, start_up, happens)
    cluster.arrive(devices)
    cluster.run()
    return cluster.schedule


class _Cluster:
    """Devices by number with their tasks, and future events."""

    def __init__(
        self, queue: TaskQueue, seconds_of: Callable[[Task], float], start_up: float, happens: Happens
    ) -> None:
        self.queue, self.seconds_of, self.start_up = queue, seconds_of, start_up
        self.fails = frozenset(happens.fails)
        self.schedule = Schedule()
        self.now = 0.0
        self.alive: set[int] = set()
        self.idle: list[int] = []
        self.at: dict[int, Iterator[Task]] = {}  # remaining tasks of a device
        self.began: dict[int, tuple[Task, float]] = {}
        self._numbers = itertools.count()
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        for time, count in happens.arrivals:
            self._at(time, lambda count=count: self.arrive(count))  # type: ignore[misc]
        for time, device in happens.deaths:
            self._at(time, lambda device=device: self._die(device))  # type: ignore[misc]

    def run(self) -> None:
        """Process events until there are none."""
        self._hand_out()
        while self._events:
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                heapq.heappop(self._events)[2]()
            self._hand_out()
        self.schedule.left = list(self.queue.waiting)

    def arrive(self, count: int) -> None:
        for device in itertools.islice(self._numbers, count):
            self.alive.add(device)
            heapq.heappush(self.idle, device)

    def _at(self, time: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), what))

    def _hand_out(self) -> None:
        while self.idle and (batch := self.queue.take_batch(len(self.alive))):
            device = heapq.heappop(self.idle)
            self.at[device] = iter(batch)
            self._begin(device, self.now + self.start_up)

    def _begin(self, device: int, time: float) -> None:
        """Begin the next task of a device's batch; without one the device is idle."""
        task = next(self.at[device], None)
        if task is None:
            heapq.heappush(self.idle, device)
            return
        self.began[device] = (task, time)
        self._at(time + self.seconds_of(task), lambda: self._end(device, task))

    def _end(self, device: int, task: Task) -> None:
        if device not in self.alive:
            return  # the device died
        _, began = self.began.pop(device)
        outcome: Literal["done", "failed"] = "failed" if task.key in self.fails else "done"
        self.schedule.spans.append(Span(task.key, device, began, self.now, outcome))
        if outcome == "failed":
            self.schedule.lost += [gone.key for gone in self.queue.failed(task.key)]
        else:
            self.queue.done(task.key)
        self._begin(device, self.now)

    def _die(self, device: int) -> None:
        """Return the running and remaining tasks of a device to the queue."""
        if device not in self.alive:
            return
        self.alive.remove(device)
        if device not in self.began:
            self.idle.remove(device)
            heapq.heapify(self.idle)
            return
        task, began = self.began.pop(device)
        self.schedule.spans.append(Span(task.key, device, min(began, self.now), self.now, "died"))
        for back in (task, *self.at.pop(device)):
            self.queue.set_aside(back.key)
            self.queue.resume(back.key)
