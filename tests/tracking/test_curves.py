"""Curves arrive whole, each epoch once, in few requests, whatever the server does meanwhile."""

from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.tracking import schema
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import AT_ONCE, batches, publish
from raysweep.tracking.runs import metric_batches
from raysweep.tracking.writer import Writer
from tests.tracking.conftest import cell_of, metrics_of


def epoch_of(server, cell, number, launch="l1"):
    return server.event("epoch", launch, cell=cell, epoch=number, metrics=metrics_of(number))


@pytest.fixture
def journal(server, tmp_path):
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        yield journal


def publish_until_all_is_there(journal, writer):
    for _ in range(1000):
        try:
            for _ in publish(journal, writer):
                pass
        except ConnectionError:
            continue
        return
    raise AssertionError("never arrived")


def test_epochs_of_several_cells_travel_in_one_request_a_cell(server):
    cells = [cell_of(replicate=number) for number in range(3)]
    for cell in cells:
        server.tell("start", cell=cell)
    events = [epoch_of(server, cell, number) for number in range(1, 31) for cell in cells]
    server.writer.write_all(events[:3])  # looks up what is there
    server.faulty.calls.clear()
    server.writer.write_all(events[3:])
    assert server.faulty.calls == ["log_batch"] * 3
    for run in server.runs():
        steps = [metric.step for metric in server.client.get_metric_history(run.info.run_id, "val/macro_f1")]
        assert steps == list(range(1, 31))


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_server_that_dies_at_any_call_records_everything_once(server, journal, how):
    """Also when it dies after it has done what was asked, so that only the answer is lost."""
    cells = [cell_of(replicate=number) for number in range(2)]
    for cell in cells:
        server.finish(cell)
        journal.append(server.event("start", cell=cell, shared="1"))
    for number in (1, 2, 3):
        for cell in cells:
            journal.append(epoch_of(server, cell, number))
    for number in (1, 2):
        training = {"key": "t", "title": "M_A", "replicate": 0, "tags": {}}
        values = {"epoch": number, "metrics": {"train/loss": 1.0}, "last": number == 2}
        journal.append(server.event("training", training=training, **values))
    for cell in cells:
        journal.append(server.event("complete", cell=cell, shared="1"))
    journal.append(server.event("end", status="FINISHED", stopped=[]))
    server.faulty.deaths = dict.fromkeys(range(1, 400, 9), how)
    publish_until_all_is_there(journal, server.writer)
    assert journal.complete()
    assert len(server.runs()) == 2
    for run in server.runs():
        assert (run.info.status, run.data.tags["raysweep.state"]) == ("FINISHED", "complete")
        assert run.data.tags["raysweep.shared_epochs"] == "1"
        for name, steps in {"train/loss": [1, 2, 3, 4], "val/macro_f1": [1, 2, 3, 4], "test/macro_f1": [4]}.items():
            history = server.client.get_metric_history(run.info.run_id, name)
            assert [metric.step for metric in history] == steps
    assert [run.info.status for run in server.runs("training")] == ["FINISHED"]
    assert [run.info.status for run in server.runs("launch")] == ["FINISHED"]
    assert len(server.client.get_metric_history(server.run("training").info.run_id, "train/loss")) == 2


def test_what_arrived_of_a_lot_that_failed_is_not_told_again(server, journal):
    cells = [cell_of(replicate=number) for number in range(2)]
    for cell in cells:
        server.tell("start", cell=cell)
        server.writer.write(epoch_of(server, cell, 1))
    for cell in cells:
        journal.append(epoch_of(server, cell, 2))
    server.faulty.calls.clear()
    server.faulty.deaths = {2: "before"}  # the first cell's epoch arrives, the second's does not
    with pytest.raises(ConnectionError):
        list(publish(journal, server.writer))
    assert not journal.complete()
    assert len(list(journal.unpublished())) == 2
    for _ in publish(journal, Writer(server.client, server.store)):  # the process died, another one adopts it
        pass
    for run in server.runs():
        assert [m.step for m in server.client.get_metric_history(run.info.run_id, "train/loss")] == [1, 2]


def test_late_words_of_a_dead_launch_take_nothing_from_a_later_one(server):
    cell = cell_of()
    late = [server.event("start", "old", cell=cell, shared=""), epoch_of(server, cell, 1, "old")]
    late += [server.event("end", "old", status="KILLED", stopped=[cell])]
    server.tell("launch", "new", plan={}, tags={})
    server.tell("start", "new", cell=cell, shared="")
    for event in late:
        Writer(server.client, server.store).write(event)
    assert (server.run().info.status, server.tag("state"), server.tag("launch")) == ("RUNNING", "running", "new")
    server.finish(cell)
    server.tell("complete", "new", cell=cell, shared="")
    for event in late:
        Writer(server.client, server.store).write(event)
    assert (server.run().info.status, server.tag("state")) == ("FINISHED", "complete")
    assert [step for step, _ in server.curve()] == [1, 2, 3, 4]


def test_a_failure_of_an_earlier_launch_is_not_told_twice_or_over_a_running_attempt(server):
    cell = cell_of()
    server.tell("failed", cell=cell, cause="first cause", before=True)
    assert (server.tag("state"), server.tag("cause")) == ("failed", "first cause")
    server.tell("start", "l2", cell=cell, shared="")
    server.tell("failed", "l3", cell=cell, cause="first cause", before=True)
    assert server.tag("state") == "running"


def test_a_run_that_a_person_deletes_meanwhile_is_made_again(server, journal):
    cell = cell_of()
    server.tell("start", cell=cell)
    server.writer.write(epoch_of(server, cell, 1))
    server.client.delete_run(server.run().info.run_id)
    journal.append(epoch_of(server, cell, 2))
    list(publish(journal, server.writer))
    assert server.curve() == [(2, 0.5)]


kinds = st.lists(st.sampled_from(["start", "epoch", "training", "trial_epoch", "complete"]), max_size=60)


@given(kinds)
def test_lots_keep_the_order_and_lose_nothing(kinds):
    pending = [(number * 10, {"event": kind, "number": number}) for number, kind in enumerate(kinds, 1)]
    found = list(batches(pending))
    assert [event["number"] for _, lot in found for event in lot] == list(range(1, len(kinds) + 1))
    assert all(lot[-1]["number"] * 10 == end for end, lot in found)
    assert all(len(lot) == 1 or {e["event"] for e in lot} <= {"epoch", "training", "trial_epoch"} for _, lot in found)
    for (_, left), (_, right) in pairwise(found):
        assert "start" in (left[0]["event"], right[0]["event"]) or "complete" in (left[0]["event"], right[0]["event"])


def test_a_long_row_of_epochs_is_cut():
    pending = [(number, {"event": "epoch"}) for number in range(2 * AT_ONCE + 1)]
    assert [len(batch) for _, batch in batches(pending)] == [AT_ONCE, AT_ONCE, 1]


@given(st.lists(st.integers(0, 700), max_size=8), st.booleans())
def test_batches_stay_within_the_servers_limit_and_epochs_whole(sizes, huge):
    sizes = [*sizes, 2500] if huge else sizes
    epochs = [({schema.CURVE: 0.5} | {f"m{i}": 0.0 for i in range(size)}) for size in sizes]
    batches = list(metric_batches((number, values, 1) for number, values in enumerate(epochs, 1)))
    assert all(0 < len(batch) <= schema.MAX_METRICS_A_BATCH for batch in batches)
    flat = [(metric.step, metric.key) for batch in batches for metric in batch]
    assert sorted(flat) == sorted((number, name) for number, values in enumerate(epochs, 1) for name in values)
    seen: dict[int, int] = {}
    for batch in batches:  # whenever an epoch's witness has arrived, so has the whole epoch
        for metric in batch:
            seen[metric.step] = seen.get(metric.step, 0) + 1
        for metric in batch:
            if metric.key == schema.CURVE:
                assert seen[metric.step] == len(epochs[metric.step - 1])


def test_values_that_are_no_numbers_are_not_sent():
    (batch,) = metric_batches([(1, {"a": float("nan"), "b": float("inf"), "c": 1.0}, 0)])
    assert [metric.key for metric in batch] == ["c"]
