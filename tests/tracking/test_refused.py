"""What MLflow refuses, and what a journal lost, holds up nothing else and is said."""

import json
from contextlib import closing

import pytest

from raysweep.tracking import schema
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import Publisher, adopt_journals, publish, refused
from raysweep.tracking.runs import identity_digest
from raysweep.tracking.writer import Writer
from tests.tracking.conftest import cell_of, metrics_of

ODD_LEVELS = ['it\'s "both"', "'", '"', "`", "\\", "' or 1=1 --", "é ≥ 😀", "%_", "a\nb", "{}", "   "]


def of_level(level, replicate=0):
    cell = cell_of(replicate=replicate, key=f"{replicate:064x}")
    return {**cell, "arm": f"alpha={level}", "coordinates": {"alpha": level}}


def told(server, cell, launch="l1"):
    return [
        server.event("start", launch, cell=cell, shared=""),
        *(server.event("epoch", launch, cell=cell, epoch=n, metrics=metrics_of(n)) for n in (1, 2)),
    ]


@pytest.mark.parametrize("level", ODD_LEVELS)
def test_a_level_of_any_text_has_one_run_that_is_found_again(server, tmp_path, level):
    cell = of_level(level)
    server.finish(cell)
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        for launch in ("l1", "l2"):  # the second finds what the first made
            for event in [*told(server, cell, launch), server.event("complete", launch, cell=cell, shared="")]:
                journal.append(event)
            list(publish(journal, Writer(server.client, server.store)))
        assert refused(journal) == ""
        assert journal.complete()
    assert json.loads(server.tag("coordinates")) == {"alpha": level}
    assert server.tag("state") == "complete"
    assert len(server.curve()) == 4


def test_runs_of_before_there_was_a_digest_are_found(server):
    cell = of_level("0.5")
    for event in told(server, cell):
        server.writer.write(event)
    run = server.run().info.run_id
    server.client.delete_tag(run, schema.IDENTITY)
    server.client.delete_tag(server.run("launch").info.run_id, schema.IDENTITY)
    for event in told(server, cell):
        Writer(server.client, server.store).write(event)
    assert server.run().info.run_id == run
    assert len(server.runs("launch")) == 1


def test_the_digest_is_of_all_tags():
    digests = {identity_digest(tags) for tags in ({"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"}, {})}
    assert len(digests) == 5
    assert identity_digest({"a": "1", "b": "2"}) == identity_digest({"b": "2", "a": "1"})


@pytest.mark.parametrize("spoil", [
    lambda cell: {**cell, "config": {"a": {"b?$": 1}}},  # no name of a parameter
    lambda cell: {**cell, "config": {"x" * 300: {"b": 1}}},
    lambda cell: {k: v for k, v in cell.items() if k != "coordinates"},
    lambda cell: {**cell, "arm": None},
    lambda cell: {**cell, "key": None},
])  # fmt: skip
def test_an_event_that_is_refused_is_set_aside_and_the_others_arrive(server, tmp_path, spoil):
    good, bad = of_level("0.5"), of_level("0.7", replicate=1)
    events = [
        *told(server, good)[:2],
        *[{**event, "cell": spoil(bad)} for event in told(server, bad)],
        told(server, good)[2],
    ]
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        for event in events:
            journal.append(event)
        publisher = Publisher(journal, server.writer)
        publisher.start()
        assert publisher.close(60)
        sentence = refused(journal)
        assert sentence.startswith("tracking: MLflow refused 3 events (")
        assert str(journal.refused) in sentence
        assert [json.loads(line)["event"]["event"] for line in journal.refused.read_text().splitlines()] == [
            "start", "epoch", "epoch"
        ]  # fmt: skip
    runs = {run.data.tags[schema.REPLICATE]: run for run in server.runs()}
    assert [m.step for m in server.client.get_metric_history(runs["0"].info.run_id, "train/loss")] == [1, 2]


def test_a_server_that_is_down_refuses_nothing(server, tmp_path):
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        for event in told(server, of_level("0.5")):
            journal.append(event)
        server.faulty.deaths[len(server.faulty.calls) + 1] = "before"
        with pytest.raises(ConnectionError):
            list(publish(journal, server.writer))
        assert refused(journal) == ""
        list(publish(journal, server.writer))
    assert len(server.curve()) == 2


DAMAGE = {
    "NULs": b"\0" * 200 + b"\n", "half": b'{"event": "epo\n',
    "no object": b"[1]\n", "no event": b'{"a": 1}\n', "empty": b"\n",
    "no text": b"\xff\xfe\n", "deep": b"[" * 100_000 + b"\n",
    "a cell is a word": b'{"event": "start", "time": 1, "study": "s", "launch": "l", "cell": "x"}\n',
    "a cell without an arm": b'{"event": "start", "time": 1, "study": "s", "launch": "l", "cell": {}}\n',
    "time is a word": b'{"event": "start", "time": "now", "study": "s", "launch": "l"}\n',
}  # fmt: skip


@pytest.mark.parametrize("at", [0, 2, 99])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_gives_what_can_be_read_and_is_set_aside(server, tmp_path, damage, at):
    path = tmp_path / "journal" / "l1.jsonl"
    with closing(Journal(path)) as journal:
        journal.append(server.event("launch", tracking="here", plan={}, tags={}))
        for event in told(server, of_level("0.5")):
            journal.append(event)
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(at, DAMAGE[damage])
    path.write_bytes(b"".join(lines))
    (sentence,) = adopt_journals(path.parent, server.writer, "here")
    assert f"1 of 6 lines of {path} cannot be read (the first: line {min(at, 4) + 1})" in sentence
    assert "l1.broken" in sentence
    assert not path.exists()
    assert path.with_suffix(".broken").exists()
    assert [step for step, _ in server.curve()] == [1, 2]
    assert server.tag("state") == "stopped"
    assert adopt_journals(path.parent, server.writer, "here") == []


def test_a_journal_of_nothing_but_damage_is_set_aside(server, tmp_path):
    path = tmp_path / "journal" / "l1.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"\0" * 512 + b"\n")
    (sentence,) = adopt_journals(path.parent, server.writer, "here")
    assert "1 of 1 line of" in sentence
    assert adopt_journals(path.parent, server.writer, "here") == []
