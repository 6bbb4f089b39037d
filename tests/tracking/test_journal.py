"""The journal: everything arrives, in order, once; dead launches are adopted, living ones left alone."""

import json
import time
from contextlib import closing

import pytest

from raysweep.tracking.journal import Journal, events_of_a_death, is_held
from raysweep.tracking.publisher import Publisher, adopt_journals


@pytest.fixture
def journal(tmp_path):
    with closing(Journal(tmp_path / "a.jsonl")) as journal:
        yield journal


CELL = {"key": "k", "arm": "alpha=0", "replicate": 0}


class Server:
    """A stand-in for the writer that can be down."""

    def __init__(self):
        self.events, self.down = [], 0

    def write_all(self, events):
        if self.down:
            self.down -= 1
            raise ConnectionError("no answer")
        self.events += events


def event(kind, number=0, **facts):
    return {"event": kind, "time": number, "study": "s", "launch": "l", **facts}


def test_events_arrive_in_order_although_the_server_is_down_for_a_while(journal, monkeypatch):
    monkeypatch.setattr("raysweep.tracking.publisher.PATIENCE", (0.01,))
    server = Server()
    server.down = 3
    publisher = Publisher(journal, server)
    publisher.start()
    for number in range(20):
        journal.append(event("epoch", number))
        publisher.wake()
    assert publisher.close(20)
    assert [e["time"] for e in server.events] == list(range(20))


class SlowServer(Server):
    """Takes its time over each event."""

    def write_all(self, events):
        time.sleep(0.2)
        super().write_all(events)


def test_a_server_that_is_only_slow_is_waited_for_as_long_as_events_arrive(journal):
    server = SlowServer()
    publisher = Publisher(journal, server)
    for number in range(8):
        journal.append(event("start", number))
    publisher.start()
    assert publisher.close(1.0, patient=True)
    assert len(server.events) == 8


def test_a_server_that_is_only_slow_is_not_waited_for_after_ctrl_c(journal):
    server = SlowServer()
    publisher = Publisher(journal, server)
    for number in range(20):
        journal.append(event("start", number))
    publisher.start()
    assert not publisher.close(0.5)
    publisher.join()


def test_a_torn_last_line_is_ignored(journal, tmp_path):
    journal.append(event("start"))
    with (tmp_path / "a.jsonl").open("ab") as stream:
        stream.write(b'{"event": "epo')
    assert [e["event"] for e in journal.events()] == ["start"]


def test_published_events_are_not_told_again(journal):
    for number in range(3):
        journal.append(event("epoch", number))
    offset, first = next(journal.unpublished())
    assert first["time"] == 0
    journal.mark_published(offset)
    assert [e["time"] for _, e in journal.unpublished()] == [1, 2]
    assert not journal.complete()


def test_a_dead_launch_is_adopted_and_closed(tmp_path):
    journal = Journal(tmp_path / "dead.jsonl")
    for kind in ("launch", "start", "epoch"):
        journal.append(event(kind, cell=CELL) if kind != "launch" else event(kind, tracking="here"))
    journal.close()
    server = Server()
    assert adopt_journals(tmp_path, server, "elsewhere") == []
    assert server.events == []
    assert adopt_journals(tmp_path, server, "here") == []
    assert [e["event"] for e in server.events] == ["launch", "start", "epoch", "end"]
    assert server.events[-1]["status"] == "KILLED"
    assert server.events[-1]["stopped"] == [CELL]
    assert adopt_journals(tmp_path, server, "here") == []
    assert len(server.events) == 4


def test_a_death_in_the_middle_of_a_line_does_not_spoil_the_journal(tmp_path):
    journal = Journal(tmp_path / "dead.jsonl")
    journal.append(event("launch", tracking="here"))
    journal.close()
    with (tmp_path / "dead.jsonl").open("ab") as stream:
        stream.write(b'{"event": "epo')
    server = Server()
    assert adopt_journals(tmp_path, server, "here") == []
    assert [e["event"] for e in server.events] == ["launch", "end"]


def test_what_cannot_be_published_is_said_and_kept(tmp_path):
    journal = Journal(tmp_path / "dead.jsonl")
    journal.append(event("launch", tracking="here"))
    journal.close()
    server = Server()
    server.down = 1
    assert "could not be published yet (ConnectionError: no answer)" in adopt_journals(tmp_path, server, "here")[0]
    assert adopt_journals(tmp_path, server, "here") == []
    assert [e["event"] for e in server.events] == ["launch", "end"]


@pytest.mark.parametrize("lines", [[99], [0, 1, 99]])
def test_a_journal_of_a_newer_raysweep_is_said_and_left_alone(tmp_path, lines):
    path = tmp_path / "newer.jsonl"
    path.write_text("".join(json.dumps(event("launch", tracking="here") | {"version": n}) + "\n" for n in lines))
    before, server = path.read_bytes(), Server()
    (sentence,) = adopt_journals(tmp_path, server, "here")
    assert sentence.startswith(f"tracking: {path} was written by a newer raysweep (version 99")
    assert server.events == []
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["newer.jsonl"]


def test_a_journal_from_before_versions_is_published(tmp_path):
    lines = [json.dumps(event(kind, tracking="here", cell=CELL)) for kind in ("launch", "start")]
    (tmp_path / "older.jsonl").write_text("\n".join(lines) + "\n")
    server = Server()
    assert adopt_journals(tmp_path, server, "here") == []
    assert server.events[:2] == [json.loads(line) for line in lines]
    assert [e["event"] for e in server.events] == ["launch", "start", "end"]


def test_a_living_launch_is_left_alone(journal, tmp_path):
    journal.append(event("launch", tracking="here"))
    server = Server()
    assert adopt_journals(tmp_path, server, "here") == []
    assert server.events == []
    with pytest.raises(BlockingIOError):
        Journal(tmp_path / "a.jsonl")


def test_whether_a_living_process_writes_a_journal(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    assert is_held(tmp_path / "a.jsonl")
    journal.close()
    assert not is_held(tmp_path / "a.jsonl")
    assert not is_held(tmp_path / "b.jsonl")
    assert not (tmp_path / "b.jsonl").exists()


def test_a_launch_that_ended_needs_no_second_end():
    assert events_of_a_death([event("launch"), event("end")]) == []
    assert events_of_a_death([]) == []
    done = [event("launch"), event("start", cell=CELL), event("complete", cell=CELL)]
    assert events_of_a_death(done)[0]["stopped"] == []
