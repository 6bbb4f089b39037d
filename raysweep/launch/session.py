"""One launch from the user's words to the table: the place where all packages meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysweep.data.dataset import FaceData
from raysweep.engine.dispatcher import Handout, Listener
from raysweep.engine.journal_listener import Recorder
from raysweep.engine.progress import Progress
from raysweep.engine.resources import Allotment
from raysweep.engine.speed_listener import Timing
from raysweep.engine.tune_run import Options, cluster, launch
from raysweep.pipeline import FitEvent, Task, draw_sets, load_sets
from raysweep.scheduling import Speeds, TaskQueue
from raysweep.store.process import BEGAN
from raysweep.store.store import Store
from raysweep.study import Cell, Study
from raysweep.study.identity import SetIdentity
from raysweep.study.launch_records import write_record
from raysweep.study.plan import Plan, make_plan
from raysweep.study.search import Budget
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer

from .context import Launch, console_for, opened, run_tags
from .options import Wishes
from .plan_view import PlanWords
from .preflight import try_inputs
from .summary import Ending


@dataclass(frozen=True)
class Session:
    """A planned launch, and where its results go. `search`: the one its points come from, as plan.json describes it."""

    plan: Plan
    store: Store
    cache: Path
    search: Mapping[str, Any] | None = None

    @classmethod
    def prepare(
        cls, name: str, study: Study, preset: str, cells: Sequence[Cell], store: Store, retry_failed: bool = False
    ) -> Session:
        """Read the data and look into the store. Writes nothing but decoded images.

        Raises:
            UserError: data that cannot be read or used.
        """
        cache = store.local / "data"
        speeds = Speeds.read(store)
        plan = make_plan(name, study, preset, cells, store, cache, retry_failed, speeds.seconds)
        return cls(plan, store, cache)

    def words(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> PlanWords:
        """What a launch would do, in words, and how long it would take on so many devices."""
        return PlanWords(self.plan, self.store, [max(n, per_trial) for n in devices], per_trial)

    @property
    def data(self) -> FaceData:
        """The data set that is trained and scored on."""
        return self.plan.data

    @property
    def used(self) -> Sequence[SetIdentity]:
        """What its data sets are, the scored one first."""
        return self.plan.used

    def check(self, download: bool = True) -> None:
        """Try what would fail a cell. Raises UserError; writes nothing but decoded images."""
        cells = ((cell.arm.name, cell.experiment) for cell in self.plan.to_train)
        try_inputs(cells, self.cache, len(self.plan.study.arms()), download)

    def describe(self, command: str) -> dict[str, Any]:
        """`plan.json`."""
        words = self.plan.describe(command)
        if not self.search:
            return words
        budget = Budget(**self.search["budget"])
        return {**words, "overrides": self.plan.overrides(budget), "search": dict(self.search)}

    def text(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> str:
        """The plan, for people."""
        return self.words(devices, per_trial).text()

    def json(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> dict[str, Any]:
        """The same as plain values."""
        return self.words(devices, per_trial).json()

    def run(self, wishes: Wishes, as_json: bool) -> int:
        """Train, track, report. Returns the exit code: 0, 1 when cells failed, 130 after Ctrl-C.

        Raises:
            UserError: something that would fail every cell, found before the first; nothing is written then.
        """
        since = _first_launch()
        self.check()
        draw_sets(load_sets(cell.experiment, self.cache) for cell in self.plan.to_train)
        writer = Writer(connect(wishes.tracking), self.store)  # before any training: can it be written?
        console = console_for(as_json)
        console.print(self.words(per_trial=wishes.devices_per_trial).headline(), markup=False, soft_wrap=True)
        options = Options(self.store, self.cache, wishes.address, wishes.devices_per_trial)
        with (
            cluster(options, len(self.plan.tasks)) as allotment,
            opened(writer, self.plan.study_name, options, wishes, console) as opening,
        ):
            return self.compute(opening, allotment, as_json, since)

    def compute(self, opening: Launch, allotment: Allotment | None, as_json: bool, since: float | None = None) -> int:
        """Compute what is missing on a joined cluster, and end the launch. Returns the exit code. `since`: when the
        launch began, for the time that it takes to start."""
        plan, wishes, console = self.plan, opening.wishes, opening.console
        tags = run_tags(plan.preset, plan.study, plan.cells[0].experiment, plan.used)
        recorder = Recorder(plan, opening.name, opening.uri, tags, opening.journal, opening.publisher)
        recorder.launched(self.describe(wishes.command))
        write_record(self.store, plan, opening.name)
        speeds = Speeds.read(self.store)
        queue = TaskQueue(plan.tasks, speeds.seconds)
        with Progress(plan, console, plan.study.metric) as progress:
            listener = Both(progress, recorder, Timing(plan, speeds, since))
            handout = Handout(plan, queue, self.store, opening.leases, listener, allotment.total if allotment else 1)
            outcome = launch(handout, opening.options, allotment)
        with handout.room():
            speeds.save()
            stopped = outcome.interrupted or outcome.stopped
            recorder.ended("KILLED" if stopped else "FAILED" if outcome.failed else "FINISHED")
        ending = Ending(plan, self.store, outcome, opening.name, wishes, console)
        return ending.tell(opening.publisher, self.words().json() if as_json else None)


_launched: list[bool] = []
"""Whether this process has run a launch: the next one finds modules imported and Ray started."""


def _first_launch() -> float | None:
    """When this process began, on the clock of `time.monotonic`; None unless this is its first launch."""
    if _launched:
        return None
    _launched.append(True)
    return BEGAN


class Both(Listener):
    """Tells every event of a launch to several listeners."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def started(self, task: Task) -> None:
        for listener in self.listeners:
            listener.started(task)

    def epoch(self, task: Task, event: FitEvent) -> None:
        for listener in self.listeners:
            listener.epoch(task, event)

    def completed(self, task: Task, elsewhere: bool = False) -> None:
        for listener in self.listeners:
            listener.completed(task, elsewhere)

    def failed(self, task: Task, cause: str) -> None:
        for listener in self.listeners:
            listener.failed(task, cause)

    def waiting(self, task: Task, holder: str) -> None:
        for listener in self.listeners:
            listener.waiting(task, holder)

    def given_back(self, task: Task) -> None:
        for listener in self.listeners:
            listener.given_back(task)

    def stopping(self) -> None:
        for listener in self.listeners:
            listener.stopping()
