"""One launch, from a request to its report: an optional search inside every arm, then the cells of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from raysweep.core.formatting import plural
from raysweep.data.dataset import FaceData
from raysweep.engine.cluster import ClusterOptions, cluster, resized
from raysweep.engine.events import Listeners
from raysweep.engine.journal_listener import JournalListener
from raysweep.engine.progress import CellProgress
from raysweep.engine.resources import Allotment
from raysweep.engine.speed_listener import SpeedListener
from raysweep.engine.task_dispatcher import TaskDispatcher
from raysweep.engine.tune_run import run
from raysweep.pipeline import draw_sets, load_sets
from raysweep.scheduling import Speeds, TaskQueue
from raysweep.store.process import BEGAN
from raysweep.store.store import Store
from raysweep.study import make_cells
from raysweep.study.identity import SetIdentity
from raysweep.study.launch_records import write_record
from raysweep.study.plan import Plan, make_plan
from raysweep.study.request import Request
from raysweep.study.sources import set_contents
from raysweep.tracking.open_server import open_to_others
from raysweep.tracking.server import connect, tracking_uri
from raysweep.tracking.writer import Writer

from .context import Launch, console_for, opened, run_tags
from .detection import Detection, detection
from .options import LaunchOptions
from .plan_view import PlanView
from .preflight import try_inputs
from .search_phase import SearchPhase
from .summary import DRAIN_SECONDS, DRAIN_SECONDS_INTERRUPTED, LaunchSummary


@dataclass(frozen=True)
class Session:
    """A planned launch. `search`: None if the study has none; `plan` of the table: None until the search has found a
    point."""

    request: Request
    store: Store
    plan: Plan | None
    search: SearchPhase | None = None

    @classmethod
    def prepare(cls, request: Request, store: Store) -> Session:
        """Read the data, the store and the search storage. Writes only decoded images.

        Raises:
            UserError: data that cannot be read or used, an invalid space, or a storage of another search.
        """
        if request.study.search is None:
            return cls(request, store, _planned(request, store))
        search = SearchPhase.prepare(request, store)
        return cls(request, store, _tuned(request, store, search.points), search)

    @property
    def cache(self) -> Path:
        """Folder of decoded images."""
        return self.store.local / "data"

    @property
    def data(self) -> FaceData:
        """The data set that is trained and scored on."""
        return self.search.data if self.search else self._table.data

    @property
    def used(self) -> Sequence[SetIdentity]:
        """Identities of the data sets, the scored one first."""
        return self.search.used if self.search else self._table.used

    def check(self, download: bool = True) -> None:
        """Check the inputs of cells and trials. Raises UserError; writes only decoded images."""
        if self.search:
            if self.search.trials_left:
                try_inputs(self.search.start_points, self.cache, download=download)
            return
        plan = self._table
        cells = ((cell.arm.name, cell.experiment) for cell in plan.to_train)
        try_inputs(cells, self.cache, len(plan.study.arms()), download)

    def detection(self, difference: float) -> Detection:
        """How many replicates find a difference in the headline score. Raises UserError."""
        return detection(self.plan, self.store, difference)

    def text(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> str:
        """The plan as text, with its time on each number of devices."""
        if self.search is None:
            return self._view(devices, per_trial).text()
        if self.plan is None:
            numbers = ", ".join(map(str, self.request.replicates))
            then = f"  then     the best point of every arm and the arm as it is, over replicates {numbers}"
            return f"{self.search.headline()}\n{then}"
        return f"{self.search.headline()}\n\n{self._view(devices, per_trial).text()}"

    def json(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> dict[str, Any]:
        """The plan as plain values. With a search, `table` is the replicates' plan; None until a point is found."""
        table = None if self.plan is None else self._view(devices, per_trial).json()
        if self.search is None:
            assert table is not None
            return table
        return {
            "study": self.request.name,
            "preset": self.request.preset,
            "search": self.search.describe(self.search.so_far),
            "trials_left": self.search.trials_left,
            "replicates": list(self.request.replicates),
            "table": table,
        }

    def run(self, options: LaunchOptions, as_json: bool) -> int:
        """Search, train, track, report. Returns the exit code: 0, 1 when cells failed, 130 after Ctrl-C.

        Raises:
            UserError: an input that would fail cells; raised before anything is trained or tracked.
        """
        since = _first_launch()
        if not options.report_only:
            self.check()
            self._draw()
        writer = None
        if not options.deferred:  # fails before training if MLflow cannot be written
            writer = Writer(connect(options.opened_at), self.store)
        console = console_for(as_json)
        self._announce(console, options)
        if warning := open_to_others(tracking_uri(options.tracking)):
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
        engine = ClusterOptions(
            self.store,
            self.cache,
            options.address,
            options.devices_per_trial,
            options.wait_for,
            options.command,
            set_contents(self.request.cells) if options.address else (),
        )
        tasks = 0 if options.report_only else self.tasks_ahead
        with (
            cluster(engine, tasks > 0, partial(console.print, highlight=False)) as allotment,
            opened(writer, self.request.name, engine, options, console) as launch,
        ):
            journal = JournalListener(self.request.name, launch.name, launch.uri, launch.journal, launch.publisher)
            with _runs_closed_on_error(journal, launch):
                if self.search is None:
                    return self._train(self._table, launch, journal, allotment, as_json, since=since)
                return self._search_and_train(self.search, launch, journal, allotment, as_json, since)

    def _search_and_train(
        self,
        search: SearchPhase,
        launch: Launch,
        journal: JournalListener,
        allotment: Allotment | None,
        as_json: bool,
        since: float | None,
    ) -> int:
        outcome = search.run(launch, journal, allotment, since)
        if outcome.interrupted or outcome.stopped:
            journal.finished("KILLED" if outcome.interrupted else "FAILED")
            launch.publisher.close(DRAIN_SECONDS_INTERRUPTED)
            why = f": {outcome.stopped}" if outcome.stopped else ""
            launch.say(f"\nstopped{why}; finished trials are kept. To continue:\n  {launch.options.command}")
            return 130 if outcome.interrupted else 1
        for sentence in outcome.failed.values():
            launch.say(sentence)
        plan = self.plan if outcome.points == search.points else _tuned(self.request, self.store, outcome.points)
        unfinished = search.trials_left if launch.options.report_only else 0
        if unfinished:
            launch.say(f"the search has {plural(unfinished, 'trial')} left: run it without --report-only")
        if plan is None:
            journal.finished("FAILED")
            launch.publisher.close(DRAIN_SECONDS, patient=True)
            return 1
        launch.say(f"\nreplicating the best points over replicates {', '.join(map(str, self.request.replicates))}")
        launch.say(PlanView(plan, self.store, (1,)).headline())
        again = resized(allotment) if allotment and plan.tasks else None
        code = self._train(plan, launch, journal, again, as_json, search.describe(outcome.found))
        return code or (1 if outcome.failed or unfinished else 0)

    def _train(
        self,
        plan: Plan,
        launch: Launch,
        journal: JournalListener,
        allotment: Allotment | None,
        as_json: bool,
        found: Mapping[str, Any] | None = None,
        since: float | None = None,
    ) -> int:
        """Compute the missing cells of the table on the cluster, and end the launch. Returns the exit code.

        Args:
            found: results of the search, for plan.json.
            since: start of the launch, to measure start-up time.
        """
        tags = run_tags(plan.preset, plan.study, plan.cells[0].experiment, plan.used)
        record = plan.record(launch.options.command, found, self.request.budget)
        journal.launched(record.describe(), tags, plan)
        write_record(self.store, plan, launch.name)
        speeds = Speeds.read(self.store)
        queue = TaskQueue(plan.tasks, speeds.seconds)
        with CellProgress(plan, launch.console, plan.study.metric) as progress:
            listeners = Listeners(progress, journal, SpeedListener(speeds, plan.experiment_of, since))
            devices = allotment.total if allotment else 1
            waits = not launch.options.worker
            dispatcher = TaskDispatcher(plan, queue, self.store, launch.leases, listeners, devices, waits=waits)
            run(dispatcher, launch.engine, allotment)
        outcome = dispatcher.outcome
        with dispatcher.stops_when_unusable():
            speeds.save()
            stopped = outcome.interrupted or outcome.stopped
            missing = launch.options.report_only and plan.tasks
            journal.finished("KILLED" if stopped else "FAILED" if outcome.failed or missing else "FINISHED")
        summary = LaunchSummary(plan, self.store, outcome, launch.name, launch.options, launch.console)
        return summary.tell(launch.publisher, PlanView(plan, self.store, (1,)).json() if as_json else None)

    def _announce(self, console: Console, options: LaunchOptions) -> None:
        if self.search is None:
            console.print(self._view((1,), options.devices_per_trial).headline(), markup=False, soft_wrap=True)
            return
        console.print(self.search.headline(), markup=False, soft_wrap=True)
        if self.search.plan.search.stopper and options.devices_per_trial > 1:
            console.print("  note     trials on several devices each are not ended early", highlight=False)

    def _draw(self) -> None:
        """Draw built-in faces before training."""
        if self.search is None:
            draw_sets(load_sets(cell.experiment, self.cache) for cell in self._table.to_train)
        else:
            draw_sets(self.search.sets)

    @property
    def tasks_ahead(self) -> int:
        """Upper bound of the tasks and trials to run; 0 when the store has everything."""
        if self.search is None:
            return len(self._table.tasks)
        return self.search.trials_left + (len(self.plan.tasks) if self.plan else 1)

    @property
    def _table(self) -> Plan:
        assert self.plan is not None
        return self.plan

    def _view(self, devices: Sequence[int], per_trial: int) -> PlanView:
        return PlanView(self._table, self.store, [max(n, per_trial) for n in devices], per_trial)


def _planned(request: Request, store: Store) -> Plan:
    seconds, cache = Speeds.read(store).seconds, store.local / "data"
    return make_plan(
        request.name, request.study, request.preset, request.cells, store, cache, request.retry_failed, seconds
    )


def _tuned(request: Request, store: Store, points: Mapping[str, Mapping[str, Any]]) -> Plan | None:
    """The plan of the arms whose search found a point; None when none did."""
    if not points:
        return None
    study = request.study.tuned(points)
    cells = make_cells(study, request.preset, request.replicates, request.changes)
    return _planned(replace(request, study=study, cells=cells), store)


@contextmanager
def _runs_closed_on_error(journal: JournalListener, launch: Launch) -> Iterator[None]:
    """Close all MLflow runs if the launch is interrupted or raises."""
    try:
        yield
    except BaseException as error:
        if journal.is_open:
            journal.finished("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            launch.publisher.close(DRAIN_SECONDS_INTERRUPTED)
        raise


_launched: list[bool] = []
"""Not empty once this process has run a launch; later ones find modules already imported."""


def _first_launch() -> float | None:
    """Start of this process, in `time.monotonic` seconds; None unless this is its first launch."""
    if _launched:
        return None
    _launched.append(True)
    return BEGAN
