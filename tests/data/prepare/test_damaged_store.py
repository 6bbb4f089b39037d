"""A prepared set whose files were altered is refused in one line, before anything wrong reaches training."""

import contextlib
import io

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
    message = refused(store)
    assert words in message
    assert f"{store / LABELS} is broken (" in message
    assert "prepare it anew" in message


def test_labels_of_missing_votes_are_none(store):
    table = pq.read_table(store / LABELS)
    pq.write_table(column("votes", lambda n: pa.nulls(n, pa.list_(pa.float32())))(table), store / LABELS)
    assert read_prepared(store, "small").votes.isnan().all()


def test_labels_with_bytes_that_differ(store):
    whole = (store / LABELS).read_bytes()
    for start in range(0, len(whole), 97):
        (store / LABELS).write_bytes(
            whole[:start] + bytes(byte ^ 0x5A for byte in whole[start : start + 40]) + whole[start + 40 :]
        )
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
    assert str(store / IMAGES) in (find_fault(store, manifest) or "")


def test_a_manifest_that_cannot_be_opened(store):
    (store / MANIFEST).unlink()
    (store / MANIFEST).symlink_to(MANIFEST)
    with pytest.raises(UserError, match=r"manifest.json: Too many levels of symbolic links"):
        read_manifest(store)


def test_a_damaged_cache_of_photographs_is_made_anew(store, tmp_path):
    """`load_packed` says None for a folder that is not what was written."""
    save_packed(read_prepared(store, "small"), tmp_path / "packed")
    assert load_packed(tmp_path / "packed") is not None
    labels = tmp_path / "packed" / "labels.npy"
    labels.write_bytes(labels.read_bytes().replace(b"}", b" ", 1))
    assert load_packed(tmp_path / "packed") is None
