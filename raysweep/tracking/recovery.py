"""Closes MLflow runs that dead launches without a journal here left RUNNING."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from mlflow import MlflowClient

from raysweep.core.errors import describe
from raysweep.core.formatting import plural
from raysweep.store.process import Process

from . import schema
from .journal import now_ms
from .runs import Runs
from .writer import OVER

SILENCE = 3600.0
"""Seconds without a heartbeat, by the clocks of both machines, after which a launch on another machine may be dead.
Heartbeats come every minute; the margin is for times when the server is down."""

STILL = 150.0
"""Further seconds without a heartbeat by the local clock, since clocks of machines differ."""

CHECKED_AGAIN = f"and is checked again in {STILL:.0f} seconds"

KINDS = ("launch", "cell", "arm", "training", "trial")


def in_a_while(look: Callable[[], None]) -> None:
    """Call `look` after `STILL` seconds, unless this process ends before."""
    timer = threading.Timer(STILL, look)
    timer.daemon = True
    timer.start()


def adopt_runs(
    client: MlflowClient,
    study: str,
    alive: Callable[[str], bool] = lambda launch: False,
    tell: Callable[[str], None] = lambda sentence: None,
    now: Callable[[], int] = now_ms,
    later: Callable[[Callable[[], None]], None] = in_a_while,
) -> int:
    """Close the study's RUNNING runs of dead launches. Returns the number of runs closed immediately.

    They become KILLED with state "stopped". A launch is dead when `alive(launch)` is False and its process on this
    machine has ended. A launch on another machine without a heartbeat for `SILENCE` seconds is checked again by
    `later`, and its runs are closed if there still was none. Other runs are kept; `tell` gets a sentence about each
    doubt and about an unreachable server. Call it before a launch writes its own first event.
    """
    closed: list[str] = []
    silent: dict[str, Any] = {}
    try:
        _adopt(Runs(client), study, alive, tell, now(), closed, silent)
    except Exception as error:  # noqa: BLE001  any error of the client; the next launch retries
        tell(f"tracking: runs of dead launches could not be closed yet ({describe(error)})")

    def look() -> None:
        with contextlib.suppress(Exception):  # the next launch retries
            _close_silent(Runs(client), study, alive, silent, now())

    if silent:
        later(look)
    return len(closed)


def _adopt(
    runs: Runs,
    study: str,
    alive: Callable[[str], bool],
    tell: Callable[[str], None],
    now: int,
    closed: list[str],
    silent: dict[str, Any],
) -> None:
    for launch, left in _held(runs, study).items():
        if alive(launch):
            continue
        if doubt := _doubt(runs, study, launch, left, now):
            tell(f"tracking: {plural(len(left), 'run')} of launch {launch} not closed: {doubt}")
            if doubt.endswith(CHECKED_AGAIN):
                silent[launch] = _signs(runs, study, launch)
            continue
        closed += [run.info.run_id for run in left if _close(runs, run.info.run_id, launch, now)]


def _close_silent(runs: Runs, study: str, alive: Callable[[str], bool], silent: dict[str, Any], now: int) -> None:
    """Close runs of launches without a heartbeat or new run since the first check."""
    for launch, left in _held(runs, study).items():
        if launch in silent and not alive(launch) and _signs(runs, study, launch) == silent[launch]:
            for run in left:
                _close(runs, run.info.run_id, launch, now)


def _held(runs: Runs, study: str) -> dict[str, list[Any]]:
    """RUNNING runs by launch."""
    held: dict[str, list[Any]] = {}
    if runs.client.get_experiment_by_name(study) is not None:
        for run in (run for kind in KINDS for run in runs.running(study, {schema.KIND: kind})):
            held.setdefault(run.data.tags.get(schema.LAUNCH, ""), []).append(run)
    return held


def _signs(runs: Runs, study: str, launch: str) -> tuple[str, frozenset[str]]:
    """Signs of life of a launch: time of its last heartbeat, and ids of its runs."""
    found = runs.find(study, {schema.KIND: "launch", schema.LAUNCH: launch})
    tags = runs.tags(found) if found else {}
    return tags.get(schema.SEEN_ALIVE, ""), frozenset(run.info.run_id for run in _held(runs, study).get(launch, ()))


def _doubt(runs: Runs, study: str, launch: str, left: Sequence[Any], now: int) -> str:
    """Why the launch may be alive; "" when it is dead."""
    signs = [run.info.start_time for run in left]
    found = runs.find(study, {schema.KIND: "launch", schema.LAUNCH: launch})
    tags = runs.tags(found) if found else {}
    process = Process.parse(tags.get(schema.PROCESS, ""))
    if process is not None and process.gone():
        return ""
    if process is not None and process.host == Process.this().host:
        return f"its process {process.pid} is running"
    silent = (now - max([*signs, int(tags.get(schema.SEEN_ALIVE, 0))])) / 1000
    if silent >= SILENCE:
        return f"its last sign of life was {silent / 60:.0f} minutes ago on another machine, {CHECKED_AGAIN}"
    return f"its last sign of life was {silent / 60:.0f} minutes ago on another machine (dead after {SILENCE / 60:.0f})"


def _close(runs: Runs, identity: str, launch: str, when: int) -> bool:
    """Close one run, unless another launch has continued it."""
    run = runs.client.get_run(identity)
    tags = run.data.tags
    if run.info.status != "RUNNING" or tags.get(schema.LAUNCH, "") != launch:
        return False
    if tags.get(schema.STATE) in OVER:  # it died after writing the state
        runs.client.set_terminated(identity, "FINISHED" if tags[schema.STATE] == "complete" else "KILLED", when)
    else:
        runs.stop(identity, when)
    return True
