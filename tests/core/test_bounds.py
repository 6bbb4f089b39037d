"""Small files that ask for much memory, and damaged ones: refused before anything is allocated."""

import gzip
import io
import json
import random
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.artifacts.predictions import ImagePredictions, ValidationPredictions
from raysweep.cli.data import main as data
from raysweep.core.bounds import read_npz, unzipped
from raysweep.study.launch_record import BadRecord, LaunchRecord

MEGABYTE = 1_000_000


def npz(**arrays):
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def peak(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(action, *words):
    with pytest.raises(ValueError, match=r"\w"):
        action(*words)


arrays = st.dictionaries(
    st.text(st.sampled_from("abc_"), min_size=1, max_size=4),
    st.sampled_from([np.arange(6.0).reshape(2, 3), np.zeros(0), np.array(3), np.array([True]),
                     np.asfortranarray(np.eye(3)),
                     np.array(["a", "bc"]), np.arange(4, dtype=">i2"), np.zeros((0, 2), np.float32)]),
    max_size=4,
)  # fmt: skip


@given(arrays)
def test_what_numpy_writes_is_read(arrays):
    found = read_npz(npz(**arrays))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable


def bomb(header):
    """An archive with one member whose header claims more than there is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        head = header.encode("latin1")
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * 64)
    return out.getvalue()


CLAIMS = ["{'descr': '<f8', 'fortran_order': False, 'shape': (400000000,), }\n",
          f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 40}, {1 << 40}), }}\n",
          "{'descr': '|O', 'fortran_order': False, 'shape': (8,), }\n",
          "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n",
          "{'descr': '<U100000000', 'fortran_order': False, 'shape': (9,), }\n", "{" * 5000, "1" * 5000]  # fmt: skip


@pytest.mark.parametrize("header", CLAIMS)
def test_a_header_that_claims_more_than_there_is(header):
    with pytest.raises(ValueError, match="no archive of arrays"):
        read_npz(bomb(header))
    assert peak(lambda: refused(read_npz, bomb(header))) < 50 * MEGABYTE


def test_an_archive_that_unpacks_to_gigabytes():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * (64 * MEGABYTE))
    content = out.getvalue()
    assert len(content) < MEGABYTE
    assert peak(lambda: refused(read_npz, content, 50 * MEGABYTE)) < 20 * MEGABYTE


def test_a_record_that_unpacks_to_gigabytes():
    """A quarter of a gibibyte of spaces in a quarter of a megabyte."""
    packer = zlib.compressobj(9, wbits=31)
    content = b"".join([*(packer.compress(b" " * MEGABYTE) for _ in range(250)), packer.flush()])
    assert len(content) < 2 * MEGABYTE
    with pytest.raises(BadRecord, match="longer than"):
        LaunchRecord.unpacked(content, "studies/a/b.json.gz")
    assert peak(lambda: refused(unzipped, content, 10 * MEGABYTE)) < 25 * MEGABYTE


@given(st.binary(max_size=2000), st.integers(1, 3000))
def test_unzipped_is_gzip_within_the_limit(content, most):
    packed = gzip.compress(content, mtime=0)
    if len(content) < most:
        assert unzipped(packed, most) == content
    elif len(content) > most:
        with pytest.raises(ValueError, match="longer"):
            unzipped(packed, most)
    with pytest.raises(ValueError, match="cut off"):
        unzipped(packed[:-4], most + len(content) + 1)


@pytest.mark.parametrize(("name", "words"), [
    ("a.png", []), ("a.tif", ["--list"]), ("a.bmp", []),
])  # fmt: skip
def test_a_picture_of_absurd_size_is_no_picture_whichever_way_it_comes(name, words, tmp_path, capsys, monkeypatch):
    """169 megapixels in a few kilobytes, as a folder and as a list."""
    monkeypatch.chdir(tmp_path)
    for folder in ("happy", "sad"):
        for i in range(3):
            place = tmp_path / "set" / folder / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((40, 40), 60 + i).convert("RGB").save(place)
    kind = "1" if name != "a.bmp" else "L"
    size = (13_000, 13_000) if name != "a.bmp" else (13_000, 8_000)
    Image.new(kind, size).save(tmp_path / "set" / "happy" / name)
    if words:
        lines = [f"set/{f}/{i}.png,{f}" for f in ("happy", "sad") for i in range(3)]
        (tmp_path / "l.csv").write_text("\n".join(["path,expression", f"set/happy/{name},happy", *lines]))
    code = data(["show", "l.csv" if words else "set"])
    said = capsys.readouterr()
    assert "image unreadable: 1" in said.out + said.err or code == 2
    assert "exceeds limit" in said.out + said.err or "DecompressionBomb" in said.out + said.err


N, K = 12, 3


def attention(**changes):
    whole = {
        "rows": np.arange(N), "labels": np.arange(N) % K,
        "maps": np.random.default_rng(0).random((N, 4, 4), np.float32),
        "probs": np.full((N, K), 1 / K, np.float32), "shown": np.arange(2), "pixels": np.zeros((2, 8, 8, 3), np.uint8),
    }  # fmt: skip
    return npz(**{name: value for name, value in {**whole, **changes}.items() if value is not None})


def adapted(**changes):
    whole = {"target_labels": np.arange(N) % K, "target_va": np.zeros((N, 2), np.float32),
             "extra_selected": np.ones(5, bool), "extra_labels_given": np.zeros(5, np.int64),
             "extra_va_given": np.zeros((5, 2), np.float32)}  # fmt: skip
    return npz(**{name: value for name, value in {**whole, **changes}.items() if value is not None})


def predictions(**changes):
    whole = {"rows": np.arange(N), "probs": np.full((N, K), 1 / K, np.float32), "affect": np.zeros((N, 2), np.float32),
             "labels": np.arange(N) % K, "va": np.zeros((N, 2), np.float32)}  # fmt: skip
    return npz(**{name: value for name, value in {**whole, **changes}.items() if value is not None})


def faces(**changes):
    part = {"pixels": np.zeros((K, 8, 8, 3), np.uint8), "labels_true": np.arange(K), "labels": np.arange(K),
            "va": np.zeros((K, 2), np.float32), "mixed": np.full((K, K), 1 / K, np.float32),
            "fused": np.eye(K, dtype=np.float32)}  # fmt: skip
    extra = {"extra_pixels": np.zeros((2, 8, 8, 3), np.uint8), "extra_labels_given": np.arange(2),
             "extra_labels_new": np.arange(2), "extra_va_given": np.zeros((2, 2), np.float32),
             "extra_va_new": np.zeros((2, 2), np.float32)}  # fmt: skip
    gaussians = {"priors": np.full(K, 1 / K), "means": np.zeros((K, 2)), "covariances": np.zeros((K, 2, 2))}
    whole = {**part, **extra, **gaussians}
    return npz(**{name: value for name, value in {**whole, **changes}.items() if value is not None})


READERS = {
    "faces": (faces, LabelledFaces),
    "validation": (predictions, ValidationPredictions),
    "attention": (attention, AttentionMaps),
    "labels": (adapted, AdaptedLabels),
    "predictions": (predictions, ImagePredictions),
}
ODD = [None, np.zeros(0), np.zeros((2, 2, 2)), np.array(1), np.array(["a"]), np.arange(N - 1), np.zeros((N, 7))]


def read(kind, content, tmp_path):
    (tmp_path / "x.npz").write_bytes(content)
    return READERS[kind][1].read(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", READERS)
def test_arrays_of_another_shape_are_refused(kind, tmp_path):
    make = READERS[kind][0]
    read(kind, make(), tmp_path)
    with np.load(io.BytesIO(make())) as whole:
        names = list(whole)
    for name in names:
        for odd in ODD[1:] if kind == "labels" else ODD:
            if name == "probs" and odd is ODD[-1]:
                continue  # seven classes
            with pytest.raises((ValueError, KeyError)):
                read(kind, make(**{name: odd}), tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_what_is_written_is_read_again_and_other_names_are_passed_over(kind, tmp_path):
    first = read(kind, READERS[kind][0](from_a_later_version=np.arange(3)), tmp_path)
    first.write(tmp_path)
    again = type(first).read((tmp_path / first.FILE).read_bytes())
    assert "from_a_later_version" not in first.arrays()
    assert first.arrays().keys() == again.arrays().keys()
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in first.arrays().items())


@pytest.mark.parametrize(
    ("kind", "name"),
    [("attention", "maps"), ("predictions", "rows"), ("predictions", "va"), ("faces", "fused"), ("faces", "means")],
)
def test_the_absent_array_is_named(kind, name, tmp_path):
    with pytest.raises(ValueError, match=f"^{name} is missing$"):
        read(kind, READERS[kind][0](**{name: None}), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\0" * 100, b"{}", npz(), gzip.compress(b"x", mtime=0)])
@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_archive_is_refused(kind, content, tmp_path):
    if kind in ("labels", "faces") and content == npz():
        return  # a cell without any
    with pytest.raises((ValueError, KeyError)):
        read(kind, content, tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_flipped_bytes_are_read_or_refused(kind, tmp_path):
    whole, draw = READERS[kind][0](), random.Random(1)
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 3, 20])):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        try:
            read(kind, bytes(content[: draw.choice([len(content), draw.randrange(len(content))])]), tmp_path)
        except (ValueError, KeyError):
            continue


def test_json_of_a_record_is_no_bomb_either():
    with pytest.raises(BadRecord):
        LaunchRecord.unpacked(gzip.compress(json.dumps({"study": "a" * 1000}).encode()), "studies/a/b.json.gz")


def test_readers_withstand_a_moment_of_fuzzing():
    """Longer: python -m tests.core.fuzz_readers --seconds 600."""
    from tests.core.fuzz_readers import fuzz

    assert fuzz(steps=150).total() == 150
