"""The store: whole products or none, altered ones noticed, puts idempotent, full disks said and survived."""

import contextlib
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.store.files import draft_is_dead, draft_path
from raysweep.store.formats import LAYOUT
from raysweep.store.process import Process
from raysweep.store.store import Store, StoreUnusable
from raysweep.training import save_checkpoint


def fill(text):
    def write(folder: Path):
        (folder / "result.json").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "more.bin").write_bytes(b"\0" * 10)

    return write


@pytest.fixture(params=["folder", "file URL", "memory URL"])
def store(request, tmp_path):
    """The same promises on a local folder and behind fsspec."""
    if request.param == "folder":
        return Store(tmp_path / "store")
    scheme = "file" if request.param == "file URL" else "memory"
    return Store(f"{scheme}://{tmp_path}/store", tmp_path / "cache")


def fill_up(filler, left):
    """Leave `left` pages of its disk."""
    with filler.open("wb", buffering=0) as stream:
        with contextlib.suppress(OSError):
            while True:
                stream.write(b"x" * 4096)
        stream.truncate(stream.tell() - 4096 * left)


def product_file(store, key, name):
    """The one copy of a product's file that the store itself has."""
    if store.is_local:
        return f"stages/{key}/{name}"
    return f"stages/{key}/{store.get(key)['at']}/{name}"


def test_put_then_get(store):
    assert store.get("k") is None
    assert not store.has("k")
    folder = store.put("k", fill("one"), {"seconds": 3})
    manifest = store.get("k")
    assert manifest is not None
    assert manifest["seconds"] == 3
    assert set(manifest["files"]) == {"result.json", "deep/more.bin"}
    assert manifest["sizes"] == {"result.json": 3, "deep/more.bin": 10}
    assert store.has("k")
    assert list(store.keys()) == ["k"]
    assert folder == store.folder("k")
    assert (folder / "deep" / "more.bin").read_bytes() == b"\0" * 10
    assert store.present(["k", "other"]) == {"k"}


def test_the_first_product_stays(store):
    store.put("k", fill("one"), {})
    store.put("k", fill("two"), {})
    assert (store.folder("k") / "result.json").read_text() == "one"


@pytest.mark.parametrize("harm", ["truncate", "alter", "remove", "manifest", "manifest of another kind"])
def test_a_harmed_product_is_missing_and_replaced(store, tmp_path, harm):
    store.put("k", fill("one"), {})
    file = product_file(store, "k", "result.json")
    if harm == "truncate":
        store.files.write(file, b"o")
    elif harm == "alter":
        store.files.write(file, b"onf")
    elif harm == "remove":
        store.files.remove(file)
    else:
        store.files.write("stages/k/manifest.json", b'{"files": ' if harm == "manifest" else b"[1]")
    observer = Store(store.url, tmp_path / "another machine")  # without the first one's copies
    assert observer.get("k") is None
    assert observer.has("k") == (harm == "alter")  # quick: looks at sizes alone
    assert ("k" in observer.present(["k"])) == (harm == "alter")
    observer.put("k", fill("two"), {})
    for place in ("another machine", "a third"):
        again = Store(store.url, tmp_path / place)
        assert again.get("k") is not None
        assert (again.folder("k") / "result.json").read_text() == "two"


def test_manifests_of_old_know_no_sizes(store):
    store.put("k", fill("one"), {})
    manifest = json.loads(store.files.read("stages/k/manifest.json"))
    del manifest["sizes"]
    store.files.write("stages/k/manifest.json", json.dumps(manifest).encode())
    assert store.has("k")
    assert store.present(["k"]) == {"k"}
    assert store.get("k") is not None


def test_a_dropped_product_is_gone(store):
    store.put("k", fill("one"), {})
    store.drop("k")
    store.drop("k")
    assert not store.has("k")
    assert store.get("k") is None
    assert list(store.keys()) == []


def test_a_failing_write_leaves_nothing(store):
    def write(folder):
        (folder / "result.json").write_text("half")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        store.put("k", write, {})
    assert store.get("k") is None
    assert not list(store.keys())
    assert list((store.local / "drafts").iterdir()) == []


def test_put_clears_the_partial_work_and_the_note_of_a_failure(store):
    store.save_partial("k", "fit.pt", lambda path: path.write_bytes(b"x"))
    store.note_failure("k", {"cause": "loss is NaN"})
    assert store.failure("k") == {"cause": "loss is NaN"}
    store.put("k", fill("one"), {})
    assert store.partial_file("k", "fit.pt") is None
    assert store.failure("k") is None
    assert not (store.local / "partial" / "k").exists()
    assert store.files.sizes("partial") == {}


def test_the_last_checkpoint_counts(store, tmp_path):
    assert store.partial_file("k", "fit.pt") is None
    for content in (b"1", b"22", b"333"):
        store.save_partial("k", "fit.pt", lambda path, content=content: path.write_bytes(content))
        assert store.partial_file("k", "fit.pt").read_bytes() == content
    assert Store(store.url, tmp_path / "another machine").partial_file("k", "fit.pt").read_bytes() == b"333"
    assert len(store.files.sizes("partial")) == 1
    store.drop_partial("k")
    assert store.partial_file("k", "fit.pt") is None


def test_a_failing_checkpoint_leaves_the_last_one(store):
    store.save_partial("k", "fit.pt", lambda path: path.write_bytes(b"1"))

    def write(path):
        path.write_bytes(b"half")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        store.save_partial("k", "fit.pt", write)
    assert store.partial_file("k", "fit.pt").read_bytes() == b"1"
    assert list((store.local / "drafts").iterdir()) == []


def test_a_note_of_failure_can_be_forgotten(store):
    assert store.failure("k") is None
    store.forget_failure("k")
    store.note_failure("k", {"cause": "out of memory", "attempts": 2})
    assert Store(store.url, store.local).failure("k") == {"cause": "out of memory", "attempts": 2}
    store.forget_failure("k")
    assert store.failure("k") is None


class TestVersions:
    def test_the_first_write_says_the_version(self, store):
        assert store.files.read("raysweep.json") is None
        store.put("k", fill("one"), {})
        assert json.loads(store.files.read("raysweep.json"))["store_version"] == LAYOUT.version
        assert Store(store.url, store.local).has("k")

    def test_a_newer_store_is_refused_in_one_line(self, store):
        values = {"store_version": LAYOUT.version + 1, "raysweep": "9.9.0"}
        store.files.write("raysweep.json", json.dumps(values).encode())
        before = store.files.sizes("")
        with pytest.raises(UserError, match=r"written by raysweep 9\.9\.0.*install that version") as caught:
            Store(store.url, store.local)
        assert "\n" not in str(caught.value)
        assert store.files.sizes("") == before

    def test_a_store_without_a_version_is_older_and_fine(self, tmp_path):
        store = Store(tmp_path)
        store.put("k", fill("one"), {})
        (tmp_path / "raysweep.json").unlink()
        assert Store(tmp_path).has("k")

    def test_looking_writes_nothing(self, tmp_path):
        store = Store(tmp_path / "store")
        store.has("k"), store.get("k"), store.partial_file("k", "fit.pt"), store.failure("k"), list(store.keys())
        assert not (tmp_path / "store").exists()

    def test_a_file_is_no_store(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(UserError, match="must be a folder"):
            Store(tmp_path / "file")


class TestFullDisk:
    """A real disk of 4 MiB."""

    WRITERS = {  # noqa: RUF012
        "torch, to a path": lambda folder: torch.save({"w": torch.rand(2_000_000)}, folder / "state.pt"),
        "torch, to a stream": lambda folder: save_checkpoint({"w": torch.rand(2_000_000)}, folder / "state.pt"),
        "numpy": lambda folder: np.savez_compressed(folder / "a.npz", a=np.random.default_rng(0).random(2_000_000)),
        "text": lambda folder: (folder / "a.txt").write_text("x" * 8_000_000),
    }

    @pytest.mark.parametrize("writer", WRITERS)
    def test_whatever_writes(self, small_disk, writer):
        store = Store(small_disk)
        store.put("small", fill("one"), {})
        before = store.files.sizes("")
        with pytest.raises(StoreUnusable, match=rf"{small_disk}, \d.*B free") as caught:
            store.put("big", self.WRITERS[writer], {})
        assert "\n" not in str(caught.value)
        assert store.files.sizes("") == before
        assert not store.has("big")
        assert store.get("small") is not None
        store.put("fits", fill("two"), {})
        assert store.get("fits") is not None

    def test_a_checkpoint(self, small_disk):
        store = Store(small_disk)
        store.save_partial("k", "fit.pt", lambda path: torch.save({"w": torch.rand(100)}, path))
        before = store.files.sizes("")
        with pytest.raises(StoreUnusable):
            store.save_partial("k", "fit.pt", lambda path: torch.save({"w": torch.rand(2_000_000)}, path))
        assert store.files.sizes("") == before
        assert torch.load(store.partial_file("k", "fit.pt"), weights_only=True)["w"].shape == (100,)

    @pytest.mark.parametrize("left", [0, 1, 2, 3, 4, 8])
    def test_at_whatever_point_of_a_put(self, small_disk, left):
        """So many pages are left: the folder, a file, the manifest or the note of the version does not fit."""
        filler = small_disk / "filler"
        fill_up(filler, left)
        store = Store(small_disk)
        try:
            store.put("k", fill("one"), {"words": "x" * 5000})
        except StoreUnusable:
            assert not store.has("k")
            assert not any(name.startswith(("stages", "drafts")) for name in store.files.sizes(""))
            assert left < 8
        else:
            assert store.get("k") is not None
        filler.unlink()
        store.put("k", fill("one"), {})
        assert store.get("k") is not None
        fill_up(filler, 0)
        with pytest.raises(StoreUnusable):
            store.note_failure("k", {"cause": "x" * 9000})

    def test_behind_a_url_and_in_its_cache(self, small_disk, tmp_path):
        big = self.WRITERS["text"]
        here = Store(f"file://{tmp_path}/far", small_disk)
        with pytest.raises(StoreUnusable, match=str(small_disk)):
            here.put("k", big, {})
        there = Store(f"file://{small_disk}/far", tmp_path / "cache")
        with pytest.raises(StoreUnusable, match=f"file://{small_disk}"):
            there.put("k", big, {})
        assert not there.has("k")
        assert not any(name.startswith("stages") for name in there.files.sizes(""))
        Store(f"file://{tmp_path}/far", tmp_path / "room").put("k", big, {})
        with pytest.raises(StoreUnusable, match=str(small_disk)):
            here.get("k")
        assert here.has("k")

    def test_other_errors_stay_what_they_are(self, tmp_path):
        def write(folder):
            raise OSError(errno.EEXIST, "of its own")

        with pytest.raises(OSError, match="of its own"):
            Store(tmp_path).put("k", write, {})
        with pytest.raises(RuntimeError, match="something else"):
            Store(tmp_path).put("k", lambda folder: (_ for _ in ()).throw(RuntimeError("something else")), {})

    def test_over_quota_is_full_too(self, tmp_path):
        def write(folder):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        with pytest.raises(StoreUnusable):
            Store(tmp_path).put("k", write, {})


def test_drafts_know_whether_their_process_lives(tmp_path):
    assert not draft_is_dead(draft_path(tmp_path).name)
    assert not draft_is_dead("something else")
    other = subprocess.run(
        [sys.executable, "-c", "from raysweep.store.process import Process; print(Process.this().word)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert draft_is_dead(f"{other.stdout.strip()}-abcdef")
    assert Process.this() == Process.parse(Process.this().word)
    reused = Process(Process.this().host, os.getpid(), Process.this().start - 1)
    assert reused.gone()
    assert not Process("another machine", os.getpid(), 1).gone()


def test_a_product_whose_writer_was_killed_is_missing(tmp_path):
    """SIGKILL in the middle of a put leaves a draft that nobody takes for a product."""
    script = (
        "import os, signal, sys; from raysweep.store.store import Store\n"
        "def write(folder):\n    (folder / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "Store(sys.argv[1]).put('k', write, {})\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -9
    store = Store(tmp_path)
    assert not store.has("k")
    assert list(store.keys()) == []
    (draft,) = (tmp_path / "drafts").iterdir()
    assert draft_is_dead(draft.name)
    store.put("k", fill("one"), {})
    assert store.get("k") is not None


def test_two_processes_that_finish_the_same_work_leave_one_product(store, tmp_path):
    """The slower one finds an intact product in place when it is done writing."""

    def write_late(folder):
        fill("slow")(folder)
        Store(store.url, tmp_path / "another machine").put("k", fill("quick"), {})

    store.put("k", write_late, {})
    assert store.get("k") is not None
    assert (store.folder("k") / "result.json").read_text() == "quick"
    assert list(store.keys()) == ["k"]
