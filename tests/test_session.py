"""How a launch ends: when something happens between its phases, and what it says at the end."""

import io
from contextlib import closing
from types import SimpleNamespace

import pytest

from raysweep.core.console import PlainConsole
from raysweep.core.errors import UserError
from raysweep.engine.journal_listener import JournalListener
from raysweep.engine.task_dispatcher import TableOutcome
from raysweep.launch.options import LaunchOptions
from raysweep.launch.session import _runs_closed_on_error
from raysweep.launch.summary import LaunchSummary
from raysweep.store.store import Store
from raysweep.tracking.journal import Journal
from tests.study.small_plans import small_plan


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


@pytest.mark.parametrize("reported", [True, False])
@pytest.mark.parametrize("refused", [True, False])
def test_a_launch_without_a_table_or_with_events_that_were_refused_does_not_end_well(
    tmp_path, monkeypatch, reported, refused
):
    """Its cells are trained and kept; whoever looks at the exit code alone must learn that something is missing."""

    def build(*words):
        raise UserError("study 's': no run of it")

    report = SimpleNamespace(
        paths=[tmp_path / "s.html"], header=("arm",), rows=(), reading=(), checks=(), incomplete=""
    )
    monkeypatch.setattr("raysweep.launch.summary.build_report", (lambda *words: report) if reported else build)
    monkeypatch.setattr("raysweep.launch.summary.log_report", lambda *words: None)
    store, out = Store(tmp_path / "store"), io.StringIO()
    options = LaunchOptions("raysweep run s", tracking="sqlite:///m.db", stdout=io.StringIO())
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        if refused:
            journal.refused.write_text('{"cause": "no name of a parameter", "event": {"event": "start"}}\n')
        publisher = SimpleNamespace(close=lambda seconds, patient=False: True, journal=journal, writer=None)
        summary = LaunchSummary(small_plan(store), store, TableOutcome(), "l", options, PlainConsole(file=out))
        assert summary.tell(publisher, None) == (0 if reported and not refused else 1)
    assert ("no report: study 's': no run of it" in out.getvalue()) is not reported
    assert ("MLflow refused 1 event" in out.getvalue()) is refused
