"""Runs that a dead launch left RUNNING in MLflow, when no journal tells what became of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from mlflow import MlflowClient

from raysweep.core.errors import describe
from raysweep.store.process import Process

from . import schema
from .journal import now_ms
from .runs import Runs
from .writer import OVER

SILENCE = 3600.0
"""Seconds without a word from a launch of another machine, by its clock and ours, after which it may be dead. It speaks
every minute while the server answers; a server that was down for long is allowed for."""

STILL = 150.0
"""Seconds by our own clock for which it must go on saying nothing then: clocks of machines differ."""

LOOKED_AT = f"and is looked at again in {STILL:.0f} seconds"

KINDS = ("launch", "cell", "training", "trial")


def in_a_while(look: Callable[[], None]) -> None:
    """Look again after `STILL` seconds, unless this process ends before."""
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
    """Close the study's runs that MLflow shows as running although their launch is dead; returns how many at once.

    They become KILLED, their state "stopped". A launch is dead when `alive(launch)` is False and its process
    is gone from this machine. One of another machine that has said nothing for `SILENCE` seconds is looked at again
    by `later`: its runs are closed then if it has still said nothing. When in doubt runs are left, and `tell` gets a
    sentence that says so; so it does when the server does not answer. Call it before a launch writes its own first
    event.
    """
    closed: list[str] = []
    silent: dict[str, Any] = {}
    try:
        _adopt(Runs(client), study, alive, tell, now(), closed, silent)
    except Exception as error:  # noqa: BLE001  whatever the client raises; the next launch tries again
        tell(f"tracking: runs of dead launches could not be closed yet ({describe(error)})")

    def look() -> None:
        with contextlib.suppress(Exception):  # the next launch tries again
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
            tell(f"tracking: {len(left)} runs of launch {launch} are left as running: {doubt}")
            if doubt.endswith(LOOKED_AT):
                silent[launch] = _signs(runs, study, launch)
            continue
        closed += [run.info.run_id for run in left if _close(runs, run.info.run_id, launch, now)]


def _close_silent(runs: Runs, study: str, alive: Callable[[str], bool], silent: dict[str, Any], now: int) -> None:
    """Close runs of launches that have said nothing since the first look."""
    for launch, left in _held(runs, study).items():
        if launch in silent and not alive(launch) and _signs(runs, study, launch) == silent[launch]:
            for run in left:
                _close(runs, run.info.run_id, launch, now)


def _held(runs: Runs, study: str) -> dict[str, list[Any]]:
    """Runs that MLflow shows as running, by launch."""
    held: dict[str, list[Any]] = {}
    if runs.client.get_experiment_by_name(study) is not None:
        for run in (run for kind in KINDS for run in runs.running(study, {schema.KIND: kind})):
            held.setdefault(run.data.tags.get(schema.LAUNCH, ""), []).append(run)
    return held


def _signs(runs: Runs, study: str, launch: str) -> tuple[str, frozenset[str]]:
    """What changes while a launch lives: when it was last heard of, and which runs it has."""
    found = runs.find(study, {schema.KIND: "launch", schema.LAUNCH: launch})
    tags = runs.tags(found) if found else {}
    return tags.get(schema.SEEN_ALIVE, ""), frozenset(run.info.run_id for run in _held(runs, study).get(launch, ()))


def _doubt(runs: Runs, study: str, launch: str, left: Sequence[Any], now: int) -> str:
    """Why the launch may live although nobody here knows of it; empty when it is dead."""
    signs = [run.info.start_time for run in left]
    found = runs.find(study, {schema.KIND: "launch", schema.LAUNCH: launch})
    tags = runs.tags(found) if found else {}
    process = Process.parse(tags.get(schema.PROCESS, ""))
    if process is not None and process.gone():
        return ""
    if process is not None and process.host == Process.this().host:
        return f"its process {process.pid} lives"
    silent = (now - max([*signs, int(tags.get(schema.SEEN_ALIVE, 0))])) / 1000
    if silent >= SILENCE:
        return f"it was heard of {silent / 60:.0f} minutes ago on another machine, {LOOKED_AT}"
    return f"it runs on another machine and was heard of {silent / 60:.0f} minutes ago (dead after {SILENCE / 60:.0f})"


def _close(runs: Runs, identity: str, launch: str, when: int) -> bool:
    """Close one run, unless another launch has taken it up meanwhile."""
    run = runs.client.get_run(identity)
    tags = run.data.tags
    if run.info.status != "RUNNING" or tags.get(schema.LAUNCH, "") != launch:
        return False
    if tags.get(schema.STATE) in OVER:  # it died between its last words
        runs.client.set_terminated(identity, "FINISHED" if tags[schema.STATE] == "complete" else "KILLED", when)
    else:
        runs.stop(identity, when)
    return True
