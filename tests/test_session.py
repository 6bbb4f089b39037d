"""How a launch ends when something happens between its phases."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from raysweep.engine.journal_listener import JournalListener
from raysweep.launch.session import _runs_closed_on_error
from raysweep.tracking.journal import Journal


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), "KILLED"), (ValueError("ours"), "FAILED"), (SystemExit(2), "FAILED")]
)
def test_what_happens_before_work_is_handed_out_ends_the_runs_that_the_launch_has_begun(tmp_path, error, status):
    closed = []
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        publisher = SimpleNamespace(wake=lambda: None, close=closed.append)
        listener = JournalListener("s", "l", "here", journal, publisher)

        def launch():
            with _runs_closed_on_error(listener, SimpleNamespace(publisher=publisher)):
                listener.launched({}, {})
                raise error

        with pytest.raises(type(error)):
            launch()
        assert [event["event"] for event in journal.events()] == ["launch", "end"]
        assert journal.events()[-1]["status"] == status
    assert len(closed) == 1


@pytest.mark.parametrize("over", [True, False])
def test_a_launch_that_is_over_or_has_not_begun_is_not_ended_again(tmp_path, over):
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        publisher = SimpleNamespace(wake=lambda: None)
        listener = JournalListener("s", "l", "here", journal, publisher)

        def launch():
            with _runs_closed_on_error(listener, SimpleNamespace(publisher=publisher)):
                if over:
                    listener.launched({}, {})
                    listener.finished("FINISHED")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            launch()
        assert [event["event"] for event in journal.events()] == (["launch", "end"] if over else [])
