"""Every arm has one run with its means, whatever is launched again; data sets are inputs of runs."""

import json
import math

import pytest

from raysweep.tracking import schema
from raysweep.tracking.arm_runs import ArmRun
from raysweep.tracking.data_inputs import data_inputs
from raysweep.tracking.recovery import adopt_runs

from .conftest import cell_of

DATA = {schema.DATA: "faces", schema.DATA_FINGERPRINT: "f" * 64}


def arm(complete=5, mean=0.5, params=None, **more):
    scores = {"mean/macro_f1": mean, "std/macro_f1": 0.02, "n/macro_f1": float(complete), **more}
    params = params or {"labels.alpha": "0.3", "alpha": "0.3"}
    return ArmRun("alpha=0.3", '{"alpha": "0.3"}', complete, 5, scores, params, {"labels": {"alpha": 0.3}}, DATA)


def test_means_parameters_data_and_parent(server):
    server.tell("launch", plan={}, tags=DATA)
    server.writer.log_arms("s", "l1", [arm()])
    run = server.run("arm")
    assert run.data.metrics == {
        "mean/macro_f1": 0.5, "std/macro_f1": 0.02, "n/macro_f1": 5.0, "cells/complete": 5.0, "cells/planned": 5.0,
    }  # fmt: skip
    assert run.data.params == {"labels.alpha": "0.3", "alpha": "0.3"}
    assert (run.info.status, run.info.run_name) == ("FINISHED", "alpha=0.3, mean of 5")
    assert run.data.tags[schema.PARENT_RUN] == server.run("launch").info.run_id
    for kind in ("arm", "launch"):
        (told,) = server.run(kind).inputs.dataset_inputs
        assert (told.dataset.name, told.dataset.digest) == ("faces", "f" * 36)


def test_the_same_launch_again_writes_nothing_twice(server):
    for launch in ("l1", "l1", "l2"):
        server.tell("launch", launch, plan={})
        server.writer.log_arms("s", launch, [arm()])
        server.writer.forget()
    run = server.run("arm")  # one
    assert len(server.client.get_metric_history(run.info.run_id, "mean/macro_f1")) == 1
    assert len(run.inputs.dataset_inputs) == 1
    assert run.data.tags[schema.LAUNCH] == "l2"


def test_more_replicates_update_and_another_configuration_is_another_arm(server):
    server.tell("launch", plan={})
    server.writer.log_arms("s", "l1", [arm(3, 0.4, **{"ci_low/ece": 0.1})])
    run = server.run("arm")
    assert (run.info.status, run.data.tags[schema.CELLS]) == ("FAILED", "3 of 5")
    assert run.info.run_name == "alpha=0.3, mean of 3 (3 of 5 cells)"
    server.writer.log_arms("s", "l1", [arm()])
    run = server.run("arm")
    assert (run.data.metrics["mean/macro_f1"], run.info.status, run.data.tags[schema.STATE]) == (
        0.5, "FINISHED", "complete",
    )  # fmt: skip
    assert math.isnan(run.data.metrics["ci_low/ece"])  # no more there
    server.writer.log_arms("s", "l1", [arm(params={"labels.alpha": "0.4"})])
    assert len(server.runs("arm")) == 2


def test_an_arm_without_a_complete_cell(server):
    server.tell("launch", plan={})
    none = ArmRun("alpha=0.3", "{}", 0, 5, {}, {"alpha": "0.3"}, {}, {})
    server.writer.log_arms("s", "l1", [none])
    assert server.run("arm").data.metrics == {"cells/complete": 0.0, "cells/planned": 5.0}


@pytest.mark.parametrize("how", ["before", "after"])
def test_an_answer_lost_at_any_call(server, how):
    """The launch is repeated: one run, every value once."""
    server.tell("launch", plan={})
    begun = len(server.faulty.calls)
    server.writer.log_arms("s", "l1", [arm()])
    calls = len(server.faulty.calls) - begun
    server.client.delete_run(server.run("arm").info.run_id)
    for number in range(1, calls + 1):
        server.faulty.deaths[len(server.faulty.calls) + number] = how
        with pytest.raises(ConnectionError):
            server.writer.log_arms("s", "l1", [arm()])
        server.writer.forget()
        server.faulty.deaths.clear()
        server.writer.log_arms("s", "l1", [arm()])
        run = server.run("arm")
        assert len(server.client.get_metric_history(run.info.run_id, "mean/macro_f1")) == 1
        assert (len(run.inputs.dataset_inputs), run.info.status, len(run.data.params)) == (1, "FINISHED", 2)
        server.client.delete_run(run.info.run_id)


def test_a_run_that_a_dead_launch_left_open_is_closed_and_continued(server):
    server.tell("launch", plan={})
    server.writer.runs.create("s", "x", {**arm().identity, schema.LAUNCH: "l1"}, 1)
    assert adopt_runs(server.client, "s", now=lambda: 10**15, later=lambda look: look()) == 0
    assert server.run("arm").info.status == "KILLED"
    server.writer.log_arms("s", "l1", [arm()])
    assert (server.run("arm").info.status, server.tag("state", "arm")) == ("FINISHED", "complete")


class TestInputs:
    EXTRAS = ({"name": "b", "fingerprint": "bb", "source": "/data/b.csv"}, {"name": "c", "fingerprint": "cc"})

    def test_cells_name_the_sets_that_they_train_on(self, server):
        tags = {**DATA, schema.EXTRAS: json.dumps(self.EXTRAS)}
        cell = {**cell_of(), "config": {"joint": {"extra": ["/data/b.csv"]}}, "tags": tags}
        for _ in range(2):
            server.tell("start", cell=cell)
            server.writer.forget()
        told = server.run().inputs.dataset_inputs
        assert {(one.dataset.name, one.tags[0].value) for one in told} == {("faces", "scored"), ("b", "extra")}

    def test_runs_without_tags_of_data_and_with_odd_ones(self):
        assert data_inputs({}, {}) == []
        for text in ("[", "{}", "[1]", '{"count": 3, "digest": "x"}'):
            assert len(data_inputs({**DATA, schema.EXTRAS: text}, {"joint": {"extra": "b"}})) == 1
