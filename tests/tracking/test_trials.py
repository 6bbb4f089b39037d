"""Search trials in MLflow: one run a trial, whatever is told twice or by several launches."""

import json

import pytest

SCORES = {"validation/macro_f1": 0.4, "validation/accuracy": 0.5}


def trial_of(number=0, **changes):
    return {
        "search": "search_ddaf default 1a2b",
        "number": number,
        "arm": "method=Gaussian",
        "coordinates": {"method": "Gaussian"},
        "replicate": 0,
        "key": f"key {number}",
        "point": {"labels.alpha": 0.5, "train.epochs": 4, "labels.method": "gaussian"},
        "config": {"labels": {"alpha": 0.5}},
        "tags": {"raysweep.preset": "smoke"},
        **changes,
    }


def epochs(server, trial, numbers, launch="l1", writer=None):
    for number in numbers:
        metrics = {"train/loss": 1 / number, "val/macro_f1": number / 100}
        server.tell("trial_epoch", launch, writer, trial=trial, epoch=number, metrics=metrics)


def end(server, trial, state="complete", launch="l1", cause="", writer=None):
    scores = SCORES if state == "complete" else {}
    return server.tell("trial_end", launch, writer, trial=trial, state=state, scores=scores, seconds=9.5, cause=cause)


def test_a_trial_as_the_contract_says(server):
    server.tell("launch", plan={}, tags={})
    trial = trial_of(12)
    server.tell("trial", trial=trial)
    assert server.run("trial").info.status == "RUNNING"
    epochs(server, trial, (1, 2, 3))
    end(server, trial)
    run = server.run("trial")
    assert run.info.run_name == "method=Gaussian t12"
    assert run.info.status == "FINISHED"
    tags = {name.removeprefix("raysweep."): value for name, value in run.data.tags.items()}
    assert tags["mlflow.parentRunId"] == server.run("launch").info.run_id
    assert json.loads(tags["point"]) == trial["point"]
    assert json.loads(tags["coordinates"]) == trial["coordinates"]
    wanted = {"study": "s", "launch": "l1", "arm": "method=Gaussian", "replicate": "0", "key": "key 12", "trial": "12"}
    wanted |= {"search": trial["search"], "state": "complete", "preset": "smoke"}
    assert tags.items() >= wanted.items()
    assert "cause" not in tags
    assert run.data.params == {"labels.alpha": "0.5", "train.epochs": "4", "labels.method": "gaussian"}
    assert run.data.metrics.items() >= {**SCORES, "search/seconds": 9.5}.items()
    assert server.curve(kind="trial") == [(1, 1), (2, 0.5), (3, 1 / 3)]
    assert [file.path for file in server.client.list_artifacts(run.info.run_id)] == ["config.json"]


def test_a_study_without_axes_calls_its_trials_search(server):
    server.tell("trial", trial=trial_of(3, arm="", coordinates={}))
    assert server.run("trial").info.run_name == "search t3"


@pytest.mark.parametrize(
    ("state", "status", "cause"),
    [("pruned", "KILLED", None), ("failed", "FAILED", "no memory"), ("stopped", "KILLED", None)],
)
def test_how_a_trial_may_end(server, state, status, cause):
    trial = trial_of()
    server.tell("trial", trial=trial)
    epochs(server, trial, (1,))
    end(server, trial, state, cause=cause or "")
    run = server.run("trial")
    assert (run.info.status, server.tag("state", "trial"), server.tag("cause", "trial")) == (status, state, cause)
    assert "validation/macro_f1" not in run.data.metrics


def test_everything_told_twice_is_recorded_once(server):
    """Another writer, as of the launch that adopts the journal of a dead one."""
    from raysweep.tracking.writer import Writer

    told = [server.event("trial", trial=trial_of())]
    told += [server.event("trial_epoch", trial=trial_of(), epoch=e, metrics={"train/loss": 1 / e}) for e in (1, 2, 3)]
    told += [server.event("trial_end", trial=trial_of(), state="complete", scores=SCORES, seconds=1.0, cause="")]
    for event in told:
        server.writer.write(event)
    before = server.run("trial")
    again = Writer(server.client, server.store)
    for event in told:
        again.write(event)
    assert server.run("trial").to_dictionary() == before.to_dictionary()
    assert [step for step, _ in server.curve(kind="trial")] == [1, 2, 3]
    assert len(server.curve("validation/macro_f1", "trial")) == 1


def test_a_trial_that_was_stopped_goes_on_in_the_next_launch(server):
    trial = trial_of()
    server.tell("trial", trial=trial)
    epochs(server, trial, (1, 2))
    server.tell("end", status="KILLED", stopped=[])
    assert (server.run("trial").info.status, server.tag("state", "trial")) == ("KILLED", "stopped")
    server.tell("trial", "l2", trial=trial)
    assert (server.run("trial").info.status, server.tag("state", "trial")) == ("RUNNING", "running")
    assert server.tag("launch", "trial") == "l2"
    epochs(server, trial, (1, 2, 3), "l2")  # those before are told again
    end(server, trial, launch="l2")
    assert [step for step, _ in server.curve(kind="trial")] == [1, 2, 3]


def test_trials_of_one_key_are_told_apart_by_their_number(server):
    """A sampler may draw a point twice."""
    for number in (1, 2):
        server.tell("trial", trial=trial_of(number, key="same"))
    assert len(server.runs("trial")) == 2
