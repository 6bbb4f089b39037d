"""`--status` and `--gc` on stores that launches, dead and living, have left behind."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from raysweep.core.errors import UserError
from raysweep.maintenance import collect, status
from raysweep.maintenance.garbage import PRODUCTS
from raysweep.store.lease_holders import Watch
from raysweep.store.leases import PRESENCE, Leases
from raysweep.store.process import Process, host_id
from raysweep.store.ray_sessions import MARK
from raysweep.store.store import Store
from raysweep.study.launch_records import read_records, write_record, write_trials
from raysweep.tracking.journal import Journal
from tests.conftest import make_squares
from tests.study.small_plans import cell_keys, compute, kept, small_plan
from tests.study.test_records import move_code, trial_stage


@pytest.fixture(params=["folder", "URL"])
def store(request, tmp_path):
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{tmp_path}", tmp_path / "store")


@pytest.fixture(autouse=True)
def times(monkeypatch, tmp_path):
    """Launches a minute apart, on a machine where no other left anything."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "temporary"))
    ticks = iter(range(1_000_000, 2_000_000, 60))
    monkeypatch.setattr("raysweep.study.launch_record.time.time", lambda: float(next(ticks)))


@pytest.fixture
def launch(store):
    """A launch that lives, until the end of the test."""
    living = []

    def start(name, keys=(), **words):
        living.append(Leases(store, f"launch {name}", **words))
        assert living[-1].take([f"{PRESENCE}{name}", *keys]) is None
        return living[-1]

    yield start
    for leases in living:
        leases.close()


def removed(found):
    return {pile.what: set(pile.names) for pile in found.piles}


def everything(store):
    """Every file, of the store and of this machine."""
    local = {str(path.relative_to(store.local)) for path in store.local.rglob("*")}
    return local | set(store.files.sizes(""))


class TestStatus:
    def test_an_empty_store(self, store):
        told = status(store)
        assert (told.products, told.bytes, told.studies, told.launches) == (0, 0, [], [])
        assert "no launch is running" in told.text()
        assert everything(store) == set()

    def test_cells_by_what_became_of_them(self, store, launch):
        plan = small_plan(store, factors=(0.5, 0.25, 0.1), replicates=(0, 1))
        keys = cell_keys(plan)
        failed, begun, untouched = keys["factor=0.5 #1"], keys["factor=0.25 #0"], keys["factor=0.1 #1"]
        compute(store, plan, leave_out=[failed, begun, untouched])
        store.note_failure(failed, {"cause": "DegenerateLoss: NaN", "time": 1.0})
        training = plan.finals[begun].inputs["model"]
        store.drop(training.key)
        store.save_partial(training.key, "fit.pt", lambda path: path.write_bytes(b"x"))
        write_record(store, plan, "one")
        launch("two", ["a", "b"])
        told = status(store)
        (study,) = told.studies
        assert (study.study, study.preset, study.data, study.launch) == ("decay", "demo", "squares", "one")
        assert (study.cells, study.done) == (6, 3)
        assert study.failed == {"factor=0.5 #1": "DegenerateLoss: NaN"}
        assert study.unfinished == ["factor=0.25 #0"]
        assert study.missing == ["factor=0.1 #1"]
        assert study.bytes == told.bytes > 300
        (living,) = told.launches
        assert (living.name, living.leases) == ("two", 2)
        text = told.text()
        for words in ("3 of 6 cells done", "1 failed", "DegenerateLoss: NaN (1 x)", "launch two", "2 stages reserved"):
            assert words in text
        assert told.json()["studies"][0]["missing"] == ["factor=0.1 #1"]

    def test_where_cells_were_computed(self, store):
        """As far as their manifests say it: older ones do not."""
        plan = small_plan(store, factors=(0.5, 0.25, 0.1), replicates=(0,))
        keys = cell_keys(plan)
        for name, host in (("factor=0.5 #0", "w1"), ("factor=0.25 #0", "w2")):
            store.put(keys[name], lambda folder: (folder / "result.json").write_text("x"), {"host": host})
        store.put(keys["factor=0.1 #0"], lambda folder: (folder / "result.json").write_text("x"), {})
        write_record(store, plan, "one")
        told = status(store)
        assert told.studies[0].hosts == {"factor=0.5 #0": "w1", "factor=0.25 #0": "w2"}
        assert "    computed on w1 (1), w2 (1)" in told.text().splitlines()
        assert told.json()["studies"][0]["hosts"]["factor=0.5 #0"] == "w1"

    def test_a_cell_that_failed_and_then_succeeded_is_done(self, store):
        plan = small_plan(store)
        for key in cell_keys(plan).values():
            store.note_failure(key, {"cause": "out of memory"})
        compute(store, plan)
        write_record(store, plan, "one")
        assert status(store).studies[0].failed == {}
        assert status(store).studies[0].done == 4

    def test_one_study_of_several(self, store):
        for name in ("one", "two"):
            write_record(store, small_plan(store, name=name), f"launch of {name}")
        assert [study.study for study in status(store).studies] == ["one", "two"]
        assert [study.study for study in status(store, "two").studies] == ["two"]
        with pytest.raises(UserError, match="did you mean 'two'"):
            status(store, "twoo")


class TestCollect:
    def test_what_is_referred_to_stays(self, store):
        plan = small_plan(store)
        keys = compute(store, plan)
        write_record(store, plan, "one")
        write_trials(store, "decay", "demo", "one", plan.used, [("arm", 0, trial_stage(plan, 0.1))])
        store.put(trial_stage(plan, 0.1).key, lambda folder: (folder / "a").write_text("x"), {})
        before = everything(store)
        found = collect(store, delete=True)
        assert found.piles == []
        assert "nothing to remove" in found.text()
        assert everything(store) == before
        assert set(store.keys()) == keys | {trial_stage(plan, 0.1).key}

    def test_dry_run_first(self, store):
        plan = small_plan(store)
        keys = compute(store, plan)
        write_record(store, plan, "one")
        for key in ("orphan 1", "orphan 2"):
            store.put(key, lambda folder: (folder / "a").write_bytes(b"x" * 1000), {})
        before = everything(store)
        found = collect(store)
        assert removed(found) == {PRODUCTS: {"orphan 1", "orphan 2"}}
        assert found.bytes > 2000
        assert "--yes" in found.text()
        assert everything(store) == before
        done = collect(store, delete=True)
        assert done.deleted
        assert removed(done) == removed(found)
        assert set(store.keys()) == keys
        assert collect(store).piles == []

    @pytest.mark.parametrize("what", ["code", "data"])
    def test_stale_cells_are_named(self, store, monkeypatch, what):
        """What older code or other data gave can go, even though newer cells have the same configuration."""
        first = small_plan(store, replicates=(0,))
        old = compute(store, first)
        write_record(store, first, "one")
        if what == "code":
            move_code(monkeypatch, "targets")
            second, reason = small_plan(store, replicates=(0,)), "code changed (targets)"
        else:
            faces = replace(make_squares(seed=9), name="squares")
            second, reason = small_plan(store, replicates=(0,), data=faces), "data changed (squares)"
        new = compute(store, second)
        write_record(store, second, "two")
        found = collect(store, delete=True)
        assert removed(found)[PRODUCTS] == old - new == old
        assert removed(found)["records of superseded launches"] == {"studies/decay/one.json.gz"}
        assert set(found.stale) == {("decay", "factor=0.5 #0", reason), ("decay", "factor=0.1 #0", reason)}
        assert f"stale: 2 cells of decay, {reason}" in found.text()
        assert set(store.keys()) == new
        assert collect(store).piles == []

    def test_another_configuration_removes_nothing(self, store):
        """A variant asked for with `--set` stays beside the study, whichever was launched last."""
        plain, variant = (small_plan(store, labels__alpha=alpha) for alpha in (0.5, 0.9))
        for launch, plan in (("one", plain), ("two", variant), ("three", plain)):
            compute(store, plan)
            write_record(store, plan, launch)
        found = collect(store, delete=True)
        assert removed(found) == {"records of superseded launches": {"studies/decay/one.json.gz"}}  # "three" has all
        assert found.stale == []
        for alpha in (0.5, 0.9):
            assert small_plan(store, labels__alpha=alpha).to_train == []
        assert (status(store).studies[0].cells, status(store).studies[0].done) == (8, 8)

    def test_studies_that_share_count_a_product_once(self, store):
        one, two = small_plan(store), small_plan(store, name="other", factors=(0.1, 0.2))
        compute(store, one)
        compute(store, small_plan(store, name="other", factors=(0.1, 0.2)))
        write_record(store, one, "one")
        write_record(store, two, "two")
        found = collect(store)
        shared = kept(one) & kept(two) & set(store.keys())
        held = {own.name: own.products for own in found.held}
        assert held["shared by several studies"] == len(shared) > 0
        assert sum(held.values()) == len(set(store.keys()))
        assert sum(own.bytes for own in found.held) == status(store).bytes

    def test_unfinished_work_and_notes_that_nobody_needs(self, store):
        plan = small_plan(store)
        compute(store, plan)
        write_record(store, plan, "one")
        needed = plan.finals[plan.cells[0].key].inputs["model"].key
        store.drop(needed)
        for key in (needed, "nobody's"):
            store.save_partial(key, "fit.pt", lambda path: path.write_bytes(b"x" * 50))
            store.note_failure(key, {"cause": "NaN"})
        found = collect(store, delete=True)
        assert removed(found) == {
            "checkpoints of unfinished work": {"nobody's"},
            "failure records": {"nobody's"},
        }
        assert store.partial_file(needed, "fit.pt") is not None
        assert store.failure(needed) is not None
        assert store.partial_file("nobody's", "fit.pt") is None

    def test_what_the_dead_left(self, store, launch):
        """Leases, heartbeats, drafts, Tune's folders, published journals; what belongs to the living stays."""
        plan = small_plan(store)
        write_record(store, plan, "alive")
        alive = launch("alive", ["a"])
        dead = Leases(store, "launch dead", process=replace(Process.this(), start=1))
        assert dead.take(["b", f"{PRESENCE}dead"]) is None
        folder = store.local
        gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
        for path in (
            f"drafts/{replace(Process.this(), start=1).word}-abc/file",
            f"drafts/{Process.this().word}-abc/file",
            f"tune/20260101-000000-{int(gone.stdout)}/trial/log",
            f"tune/20260101-000000-{os.getpid()}/trial/log",
        ):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text("x" * 10)
        for name, marked in (("published", True), ("waiting", False), ("held", True)):
            journal = Journal(folder / "journal" / f"{name}.jsonl")
            journal.append({"event": "launch"})
            if marked:
                journal.mark_published(journal.path.stat().st_size)
            journal.close()
        with (folder / "journal" / "held.jsonl").open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            found = collect(store, delete=True)
        names = {os.path.basename(os.path.normpath(name)) for pile in found.piles for name in pile.names}
        assert len(removed(found)["leases of dead launches"]) == 3
        assert f"{replace(Process.this(), start=1).word}-abc" in names
        assert f"20260101-000000-{int(gone.stdout)}" in names
        assert {path.name for path in (folder / "drafts").iterdir()} == {f"{Process.this().word}-abc"}
        assert {path.name for path in (folder / "tune").iterdir()} == {f"20260101-000000-{os.getpid()}"}
        left = {path.name for path in (folder / "journal").iterdir()}
        assert left == {"waiting.jsonl", "held.jsonl", "held.published"}
        assert Leases(store, "probe").take(["a"]) is not None
        assert not alive.lost
        dead._stop.set()

    def test_what_a_living_launch_computes_stays(self, store, launch, monkeypatch):
        """Also when a newer launch of the same study has newer code, and also what is only reserved."""
        first = small_plan(store, replicates=(0,))
        old = compute(store, first)
        write_record(store, first, "one")
        move_code(monkeypatch, "targets")
        second = small_plan(store, replicates=(0,))
        compute(store, second)
        write_record(store, second, "two")
        for key in ("reserved", "orphan"):
            store.put(key, lambda folder: (folder / "a").write_text("x"), {})
        living = launch("one", ["reserved"])
        found = collect(store, delete=True)
        assert removed(found) == {PRODUCTS: {"orphan"}}
        assert "running: launch one" in found.text()
        living.close()
        assert removed(collect(store, delete=True))[PRODUCTS] == (old - kept(second)) | {"reserved"}

    def test_nothing_is_removed_while_a_launch_has_not_said_what_it_needs(self, store, launch):
        plan = small_plan(store)
        compute(store, plan)
        write_record(store, plan, "one")
        store.put("orphan", lambda folder: (folder / "a").write_text("x"), {})
        launch("unknown")
        assert removed(collect(store))[PRODUCTS] == {"orphan"}
        with pytest.raises(UserError, match=r"launch unknown .* nothing was removed"):
            collect(store, delete=True)
        assert store.has("orphan")

    def test_a_silent_launch_of_another_machine_is_waited_for(self, store, launch):
        plan = small_plan(store)
        write_record(store, plan, "one")
        store.put("orphan", lambda folder: (folder / "a").write_text("x"), {})
        elsewhere = replace(Process.this(), host="0" * 16)
        launch("far", beat=1e9, process=elsewhere)
        assert [own.name for own in collect(store).launches] == ["far"]  # as far as can be seen at once
        found = collect(store, delete=True, watch=Watch(store, ttl=0.3))
        assert found.launches == []
        assert not store.has("orphan")
        launch("near", beat=0.05, process=elsewhere)
        with pytest.raises(UserError, match="launch near"):
            collect(store, delete=True, watch=Watch(store, ttl=60))

    def test_a_store_without_records_is_left_alone(self, store):
        """Launching its studies again records what is there; only then anything can go."""
        plan = small_plan(store)
        keys = compute(store, plan)
        store.put("orphan", lambda folder: (folder / "a").write_text("x"), {})
        found = collect(store)
        assert "belong to no recorded study" in found.text()
        assert "launch their studies again" in found.text()
        assert "can be removed" not in found.text()
        assert "nothing was removed" in found.text()
        assert found.json()["recorded"] is False
        with pytest.raises(UserError, match=r"belong to no recorded study .* launch their studies again"):
            collect(store, delete=True)
        assert set(store.keys()) == keys | {"orphan"}
        assert small_plan(store).to_train == []
        write_record(store, small_plan(store), "one")
        assert "belong to no recorded study" not in collect(store).text()
        assert collect(store, delete=True).json()["recorded"] is True
        assert set(store.keys()) == keys

    @pytest.mark.parametrize("says", [("../../victim", "mine"), ("decay", "../../../victim/mine"), ("decay", "one")])
    def test_a_record_that_says_it_is_another_s_removes_nothing(self, store, tmp_path, says):
        """A superseded record is removed by the name it was read from, never by the study and launch that it says."""
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "mine.json.gz").write_text("mine")
        plan = small_plan(store)
        write_record(store, plan, "one")
        store.put("orphan", lambda folder: (folder / "a").write_text("x"), {})
        (record,) = read_records(store)
        before = store.files.read(record.file)
        for number, name in enumerate(("two", "three")):  # of the same cells, so that the first of them is superseded
            odd = replace(record, study=says[0], launch=says[1], time=record.time + 60 * number)
            store.files.write(f"studies/decay/{name}.json.gz", odd.packed())
        with pytest.raises(UserError, match=r"three\.json\.gz and 1 more record cannot be .* nothing was removed"):
            collect(store, delete=True)
        assert (tmp_path / "victim" / "mine.json.gz").read_text() == "mine"
        assert store.files.read(record.file) == before
        assert store.has("orphan")

    def test_an_empty_store_without_records(self, store):
        assert "nothing to remove" in collect(store).text()
        assert not collect(store).recorded

    def test_an_empty_journal_needs_no_mark(self, store):
        """MLflow lacks nothing of a launch that died before its first event, unless a process still holds it."""
        folder = store.local / "journal"
        for name in ("empty", "held"):
            Journal(folder / f"{name}.jsonl").close()
        (folder / "begun.jsonl").write_text('{"event": "launch"}\n')
        with contextlib.closing(Journal(folder / "held.jsonl")):
            found = collect(store, delete=True)
        assert removed(found) == {"published journals": {str(folder / "empty.jsonl")}}
        assert {path.name for path in folder.iterdir()} == {"held.jsonl", "begun.jsonl"}
        assert removed(collect(store)) == {"published journals": {str(folder / "held.jsonl")}}

    def test_copies_of_what_a_remote_store_lost(self, tmp_path):
        store = Store(f"memory://{tmp_path}", tmp_path / "here")
        plan = small_plan(store)
        compute(store, plan)
        write_record(store, plan, "one")
        lost = plan.cells[0].key
        Store(store.url, tmp_path / "elsewhere").drop(lost)
        assert store.folder(lost).exists()
        assert len(removed(collect(store, delete=True))["local copies of removed products"]) == 1
        assert not store.folder(lost).exists()


def test_drafts_of_other_machines_go_when_they_are_old_and_nobody_lives(tmp_path):
    store = Store(tmp_path)
    write_record(store, small_plan(store), "one")
    for name, age in (("0" * 16 + "-1-1-old", 2 * 86400), ("0" * 16 + "-1-1-new", 0)):
        (tmp_path / "drafts" / name).mkdir()
        now = (tmp_path / "drafts" / name).stat().st_mtime
        os.utime(tmp_path / "drafts" / name, (now - age,) * 2)
    collect(store, delete=True)
    assert {path.name for path in (tmp_path / "drafts").iterdir()} == {"0" * 16 + "-1-1-new"}


def test_sessions_of_ray_that_dead_launches_left(store, tmp_path):
    """Only those that a launch marked as its own, when its process is gone."""
    root = tmp_path / "temporary" / "ray"
    gone = Process(host_id(), 1, 1)
    for name, mark in (("dead", gone.word), ("living", Process.this().word), ("odd", "?"), ("other", None)):
        (root / f"session_{name}" / "logs").mkdir(parents=True)
        (root / f"session_{name}" / "logs" / "a.log").write_text("12345")
        if mark is not None:
            (root / f"session_{name}" / MARK).write_text(mark)
    (root / "session_latest").symlink_to(root / "session_dead")
    (pile,) = collect(store).piles
    assert (pile.names, pile.bytes) == ([str(root / "session_dead")], 5 + len(gone.word))
    collect(store, delete=True)
    assert sorted(path.name for path in root.iterdir()) == [
        "session_latest",
        "session_living",
        "session_odd",
        "session_other",
    ]


HOUR = 3600.0


class TestClocks:
    """Machines whose clocks are wrong; the store's own is the one of the folder's disk."""

    @pytest.fixture
    def clock(self, monkeypatch):
        """Sets the clock of the machine that launches."""
        real = time.monotonic() - time.monotonic() + os.stat("/proc/self").st_ctime  # the fixture above stands still
        return lambda ahead: monkeypatch.setattr("raysweep.study.launch_record.time.time", lambda: real + ahead)

    def launched(self, store, name, plan, stored):
        """A launch's record, which the store got at this time."""
        write_record(store, plan, name)
        place = store.local / "studies" / "decay" / f"{name}.json.gz"
        now = place.stat().st_mtime
        os.utime(place, (now - 1000 + stored,) * 2)

    @pytest.mark.parametrize("ahead", [2 * HOUR, 24 * HOUR, 30.0])
    def test_a_record_from_the_future_makes_nothing_stale(self, tmp_path, clock, monkeypatch, ahead):
        """Old code on a machine whose clock is ahead, then the current code: all current products stay."""
        store = Store(tmp_path / "store")
        clock(ahead)
        self.launched(store, "old", small_plan(store), stored=0)
        move_code(monkeypatch, "targets")
        clock(0)
        plan = small_plan(store)
        current = compute(store, plan)
        self.launched(store, "new", plan, stored=10)
        assert removed(collect(store)).get(PRODUCTS, set()) == set()
        if ahead > 60:
            with pytest.raises(UserError, match=r"old.json.gz is .* ahead of the store's clock.*nothing was removed"):
                collect(store, delete=True)
        else:
            collect(store, delete=True)
        assert set(current) <= set(store.keys())

    @pytest.mark.parametrize("behind", [2 * HOUR, 24 * HOUR])
    def test_a_machine_whose_clock_is_behind_loses_nothing(self, tmp_path, clock, monkeypatch, behind):
        store = Store(tmp_path / "store")
        clock(0)
        first = small_plan(store)
        before = compute(store, first)
        self.launched(store, "old", first, stored=0)
        move_code(monkeypatch, "targets")
        clock(-behind)
        plan = small_plan(store)
        current = compute(store, plan)
        self.launched(store, "new", plan, stored=10)
        collect(store, delete=True)
        assert set(current) | set(before) <= set(store.keys())  # clocks disagree on which is newer: both stay
        assert status(store).studies[0].cells == 8

    def test_both_clocks_agree_and_the_old_goes(self, tmp_path, clock, monkeypatch):
        store = Store(tmp_path / "store")
        clock(-HOUR)
        first = small_plan(store)
        before = compute(store, first)
        self.launched(store, "old", first, stored=0)
        move_code(monkeypatch, "targets")
        clock(0)
        plan = small_plan(store)
        current = compute(store, plan)
        self.launched(store, "new", plan, stored=10)
        collect(store, delete=True)
        assert set(store.keys()) == set(current)
        assert set(before) - set(current)

    def test_a_store_that_was_copied_loses_nothing(self, tmp_path, clock, monkeypatch):
        """A copy gives records the times, and so the order, of copying."""
        store = Store(tmp_path / "store")
        clock(-HOUR)
        first = small_plan(store)
        compute(store, first)
        self.launched(store, "old", first, stored=20)
        move_code(monkeypatch, "targets")
        clock(0)
        plan = small_plan(store)
        current = compute(store, plan)
        self.launched(store, "new", plan, stored=10)
        collect(store, delete=True)
        assert set(current) <= set(store.keys())

    def test_the_store_says_the_time(self, store):
        assert abs(store.now() - os.stat("/proc/self").st_ctime) < 60 or store.now() > 1e9
        assert store.files.names("probes") == []
