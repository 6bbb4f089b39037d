"""The table of what a study cost, of failed cells and of trials too."""

from dataclasses import replace

import pytest

from raysweep.artifacts.study_record import PlannedArm
from raysweep.report import Results, summarise
from raysweep.report.results.costs import SharedWork, shared_work, trained_epochs
from raysweep.report.results.searches import SearchRecord, TrialRecord
from raysweep.report.tables.budget import budget_table, expenses
from raysweep.tracking import schema


def curve(seconds):
    return lambda name: [(step, value) for step, value in enumerate(seconds, 1)] if name == "seconds" else []


def test_only_epochs_of_the_run_s_own_task_count():
    assert trained_epochs(curve([1.0] * 6), {schema.SHARED_EPOCHS: "1-2,5"}) == 3
    assert trained_epochs(curve([]), {}) is None


def test_shared_trainings_on_other_data_do_not_count():
    class Run:
        def __init__(self, name, fingerprint, device="x86_64"):
            tags = {schema.DATA_FINGERPRINT: fingerprint, schema.DEVICE: device}
            self.data = type("data", (), {"tags": tags})
            self.info = type("info", (), {"run_id": name})

    curves = {"a": curve([2.0, 3.0]), "b": curve([5.0]), "c": curve([100.0])}
    runs = [Run("a", "f"), Run("b", "f", "H100 x2"), Run("c", "other")]
    assert shared_work(runs, curves.get, "f") == SharedWork(2, 3, 15.0)


@pytest.fixture(scope="module")
def noise(shared):
    return shared.load("ablation_noise_rate")


class TestTable:
    def rows(self, results):
        table = budget_table(summarise(results), results)
        return {row[0].text: tuple(entry.text for entry in row[1:]) for row in table.rows}

    def test_failed_cells_and_the_sum(self, noise):
        timed = {"complete": (3600.0, 5), "failed": (1800.0, 2)}
        cells = tuple(
            replace(c, spent=lambda c=c: timed[c.state][0], epochs=lambda c=c: timed[c.state][1]) if c.run_id else c
            for c in noise.cells
        )
        results = Results(noise.study, cells, shared=lambda: SharedWork(2, 40, 7200.0))
        complete = sum(c.complete for c in cells)
        assert self.rows(results) == {
            "complete cells": (str(complete), str(5 * complete), f"{complete:.2f}"),
            "failed cells": ("1", "2", "0.50"),
            "trainings that cells share": ("2", "40", "2.00"),
            "all": (str(complete + 3), str(5 * complete + 42), f"{complete + 2.5:.2f}"),
        }

    def test_a_run_of_several_cells_counts_once(self, noise):
        first, second = [c for c in noise.cells if c.complete][:2]
        twins = Results(noise.study, (first, replace(second, run_id=first.run_id)))
        assert [(expense.work, expense.runs) for expense in expenses(twins)] == [("complete cells", 1)]

    def test_what_is_not_recorded_is_a_dash(self, noise):
        cell = next(c for c in noise.cells if c.state == "failed")
        bare = Results(noise.study, (replace(cell, spent=lambda: None, epochs=lambda: None),))
        assert self.rows(bare) == {"failed cells": ("1", "–", "–")}

    def test_without_a_run_there_is_no_table(self, noise):
        cells = tuple(replace(c, run_id=None, state="missing") for c in noise.cells)
        nothing = Results(noise.study, cells)
        assert budget_table(summarise(nothing), nothing) is None

    def test_trials_by_state(self, noise):
        trials = tuple(
            TrialRecord(n, state, {}, seconds=seconds)
            for n, (state, seconds) in enumerate([("complete", 3600.0), ("pruned", 360.0), ("complete", 3600.0)])
        )
        told = PlannedArm("a", "search")
        results = replace(noise, cells=(), searches=(SearchRecord(told, trials),))
        assert [(e.work, e.runs, e.epochs, e.hours) for e in expenses(results)] == [
            ("complete search trials", 2, None, pytest.approx(2.0)),
            ("pruned search trials", 1, None, pytest.approx(0.1)),
        ]
        counted = replace(told, counts={"trials": 9}, device_hours=4.0)
        results = replace(results, searches=(SearchRecord(counted, ()),))
        assert [(e.work, e.runs, e.hours) for e in expenses(results)] == [("search trials", 9, 4.0)]
