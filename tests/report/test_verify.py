"""Scores, parameters and states that were changed in MLflow by hand are said, run by run."""

import io
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from raysweep.artifacts.cell_result import CellResult
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.cli.report import main
from raysweep.report import summarise, write_report
from raysweep.report.formatting import number
from raysweep.report.results.verify import Logged, checked, recomputed, said
from raysweep.report.text.caption import notes
from raysweep.tracking import schema

PROBS = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]], np.float32)
LABELS = np.array([0, 1, 1, 2])
VA = np.array([[0.0, 0.0], [0.5, 0.5], [np.nan, np.nan], [-0.5, 0.1]], np.float32)
AFFECT = np.array([[0.1, 0.0], [0.5, 0.1], [0.9, 0.9], [-0.5, 0.1]], np.float32)
ARRAYS = {"rows": np.arange(4), "probs": PROBS, "labels": LABELS, "va": VA, "affect": AFFECT}
PREDICTIONS = ImagePredictions(**ARRAYS)
BY_HAND = {"accuracy": 3 / 4, "macro_f1": (2 / 3 + 2 / 3 + 1) / 3, "rmse_valence": (0.01 / 3) ** 0.5,
           "rmse_arousal": (0.16 / 3) ** 0.5}  # fmt: skip


def test_scores_come_from_the_predictions():
    scores = recomputed(PREDICTIONS)
    for name, value in BY_HAND.items():
        assert scores[name] == pytest.approx(value, abs=1e-6)
    assert recomputed(ImagePredictions(**{name: values[:0] for name, values in ARRAYS.items()})) == {}


@pytest.fixture
def honest(tracking, fabricate, monkeypatch):
    """A study whose runs hold what their predictions say."""
    study = fabricate("small", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=2, epochs=1,
                      config=lambda where: {"train.epochs": 3})  # fmt: skip
    scores = recomputed(PREDICTIONS)
    made = study.result

    def result(cell):
        result = replace(made(cell), predictions=PREDICTIONS)
        kept = {n: v for n, v in result.scores.items() if n.startswith("val/")}
        result.scores.clear()
        result.scores.update(kept | {f"test/{n}": v for n, v in scores.items()})
        return result

    monkeypatch.setattr(study, "result", result)
    tracking.write(study)
    return tracking


def first(tracking):
    return tracking.load("small").cells[0].run_id


def checks(tracking, **how):
    return tracking.load("small", **how).checks


def test_nothing_is_said_of_honest_runs(honest):
    assert checks(honest) == checks(honest) == checks(honest, again=True) == ()
    assert not any("disagrees" in text for _, text in notes(summarise(honest.load("small"))))


def test_a_metric_changed_by_hand(honest, tmp_path, capsys):
    run = first(honest)
    honest.client.log_metric(run, "test/accuracy", 0.93, step=9)
    sentence = f"kind=a #0 (run {run[:8]}): accuracy is 0.930 in MLflow, and 0.750 by its predictions."
    assert checks(honest) == (sentence,)
    report = write_report(honest.load("small"), tmp_path / "out")
    assert report.checks == (sentence,)
    assert "accuracy is 0.930 in MLflow" in (tmp_path / "out" / "small.md").read_text()
    parts = ("small", "--tracking", honest.uri, "--out", str(tmp_path / "out"))
    assert main([*parts, "--check"]) == 1
    told = capsys.readouterr()
    assert sentence in told.err
    assert "1 value in MLflow different from the files of the runs" in told.out


def test_a_difference_in_the_fifth_decimal_is_rounding_and_a_small_one_is_shown_in_full(honest):
    run = first(honest)
    honest.client.log_metric(run, "test/accuracy", 0.75004, step=9)
    assert checks(honest) == ()
    honest.client.log_metric(run, "test/accuracy", 0.7503, step=10)
    assert "accuracy is 0.7503 in MLflow, and 0.75 by its predictions" in checks(honest)[0]


@pytest.mark.parametrize("state", ["failed", "running", "stopped"])
def test_a_run_that_is_marked_as_another_state(honest, state):
    run = first(honest)
    honest.client.set_tag(run, schema.STATE, state)
    (sentence,) = checks(honest)
    assert f"marked {state}, though its predictions are there (accuracy 0.750); it is left out" in sentence
    assert honest.load("small").cells[0].state == state


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING"])
def test_a_run_that_is_set_to_another_status(honest, status):
    run = first(honest)
    honest.client.update_run(run, status=status)
    (sentence,) = checks(honest)
    assert f"status is {status}, though it is complete; it is kept" in sentence
    assert honest.load("small").cells[0].complete
    honest.client.delete_tag(run, schema.STATE)
    (sentence,) = checks(honest)
    assert "though its predictions are there (accuracy 0.750); it is left out" in sentence
    assert not honest.load("small").cells[0].complete


def test_a_run_without_the_tag_of_its_state_is_compared_all_the_same(honest):
    run = first(honest)
    honest.client.delete_tag(run, schema.STATE)
    assert checks(honest) == ()
    honest.client.log_metric(run, "test/accuracy", 0.93, step=9)
    (sentence,) = checks(honest)
    assert "accuracy is 0.930 in MLflow" in sentence
    assert honest.load("small").cells[0].scores["accuracy"] == pytest.approx(0.93)


@pytest.mark.parametrize("name", ["test/kl_votes", "labels/kept_share", "test/kept_share"])
def test_a_metric_that_no_file_of_the_run_has(honest, name):
    """It would be a number of the table: a score by votes of a set without votes, or of labels that nobody adapted."""
    honest.client.log_metric(first(honest), name, 0.9)
    (sentence,) = checks(honest)
    assert f"{name} is 0.900 in MLflow, and in no file of the run." in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_metric_that_is_no_score(honest, value):
    honest.client.log_metric(first(honest), "test/macro_f1", value, step=9)
    (sentence,) = checks(honest)
    assert f"macro_f1 is {number(value)} in MLflow, and 0.778 by its predictions." in sentence


def test_metrics_that_no_table_holds_are_the_user_s_own(honest):
    for name in ("note", "test/mine", "train/accuracy"):
        honest.client.log_metric(first(honest), name, 0.9)
    assert checks(honest) == ()


def test_a_metric_that_was_deleted_and_one_that_predictions_cannot_give(honest):
    cell = honest.load("small").cells[1]
    with sqlite3.connect(honest.uri.removeprefix("sqlite:///")) as base:
        for table in ("metrics", "latest_metrics"):
            base.execute(f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'test/macro_f1'", (cell.run_id,))
    assert "macro_f1 is absent in MLflow, and 0.778 by its predictions" in checks(honest)[0]


def test_a_parameter_and_the_tag_of_degenerate_runs(honest):
    run = first(honest)
    with sqlite3.connect(honest.uri.removeprefix("sqlite:///")) as base:
        base.execute("UPDATE params SET value = '9' WHERE run_uuid = ? AND key = 'train.epochs'", (run,))
    honest.client.set_tag(run, schema.DEGENERATE, "true")
    found = checks(honest)
    assert any("parameter train.epochs is 9 in MLflow, and 3 by config.json" in words for words in found)
    assert any("it is not degenerate by its predictions" in words for words in found)
    assert len(found) == 2


def logged(**changes):
    metrics = {f"test/{n}": v for n, v in recomputed(PREDICTIONS).items()}
    values = {"run": "0123456789", "name": "arm #0", "metrics": metrics, "params": {},
             "tags": {schema.STATE: "complete", schema.DEGENERATE: "false"}, "status": "FINISHED"}  # fmt: skip
    return Logged(**{**values, **changes})


def files(tmp_path, arrays=ARRAYS, scores=None):
    np.savez(tmp_path / "p.npz", **arrays)
    held = {ImagePredictions.FILE: (tmp_path / "p.npz").read_bytes()}
    held |= {CellResult.FILE: json.dumps({"scores": scores}).encode()} if scores else {}
    return held.get


def test_files_are_read_once_and_again_when_asked(tmp_path):
    read = []

    def reading(name):
        read.append(name)
        return files(tmp_path)(name)

    assert checked(logged(), reading) == ()
    count = len(read)
    assert checked(logged(), reading) == ()
    assert len(read) == count > 0
    assert checked(logged(), reading, again=True) == ()
    assert len(read) == 2 * count
    assert checked(logged(metrics={**logged().metrics, "test/ece": 0.9}), reading) != ()
    changed = {**ARRAYS, "labels": np.array([1, 1, 1, 2])}
    assert checked(logged(), files(tmp_path, changed)) == ()  # as it was read first
    assert len(checked(logged(), files(tmp_path, changed), again=True)) >= 4


def test_what_predictions_cannot_give_is_compared_with_the_result(tmp_path):
    metrics = {**logged().metrics, "test/kl_votes": 0.2, "labels/kept_share": 0.4}
    scores = {"test/kl_votes": 0.3, "labels/kept_share": 0.4, "test_last/accuracy": 0.1}
    found = checked(logged(metrics=metrics), files(tmp_path, scores=scores))
    assert found == ("arm #0 (run 01234567): kl_votes is 0.200 in MLflow, and 0.300 by result.json.",)


def test_predictions_that_are_gone_or_broken():
    assert "has no predictions" in checked(logged(), lambda name: None)[0]
    empty = io.BytesIO()
    np.savez(empty)
    for data in (b"not an archive", b"", empty.getvalue()):
        assert "cannot be read" in checked(logged(), lambda name, data=data: data)[0]
    broken = checked(logged(), lambda name: b"not an archive")
    assert "cannot be read" in broken[0]
    failed = logged(tags={schema.STATE: "failed"}, status="FAILED")
    assert checked(failed, lambda name: None) == ()


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_labels_of_any_whole_numbers(tmp_path, kind):
    assert checked(logged(), files(tmp_path, {**ARRAYS, "labels": LABELS.astype(kind)})) == ()


@pytest.mark.parametrize("name", [CellResult.FILE, schema.CONFIG_FILE])
@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"3", b'{"scores": []}', b'{"scores": {"test/kl_votes": null}}',
                                  b"\xff", b"[" * 100_000])  # fmt: skip
def test_a_damaged_file_of_a_run_is_said_and_ends_no_report(tmp_path, name, data):
    held = files(tmp_path)
    found = checked(logged(), lambda wanted: data if wanted == name else held(wanted))
    assert found  # a configuration of other fields disagrees
    assert name == schema.CONFIG_FILE or "cannot be read" in found[0]


@pytest.mark.parametrize("content", ["", "{}", "[1", "[" * 100_000])
def test_what_is_kept_and_damaged_is_found_anew(tmp_path, own_cache, content):
    assert checked(logged(), files(tmp_path)) == ()
    (kept,) = own_cache.rglob("*.json")
    kept.write_text(content)
    assert checked(logged(), files(tmp_path)) == ()
    assert kept.read_text() == "[]"


def test_many_are_cut_below_a_table():
    assert said([], 2) == []
    assert said(["a.", "b."], 2) == ["MLflow disagrees with files in its runs: a. b."]
    assert said(["a.", "b.", "c."], 2)[0].endswith("a. b. And 1 more that `--check` names.")


@pytest.mark.parametrize("again", [False, True])
def test_reading_the_files_of_runs_is_counted(honest, again):
    told = []

    @contextmanager
    def bar(what, unit):
        assert (what, unit) == ("reading runs", "runs")
        yield lambda done, total: told.append((done, total))

    checks(honest, bar=bar, again=again)
    count = told[-1][1]
    assert count > 1
    assert told == [(done, count) for done in range(count + 1)]


@pytest.mark.parametrize("words", [[], ["--check"]])
def test_a_terminal_shows_how_many_runs_are_read_and_a_pipe_does_not(honest, tmp_path, capsys, monkeypatch, words):
    asked = ["small", "--tracking", honest.uri, "--out", str(tmp_path / "out"), *words]
    main(asked)
    piped = capsys.readouterr()
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(asked)
    terminal = capsys.readouterr()
    assert "reading runs" not in piped.err + piped.out + terminal.out
    assert "reading runs" in terminal.err
