"""MLflow runs for reports: all pages, with texts cleaned of control characters."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from typing import Any

from mlflow import MlflowClient

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.notices import passed_over
from raysweep.core.printable import printable
from raysweep.tracking import schema

PAGE = 1000
"""Runs per request, at which `search_runs` stops without an error."""


def experiments(client: MlflowClient) -> dict[str, str]:
    """Name to id of every experiment that is not deleted."""
    found: dict[str, str] = {}
    token = None
    while True:
        batch = client.search_experiments(max_results=PAGE, page_token=token)
        found |= {str(e.name): str(e.experiment_id) for e in batch}
        token = batch.token
        if not token:
            return found


def experiment_of(client: MlflowClient, study: str) -> str:
    """Id of a study's experiment. Raises UserError with the nearest name."""
    there = experiments(client)
    if study in there:
        return there[study]
    hint = f"(or run it first: python -m raysweep.run {study})"
    names = [name for name in there if name != "Default"]
    if not names:
        raise UserError(f"study {study!r}: the tracking store has no study yet; run: python -m raysweep.run {study}")
    raise unknown_name("study", study, names, hint)


def launch_runs(client: MlflowClient, experiment: str, study: str, page: int) -> list[Any]:
    """The runs of its launches, newest first. Raises UserError if there are none."""
    runs = search_runs(client, experiment, f"tags.`{schema.KIND}` = 'launch'", page)
    if not runs:
        raise UserError(f"study {study!r} has not been launched yet; run: python -m raysweep.run {study}")
    return runs


def chosen_launch(runs: Sequence[Any], launch: str | None) -> Any:
    """The launch of that name or run id, or the newest. Raises UserError."""
    if launch is None:
        if not runs:
            raise UserError("the tracking store has no launch of it on these data as they are")
        return runs[0]
    for run in runs:
        if launch in (run.info.run_id, run.data.tags.get(schema.LAUNCH)):
            return run
    raise unknown_name("launch", launch, [run.data.tags.get(schema.LAUNCH, run.info.run_id) for run in runs])


def search_runs(client: MlflowClient, experiment: str, query: str, page: int) -> list[Any]:
    """All matching runs, newest first.

    Pages are read oldest first, so that runs which start meanwhile do not shift them.

    Raises:
        UserError: the pages are inconsistent, so runs may be missing.
    """
    found: dict[str, Any] = {}
    token = None
    while True:
        batch = client.search_runs(
            [experiment], query, max_results=page, order_by=["attributes.start_time ASC"], page_token=token
        )
        count = len(found)
        found |= {run.info.run_id: cleaned(run) for run in batch}
        if len(found) != count + len(batch):
            raise UserError("tracking: the list of runs changed while it was read; ask for the report again")
        token = batch.token
        if not token:
            return [run for run in reversed(found.values()) if has_id(run)]


def cleaned(run: Any) -> Any:
    """The run with cleaned texts, which others may have edited, and with infinite values, which MLflow's databases
    store as the largest float."""
    run.data.metrics.update(
        {n: math.copysign(math.inf, v) for n, v in run.data.metrics.items() if abs(v) == sys.float_info.max}
    )
    for texts in (run.data.tags, run.data.params):
        texts.update({name: printable(str(value)) for name, value in texts.items()})
    return run


def has_id(run: Any) -> bool:
    """Whether its id is well-formed; other ids could break lines or LaTeX comments."""
    known = re.fullmatch("[0-9a-f]{32}", run.info.run_id) is not None
    if not known:
        passed_over(f"run {printable(run.info.run_id)[:80]!r}", "no id of a run")
    return known
