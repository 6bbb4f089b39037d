"""Events of a launch, written to MLflow. Every write can be repeated: runs are got or created by key."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from raysweep.core.experiment import flat_words
from raysweep.core.store import Store
from raysweep.recipes import CellResult

from . import schema
from .artifacts import draw_artifacts
from .label_pictures import draw_labels


class Writer:
    """Writes one study's launches and cells through an `MlflowClient`.

    Events are plain dicts: {"event": the word of an `_on_` method below, "time": ms since 1970, ...}; a cell event
    carries "cell": {"key", "arm", "coordinates", "replicate", "config", "tags"}.
    """

    def __init__(self, client: MlflowClient, store: Store) -> None:
        self.client, self.store = client, store
        self._experiments: dict[str, str] = {}
        self._launches: dict[str, str] = {}
        self._cells: dict[tuple[str, str, int], tuple[str, int]] = {}
        self._trainings: dict[tuple[str, str, str], tuple[str, int]] = {}

    def write(self, event: Mapping[str, Any]) -> None:
        """Write one event. Raises whatever the client raises; calling again is safe."""
        getattr(self, f"_on_{event['event']}")(event)

    def _on_launch(self, event: Mapping[str, Any]) -> None:
        launch = self._launch_run(event)
        self.client.log_dict(launch, event["plan"], schema.PLAN_FILE)

    def _on_start(self, event: Mapping[str, Any]) -> None:
        run, _ = self._cell_run(event)
        self.client.update_run(run, status="RUNNING")
        self.client.set_tag(run, schema.STATE, "running")

    def _on_epoch(self, event: Mapping[str, Any]) -> None:
        run, last = self._cell_run(event)
        if event["epoch"] <= last:
            return
        self._log_metrics(run, [(event["epoch"], event["metrics"])], event["time"])
        self._remember(event, run, event["epoch"])

    def _on_complete(self, event: Mapping[str, Any]) -> None:
        run, last = self._cell_run(event)
        tags_before = self.client.get_run(run).data.tags
        if tags_before.get(schema.STATE) == "complete":
            return
        folder = self.store.folder(event["cell"]["key"])
        if self.store.get(event["cell"]["key"]) is None:  # removed since; a later launch trains it again
            self._stop(run, event["time"])
            return
        result = CellResult.read(folder)
        rest = [(number, metrics) for number, metrics in enumerate(result.history, 1) if number > last]
        self._log_metrics(run, [*rest, (len(result.history), result.scores)], event["time"])
        self._log_artifacts(run, folder, result)
        facts = result.facts
        tags = {
            schema.DEGENERATE: str(facts["degenerate"]).lower(),
            schema.NOISE_HASH: facts["noise_hash"],
            schema.WEIGHTS_HASH: facts["weights_hash"],
            schema.DEVICE: facts["device"],
            schema.CODE_VERSION: facts["code_version"],
            schema.STATE: "complete",
        }
        if facts.get("label_notes"):
            tags[schema.LABEL_NOTES] = _json_within(facts["label_notes"], schema.MAX_NOTES_LENGTH)
        if schema.CAUSE in tags_before:  # it failed in an earlier launch
            self.client.delete_tag(run, schema.CAUSE)
        self.client.log_batch(run, tags=[RunTag(k, v) for k, v in tags.items()])
        self.client.set_terminated(run, "FINISHED", event["time"])

    def _log_artifacts(self, run: str, folder: Path, result: CellResult) -> None:
        """The cell's files, and pictures of them."""
        labels = list(folder.glob(schema.LABELS_FILE))  # none, or the one
        with tempfile.TemporaryDirectory() as draft:
            draw_artifacts(result, Path(draft))
            for file in labels:
                draw_labels(file, result.facts["classes"], Path(draft))
            self.client.log_artifacts(run, draft)
        for file in (folder / schema.RESULT_FILE, folder / schema.PREDICTIONS_FILE, *labels):
            self.client.log_artifact(run, str(file))

    def _on_failed(self, event: Mapping[str, Any]) -> None:
        run, _ = self._cell_run(event)
        tags = [RunTag(schema.STATE, "failed"), RunTag(schema.CAUSE, event["cause"])]
        self.client.log_batch(run, tags=tags)
        self.client.set_terminated(run, "FAILED", event["time"])

    def _on_training(self, event: Mapping[str, Any]) -> None:
        """An epoch of a training that belongs to no cell's own curve: M_A, M_B, a pre-training."""
        training = event["training"]
        identity = ("training", training["key"], training["title"])
        if identity not in self._trainings:
            self._trainings[identity] = self._training_run(event)
        run, last = self._trainings[identity]
        if event["epoch"] > last:
            self._log_metrics(run, [(event["epoch"], event["metrics"])], event["time"])
            self._trainings[identity] = (run, event["epoch"])
        if event["last"]:
            self.client.set_terminated(run, "FINISHED", event["time"])

    def _training_run(self, event: Mapping[str, Any]) -> tuple[str, int]:
        """Run id of a shared training and the last epoch the server has of it."""
        training = event["training"]
        experiment = self._experiment(event["study"])
        wanted = {schema.KIND: "training", schema.KEY: training["key"], schema.TITLE: training["title"]}
        tags = {
            **wanted,
            schema.STUDY: event["study"],
            schema.LAUNCH: event["launch"],
            schema.REPLICATE: str(training["replicate"]),
            schema.PARENT_RUN: self._launch_run(event),
            **training["tags"],
        }
        name = f"{training['title']} #{training['replicate']}"
        run = self._find(experiment, wanted)
        if run is None:
            run = self._create(experiment, name, tags, event["time"])
        else:  # begun by a launch that died
            self.client.update_run(run, status="RUNNING")
            self.client.set_tag(run, schema.LAUNCH, event["launch"])
        step = max((m.step for m in self.client.get_metric_history(run, "train/loss")), default=0)
        return run, step

    def _on_end(self, event: Mapping[str, Any]) -> None:
        for cell in event.get("stopped", ()):
            run, _ = self._cell_run({**event, "cell": cell})
            self._stop(run, event["time"])
        left = {schema.KIND: "training", schema.LAUNCH: event["launch"]}
        for run in self._all(self._experiment(event["study"]), left, "attributes.status = 'RUNNING'"):
            self._stop(run, event["time"])
        self.client.set_terminated(self._launch_run(event), event["status"], event["time"])

    def _stop(self, run: str, when: int) -> None:
        self.client.set_tag(run, schema.STATE, "stopped")
        self.client.set_terminated(run, "KILLED", when)

    def _launch_run(self, event: Mapping[str, Any]) -> str:
        name = event["launch"]
        if name not in self._launches:
            experiment = self._experiment(event["study"])
            found = self._find(experiment, {schema.KIND: "launch", schema.LAUNCH: name})
            tags = {schema.KIND: "launch", schema.LAUNCH: name, schema.STUDY: event["study"], **event.get("tags", {})}
            self._launches[name] = found or self._create(experiment, f"launch {name}", tags, event["time"])
        return self._launches[name]

    def _cell_run(self, event: Mapping[str, Any]) -> tuple[str, int]:
        """Run id of a cell and the last epoch the server has of it."""
        cell = event["cell"]
        identity = (cell["key"], cell["arm"], cell["replicate"])
        if identity not in self._cells:
            experiment = self._experiment(event["study"])
            wanted = {schema.KEY: cell["key"], schema.ARM: cell["arm"], schema.REPLICATE: str(cell["replicate"])}
            run = self._find(experiment, wanted) or self._create_cell(experiment, event, wanted)
            self._describe_cell(run, cell)
            step = max((m.step for m in self.client.get_metric_history(run, "train/loss")), default=0)
            self._cells[identity] = (run, step)
        return self._cells[identity]

    def _remember(self, event: Mapping[str, Any], run: str, step: int) -> None:
        cell = event["cell"]
        self._cells[(cell["key"], cell["arm"], cell["replicate"])] = (run, step)

    def _create_cell(self, experiment: str, event: Mapping[str, Any], identity: dict[str, str]) -> str:
        cell = event["cell"]
        tags = {
            schema.KIND: "cell",
            schema.STUDY: event["study"],
            schema.LAUNCH: event["launch"],
            schema.COORDINATES: json.dumps(cell["coordinates"]),
            schema.PARENT_RUN: self._launch_run(event),
            **identity,
            **cell["tags"],
        }
        return self._create(experiment, f"{cell['arm']} #{cell['replicate']}", tags, event["time"])

    def _describe_cell(self, run: str, cell: Mapping[str, Any]) -> None:
        """Parameters and configuration, also where a server died between creating a run and these."""
        if self.client.get_run(run).data.params:
            return
        self.client.log_dict(run, cell["config"], schema.CONFIG_FILE)
        params = [Param(k, v[: schema.MAX_PARAM_LENGTH]) for k, v in flat_words(cell["config"]).items()]
        for start in range(0, len(params), schema.MAX_PARAMS_A_BATCH):
            self.client.log_batch(run, params=params[start : start + schema.MAX_PARAMS_A_BATCH])

    def _create(self, experiment: str, name: str, tags: Mapping[str, str], when: int) -> str:
        return str(self.client.create_run(experiment, start_time=when, tags=dict(tags), run_name=name).info.run_id)

    def _find(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        words = [f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items()]
        runs = self.client.search_runs([experiment], " and ".join(words), max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _all(self, experiment: str, tags: Mapping[str, str], also: str) -> list[str]:
        words = [f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items()]
        runs = self.client.search_runs([experiment], " and ".join([*words, also]), max_results=schema.MOST_RUNS)
        return [str(run.info.run_id) for run in runs]

    def _experiment(self, study: str) -> str:
        if study not in self._experiments:
            found = self.client.get_experiment_by_name(study)
            if found and found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            identity = found.experiment_id if found else self.client.create_experiment(study)
            self._experiments[study] = str(identity)
        return self._experiments[study]

    def _log_metrics(self, run: str, steps: Iterable[tuple[int, Mapping[str, float]]], when: int) -> None:
        metrics = [Metric(name, value, when, step) for step, values in steps for name, value in values.items()]
        for start in range(0, len(metrics), schema.MAX_METRICS_A_BATCH):
            self.client.log_batch(run, metrics=metrics[start : start + schema.MAX_METRICS_A_BATCH])


def _json_within(sentences: Sequence[str], length: int) -> str:
    """A JSON list of as many of the sentences, from the first on, as fit into `length` characters.

    >>> _json_within(["one", "two", "three"], 16)
    '["one", "two"]'
    """
    fitting = list(sentences)
    while len(json.dumps(fitting)) > length:
        fitting.pop()
    return json.dumps(fitting)


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
