"""Stores that other hands can write: names that lead out are never followed, damaged files never stop a command."""

import gzip
import hashlib
import json
import logging
import os
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.location import Home
from raysweep.data.prepare.writer import prepare_listing
from raysweep.maintenance import collect, status
from raysweep.store.files import LocalFiles, RemoteFiles
from raysweep.store.lease_holders import Watch, parse_holder
from raysweep.store.local import MANIFEST
from raysweep.store.names import OutsideStore, is_below, product_fault
from raysweep.store.store import VERSION_FILE, Store
from tests.data.prepare.listings import listing, small_set

DIGEST, KEY = "0" * 64, "ab" * 32
LEADING_OUT = [
    "../victim",
    "../../victim",
    "/etc/passwd",
    "a/../../victim",
    "..",
    ".",
    "",
    "a\\b",
    "a\0b",
    "c:/x",
    "~/x",
    "a//b",
    "\n",
]

odd_names = st.one_of(
    st.sampled_from(LEADING_OUT), st.text(max_size=12), st.lists(st.sampled_from(["..", ".", "a", ""])).map("/".join)
)
odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["", DIGEST, "0" * 12, "../x", -1, 1 << 80]),
    odd_names,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
manifests = st.one_of(
    st.fixed_dictionaries(
        {"files": st.one_of(odd_values, st.dictionaries(odd_names, odd_values, max_size=3))},
        optional={
            "sizes": st.one_of(odd_values, st.dictionaries(odd_names, odd_values, max_size=3)), "at": odd_values,
            "key": odd_values,
        },
    ),
    odd_values,
)  # fmt: skip


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3, of this process."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server.start()
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    address = {"AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port())}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (keys | address).items():
            patch.setenv(name, value)
        yield "s3"
    server.stop()


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request, tmp_path):
    """(root, cache) of a new store; what lies beside it must stay as it is."""
    return new_place(request, tmp_path)


@pytest.fixture(params=["folder", "memory"])
def quick_place(request, tmp_path):
    return new_place(request, tmp_path)


def new_place(request, tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("mine")
    if request.param == "folder":
        return tmp_path / "store", None
    if request.param == "s3":
        request.getfixturevalue("s3")
        bucket = f"b{uuid.uuid4().hex[:12]}"
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(bucket)
        return f"s3://{bucket}/store", tmp_path / "cache"
    return f"{request.param}://{tmp_path}/store", tmp_path / "cache"


def outside(folder: Path):
    """Everything below a folder but the store and its cache: name to content."""
    own = ("store", "cache")
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
            for p in folder.rglob("*") if p.relative_to(folder).parts[0] not in own}  # fmt: skip


def write_raw(store, name, content):
    """As somebody else would, who is not held by our rules."""
    if store.is_local:
        path = store.local / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    else:
        path = f"{store.files.top}/{name}"
        if "file" in store.files.fs.protocol:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        store.files.fs.pipe_file(path, content)


def put(store, key=KEY):
    store.put(key, lambda folder: (folder / "a.txt").write_text("ours"), {})


class TestNamesInManifests:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(manifest=manifests)
    def test_nothing_outside_is_touched(self, place, tmp_path, manifest):
        """Read, asked for, replaced and collected: whatever its manifest says."""
        before, store = outside(tmp_path), Store(*place)
        write_raw(store, f"stages/{KEY}/{MANIFEST}", json.dumps(manifest).encode())
        store.has(KEY), store.get(KEY), store.present([KEY])
        put(store)
        found = store.get(KEY)
        assert found is not None  # a manifest of no files, under no other key, is a product, too
        assert not found["files"] or (store.folder(KEY) / "a.txt").read_text() == "ours"
        store.drop(KEY)
        assert outside(tmp_path) == before

    @pytest.mark.parametrize("name", ["../../../victim/file", "../victim/file", "/tmp/raysweep-victim"])
    def test_a_file_elsewhere_is_neither_read_nor_written(self, place, tmp_path, name):
        before, store = outside(tmp_path), Store(*place)
        values = {"key": KEY, "files": {name: DIGEST}, "sizes": {name: 4}, "at": "0" * 12}
        write_raw(store, f"stages/{KEY}/{MANIFEST}", json.dumps(values).encode())
        assert store.get(KEY) is None
        assert outside(tmp_path) == before

    @pytest.mark.parametrize("name", ["../../../victim/new", "../../../../victim/new", "a/../../../../victim/new"])
    @pytest.mark.parametrize("kind", ["memory", "s3"])
    def test_a_file_that_a_bucket_really_holds_under_such_a_name_is_not_fetched(self, request, tmp_path, kind, name):
        """Keys of a bucket may hold `..`; checksums would be looked at only after the file was written here."""
        request.param = kind
        store = Store(*new_place(request, tmp_path))
        before, at, folder = outside(tmp_path), "0" * 12, f"{store.files.top}/stages/{KEY}"
        store.files.fs.pipe_file(f"{folder}/{at}/{name}", b"evil")
        for content in (DIGEST, hashlib.sha256(b"evil").hexdigest()):
            values = {"key": KEY, "files": {name: content}, "sizes": {name: 4}, "at": at}
            store.files.fs.pipe_file(f"{folder}/{MANIFEST}", json.dumps(values).encode())
            assert store.get(KEY) is None
        assert not (tmp_path / "cache" / "victim").exists()
        assert outside(tmp_path) == before

    @pytest.mark.parametrize("at", ["../../../victim", "..", "", "/", "0" * 11, "0" * 13, "G" * 12, 7, ["0" * 12]])
    def test_the_folder_of_another_writer_is_not_removed(self, place, tmp_path, at):
        before, store = outside(tmp_path), Store(*place)
        values = {"key": KEY, "files": {"a.txt": DIGEST}, "sizes": {"a.txt": 4}, "at": at}
        write_raw(store, f"stages/{KEY}/{MANIFEST}", json.dumps(values).encode())
        put(store)
        assert store.get(KEY) is not None
        assert outside(tmp_path) == before

    def test_a_product_under_another_key_is_no_product(self, place):
        """A folder that was copied to another key would be another arm's weights."""
        store, other = Store(*place), "cd" * 32
        put(store)
        for name in store.files.sizes(f"stages/{KEY}"):
            write_raw(store, f"stages/{other}/{name}", store.files.read(f"stages/{KEY}/{name}"))
        assert store.get(KEY) is not None
        assert not store.has(other)
        assert store.get(other) is None
        assert store.present([KEY, other]) == {KEY}

    @pytest.mark.parametrize("what", ["device", "pipe", "folder", "link to a device"])
    def test_what_is_no_file_is_never_opened(self, tmp_path, what):
        """/dev/zero has no end, and a pipe without a writer none either."""
        store = Store(tmp_path / "store")
        put(store)
        file = store.folder(KEY) / "a.txt"
        file.unlink()
        if what == "pipe":
            os.mkfifo(file)
        elif what == "folder":
            file.mkdir()
        else:
            file.symlink_to("/dev/zero")
        values = json.loads((store.folder(KEY) / MANIFEST).read_text())
        del values["sizes"]  # manifests of old have none
        (store.folder(KEY) / MANIFEST).write_text(json.dumps(values))
        assert store.get(KEY) is None
        put(store)
        assert store.get(KEY) is not None


class TestFiles:
    @pytest.mark.parametrize("name", LEADING_OUT)
    def test_every_way_in_and_out_refuses_names_that_lead_out(self, place, tmp_path, name):
        before, files = outside(tmp_path), Store(*place).files
        (tmp_path / "source").write_text("x")
        before = outside(tmp_path)
        ways = [
            lambda: files.read(name), lambda: files.read_all([name, "a"]), lambda: files.write(name, b"x"),
            lambda: files.remove(name), lambda: files.send(tmp_path / "source", name),
            lambda: files.fetch(name, tmp_path / "target"),
        ]  # fmt: skip
        ways += [lambda: files.names(name), lambda: files.sizes(name)] if name else []
        for way in ways:
            with pytest.raises((OutsideStore, IsADirectoryError, PermissionError)) as error:
                way()
            assert name == "" or error.type is OutsideStore
        assert outside(tmp_path) == before

    def test_names_in_a_listing_that_lead_out_are_passed_over(self, s3, tmp_path, capsys):
        """A bucket may hold any key."""
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("odd")
        files = RemoteFiles("s3://odd/store")
        for key in ("stages/../../x", "stages/a\\b", "stages/fine", "stages/~/x"):
            files.fs.pipe_file(f"odd/store/{key}", b"1")
        assert set(files.sizes("stages")) == {"fine"}
        assert "passed over" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "folder", ["stages", f"stages/{KEY}", "studies", "studies/alpha", "holders", "failed", "partial"]
    )
    def test_links_that_lead_out_are_not_followed_to_write_or_remove(self, tmp_path, folder):
        victim, root = tmp_path / "victim", tmp_path / "store"
        victim.mkdir()
        for name in ("x.json", "a.json.gz", KEY):
            (victim / name).write_text("mine")
        before = outside(tmp_path)
        files = LocalFiles(root)
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / folder).symlink_to(victim)
        for name in ("x.json", "a.json.gz", KEY):
            for way in (
                lambda n=name: files.write(f"{folder}/{n}", b"x"),
                lambda n=name: files.remove(f"{folder}/{n}"),
            ):
                with pytest.raises(OutsideStore, match="outside"):
                    way()
        assert outside(tmp_path) == before
        files.remove(folder)  # the link alone
        assert not (root / folder).exists()
        assert outside(tmp_path) == before

    def test_a_store_below_a_link_is_fine(self, tmp_path):
        (tmp_path / "disk").mkdir()
        (tmp_path / "store").symlink_to(tmp_path / "disk")
        for root in (tmp_path / "store", tmp_path / "store" / "deep"):
            store = Store(root)
            put(store)
            store.drop(KEY)
            assert not store.has(KEY)


@given(st.text(max_size=30))
def test_a_name_that_is_below_stays_below(name):
    if is_below(name):
        path = os.path.normpath(os.path.join("/root/of/it", name))
        assert path.startswith("/root/of/it/")
        assert "\0" not in name


@given(manifests)
def test_a_manifest_without_a_fault_names_only_its_own(manifest):
    if isinstance(manifest, dict) and not product_fault(manifest):
        assert all(is_below(name) and len(digest) == 64 for name, digest in manifest["files"].items())
        assert all(type(size) is int and size >= 0 for size in manifest.get("sizes", {}).values())


NO_OBJECTS = {
    "nothing": b"", "NULs": b"\0" * 64, "{}": b"{}", "a list": b"[1]", "a word": b'"x"', "a number": b"1" * 5000,
    "half": b'{"a": ', "no text": b"\xff\xfe{}", "deep": b"[" * 100_000, "null": b"null",
    "words of another kind": b'{"process": [], "owner": 1, "since": "x"}',
    "infinity": b'{"process": "a-1-1", "owner": "x", "machine": "m", "since": 1e999}',
}  # fmt: skip


class TestMalformedFiles:
    @pytest.mark.parametrize("content", NO_OBJECTS)
    @pytest.mark.parametrize("name", [
        "studies/alpha/x.json.gz", "holders/x.json", f"failed/{KEY}.json", VERSION_FILE, f"stages/{KEY}/{MANIFEST}",
        "studies/alpha/x.trials.json.gz", "leases/a/b",
    ])  # fmt: skip
    def test_no_command_stops(self, quick_place, name, content, capsys):
        store = Store(*quick_place)
        write_raw(store, name, NO_OBJECTS[content])
        store = Store(*quick_place)
        assert list(status(store).studies) == []
        assert collect(store) is not None
        store.failure(KEY), store.get(KEY), Watch(store).holders()
        said = capsys.readouterr().err
        if name.startswith(("studies", "holders")):
            assert said.count(f"{name}: ") == 1

    @pytest.mark.parametrize("content", NO_OBJECTS)
    def test_records_that_are_packed_nonsense(self, quick_place, content, capsys):
        store = Store(*quick_place)
        write_raw(store, "studies/alpha/x.json.gz", gzip.compress(NO_OBJECTS[content]))
        assert list(status(store).studies) == []
        assert "no launch record" in capsys.readouterr().err

    @pytest.mark.parametrize("what", ["folder", "pipe", "link to a device", "link to itself"])
    def test_something_else_in_the_place_of_a_file(self, tmp_path, what, capsys):
        store = Store(tmp_path / "store")
        for name in ("studies/alpha/x.json.gz", "holders/x.json", f"failed/{KEY}.json"):
            path = store.local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if what == "folder":
                path.mkdir()
            elif what == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to("/dev/zero" if "device" in what else path.name)
        assert list(status(store).studies) == []
        assert store.failure(KEY) is None
        assert "passed over" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "folder", ["studies", "studies/alpha", "holders", "failed", "leases", "stages", "partial", "tune"]
    )
    def test_a_file_in_the_place_of_a_folder(self, tmp_path, folder):
        store = Store(tmp_path / "store")
        path = store.local / folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        assert list(status(store).studies) == []
        assert collect(store) is not None
        assert (store.get(KEY), store.failure(KEY), store.has(KEY)) == (None, None, False)

    @pytest.mark.parametrize(("version", "said"), [("two", True), ([1], True), (None, True), (1, False), (True, False)])
    def test_a_version_that_is_none(self, tmp_path, version, said, capsys):
        (tmp_path / VERSION_FILE).write_text(json.dumps({"store_version": version}))
        store = Store(tmp_path)
        put(store)
        assert ("passed over" in capsys.readouterr().err) is said

    @pytest.mark.parametrize("sizes", [["a.txt"], {"a.txt": "4"}, {"a.txt": -4}, {"a.txt": 4.0}, {"b.txt": 4}, "x", 4])
    def test_sizes_that_are_none(self, place, sizes):
        store = Store(*place)
        put(store)
        name = f"stages/{KEY}/{MANIFEST}"
        values = json.loads(store.files.read(name))
        write_raw(store, name, json.dumps({**values, "sizes": sizes}).encode())
        assert not store.has(KEY)
        assert store.get(KEY) is None
        put(store)
        assert store.get(KEY)["sizes"] == {"a.txt": 4}


def test_a_holder_is_read_or_none():
    whole = {"process": "abc-1-1", "owner": "launch x", "machine": "m", "since": 1.5}
    assert parse_holder("t", json.dumps(whole).encode()).owner == "launch x"
    for field in whole:
        for value in (None, [], {}, "9" * 5000, 1 << 3000, -1):
            holder = parse_holder("t", json.dumps({**whole, field: value}).encode())
            assert holder is None or isinstance(holder.since, float)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The manifest of a small prepared set."""
    raw, folder = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("home") / "set"
    prepare_listing(listing(raw, iter(small_set(raw))), folder, Crop(32), max_bad=0.2)
    return (folder / MANIFEST).read_bytes()


class TestPreparedHomes:
    @pytest.mark.parametrize("name", ["../../../victim/file", "/tmp/raysweep-victim", "../manifest.json"])
    def test_a_home_at_a_url_writes_no_file_elsewhere(self, prepared, tmp_path, name, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "file").write_text("mine")
        home = Home(f"file://{tmp_path}/store")
        values = json.loads(prepared)
        values["files"] = {name: {"bytes": 1, "sha256": DIGEST}}
        home.files.write(f"mine/32px/{MANIFEST}", json.dumps(values).encode())
        before = outside(tmp_path)
        with pytest.raises(UserError, match="is no file of a prepared set"):
            home.open("mine", 32)
        assert home.sizes("mine") == []
        assert outside(tmp_path) == before

    @pytest.mark.parametrize("content", NO_OBJECTS)
    def test_a_broken_manifest_hides_no_other_set(self, prepared, tmp_path, content, capsys):
        home = Home(tmp_path)
        home.files.write(f"good/32px/{MANIFEST}", prepared)
        home.files.write(f"bad/32px/{MANIFEST}", NO_OBJECTS[content])
        assert home.names() == ["good"]
        assert [found.name for found in home.everything()] == ["good"]
        assert capsys.readouterr().err.count("passed over") == 1
        with pytest.raises(UserError, match="no manifest of a prepared data set"):
            home.open("bad", 32)


class TestAddressesThatLookLikePatterns:
    """fsspec takes `*`, `?` and `[x]` in the address of a store for patterns, which match other stores, too."""

    @pytest.mark.parametrize("sign", ["*", "?", "[12]"])
    def test_other_stores_are_left_alone(self, place, sign):
        root, cache = place
        ours, theirs = (
            Store(f"{root}{end}", cache and cache.with_name(f"cache{number}")) for number, end in enumerate((sign, "1"))
        )
        for store in (ours, theirs):
            put(store)
            store.note_failure("f" * 64, {"cause": str(store.url)})
            store.note_failure("e" * 64, {"cause": str(store.url)})
        assert {ours.failure(key)["cause"] for key in ("e" * 64, "f" * 64)} == {str(ours.url)}
        assert ours.present([KEY]) == {KEY} == set(ours.keys())
        ours.drop(KEY)
        assert (ours.get(KEY), list(ours.keys())) == (None, [])
        assert theirs.get(KEY) is not None
        assert (theirs.folder(KEY) / "a.txt").read_text() == "ours"
        put(ours)
        assert (ours.folder(KEY) / "a.txt").read_text() == "ours"
