"""Stores behind fsspec URLs, with several processes and what only they can suffer."""

import json
import subprocess
import sys

import pytest

from raysweep.core.errors import UserError
from raysweep.store.files import RemoteFiles
from raysweep.store.store import Store


def fill(text):
    return lambda folder: (folder / "a.txt").write_text(text)


@pytest.fixture
def url(tmp_path):
    return f"file://{tmp_path}/far"


class TestTwoMachines:
    """Machines are processes with caches of their own."""

    def other(self, script, url, cache):
        head = "import sys; from raysweep.store.store import Store; store = Store(sys.argv[1], sys.argv[2])\n"
        parts = [sys.executable, "-c", head + script, url, str(cache)]
        return subprocess.run(parts, capture_output=True, text=True, check=True).stdout.strip()

    def test_what_one_has_made_the_other_reads(self, url, tmp_path):
        self.other(
            "store.put('k', lambda f: (f / 'a.txt').write_text('made there'), {'seconds': 2})", url, tmp_path / "b"
        )
        store = Store(url, tmp_path / "a")
        assert store.has("k")
        assert store.get("k")["seconds"] == 2
        assert (store.folder("k") / "a.txt").read_text() == "made there"

    def test_unfinished_work_goes_on_elsewhere(self, url, tmp_path):
        store = Store(url, tmp_path / "a")
        store.save_partial("k", "fit.pt", lambda path: path.write_bytes(b"epoch 3"))
        script = (
            "print(store.partial_file('k', 'fit.pt').read_text())\n"
            "store.save_partial('k', 'fit.pt', lambda path: path.write_bytes(b'epoch 4'))"
        )
        assert self.other(script, url, tmp_path / "b") == "epoch 3"
        assert store.partial_file("k", "fit.pt").read_bytes() == b"epoch 4"

    def test_writers_of_the_same_product_do_not_mix_their_files(self, url, tmp_path):
        """Six processes put different bytes under one key at the same time: what stands then is one of them."""
        script = (
            "import sys; from raysweep.store.store import Store\n"
            "store, n = Store(sys.argv[1], sys.argv[2]), sys.argv[3]\n"
            "def write(folder):\n    for i in range(5): (folder / f'{i}.txt').write_text(n * 100)\n"
            "sys.stdin.readline(); store.put('k', write, {'writer': n})\n"
        )
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", script, url, str(tmp_path / n), n], stdin=subprocess.PIPE, text=True
            )
            for n in "abcdef"
        ]
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            writer.communicate()
            assert writer.returncode == 0
        store = Store(url, tmp_path / "reader")
        writer = store.get("k")["writer"]
        assert {(store.folder("k") / f"{i}.txt").read_text() for i in range(5)} == {writer * 100}


class TestCache:
    def test_a_product_is_fetched_once(self, url, tmp_path, monkeypatch):
        Store(url, tmp_path / "a").put("k", fill("x"), {})
        fetched = []
        fetch = RemoteFiles.fetch
        monkeypatch.setattr(RemoteFiles, "fetch", lambda self, *words: fetched.append(words) or fetch(self, *words))
        for _ in range(3):
            assert Store(url, tmp_path / "b").get("k") is not None
        assert len(fetched) == 1

    @pytest.mark.parametrize("harm", ["alter", "truncate", "remove", "manifest", "stamp"])
    def test_a_harmed_copy_is_fetched_again(self, url, tmp_path, harm):
        store = Store(url, tmp_path / "a")
        store.put("k", fill("whole"), {})
        folder = store.folder("k")
        if harm == "alter":
            (folder / "a.txt").write_text("whale")
        elif harm == "truncate":
            (folder / "a.txt").write_text("who")
        elif harm == "remove":
            (folder / "a.txt").unlink()
        else:
            (folder / ("manifest.json" if harm == "manifest" else "checked.json")).write_text("{")
        assert store.get("k") is not None
        assert (folder / "a.txt").read_text() == "whole"

    def test_another_product_in_its_place_is_fetched(self, url, tmp_path):
        """Somebody dropped it and computed it again, in other bytes."""
        one, two = Store(url, tmp_path / "a"), Store(url, tmp_path / "b")
        one.put("k", fill("first"), {})
        assert two.get("k") is not None
        one.drop("k")
        assert two.get("k") is None
        one.put("k", fill("again"), {})
        assert two.get("k") is not None
        assert (two.folder("k") / "a.txt").read_text() == "again"


class TestUploads:
    @pytest.mark.parametrize("after", [0, 1, 2])
    def test_a_connection_that_breaks_leaves_no_product(self, url, tmp_path, monkeypatch, after):
        """After so many of its three files have been sent."""
        store = Store(url, tmp_path / "a")
        store.put("other", fill("x"), {})
        sent = []
        send = RemoteFiles.send

        def breaks(self, source, name):
            if len(sent) == after:
                raise ConnectionError("broken")
            sent.append(name)
            send(self, source, name)

        monkeypatch.setattr(RemoteFiles, "send", breaks)

        def write(folder):
            for name in "abc":
                (folder / name).write_text(name)

        with pytest.raises(ConnectionError):
            store.put("k", write, {})
        assert not store.has("k")
        assert {name.split("/")[0] for name in store.files.sizes("stages")} == {"other"}
        assert not list((tmp_path / "a" / "drafts").iterdir())
        monkeypatch.undo()
        store.put("k", write, {})
        assert store.get("k") is not None

    def test_half_a_checkpoint_is_passed_over(self, url, tmp_path):
        """A writer died while it sent one: the one before counts."""
        store = Store(url, tmp_path / "a")
        store.save_partial("k", "fit.pt", lambda path: path.write_bytes(b"whole"))
        store.files.write(f"partial/k/fit.pt@000002-{'0' * 64}", b"ha")
        assert Store(url, tmp_path / "b").partial_file("k", "fit.pt").read_bytes() == b"whole"
        store.save_partial("k", "fit.pt", lambda path: path.write_bytes(b"next"))
        assert Store(url, tmp_path / "c").partial_file("k", "fit.pt").read_bytes() == b"next"
        assert len(store.files.names("partial/k")) == 1


def test_a_local_store_copied_to_a_bucket_is_read(tmp_path):
    local = Store(tmp_path / "store")
    local.put("k", fill("x"), {})
    local.save_partial("u", "fit.pt", lambda path: path.write_bytes(b"x"))
    remote = Store(f"file://{tmp_path}/store", tmp_path / "cache")
    assert remote.has("k")
    assert remote.get("k") is not None
    assert (remote.folder("k") / "a.txt").read_text() == "x"


def test_many_keys_at_once(tmp_path, monkeypatch):
    store = Store(f"memory://{tmp_path}", tmp_path / "cache")
    keys = [f"k{i}" for i in range(40)]
    for key in keys:
        store.put(key, fill(key), {})
    manifest = json.loads(store.files.read("stages/k3/manifest.json"))
    store.files.write(f"stages/k3/{manifest['at']}/a.txt", b"")
    expected = set(keys) - {"k3"}
    assert store.present([*keys, "none"]) == expected
    monkeypatch.setattr("raysweep.store.remote.FEW", 10)
    assert store.present([*keys, "none"]) == expected
    assert store.present(keys[:20]) == expected & set(keys[:20])
    assert store.present([]) == set()


class TestMistakes:
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("s3x://bucket/folder", "s3x://.*a folder or a URL such as s3://"),
            ("nothing://x", "fsspec cannot open nothing://"),
        ],
    )
    def test_an_unknown_scheme(self, url, words, tmp_path):
        with pytest.raises(UserError, match=words) as caught:
            Store(url, tmp_path)
        assert "\n" not in str(caught.value)

    def test_a_missing_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(UserError, match=r"pip install 'raysweep\[gcs\]'"):
            Store("gs://bucket/folder", tmp_path)

    def test_a_store_out_of_reach(self, tmp_path, monkeypatch):
        def unreachable(self, path, *words, **more):
            raise OSError("no route to host")

        monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", unreachable)
        with pytest.raises(UserError, match=r"cannot be used.*no route to host"):
            Store(f"memory://{tmp_path}", tmp_path)
        assert list(tmp_path.iterdir()) == []
