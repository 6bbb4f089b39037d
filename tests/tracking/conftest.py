"""A real SQLite tracking store, events as launches tell them, and a client that can lose answers."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raysweep.pipeline import CellResult
from raysweep.store.store import Store
from raysweep.tracking import writer as writer_module
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer
from tests.conftest import NO_PREDICTIONS

MLFLOW_NOISE = "ignore:The ``noload`` loader strategy is deprecated"
"""MLflow's own use of SQLAlchemy."""


def pytest_collection_modifyitems(items):
    """What MLflow does inside is not ours to mend; anything else stays an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(MLFLOW_NOISE))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """An empty tracking database; making its tables takes seconds, so tests copy the file."""
    file = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def server(migrated, tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "draw_artifacts", lambda result, folder: None)
    monkeypatch.chdir(tmp_path)  # artifacts go to the working folder
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return Server(connect(f"sqlite:///{tmp_path / 'mlflow.db'}"), Store(tmp_path / "store"))


class Server:
    """The study "s" in a tracking store: what is told to it, and what it shows."""

    def __init__(self, client: MlflowClient, store: Store):
        self.client, self.store = client, store
        self.faulty = Faulty(client)
        self.writer = Writer(self.faulty, store)
        self.time = 1_700_000_000_000

    def event(self, kind, launch="l1", **facts):
        self.time += 1
        return {"event": kind, "time": self.time, "study": "s", "launch": launch, **facts}

    def tell(self, kind, launch="l1", writer=None, **facts):
        event = self.event(kind, launch, **facts)
        (writer or self.writer).write(event)
        return event

    def runs(self, kind="cell"):
        experiment = self.client.get_experiment_by_name("s").experiment_id
        return self.client.search_runs([experiment], f"tags.`raysweep.kind` = '{kind}'")

    def run(self, kind="cell"):
        (run,) = self.runs(kind)
        return run

    def tag(self, name, kind="cell"):
        return self.run(kind).data.tags.get(f"raysweep.{name}")

    def curve(self, name="train/loss", kind="cell"):
        """(step, value) of a metric, in the order in which they were written."""
        return [(m.step, m.value) for m in self.client.get_metric_history(self.run(kind).info.run_id, name)]

    def finish(self, cell, epochs=4):
        """Put the cell's product into the store."""
        self.store.put(cell["key"], result_of(epochs).write, {})


class Faulty:
    """A client whose server dies at a chosen call: before it did it, or after, so that only the answer is lost."""

    def __init__(self, client):
        self.client, self.calls, self.deaths = client, [], {}

    def __getattr__(self, name):
        def call(*words, **named):
            self.calls.append(name)
            death = self.deaths.pop(len(self.calls), None)
            if death == "before":
                raise ConnectionError("refused")
            answer = getattr(self.client, name)(*words, **named)
            if death == "after":
                raise ConnectionError("reset by peer")
            return answer

        return call


def cell_of(arm="alpha=0", replicate=0, key=None):
    key = key or f"key of {arm} {replicate}"
    return {"key": key, "arm": arm, "coordinates": {"alpha": "0"}, "replicate": replicate, "config": {"a": {"b": 1}},
            "tags": {"raysweep.preset": "smoke"}}  # fmt: skip


def metrics_of(epoch):
    return {"train/loss": 1 / epoch, "val/macro_f1": epoch / 100}


def result_of(epochs):
    facts = dict.fromkeys(("noise_hash", "weights_hash", "device", "code_version"), "x") | {"degenerate": False}
    history = [metrics_of(epoch) for epoch in range(1, epochs + 1)]
    return CellResult({"test/macro_f1": 0.5}, facts, history, NO_PREDICTIONS)
