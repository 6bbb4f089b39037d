"""Run a dispatcher's tasks as Ray Tune trials and pass their reports back to it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from raysweep.core.errors import describe
from raysweep.core.masking import masking
from raysweep.data.prepare.location import Home, home_place
from raysweep.store.store import Store

from .cluster import ClusterOptions
from .device_watch import DeviceWatch
from .dispatcher import Dispatcher
from .interrupt import CtrlC, Fault, StopAfterEpoch
from .messages import Began, Done, Epoch, Failed, HostUnfit, Message, Unusable, unpacked
from .nodes.admission import admit_nodes, none_can_work
from .nodes.left_out import placed
from .nodes.lost import LostNodes, nodes_alive
from .nodes.versions import Versions
from .ray_internals import keep_from_workers, uncount_failure
from .ray_watch import RayWatch
from .resources import Allotment
from .storage_access import ALL_CREDENTIALS, storage_access
from .worker import run_trial

keep_from_workers(ALL_CREDENTIALS)  # Tune would pass them in an environment that Ray writes into its logs

MAX_RETRIES = 2
"""Restarts of a task whose process died, from its last checkpoint. Restarts after the loss of a machine are not
counted."""

MAX_DEATHS = 10
"""Trials in a row, each with its restarts, whose processes all died before they began a task."""

WAIT_FOR_HOST, WAIT_FOR_NEW_HOST = 60.0, 600.0
"""Seconds after which a launch ends whose machines are all unfit: no other is asked for, or one is and may come."""

MOST_TRIALS = 10_000
"""At a time, for Tune."""

SEEN_WITHIN = 20.0
"""Seconds within which a worker's product must be seen by the driver."""


def run(
    dispatcher: Dispatcher,
    options: ClusterOptions,
    allotment: Allotment | None,
    scheduler: TrialScheduler | None = None,
) -> None:
    """Compute a dispatcher's tasks on a cluster from `cluster()`; the result is in `dispatcher.outcome`.

    Ctrl-C once ends after the running epochs, twice at once. Finished stages are kept, and unfinished ones resume
    from their checkpoints in the next launch.

    Args:
        allotment: None when there is nothing to do.
        scheduler: ends trials early; default: none.
    """
    if allotment is None:
        return
    outcome, began = dispatcher.outcome, time.monotonic()
    ctrl_c = CtrlC(dispatcher.interrupt)
    try:
        with ctrl_c, RayWatch(ctrl_c.abandon, options.command), options.store.probe() as probe:
            watch = _Watch(dispatcher, ctrl_c, options.store, DeviceWatch(dispatcher, allotment))
            left_out = admit_nodes(dispatcher, options, allotment.device, probe, allotment.total)
            if not dispatcher.stopping:
                _tuner(watch, options, allotment, scheduler, probe, left_out).fit()
        watch.fault.check()
    except KeyboardInterrupt:
        outcome.interrupted = not ctrl_c.abandoned
        dispatcher.stop(ctrl_c.abandoned)
    finally:
        dispatcher.close()
    outcome.seconds = time.monotonic() - began


def _trainable(options: ClusterOptions, resources: Any) -> Any:
    """`work` with the URLs of store and prepared sets, and what this process uses to reach them.

    They may hold passwords, and Tune writes configurations into files: so they are passed as an object in Ray's
    memory, of which Tune writes only the name.
    """
    places = {"store": options.store.url, "data": Home(home_place()).place, "access": storage_access()}
    return tune.with_resources(tune.with_parameters(work, places=places), resources)


def _tuner(
    watch: _Watch,
    options: ClusterOptions,
    allotment: Allotment,
    scheduler: TrialScheduler | None,
    probe: str,
    left_out: Sequence[str],
) -> tune.Tuner:
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(MOST_TRIALS)  # `_Searcher` limits them; the default is 1
    shared = {
        "local": str(options.store.local),
        "cache": str(options.cache),
        "probe": probe,
        "versions": Versions.here().describe() if options.address else {},
        "left_out": list(left_out),
        "device": allotment.device,
        "workers": allotment.per_cell,
        "worker_resources": allotment.worker_resources,
    }
    dispatcher = watch.dispatcher
    return tune.Tuner(
        _trainable(options, placed(allotment.trial_resources, left_out)),
        tune_config=tune.TuneConfig(
            search_alg=_Searcher(watch, shared),
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
            storage_path=str(options.store.local / "tune"),
            callbacks=[watch],
            stop=StopAfterEpoch(lambda: dispatcher.stopping, lambda: not watch.active, lambda: dispatcher.finished),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_RETRIES),
        ),
    )


def appears(store: Store, key: str) -> bool:
    """Whether this machine sees a product that a worker has written; shared folders may show it some seconds later."""
    until = time.monotonic() + SEEN_WITHIN
    while not store.has(key):
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
        list(store.keys())  # opening the folder makes NFS ask its server again
    return True


def work(config: dict[str, Any], places: dict[str, str]) -> None:
    """The Tune trainable."""
    with masking():  # Ray logs what a trial prints, Tune what it raises
        run_trial({**config["work"], **places})


def trial_name(trial: Trial) -> str:
    """Name of a trial's folder, from its first task."""
    return f"{trial.config['work']['tasks'][0]['key'][:16]}-{trial.trial_id}"


class _Searcher(Searcher):
    """Tune's interface to a dispatcher: suggests the configuration of the next trial, or None while none is ready.

    It limits concurrency itself, to the devices of the moment: Tune's limiter is not told of lost trials (see
    `_Watch.on_step_end`).
    """

    def __init__(self, watch: _Watch, shared: dict[str, Any]) -> None:
        super().__init__(metric=None, mode=None)
        self.watch, self.shared = watch, shared

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        dispatcher = self.watch.dispatcher
        if len(dispatcher.trials) + len(self.watch.unfit) >= self.watch.devices.look().concurrency:
            return None
        with self.watch.guarded():
            tasks = dispatcher.next(trial_id)
            if tasks:
                group = f"{tasks[0].key[:16]}-{trial_id}"
                return {"work": {**self.shared, "group": group, "tasks": [task.describe() for task in tasks]}}
        return str(Searcher.FINISHED) if dispatcher.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Does nothing: `_Watch` tells the dispatcher."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: a launch resumes by planning again from store and search storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing; see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore runs; launches resume from the store


class _Watch(tune.Callback):
    """Passes Tune's callbacks and the messages of trial processes on to the dispatcher.

    `active`: ids of the trials that have a process; `unfit`: of those whose machine cannot begin a task.
    """

    def __init__(self, dispatcher: Dispatcher, ctrl_c: CtrlC, store: Store, devices: DeviceWatch) -> None:
        self.dispatcher, self.ctrl_c, self.store, self.devices = dispatcher, ctrl_c, store, devices
        self.fault = Fault(dispatcher.stop)
        self.active: set[str] = set()
        self.unfit: set[str] = set()
        self.unfit_since: float | None = None
        self.hosts: dict[str, str] = {}  # of trials whose process has begun a task
        self.deaths = 0  # of trials in a row whose process had not
        self.nodes = LostNodes()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # see `_Searcher`

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """For every call of the dispatcher: an exception ends the launch and is raised by `run`."""
        with self.fault.kept(), self.dispatcher.stops_when_unusable():
            yield

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.ctrl_c.check()
        self.devices.look()
        self._stop_where_no_host_works()
        if len(self.dispatcher.trials) > len(self.active):  # Tune calls back for no trial that lost its process
            for trial in trials:
                if trial.status == Trial.ERROR:
                    self._left(trial)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.active.add(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        message = unpacked(result)
        if message is not None and trial.trial_id in self.dispatcher.trials:
            with self.guarded():
                self._pass_on(trial.trial_id, message)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._left(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if self.nodes.lost(trial.trial_id):
            uncount_failure(trial)
        self.dispatcher.listener.process_lost(self.hosts.pop(trial.trial_id, ""))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = trial.get_error()
        cause = describe(error) if error else "its process died"
        if trial.trial_id not in self.hosts:  # the machine's fault, of no task: the tasks go to other processes
            self._died_before_work(cause)
        elif self.nodes.lost(trial.trial_id):
            self.dispatcher.listener.process_lost(self.hosts.pop(trial.trial_id))
        elif trial.trial_id in self.dispatcher.trials:
            with self.guarded():
                self.dispatcher.failed(trial.trial_id, cause)
        self._left(trial)

    def _died_before_work(self, cause: str) -> None:
        self.deaths += 1
        self.dispatcher.listener.process_lost("")
        if self.deaths >= MAX_DEATHS:
            self.dispatcher.stop(
                f"{self.deaths} processes in a row died before they could begin a task ({cause}): look at disk and "
                "memory of the machines"
            )

    def _pass_on(self, trial_id: str, message: Message) -> None:
        dispatcher = self.dispatcher
        match message:
            case Began(task, host, node):
                self.deaths = 0
                self._host_works(host)
                self.hosts[trial_id] = host
                self.nodes.began(trial_id, [node] if self.devices.allotment.per_cell == 1 else nodes_alive())
                dispatcher.started(trial_id, task)
            case Epoch(task, event, seconds):
                dispatcher.epoch(trial_id, task, event, seconds)
            case Done(task, seconds, scores, host):
                if appears(self.store, task):
                    dispatcher.done(trial_id, task, seconds, scores)
                else:
                    dispatcher.stop(
                        f"{host} wrote a product that this machine does not see in its store ({self.store.url}): "
                        "--store must be a folder that all machines share, or a URL"
                    )
            case Failed(cause, task, seconds):
                dispatcher.failed(trial_id, cause, task, seconds)
            case Unusable(reason, host) if host and self.devices.machines() > 1:  # of that machine alone, perhaps
                self._host_is_unfit(trial_id, host, reason)
            case Unusable(reason):
                dispatcher.stop(reason)
            case HostUnfit(host, reason):
                self._host_is_unfit(trial_id, host, reason)

    def _host_is_unfit(self, trial_id: str, host: str, reason: str) -> None:
        """Others get its tasks; its process keeps the device meanwhile."""
        dispatcher = self.dispatcher
        self.unfit.add(trial_id)
        self.unfit_since = self.unfit_since or time.monotonic()
        dispatcher.give_back(trial_id)
        if host not in dispatcher.outcome.unfit:
            dispatcher.outcome.unfit[host] = reason
            dispatcher.listener.host_unfit(host, reason)

    def _host_works(self, host: str) -> None:
        self.unfit_since = None
        if self.dispatcher.outcome.unfit.pop(host, ""):
            self.dispatcher.listener.host_fit(host)

    def _stop_where_no_host_works(self) -> None:
        """When every device is kept by an unfit machine, or all that came are, for too long."""
        if not self.active or not self.active <= self.unfit or self.unfit_since is None:
            return
        patience = WAIT_FOR_HOST if not self.dispatcher.trials else WAIT_FOR_NEW_HOST
        if len(self.unfit) >= self.devices.allotment.concurrency or time.monotonic() - self.unfit_since > patience:
            self.dispatcher.stop(none_can_work(self.dispatcher.outcome.unfit))

    def _left(self, trial: Trial) -> None:
        self.active.discard(trial.trial_id)
        self.unfit.discard(trial.trial_id)
        if trial.trial_id in self.dispatcher.trials:
            with self.guarded():
                self.dispatcher.give_back(trial.trial_id)
