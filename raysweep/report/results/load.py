"""Reading a study from MLflow. The only module of the report that talks to the server."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.artifacts.predictions import ImagePredictions, ValidationPredictions
from raysweep.artifacts.study_record import PlannedCell, StudyRecord
from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masked, masked_values
from raysweep.core.notices import passed_over
from raysweep.core.printable import printable_tree
from raysweep.data.progress import Bar, no_bar
from raysweep.metrics.registry import METRICS
from raysweep.tracking import schema
from raysweep.tracking.server import connect, ui_address

from .choose import AskedStudy, asked_study, launches_of, launches_on, other_extras
from .costs import SharedWork, device_seconds, shared_work, trained_epochs
from .load_searches import read_searches
from .records import CellRecord, Results, State, state_of
from .runs import PAGE, chosen_launch, experiment_of, experiments, launch_runs, search_runs
from .verify import Logged, checked

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """One study in a tracking store, for `--list`."""

    name: str
    launches: int
    newest: str
    cells: int
    complete: int


def load_results(
    study: str,
    tracking_uri: str | None = None,
    launch: str | None = None,
    page: int = PAGE,
    data: str | None = None,
    fingerprint: str | None = None,
    again: bool = False,
    bar: Bar = no_bar,
) -> Results:
    """Load a study with its cells, as planned by its newest launch or by `launch` (a name or run id).

    Cells are found by key, arm and replicate, trials by the name of their search, from any launch. The launches of a
    study and data set are chosen by contents (`raysweep.report.results.choose`).

    Args:
        study: name of the study, or the path of its file.
        tracking_uri: MLflow store.
        launch: which launch; default the newest.
        page: runs per request.
        data: only launches on this data set, given by its name or present path.
        fingerprint: only launches on the data set with this fingerprint.
        again: compare every run with its files, even if it is unchanged since it was last compared.
        bar: makes a progress bar over runs whose files are read.

    Raises:
        UserError: no such study or launch (names the nearest), never launched, or no readable plan.
    """
    client = connect(tracking_uri, writable=False)
    asked = asked_study(study) if launch is None or study.endswith(".py") else AskedStudy(study)
    study = asked.name
    experiment = experiment_of(client, study)
    launches, remarks = _narrowed(launch_runs(client, experiment, study, page), asked, launch, data, fingerprint)
    launch_run = chosen_launch(launches, launch)
    remarks += other_extras(launches, launch_run) if launch is None else []
    record = _plan(client, launch_run, study)
    runs: dict[tuple[str | None, ...], list[Any]] = {}
    for run in search_runs(client, experiment, f"tags.`{schema.KIND}` = 'cell'", page):
        identity = tuple(run.data.tags.get(tag) for tag in (schema.KEY, schema.ARM, schema.REPLICATE))
        runs.setdefault(identity, []).append(run)
    of_cell = [(c, runs.get((c.key, c.arm, str(c.replicate)), [])) for c in record.cells]
    cells = [replace(_cell(client, c, found, record), again=again) for c, found in of_cell]
    trials = search_runs(client, experiment, f"tags.`{schema.KIND}` = 'trial'", page) if record.search else []
    searches = read_searches(record.search, trials) if record.search else ()
    return Results(
        record,
        tuple(cells),
        searches,
        tuple(remarks),
        tuple(_all_checked(client, of_cell, again, bar)),
        _shared(client, experiment, record, page),
        experiment,
        ui_address(tracking_uri),
    )


def _shared(client: MlflowClient, experiment: str, record: StudyRecord, page: int) -> Callable[[], SharedWork]:
    """A function that sums epochs and device-seconds of shared trainings once."""

    @cache
    def spent() -> SharedWork:
        runs = search_runs(client, experiment, f"tags.`{schema.KIND}` = 'training'", page)
        return shared_work(runs, partial(_history, client), record.data.fingerprint)

    return spent


def _narrowed(
    launches: Sequence[Any], asked: AskedStudy, launch: str | None, data: str | None, fingerprint: str | None
) -> tuple[Sequence[Any], list[str]]:
    """The launches that match the arguments, and remarks on the choice."""
    if launch is None:
        launches = launches_of(launches, asked)
    remarks: list[str] = []
    if data is not None:
        launches, remarks = launches_on(launches, asked.name, data)
    if fingerprint is not None:
        launches = [run for run in launches if run.data.tags.get(schema.DATA_FINGERPRINT) == fingerprint]
    return launches, remarks


def _all_checked(
    client: MlflowClient, of_cell: Sequence[tuple[PlannedCell, list[Any]]], again: bool, bar: Bar
) -> list[str]:
    """Sentences on runs whose MLflow values differ from their files, cell by cell."""
    told_of = [(cell, found) for cell, found in of_cell if found]
    parts: list[str] = []
    with bar("reading runs", "runs") as told:
        for done, (cell, found) in enumerate(told_of):
            told(done, len(told_of))
            parts += _checked(client, cell, _chosen(found), again)
        told(len(told_of), len(told_of))
    return parts


def list_results(tracking_uri: str | None = None, page: int = PAGE) -> list[Listed]:
    """All launched studies, sorted by name."""
    client = connect(tracking_uri, writable=False)
    listed = []
    for name, experiment in sorted(experiments(client).items()):
        launches = search_runs(client, experiment, f"tags.`{schema.KIND}` = 'launch'", page)
        if not launches:
            continue
        cells = search_runs(client, experiment, f"tags.`{schema.KIND}` = 'cell'", page)
        complete = sum(run.data.tags.get(schema.STATE) == "complete" for run in cells)
        newest = launches[0].data.tags.get(schema.LAUNCH, launches[0].info.run_id)
        listed.append(Listed(name, len(launches), newest, len(cells), complete))
    return listed


def _plan(client: MlflowClient, run: Any, study: str) -> StudyRecord:
    launch = str(run.data.tags.get(schema.LAUNCH, run.info.run_id))
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = client.download_artifacts(run.info.run_id, schema.PLAN_FILE, folder)
            plan = printable_tree(masked_values(json.loads(Path(file).read_text(encoding="utf-8"))))
        except (MlflowException, OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"study {study!r}: launch {launch} has no readable {schema.PLAN_FILE} ({type(error).__name__}); "
                f"its artifacts must be reachable from here ({run.info.artifact_uri}), or choose another with --launch"
            ) from None
    try:
        return _with_table(StudyRecord.read(plan, launch))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"study {study!r}: {schema.PLAN_FILE} of launch {launch} is not as expected ({error})"
        ) from None


def _with_table(record: StudyRecord) -> StudyRecord:
    """The record. Raises ValueError if no table can be built from it."""
    unknown = [name for name in record.columns if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown score {unknown[0]!r}")
    if not record.axes or not (record.cells or record.search):
        raise ValueError("it has no axes or no cells")
    names = [axis.name for axis in record.axes]
    for cell in record.cells:
        if list(cell.coordinates) != names:
            raise ValueError(f"cell {cell.arm!r} does not lie on the axes {', '.join(names)}")
    return record


def _cell(client: MlflowClient, planned: PlannedCell, runs: list[Any], study: StudyRecord) -> CellRecord:
    """The record of a planned cell, from its newest complete run, else its newest one."""
    empty = CellRecord(planned.coordinates, planned.arm, planned.replicate, planned.key)
    if not runs:
        return empty
    run = _chosen(runs)
    tags, history = run.data.tags, _history(client, str(run.info.run_id))
    return replace(
        empty,
        run_id=str(run.info.run_id),
        state=_state(run),
        scores=headline_scores(run.data.metrics),
        cause=masked(str(tags.get(schema.CAUSE, ""))),
        degenerate=tags.get(schema.DEGENERATE) == "true",
        code_version=str(tags.get(schema.CODE_VERSION, "")),
        data_fingerprint=str(tags.get(schema.DATA_FINGERPRINT, "")),
        device=str(tags.get(schema.DEVICE, "")),
        twins=len(runs) - 1,
        config=masked_values(dict(run.data.params)),
        label_notes=_sentences(tags.get(schema.LABEL_NOTES, "[]")),
        versions=_versions(tags.get(schema.VERSIONS, "{}")),
        history=history,
        spent=cache(partial(device_seconds, history, tags)),
        epochs=cache(partial(trained_epochs, history, tags)),
        labels=_reader(client, str(run.info.run_id), AdaptedLabels.FILE, AdaptedLabels.read),
        attention=_reader(client, str(run.info.run_id), AttentionMaps.FILE, AttentionMaps.read),
        faces=_reader(client, str(run.info.run_id), LabelledFaces.FILE, LabelledFaces.read),
        predictions=lambda: _reader(client, str(run.info.run_id), ImagePredictions.FILE, ImagePredictions.read)(),
        validation=_reader(client, str(run.info.run_id), ValidationPredictions.FILE, ValidationPredictions.read),
    )


def _chosen(runs: Sequence[Any]) -> Any:
    return next((r for r in runs if _state(r) == "complete"), runs[0])


def _checked(client: MlflowClient, planned: PlannedCell, run: Any, again: bool) -> Sequence[str]:
    """Sentences on differences between a cell's run in MLflow and its files."""
    where, data = str(run.info.run_id), run.data
    name = f"{planned.arm} #{planned.replicate}"
    return checked(
        Logged(where, name, data.metrics, data.params, data.tags, run.info.status),
        lambda file: _reader(client, where, file, Path.read_bytes)(),
        again,
    )


def _state(run: Any) -> State:
    return state_of(run.data.tags.get(schema.STATE), run.info.status)


def _sentences(tag: str) -> tuple[str, ...]:
    """The sentences of a tag with a JSON list; any other tag is one sentence."""
    try:
        found = json.loads(tag)
    except ValueError:
        return (tag,)
    return tuple(map(str, found)) if isinstance(found, list) else (tag,)


def _versions(tag: str) -> dict[str, str]:
    """Name to version of a tag with a JSON object; empty for any other tag."""
    try:
        found = json.loads(tag)
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def headline_scores(metrics: Mapping[str, float]) -> dict[str, float]:
    """Finite headline scores on the test images, and scores of adapted labels, by plain name.

    >>> headline_scores({"test/ece": 0.1, "test_swa/ece": 0.2, "val/ece": 0.3, "labels/kept_share": 0.4})
    {'ece': 0.1, 'kept_share': 0.4}
    """
    found = {
        name: metrics[where]
        for name in METRICS
        for where in (f"labels/{name}", f"test/{name}")  # test scores override
        if where in metrics
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _reader(client: MlflowClient, run: str, name: str, read: Callable[[Path], T]) -> Callable[[], T | None]:
    """A function that reads a file of a run once. It returns None if the file is missing, or damaged, with a notice.

    Raises:
        UserError: the file cannot be downloaded, or OSError by `read`.
    """

    @cache
    def read_it() -> T | None:
        try:
            if name not in (file.path for file in client.list_artifacts(run)):
                return None
            with tempfile.TemporaryDirectory() as folder:
                file = Path(client.download_artifacts(run, name, folder))
                try:
                    return read(file)
                except ValueError as error:
                    passed_over(f"{name} of run {run}", f"{describe(error)}; the report lacks what is drawn of it")
                    return None
        except (MlflowException, OSError) as error:
            raise UserError(f"tracking: cannot read {name} of run {run} ({describe(error)})") from None

    return read_it


def _history(client: MlflowClient, run: str) -> Any:
    """A function that reads one run's curves, with at most one request per metric."""

    @cache
    def read(name: str) -> tuple[tuple[int, float], ...]:
        latest: dict[int, tuple[int, float]] = {}  # a resumed cell may have reported an epoch twice
        for metric in client.get_metric_history(run, name):
            if metric.step not in latest or metric.timestamp >= latest[metric.step][0]:
                latest[metric.step] = (metric.timestamp, metric.value)
        return tuple((step, value) for step, (_, value) in sorted(latest.items()))

    return read
