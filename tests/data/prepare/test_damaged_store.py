"""A prepared set whose files were altered is refused in one line, before anything wrong reaches training."""

import contextlib
import hashlib
import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.core.errors import UserError
from raysweep.data.cache import load_packed, save_packed
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.manifest import IMAGES, LABELS, MANIFEST, read_manifest
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.verify import find_fault
from raysweep.data.prepare.writer import prepare_listing
from tests.data.prepare.listings import listing, small_set
from tests.data.readers.fuzz.contract import check_faces


@pytest.fixture
def store(tmp_path):
    raw, folder = tmp_path / "raw", tmp_path / "store"
    prepare_listing(listing(raw, iter(small_set(raw))), folder, Crop(32), max_bad=0.2)
    return folder


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        read_prepared(folder, "small")
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def reseal(folder, name):
    """Whoever altered a file has put its checksum into the manifest, too."""
    values = json.loads((folder / MANIFEST).read_text())
    content = (folder / name).read_bytes()
    values["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(values))


def column(name, make):
    def change(table):
        return table.set_column(table.column_names.index(name), name, make(len(table)))

    return change


def float_lists(row):
    return lambda count: pa.array([row] * count, pa.list_(pa.float32()))


CHANGES = {
    "expression is int64 instead of int8": column("expression", lambda n: pa.array([0] * n)),
    "expression is empty in 24 rows": column("expression", lambda n: pa.nulls(n, pa.int8())),
    "an expression that is none of the 3 classes": column("expression", lambda n: pa.array([3] * n, pa.int8())),
    "a split that is none of": column("split", lambda n: pa.array([-1] * n, pa.int8())),
    "valence or arousal outside": column("valence", lambda n: pa.array([1.5] * n, pa.float32())),
    "subject is empty in 24 rows": column("subject", lambda n: pa.nulls(n, pa.string())),
    "votes that are not 8 numbers": column("votes", float_lists([1.0] * 7)),
    "votes that are no numbers": column("votes", float_lists([None] * 8)),
    "votes that are no numbers from 0": column("votes", float_lists([-1.0] * 8)),
    "votes is list<element: double>": column("votes", lambda n: pa.array([[1.0] * 8] * n)),
    "12 rows instead of 24": lambda table: table.slice(0, 12),
    "48 rows instead of 24": lambda table: pa.concat_tables([table, table]),
    "is broken": lambda table: table.drop_columns(["votes"]),
}


@pytest.mark.parametrize("words", CHANGES)
def test_labels_that_say_something_else(store, words):
    pq.write_table(CHANGES[words](pq.read_table(store / LABELS)), store / LABELS)
    assert "its content is not what was prepared" in refused(store)
    reseal(store, LABELS)
    message = refused(store)
    assert words in message
    assert f"{store / LABELS} is broken (" in message
    assert "prepare it again" in message


def test_labels_of_missing_votes_are_none(store):
    table = pq.read_table(store / LABELS)
    pq.write_table(column("votes", lambda n: pa.nulls(n, pa.list_(pa.float32())))(table), store / LABELS)
    reseal(store, LABELS)
    assert read_prepared(store, "small").votes.isnan().all()


def test_labels_with_bytes_that_differ(store):
    whole = (store / LABELS).read_bytes()
    for start in range(0, len(whole), 97):
        (store / LABELS).write_bytes(
            whole[:start] + bytes(byte ^ 0x5A for byte in whole[start : start + 40]) + whole[start + 40 :]
        )
        reseal(store, LABELS)
        with contextlib.suppress(UserError):
            check_faces(read_prepared(store, "small"))


def archive_of_arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=np.zeros(3, np.uint8))
    return stream.getvalue()


ODD_ARRAYS = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[:500],
    "no header": lambda whole: b"\0" * len(whole),
    "a header that does not end": lambda whole: whole.replace(b"}", b" ", 1),
    "a header with zero bytes": lambda whole: whole[:20] + b"\0\0" + whole[22:],
    "another shape, as Python 2 wrote it": lambda whole: whole.replace(b"(24, 3, 32, 32)", b"(24L,3, 32, 31)", 1),
    "another shape": lambda whole: whole.replace(b"(24, ", b"(23, ", 1),
    "far too large": lambda whole: whole.replace(b"(24, 3, 32, 32)", b"(24, 3, 2**40,)", 1),
    "an archive": lambda whole: archive_of_arrays(),
    "the beginning of an archive": lambda whole: b"PK\x03\x04" + whole[4:],
}


@pytest.mark.parametrize("odd", ODD_ARRAYS)
def test_images_that_are_no_such_array(store, odd):
    manifest = read_manifest(store)
    (store / IMAGES).write_bytes(ODD_ARRAYS[odd]((store / IMAGES).read_bytes()))
    assert f"{store / IMAGES} is broken (" in refused(store)
    reseal(store, IMAGES)
    assert f"{store / IMAGES} is broken (" in refused(store)
    assert str(store / IMAGES) in (find_fault(store, manifest) or "")


def zero(path):
    with path.open("r+b") as stream:  # as a disk that lost blocks leaves it: the header and the length are right
        stream.seek(200)
        stream.write(b"\0" * (path.stat().st_size - 200))


def flip(path):
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # with the old time


def swap(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-1] + b"\7")
    os.replace(other, path)


@pytest.mark.parametrize("name", [IMAGES, LABELS])
@pytest.mark.parametrize("harm", [zero, flip, swap])
@pytest.mark.parametrize("read_before", [True, False])
def test_content_that_was_altered_is_never_trained_on(store, harm, name, read_before):
    """Also where the set was read, and verified, on this machine before."""
    if read_before:
        read_prepared(store, "small")
    harm(store / name)
    assert f"{store / name} is broken (its content is not what was prepared)" in refused(store)


def test_a_set_is_checksummed_once_a_machine(store, monkeypatch):
    read_prepared(store, "small")
    monkeypatch.setattr("raysweep.store.verified.file_checksum", lambda path: pytest.fail(f"{path} is read again"))
    read_prepared(store, "small")
    assert len(refused_again(store, monkeypatch)) == 1


def refused_again(store, monkeypatch):
    """What is read again after one file was touched."""
    seen = []
    monkeypatch.setattr("raysweep.store.verified.file_checksum", lambda path: seen.append(path.name) or "?")
    os.utime(store / IMAGES)
    with pytest.raises(UserError):
        read_prepared(store, "small")
    return seen


@pytest.mark.parametrize("names", [["../../x"], ["/etc/passwd"], ["images.npy", "more.npy"], [""]])
def test_a_manifest_that_names_other_files(store, names):
    values = json.loads((store / MANIFEST).read_text())
    values["files"] |= {name: {"bytes": 1, "sha256": "0" * 64} for name in names}
    (store / MANIFEST).write_text(json.dumps(values))
    assert "is no file of a prepared set" in refused(store)


@pytest.mark.parametrize("file", [{"bytes": -1, "sha256": "0" * 64}, {"bytes": 1, "sha256": "../x"}, "x", None])
def test_a_manifest_with_odd_checksums(store, file):
    values = json.loads((store / MANIFEST).read_text())
    values["files"][IMAGES] = file
    (store / MANIFEST).write_text(json.dumps(values))
    assert "no manifest of a prepared data set (files.images.npy" in refused(store)


def test_a_manifest_that_cannot_be_opened(store):
    (store / MANIFEST).unlink()
    (store / MANIFEST).symlink_to(MANIFEST)
    with pytest.raises(UserError, match=r"manifest.json: Too many levels of symbolic links"):
        read_manifest(store)


def cut_json(folder):
    (folder / "data.json").write_text("{")


def rewrite(**fields):
    def harm(folder):
        values = json.loads((folder / "data.json").read_text())
        (folder / "data.json").write_text(json.dumps({**values, **fields}))

    return harm


def no_checksums(folder):
    values = json.loads((folder / "data.json").read_text())
    del values["files"]
    (folder / "data.json").write_text(json.dumps(values))


HARMS = {
    "zeroed images": lambda folder: zero(folder / "images.npy"),
    "one label": lambda folder: flip(folder / "labels.npy"),
    "no header": lambda folder: (folder / "labels.npy").write_bytes(b""),
    "a file is gone": lambda folder: (folder / "va.npy").unlink(),
    "half of data.json": cut_json,
    "{}": lambda folder: (folder / "data.json").write_text("{}"),
    "NULs": lambda folder: (folder / "data.json").write_bytes(b"\0" * 100),
    "no text": lambda folder: (folder / "data.json").write_bytes(b"\xff\xfe{}"),
    "deeply nested": lambda folder: (folder / "data.json").write_text("[" * 100_000),
    "other classes": rewrite(classes="abc"),
    "no files": rewrite(files={}),
    "a file elsewhere": rewrite(files={"../x": "0" * 64}),
    "of before there were checksums": no_checksums,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_cache_of_drawn_faces_is_made_anew(store, tmp_path, harm, capsys):
    """`load_packed` says None for a folder that is not what was written, and `save_packed` replaces it."""
    data, folder = read_prepared(store, "small"), tmp_path / "packed"
    save_packed(data, folder)
    assert load_packed(folder) is not None
    HARMS[harm](folder)
    assert load_packed(folder) is None
    assert f"passed over {folder}" in capsys.readouterr().err
    save_packed(data, folder)
    assert (load_packed(folder).images == data.images).all()
