"""Records of launches: what is live, stale and orphaned, against graphs of real cells."""

import gzip
import random
from dataclasses import replace

import pytest

from raysweep.pipeline import Sets, build_validation
from raysweep.pipeline.stage import Stage, ancestry
from raysweep.pipeline.stage_kinds import NUMERICS
from raysweep.store.store import Store
from raysweep.study.identity import SetIdentity
from raysweep.study.launch_record import CellEntry, LaunchRecord, record_of
from raysweep.study.launch_records import (
    leftovers,
    live_keys,
    read_records,
    stale,
    superseded,
    write_record,
    write_trials,
)
from tests.conftest import make_squares
from tests.study.small_plans import cell_keys, compute, kept, small_plan


@pytest.fixture(params=["folder", "URL"])
def store(request, tmp_path):
    return Store(tmp_path if request.param == "folder" else f"memory://{tmp_path}", tmp_path / "local")


@pytest.fixture
def times(monkeypatch):
    """A clock that moves on with every look."""
    ticks = iter(range(1, 1000))
    monkeypatch.setattr("raysweep.study.launch_record.time.time", lambda: float(next(ticks)))


def move_code(monkeypatch, kind):
    """As if the numbers that stages of this kind give had changed: plans made from now on have other keys."""
    monkeypatch.setitem(NUMERICS, kind, NUMERICS[kind] + 1)


def test_a_record_says_all_that_its_cells_may_keep(store):
    plan = small_plan(store)
    write_record(store, plan, "one")
    (record,) = read_records(store)
    assert (record.study, record.preset, record.launch, record.data) == ("decay", "demo", "one", "squares")
    assert record.fingerprints == {"squares": plan.data.fingerprint}
    assert record.numerics.items() <= NUMERICS.items()
    assert {"fit", "evaluate", "targets", "data"} <= record.numerics.keys()
    assert {entry.name: record.key(entry) for entry in record.entries} == cell_keys(plan)
    for cell, entry in zip(plan.cells, record.entries, strict=True):
        own = {stage.key for stage in ancestry([plan.finals[cell.key]]) if stage.kind in ("fit", "evaluate")}
        assert record.below([entry]) == own
    assert live_keys([record]) == kept(plan) == set(record.stages)


class TestLive:
    """Which keys of a cell count once several launches have recorded it."""

    def test_every_configuration_that_was_asked_for(self, store, times):
        plans = [small_plan(store, labels__alpha=alpha) for alpha in (0.5, 0.9, 0.7)]
        assert not kept(plans[0]) & kept(plans[1])
        for number, plan in enumerate(plans):
            write_record(store, plan, f"launch{number}")
            records = read_records(store)
            assert live_keys(records) == set().union(*map(kept, plans[: number + 1]))
            assert superseded(records) == []

    def test_not_what_older_code_computed(self, store, times, monkeypatch):
        first = small_plan(store)
        write_record(store, first, "one")
        with monkeypatch.context() as patch:
            move_code(patch, "targets")
            second = small_plan(store, replicates=(0,))
            write_record(store, second, "two")
        records = read_records(store)
        assert [record.launch for record in records] == ["one", "two"]
        others = [first.finals[cell.key] for cell in first.cells if cell.replicate == 1]  # not asked for again
        expected = kept(second) | {stage.key for stage in ancestry(others) if stage.kind in ("fit", "evaluate")}
        assert live_keys(records) == live_keys(reversed(records)) == expected
        assert {(cell.entry.name, cell.key, cell.reason) for cell in superseded(records)} == {
            (name, cell_keys(first)[name], "code changed (targets)") for name in cell_keys(second)
        }
        write_record(store, first, "three")  # back to the code of before
        assert live_keys(read_records(store)) == kept(first)

    def test_not_what_came_from_other_data_of_this_name(self, store, times):
        first = small_plan(store)
        write_record(store, first, "one")
        second = small_plan(store, data=replace(make_squares(seed=9), name="squares"))
        write_record(store, second, "two")
        records = read_records(store)
        assert live_keys(records) == kept(second)
        assert {(cell.key, cell.reason) for cell in superseded(records)} == {
            (key, "data changed (squares)") for key in cell_keys(first).values()
        }

    def test_no_configuration_of_older_code(self, store, times, monkeypatch):
        """Two configurations, then the code moves and only one is asked for again: neither old one can be used."""
        old = [small_plan(store), small_plan(store, labels__alpha=0.9)]
        for number, plan in enumerate(old):
            write_record(store, plan, f"launch{number}")
        move_code(monkeypatch, "fit")
        new = small_plan(store)
        write_record(store, new, "launch2")
        assert live_keys(read_records(store)) == kept(new)
        gone = {key for plan in old for key in cell_keys(plan).values()}
        assert {cell.key for cell in superseded(read_records(store))} == gone

    def test_what_no_cell_is_made_from_may_move(self, store, times, monkeypatch):
        first = small_plan(store)
        write_record(store, first, "one")
        move_code(monkeypatch, "adapt")  # of which no cell is made
        second = small_plan(store, labels__alpha=0.9)
        write_record(store, second, "two")
        assert live_keys(read_records(store)) == kept(first) | kept(second)
        assert superseded(read_records(store)) == []


def test_other_studies_presets_and_data_are_other_cells(store, times):
    plans = [
        small_plan(store),
        small_plan(store, name="other", labels__alpha=0.9),
        small_plan(store, data=replace(make_squares(seed=3), name="more squares")),
        replace(small_plan(store, labels__alpha=0.8), preset="paper"),
    ]
    for number, plan in enumerate(plans):
        write_record(store, plan, f"launch{number}")
    assert live_keys(read_records(store)) == set().union(*map(kept, plans))
    assert superseded(read_records(store)) == []


class TestStale:
    def reasons(self, store, plan):
        return {(cell.entry.name, cell.reason) for cell in stale(read_records(store), plan)}

    def test_nothing_is_stale_when_nothing_changed(self, store):
        plan = small_plan(store)
        assert self.reasons(store, plan) == set()
        write_record(store, plan, "one")
        assert self.reasons(store, small_plan(store)) == set()

    def test_the_code_changed(self, store, monkeypatch):
        write_record(store, small_plan(store, replicates=(0,)), "one")
        move_code(monkeypatch, "adapt")  # no cell here is made from it
        assert self.reasons(store, small_plan(store, replicates=(0,))) == set()
        move_code(monkeypatch, "targets")
        assert self.reasons(store, small_plan(store, replicates=(0,))) == {
            ("factor=0.5 #0", "code changed (targets)"),
            ("factor=0.1 #0", "code changed (targets)"),
        }

    def test_the_data_changed(self, store):
        write_record(store, small_plan(store, replicates=(0,)), "one")
        altered = replace(make_squares(seed=9), name="squares")
        assert {reason for _, reason in self.reasons(store, small_plan(store, data=altered))} == {
            "data changed (squares)"
        }

    def test_another_configuration_makes_nothing_stale(self, store):
        write_record(store, small_plan(store, replicates=(0,)), "one")
        assert self.reasons(store, small_plan(store, labels__alpha=0.9)) == set()


def test_what_a_plan_cannot_use(store, times, monkeypatch):
    first = small_plan(store)
    compute(store, first, leave_out=[cell_keys(first)["factor=0.1 #1"]])
    write_record(store, first, "one")
    store.put("nobody's", lambda folder: (folder / "a").write_bytes(b"1234567"), {})
    other = leftovers(store, small_plan(store, labels__alpha=0.9))
    assert (other.stale, other.orphans) == ([], 1)
    with monkeypatch.context() as patch:
        move_code(patch, "targets")
        found = leftovers(store, small_plan(store))
    assert sorted(name for name, _ in found.stale) == ["factor=0.1 #0", "factor=0.5 #0", "factor=0.5 #1"]
    assert found.orphans == 1
    assert 7 < found.orphan_bytes < 1000
    same = leftovers(store, small_plan(store))
    assert (same.stale, same.orphans) == ([], 1)


def test_trials_are_live_as_long_as_the_newest_search_lists_them(store, times):
    plan = small_plan(store)
    trials = [("arm", n, trial_stage(plan, rate)) for n, rate in enumerate((1e-3, 2e-3, 3e-3))]
    write_record(store, plan, "one")
    write_trials(store, "decay", "demo", "one", plan.used, trials)
    keys = [{stage.key for stage in ancestry([stage]) if stage.kind in ("fit", "validate")} for _, _, stage in trials]
    assert live_keys(read_records(store)) == kept(plan).union(*keys)
    write_record(store, plan, "two")  # says nothing of trials
    assert live_keys(read_records(store)) == kept(plan).union(*keys)
    write_trials(store, "decay", "demo", "two", plan.used, trials[1:])
    assert live_keys(read_records(store)) == kept(plan).union(*keys[1:])
    assert superseded(read_records(store)) == []


def trial_stage(plan, rate):
    experiment = plan.cells[0].experiment.with_changes({"train.learning_rate": rate})
    return build_validation(experiment, Sets(plan.data))


def test_half_a_record_is_passed_over(store):
    plan = small_plan(store)
    write_record(store, plan, "one")
    whole = store.files.read("studies/decay/one.json.gz")
    for name, content in {
        "two": whole[: len(whole) // 2],
        "three": b"",
        "four": b"x",
        "five": whole[:-3] + b"abc",
    }.items():
        store.files.write(f"studies/decay/{name}.json.gz", content)
    store.files.write("studies/decay/six.json.gz", gzip.compress(b"[1, 2"))
    assert [record.launch for record in read_records(store)] == ["one"]


def test_liveness_equals_walking_the_graphs(squares):
    """Random graphs of kept and unkept stages: what a record says is what walking every cell alone gives."""
    rng = random.Random(7)
    for _ in range(30):
        stages = [Stage("data", {"n": 0})]
        for number in range(1, 40):
            kind = rng.choice(["fit", "targets", "select", "labels", "adapt", "step"])
            sources = rng.sample(stages, min(len(stages), rng.randint(1, 3)))
            stages.append(Stage(kind, {"n": number}, {f"i{i}": source for i, source in enumerate(sources)}))
        finals = [Stage("evaluate", {"n": n}, {"model": rng.choice(stages)}) for n in range(6)]
        record = record_of(
            "s",
            "p",
            "l",
            [SetIdentity("squares", squares.fingerprint, "squares")],
            [("a", n, final) for n, final in enumerate(finals)],
        )
        record = LaunchRecord.unpacked(record.packed(), record.file)
        for _ in range(5):
            chosen = rng.sample(range(6), rng.randint(0, 6))
            expected = {
                stage.key
                for stage in ancestry([finals[n] for n in chosen])
                if stage.kind in ("fit", "select", "adapt", "evaluate")
            }
            assert record.below([record.entries[n] for n in chosen]) == expected


def test_a_big_record(squares):
    """A hundred trainings of a hundred epochs: deep chains need no recursion."""
    data = Stage("data", {"n": 0})
    finals = []
    for number in range(100):
        before = Stage("start", {"n": number})
        for epoch in range(100):
            before = Stage("fit", {"epoch": epoch}, {"before": before, "trained0": data})
        finals.append(("arm", number, Stage("evaluate", {}, {"model": before})))
    record = record_of("s", "p", "l", [SetIdentity("squares", squares.fingerprint, "squares")], finals)
    record = LaunchRecord.unpacked(record.packed(), record.file)
    assert len(record.stages) == 10_100
    assert len(record.below(record.entries)) == 10_100
    assert len(record.below([CellEntry("arm", 3, record.entries[3].stage)])) == 101
