"""Drill 3: the tracking server is killed and started again, and the driver is killed: every metric arrives once."""

import time

import pytest

from bench.tracking import LocalServer, OneCell, cell_run, expected, history, killed, recording
from raysweep.engine.events import End
from raysweep.store.store import Store
from raysweep.tracking import writer as writer_module
from raysweep.tracking.server import connect
from tests.tracking.conftest import result_of

EPOCHS = 240

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    server = LocalServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("raysweep.tracking.publisher.PATIENCE", (0.2,))
    monkeypatch.setattr(writer_module, "draw_artifacts", lambda result, folder: None)


def launches(client, study):
    """Launch to its status in MLflow."""
    experiment = client.get_experiment_by_name(study).experiment_id
    runs = client.search_runs([experiment], "tags.`raysweep.kind` = 'launch'")
    return {run.data.tags["raysweep.launch"]: run.info.status for run in runs}


def report(recorder, cell, first, last):
    for epoch in range(first, last + 1):
        recorder.epoch(cell.task, cell.event(epoch))
        time.sleep(0.005)  # a very quick training


def test_a_server_that_is_killed_and_started_again(server, tmp_path):
    cell = OneCell("outage", EPOCHS)
    result = result_of(EPOCHS)
    for epoch in range(1, EPOCHS + 1):
        result.history[epoch - 1] = dict(cell.event(epoch).metrics)
    with recording(cell, server.uri, tmp_path, "launch") as (recorder, publisher):
        report(recorder, cell, 1, 80)
        server.kill()
        report(recorder, cell, 81, 160)  # the training thread gets here although nobody answers
        while publisher.trouble is None:
            time.sleep(0.05)
        assert not publisher.journal.complete()
        assert sum(event["event"] == "epoch" for event in publisher.journal.events()) == 160
        server.start()
        report(recorder, cell, 161, EPOCHS)
        Store(tmp_path / "store").put(cell.task.key, result.write, {})
        recorder.ended(cell.task, End("complete"))
    client = connect(server.uri)
    run = client.get_run(cell_run(client, "outage"))
    assert history(client, run.info.run_id) == expected(EPOCHS)
    assert (run.info.status, run.data.tags["raysweep.state"]) == ("FINISHED", "complete")
    assert [m.step for m in client.get_metric_history(run.info.run_id, "test/macro_f1")] == [EPOCHS]
    assert launches(client, "outage") == {"launch": "FINISHED"}
    assert {"result.json", "config.json"} <= {file.path for file in client.list_artifacts(run.info.run_id)}


@pytest.mark.full
def test_a_driver_that_is_killed_at_half_time(server, tmp_path):
    """`killed` fails when a reported epoch is lost, arrives twice, or has another value."""
    assert killed(server.uri, 160, tmp_path) >= 80
    assert launches(connect(server.uri), "killed") == {"first": "KILLED", "second": "FINISHED"}
