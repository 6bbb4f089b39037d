"""Stores that another version of raysweep wrote: older ones are read as before, newer files are said and left alone."""

import gzip
import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.core.notices import _PRINTED
from raysweep.core.versioned import NewerRecord, RecordFormat, unchanged
from raysweep.data.cache import load_packed, save_packed
from raysweep.data.synthetic import SITES, build_site
from raysweep.maintenance import collect, status
from raysweep.maintenance.garbage import PRODUCTS
from raysweep.scheduling.cost_model import Speeds
from raysweep.store.lease_holders import Watch, parse_holder
from raysweep.store.local import MANIFEST
from raysweep.store.store import VERSION_FILE, Store
from raysweep.study.launch_record import LaunchRecord
from raysweep.study.launch_records import read_records
from raysweep.tracking.journal import Journal

RECORDED = Path(__file__).parent / "recorded" / "store"
"""A store from before its files said a version: `small_plan` of two arms, of which one failed."""

DONE = "4ada6261a548871b48cdf3cd5fd28b8339eaf5dad6b1efaf24158a9c4b4917df"
FAILED = "4c83e5256bbc549538142f97cd88c7579939caadd249c9311114eccb0f50129e"
HOLDER = "0123456789abcdef"
RECORD = "studies/decay/one.json.gz"
FILES = {
    "product": f"stages/{DONE}/{MANIFEST}",
    "failure": f"failed/{FAILED}.json",
    "holder": f"holders/{HOLDER}.json",
    "record": RECORD,
    "journal": "journal/one.jsonl",
    "speeds": "speeds.json",
    "decoded": "data/faces/data.json",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    _PRINTED.clear()


@pytest.fixture
def store(tmp_path):
    shutil.copytree(RECORDED, tmp_path / "store")
    return Store(tmp_path / "store")


def values_of(path):
    """Values in a file; of a journal in its first line."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        return json.loads(gzip.decompress(content))
    return json.loads(content.splitlines()[0] if path.suffix == ".jsonl" else content)


def make_newer(path, version=99):
    """A file as a newer raysweep may write it: fields are called otherwise."""
    content = json.dumps({"version": version, "renamed": values_of(path)}).encode() + b"\n"
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def collected(store, delete=False):
    return collect(store, delete, Watch(store, ttl=0.2))


class TestOlder:
    def test_files_say_no_version(self):
        assert all("version" not in values_of(RECORDED / name) for what, name in FILES.items() if what != "speeds")

    def test_everything_is_read_as_it_was_written(self, store):
        files = {what: values_of(store.local / name) for what, name in FILES.items()}
        assert store.get(DONE) == files["product"]
        assert store.failure(FAILED) == files["failure"]
        (record,) = read_records(store)
        cells = [[entry.arm, entry.number, entry.stage] for entry in record.entries]
        assert {**vars(record), "entries": cells} == {**files["record"], "stored": record.stored}
        assert LaunchRecord.unpacked(record.packed(), RECORD) == LaunchRecord.unpacked(
            (store.local / RECORD).read_bytes(), RECORD
        )
        holder = parse_holder(HOLDER, (store.local / FILES["holder"]).read_bytes())
        assert (holder.owner, holder.process.word, holder.since) == ("launch one", "0123456789ab-1-1", 1.0)
        with closing(Journal(store.local / FILES["journal"])) as journal:
            assert [event["event"] for event in journal.events()] == ["launch", "start"]
            assert journal.events()[0] == files["journal"]
            assert journal.damaged() == (0, 0, 2)
        assert Speeds.read(store).start == 9.0

    def test_decoded_data(self, store):
        back, built = load_packed(store.local / "data" / "faces"), build_site(SITES["faces-b-strong"], 32, 2, 0, 1)
        assert (back.name, back.classes, back.fingerprint) == (built.name, built.classes, built.fingerprint)
        assert (back.notes, back.info.facts) == (built.notes, built.info.facts)
        assert back.info.arrays.keys() == built.info.arrays.keys()
        assert all(torch.equal(array, built.info.arrays[name]) for name, array in back.info.arrays.items())
        assert torch.equal(back.images, built.images)

    def test_upkeep(self, store):
        (study,) = status(store).studies
        assert (study.cells, study.done, study.failed) == (2, 1, {"factor=0.1 #0": "DegenerateLoss: NaN"})
        found = collected(store, delete=True)
        assert [pile.what for pile in found.piles] == ["leases of dead launches"]
        assert store.has(DONE)

    def test_what_is_written_now_is_read_by_the_same_rules(self, store):
        """And says its version; but for that an older raysweep finds what it would have written."""
        before = values_of(store.local / FILES["product"])
        store.drop(DONE)
        facts = {name: value for name, value in before.items() if name not in ("key", "files", "sizes")}
        store.put(DONE, lambda folder: (folder / "result.json").write_text("x" * 100), facts)
        assert values_of(store.local / FILES["product"]) == {"version": 1, **before}
        noted = store.failure(FAILED)
        store.note_failure(FAILED, noted)
        assert values_of(store.local / FILES["failure"]) == {"version": 1, **noted}


class TestNewer:
    @pytest.mark.parametrize("what", ["failure", "holder", "record", "speeds", "decoded"])
    def test_it_is_said_once_and_left_alone(self, store, what, capsys):
        make_newer(store.local / FILES[what])
        before = contents(store.local)
        for _ in range(2):
            status(store), collected(store)
            assert (store.failure(FAILED) is None) is (what == "failure")
            assert (not read_records(store)) is (what == "record")
            assert (Speeds.read(store).start is None) is (what == "speeds")
            assert (load_packed(store.local / "data" / "faces") is None) is (what == "decoded")
        said = [line for line in capsys.readouterr().err.splitlines() if "written by a newer raysweep" in line]
        assert len(said) == 1
        assert FILES[what] in said[0]
        assert "(version 99, this one reads up to 1); update" in said[0]
        assert contents(store.local) == before

    def test_a_decoded_data_set_and_measured_speeds_are_not_replaced(self, store):
        make_newer(store.local / FILES["decoded"])
        make_newer(store.local / FILES["speeds"])
        before = contents(store.local)
        save_packed(build_site(SITES["faces-b-strong"], 32, 2, 0, 1), store.local / "data" / "faces")
        speeds = Speeds.read(store)
        speeds.note_start(3.0)
        speeds.save()
        assert speeds.start == 3.0
        assert contents(store.local) == before

    def test_a_product_is_neither_read_nor_replaced(self, store):
        make_newer(store.local / FILES["product"])
        before = contents(store.local)
        sentence = f"{FILES['product']} in the store was written by a newer raysweep"
        for ask in (store.has, store.get, lambda key: store.present([key]), lambda key: status(store)):
            with pytest.raises(NewerRecord, match=sentence):
                ask(DONE)
        with pytest.raises(NewerRecord, match=sentence):
            store.put(DONE, lambda folder: (folder / "result.json").write_text("y"), {})
        assert contents(store.local) == before

    @pytest.mark.parametrize("keys", [1, 600])
    def test_a_product_at_a_url(self, tmp_path, keys):
        store = Store(f"memory://{tmp_path}", tmp_path / "here")
        store.put(DONE, lambda folder: (folder / "a").write_text("x"), {})
        newer = json.dumps({"version": 99, "renamed": {}}).encode()
        store.files.write(FILES["product"], newer)
        with pytest.raises(NewerRecord):
            store.present([DONE, *map(str, range(keys))])
        with pytest.raises(NewerRecord):
            store.put(DONE, lambda folder: (folder / "a").write_text("x"), {})
        assert store.files.read(FILES["product"]) == newer

    def test_a_copy_that_a_newer_raysweep_made_of_a_known_product_is_fetched_again(self, tmp_path):
        store = Store(f"memory://{tmp_path}", tmp_path / "here")
        store.put(DONE, lambda folder: (folder / "a").write_text("x"), {"kind": "fit"})
        make_newer(store.folder(DONE) / MANIFEST)
        assert store.get(DONE)["kind"] == "fit"
        assert (store.folder(DONE) / "a").read_text() == "x"

    @pytest.mark.parametrize("what", ["record", "holder", "product", "failure"])
    def test_gc_removes_nothing(self, store, what):
        """Not even what no known record refers to."""
        store.put("e" * 64, lambda folder: (folder / "a").write_text("x"), {})
        store.note_failure("e" * 64, {"cause": "x"})
        names = FILES | {"product": f"stages/{'e' * 64}/{MANIFEST}", "failure": f"failed/{'e' * 64}.json"}
        make_newer(store.local / names[what])
        before = contents(store.local)
        with pytest.raises(UserError, match=f"{names[what]} was written by a newer raysweep.*nothing was removed"):
            collected(store, delete=True)
        assert contents(store.local) == before

    def test_gc_keeps_a_published_journal(self, store):
        journal = store.local / FILES["journal"]
        journal.with_suffix(".published").write_text(str(10**6))
        piles = {pile.what for pile in collected(store).piles}
        make_newer(journal)
        assert {pile.what for pile in collected(store).piles} == piles - {"published journals"} != piles
        assert PRODUCTS not in piles

    def test_a_store(self, store):
        (store.local / VERSION_FILE).write_text('{"store_version": 99, "raysweep": "9.9"}')
        with pytest.raises(UserError, match=r"written by raysweep 9\.9 \(store version 99, this one reads 1\)"):
            Store(store.local)


class TestFormat:
    FEET = RecordFormat((unchanged, lambda values: {"metres": values["feet"] * 0.25}, lambda v: {"m": v["metres"]}))

    @pytest.mark.parametrize(
        "values", [{"feet": 8}, {"version": 1, "feet": 8}, {"version": 2, "metres": 2.0}, {"version": 3, "m": 2.0}]
    )
    def test_every_version_is_brought_forward(self, values):
        assert self.FEET.current(values) == {"m": 2.0}
        assert self.FEET.stamped({"m": 2.0}) == {"version": 3, "m": 2.0}

    @pytest.mark.parametrize("version", [4, 10**300])
    def test_a_newer_one_is_refused_in_a_line(self, version):
        with pytest.raises(NewerRecord, match=r"^written by a newer raysweep \(version .* up to 3\); update$"):
            self.FEET.current({"version": version})
        assert self.FEET.is_newer(json.dumps({"version": version}).encode())

    @pytest.mark.parametrize("version", [-1, 1.0, "1", None, [1], float("inf")])
    def test_what_is_no_version_is_damage(self, version):
        with pytest.raises(ValueError, match="its version is"):
            self.FEET.current({"version": version})
        assert not self.FEET.is_newer(json.dumps({"version": version}).encode())
        assert not self.FEET.is_newer(b'{"version": ')
