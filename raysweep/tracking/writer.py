"""Writes a launch's events to MLflow. Writes are idempotent: runs are looked up by key before creation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from mlflow import MlflowClient

from raysweep.artifacts.cell_result import CellResult
from raysweep.core.errors import describe
from raysweep.plotting.adapted_labels import draw_labels
from raysweep.plotting.attention import draw_attention
from raysweep.plotting.scores import draw_artifacts
from raysweep.store.store import HOST, Store

from . import schema
from .arm_runs import ArmRun, log_arms
from .epoch_ranges import epochs_in, spans
from .journal import now_ms
from .run_identity import Event, identity_of, new_run
from .runs import LoggedCurve, Runs, identity_digest

EPOCHS = ("epoch", "training", "trial_epoch")
"""Events that append to a curve; consecutive ones are written together."""

OVER = ("complete", "pruned")
"""Final states, which later events do not change."""


class Writer:
    """Writes studies' launches, cells, trainings and search trials through an `MlflowClient`.

    Events are plain dicts: {"event": one of EPOCHS or the name of an `_on_` method below, "time": ms since 1970,
    "study", "launch", ...}. A cell's event carries "cell": {"key", "arm", "coordinates", "replicate", "config",
    "tags"}, a trial's "trial": {"search", "number", "key", "arm", "coordinates", "replicate", "point", "config",
    "tags"}, a training's "training": {"key", "title", "replicate", "tags"}.
    """

    def __init__(self, client: MlflowClient, store: Store) -> None:
        self.client, self.store, self.runs = client, store, Runs(client)
        self._ids: dict[tuple[str, ...], str] = {}
        self._curves: dict[tuple[str, ...], LoggedCurve] = {}

    def write(self, event: Event) -> None:
        """Write one event. Raises the client's exceptions; may be repeated."""
        self.write_all([event])

    def write_all(self, events: Sequence[Event]) -> None:
        """Write one event of another kind, or any number of EPOCHS in few requests per run.

        Raises the client's exceptions; may be repeated with the same events.
        """
        try:
            if events[0]["event"] in EPOCHS:
                self._write_epochs(events)
            else:
                (event,) = events
                getattr(self, f"_on_{event['event']}")(event)
        except Exception:  # some events may have been written
            self.forget()
            raise

    def forget(self) -> None:
        """Clear the cache, because other launches may have written to the server."""
        self._ids, self._curves, self.runs = {}, {}, Runs(self.client)

    def _write_epochs(self, events: Sequence[Event]) -> None:
        curves: dict[tuple[str, ...], list[Event]] = {}
        for event in events:
            curves.setdefault((event["launch"], *identity_of(event)), []).append(event)
        for name, epochs in curves.items():
            if name not in self._curves:
                self._curves[name] = self._open(epochs[0])
            self._append(self._curves[name], epochs)

    def _append(self, curve: LoggedCurve, events: Sequence[Event]) -> None:
        epochs = {event["epoch"]: event for event in events if event["epoch"] > curve.last}
        self.runs.log_epochs(curve.run, [(e["epoch"], e["metrics"], e["time"]) for e in epochs.values()])
        for event in events:
            if event.get("last") and not curve.over:  # a shared training ends with its last epoch
                self.runs.close(curve.run, "FINISHED", {schema.STATE: "complete"}, event["time"])
                curve.over = True
        curve.last = max([curve.last, *epochs])

    def _open(self, event: Event) -> LoggedCurve:
        """The run of an epoch event, continued in its launch, with the last epoch on the server."""
        run = self._run(event)
        return LoggedCurve(run, self.runs.last_epoch(run), over=not self._take_up(run, event))

    def _take_up(self, run: str, event: Event) -> bool:
        """Continue the run in the event's launch. Returns False if the run is complete.

        Late events of a dead launch do not take the run from a launch that began after them.
        """
        found = self.client.get_run(run)
        tags, status = found.data.tags, found.info.status
        if tags.get(schema.STATE) in OVER:
            return False
        holder = tags.get(schema.LAUNCH, "")
        if status == "RUNNING" and holder != event["launch"]:
            other = self.runs.find(event["study"], {schema.KIND: "launch", schema.LAUNCH: holder})
            if other and self.client.get_run(other).info.start_time > event["time"]:
                return True
        self.runs.take_up(run, event["launch"])
        return True

    def log_file(self, study: str, launch: str, file: Path, folder: str) -> None:
        """Log a file as an artifact of a launch. Not journaled, since a report can be built again."""
        run = self._launch_run({"study": study, "launch": launch, "time": now_ms()})
        self.client.log_artifact(run, str(file), folder)

    def log_arms(self, study: str, launch: str, arms: Iterable[ArmRun]) -> None:
        """Write the runs of a launch's arms. Not journaled, as files of a report."""
        log_arms(self.runs, study, launch, self._launch_run({"study": study, "launch": launch, "time": now_ms()}), arms)

    def _on_launch(self, event: Event) -> None:
        run = self._launch_run(event)
        self.client.log_dict(run, event["plan"], schema.PLAN_FILE)
        self.runs.name_data(run, event.get("tags", {}), {})

    def _on_beat(self, event: Event) -> None:
        """Heartbeat of the launch; not journaled."""
        self.client.set_tag(self._launch_run(event), schema.SEEN_ALIVE, str(event["time"]))

    def _on_start(self, event: Event) -> None:
        """The cell's own task begins. "shared": epochs of its curve that the task does not train."""
        run = self._run(event)
        if not self._take_up(run, event) or event.get("shared", "all") == "all":
            return
        tags = self.runs.tags(run)
        self._tag_shared(run, tags, event)
        attempts = _attempts(tags)
        if event["launch"] not in attempts:
            self.client.set_tag(run, schema.ATTEMPTS, ",".join([*attempts, event["launch"]]))

    def _tag_shared(self, run: str, tags: Mapping[str, str], event: Event) -> None:
        """Tag the cell with its shared epochs, without those that earlier attempts of its own task trained."""
        shared = event["shared"]
        if set(_attempts(tags)) - {event["launch"]}:
            shared = spans(epochs_in(tags.get(schema.SHARED_EPOCHS, "")) & epochs_in(shared))
        if shared:
            self.client.set_tag(run, schema.SHARED_EPOCHS, shared)
        elif schema.SHARED_EPOCHS in tags:
            self.client.delete_tag(run, schema.SHARED_EPOCHS)

    def _on_complete(self, event: Event) -> None:
        run = self._run(event)
        self._curves.pop((event["launch"], *identity_of(event)), None)
        before = self.client.get_run(run).data
        if before.tags.get(schema.STATE) == "complete":
            return
        manifest = self.store.get(event["cell"]["key"])
        if manifest is None:  # removed from the store; a later launch trains it again
            self.runs.stop(run, event["time"])
            return
        folder = self.store.folder(event["cell"]["key"])
        result = CellResult.read(folder)
        there, when = self.runs.epochs(run), event["time"]
        rest = [(number, metrics, when) for number, metrics in enumerate(result.history, 1) if number not in there]
        scores = {name: value for name, value in result.scores.items() if name not in before.metrics}
        self.runs.log_epochs(run, [*rest, (len(result.history), scores, when)])
        self._log_artifacts(run, folder, result)
        if event.get("shared", "") != "all":
            self._tag_shared(run, before.tags, {"shared": "", **event})
        elif not _attempts(before.tags):
            self.client.set_tag(run, schema.SHARED_EPOCHS, spans(range(1, len(result.history) + 1)))
        if schema.CAUSE in before.tags:  # it failed in an earlier launch
            self.client.delete_tag(run, schema.CAUSE)
        host = {schema.HOST: str(manifest[HOST])} if manifest.get(HOST) else {}
        self.runs.close(run, "FINISHED", {**_facts(result.facts), **host}, when)

    def _log_artifacts(self, run: str, folder: Path, result: CellResult) -> None:
        """Log the cell's files and pictures of them."""
        with tempfile.TemporaryDirectory() as draft:
            trouble = _drawn(result, Path(draft))
            self.client.log_artifacts(run, draft)
        if trouble:
            self.client.set_tag(run, schema.PICTURES, trouble)
        for name in CellResult.FILES:
            if (folder / name).exists():
                self.client.log_artifact(run, str(folder / name))

    def _on_failed(self, event: Event) -> None:
        """The cell failed; "before": in an earlier launch, and this one skips it."""
        run = self._run(event)
        state = self.runs.tags(run).get(schema.STATE)
        if state not in OVER and not (state and event.get("before")):
            self.runs.close(run, "FAILED", {schema.STATE: "failed", schema.CAUSE: event["cause"]}, event["time"])

    def _on_trial(self, event: Event) -> None:
        """A search trial starts or continues."""
        self._take_up(self._run(event), event)

    def _on_trial_end(self, event: Event) -> None:
        """A trial ended: "state", "scores" on validation images, device "seconds", and "cause" if it failed."""
        run, state, when = self._run(event), event["state"], event["time"]
        self._curves.pop((event["launch"], *identity_of(event)), None)
        if self.runs.tags(run).get(schema.STATE) in OVER:
            return
        scores = {**event["scores"], schema.SEARCH_SECONDS: event["seconds"]}
        self.runs.log_epochs(run, [(self.runs.last_epoch(run), scores, when)])
        status = {"complete": "FINISHED", "failed": "FAILED"}.get(state, "KILLED")
        cause = {schema.CAUSE: event["cause"]} if state == "failed" else {}
        self.runs.close(run, status, {schema.STATE: state, **cause}, when)

    def _on_end(self, event: Event) -> None:
        """The launch ended: stop its open runs, except those that other launches have continued."""
        for cell in event.get("stopped", ()):
            run = self._run({**event, "cell": cell})
            tags = self.runs.tags(run)
            if tags.get(schema.LAUNCH) == event["launch"] and tags.get(schema.STATE) not in OVER:
                self.runs.stop(run, event["time"])
        for kind in ("training", "trial"):
            for run in self.runs.running(event["study"], {schema.KIND: kind, schema.LAUNCH: event["launch"]}):
                self.runs.stop(run.info.run_id, event["time"])
        self._curves = {name: curve for name, curve in self._curves.items() if name[0] != event["launch"]}
        self.client.set_terminated(self._launch_run(event), event["status"], event["time"])

    def _common_tags(self, event: Event, identity: Mapping[str, str]) -> dict[str, str]:
        """Tags of a new run: its launch, and the digest of its identity."""
        return {schema.PARENT_RUN: self._launch_run(event), schema.IDENTITY: identity_digest(identity)}

    def _launch_run(self, event: Event) -> str:
        name = ("launch", event["launch"])
        if name not in self._ids:
            wanted = {schema.KIND: "launch", schema.LAUNCH: event["launch"]}
            tags = {**wanted, schema.STUDY: event["study"], **event.get("tags", {})}
            tags[schema.IDENTITY] = identity_digest(wanted)
            self._ids[name] = self.runs.find(event["study"], wanted) or self.runs.create(
                event["study"], f"launch {event['launch']}", tags, event["time"]
            )
        return self._ids[name]

    def _run(self, event: Event) -> str:
        """Id of the run of a cell's, a training's or a trial's event, which is created if missing."""
        identity = (event["study"], *identity_of(event))
        if identity not in self._ids:
            new = new_run(event)
            run = self.runs.find(event["study"], new.identity) or self.runs.create(
                event["study"], new.name, {**new.tags, **self._common_tags(event, new.identity)}, event["time"]
            )
            if new.config is not None:
                self.runs.name_data(run, new.tags, new.config)
                self.runs.describe(run, new.config, new.params)
            self._ids[identity] = run
        return self._ids[identity]


def _drawn(result: CellResult, folder: Path) -> str:
    """Draw a cell's pictures. Returns an error message or "", so that a failure does not block later events."""
    try:
        with mpl.rc_context({"text.parse_math": False}):  # a class may be called $x$
            draw_artifacts(result, folder)
            if result.labels is not None:
                draw_labels(result.labels, result.facts["classes"], folder)
            if result.attention is not None:
                draw_attention(result.attention, result.facts["classes"], folder)
    except Exception as error:  # noqa: BLE001  any error in drawing
        return f"not drawn: {describe(error)}"
    return ""


def _attempts(tags: Mapping[str, str]) -> list[str]:
    """Launches that began the cell's own task."""
    return [name for name in tags.get(schema.ATTEMPTS, "").split(",") if name]


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a complete cell."""
    tags = {
        schema.DEGENERATE: str(facts["degenerate"]).lower(),
        schema.NOISE_HASH: facts["noise_hash"],
        schema.WEIGHTS_HASH: facts["weights_hash"],
        schema.DEVICE: facts["device"],
        schema.CODE_VERSION: facts["code_version"],
        schema.STATE: "complete",
    }
    if facts.get("versions"):
        tags[schema.VERSIONS] = json.dumps(facts["versions"])
    if facts.get("label_notes"):
        tags[schema.LABEL_NOTES] = _json_within(facts["label_notes"], schema.MAX_NOTES_LENGTH)
    return tags


def _json_within(sentences: Sequence[str], length: int) -> str:
    """A JSON list of the first sentences that fit into `length` characters.

    >>> _json_within(["one", "two", "three"], 16)
    '["one", "two"]'
    """
    fitting = list(sentences)
    while len(json.dumps(fitting)) > length:
        fitting.pop()
    return json.dumps(fitting)
