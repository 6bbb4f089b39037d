"""Prepared sets by name: where they are found, how they load, and the commands around them."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from raysweep.cli.data import main
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import FaceRecord
from raysweep.data.load import load_data
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.location import Home, home, home_place
from raysweep.data.prepare.manifest import FORMAT, IMAGES, LABELS, MANIFEST
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.writer import prepare_listing
from tests.data.prepare.listings import CLASSES, contents, listing, photograph, small_set


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


def store(place, tmp_path, name="rafdb", size=32, **fields):
    some = listing(tmp_path / "raw", iter(small_set(tmp_path / "raw")), **fields)
    manifest = prepare_listing(some, place.folder(name, size), Crop(size), max_bad=0.2)
    place.publish(name, size, manifest)
    return manifest


def test_a_prepared_set_loads_by_name(place, tmp_path):
    manifest = store(place, tmp_path, notes=("derived VA, no claim",))
    data = load_data(Data(source="rafdb", image_size=32))
    records = {r.path.name: r for r in small_set(tmp_path / "raw") if isinstance(r, FaceRecord)}
    mine = sorted((r for r in records.values() if r.path.exists()), key=lambda r: not r.expression)
    fingerprint = f"{manifest.fingerprint} with 4 of VA alone"
    assert (data.name, data.classes, data.fingerprint) == ("rafdb", CLASSES, fingerprint)
    assert data.images.shape == (24, 3, 32, 32)
    assert data.labels.tolist() == [CLASSES.index(r.expression) if r.expression else -1 for r in mine]
    assert np.array_equal(data.va.numpy(), np.float32([r.va for r in mine]), equal_nan=True)
    assert data.splits.tolist() == [{"train": TRAIN, "validation": VALIDATION, "test": TEST}[r.split] for r in mine]
    subjects = sorted({r.subject for r in records.values()} - {""})
    assert data.subjects.tolist() == [subjects.index(r.subject) if r.subject else -1 for r in mine]
    for votes, record in zip(data.votes, mine, strict=True):
        if record.votes and record.expression:
            assert votes.tolist() == pytest.approx([1 / 3, 2 / 3, 0])  # of the three classes
        else:
            assert votes.isnan().all()
    assert data.notes == (
        "derived VA, no claim",
        "2 of 26 rows or images could not be used and are left out (bad row 1, image missing 1)",
        *data.notes[2:],
    )
    assert data.notes[-1].startswith("images with valence and arousal but no expression: 2 training and 2 test; they")


def test_images_stay_on_disk_and_are_not_altered(place, tmp_path):
    store(place, tmp_path)
    folder = place.folder("rafdb", 32)
    before = contents(folder)
    data = read_prepared(folder, "rafdb")
    mapped = np.load(folder / IMAGES, mmap_mode="r")
    assert torch.equal(data.images, torch.from_numpy(mapped.copy()))
    start = data.images.data_ptr() - mapped.offset
    maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder / IMAGES) in line]
    assert any(int(line.split("-")[0], 16) == start for line in maps)
    data.images[0] = 0  # copied on write
    assert contents(folder) == before


def test_votes_for_none_of_the_classes_are_no_votes(place, tmp_path):
    path = photograph(tmp_path / "a.png", 1)
    votes = [0.0] * 8
    votes[EXPRESSIONS.index("contempt")] = 3.0
    records = [
        FaceRecord(path, "neutral", "1", votes=tuple(votes)),
        FaceRecord(path, "happiness", "2", votes=(2.0,) * 8),
    ]
    prepare_listing(listing(tmp_path, records), place.folder("two", 32), Crop(32))
    data = read_prepared(place.folder("two", 32), "two")
    assert data.votes[0].isnan().all()
    assert data.votes[1].tolist() == pytest.approx([1 / 3] * 3)


def test_what_is_not_prepared_says_what_to_type(place, tmp_path):
    with pytest.raises(UserError, match=r"rafdb is not prepared in .*home: prepare it with .*prepare rafdb PATH"):
        load_data(Data(source="rafdb", image_size=32))
    store(place, tmp_path)
    with pytest.raises(UserError, match=r"prepared at 32 px, but data.image_size is 64: set data.image_size=32, or"):
        load_data(Data(source="rafdb", image_size=64))
    store(place, tmp_path, name="lab-7")
    with pytest.raises(UserError, match="did you mean 'lab-7'"):
        load_data(Data(source="lab7", image_size=32))


def test_sets_with_valence_and_arousal_alone_cannot_be_classified(place, tmp_path):
    path = photograph(tmp_path / "a.png", 1)
    records = [FaceRecord(path, "", "1", va=(0.1, 0.2))]
    prepare_listing(listing(tmp_path, records), place.folder("va", 32), Crop(32))
    with pytest.raises(UserError, match="all 1 images have valence and arousal alone"):
        load_data(Data(source="va", image_size=32))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (IMAGES, lambda c: c[:300], "images.npy is broken"),
        (IMAGES, lambda c: b"", "images.npy is broken"),
        (LABELS, lambda c: c[:-9], "labels.parquet is broken"),
        (MANIFEST, lambda c: b"{}", "no manifest of a prepared data set"),
        (MANIFEST, lambda c: c.replace(b'"format": %d' % FORMAT.version, b'"format": 99'), "newer raysweep .format 99"),
    ],
)
def test_broken_stores_are_said_in_a_line(place, tmp_path, name, change, words):
    store(place, tmp_path)
    path = place.folder("rafdb", 32) / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=words):
        load_data(Data(source="rafdb", image_size=32))


def test_a_home_behind_a_url_is_copied_once(place, tmp_path, monkeypatch):
    url = f"file://{tmp_path}/bucket/faces"
    remote = Home(url)
    manifest = store(remote, tmp_path)
    assert set(contents(tmp_path / "bucket" / "faces" / "rafdb" / "32px")) == {MANIFEST, *manifest.files}
    here = remote.folder("rafdb", 32)
    assert here.is_relative_to(tmp_path / "caches" / "raysweep" / "data")
    other = tmp_path / "other"
    monkeypatch.setenv("XDG_CACHE_HOME", str(other))
    monkeypatch.setenv("RAYSWEEP_DATA", url)
    data = load_data(Data(source="rafdb", image_size=32))
    copy = home().folder("rafdb", 32)
    assert data.fingerprint == f"{manifest.fingerprint} with 4 of VA alone"
    assert contents(copy) == contents(here)
    stamp = (copy / IMAGES).stat().st_ino
    assert home().open("rafdb", 32) == copy
    assert (copy / IMAGES).stat().st_ino == stamp
    assert [(found.name, found.size) for found in home().everything()] == [("rafdb", 32)]
    (tmp_path / "bucket" / "faces" / "rafdb" / "32px" / IMAGES).write_bytes(b"other")
    (copy / MANIFEST).unlink()
    with pytest.raises(UserError, match="is not what its manifest says"):
        home().open("rafdb", 32)


def test_a_url_that_nobody_knows(monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", "nosuch://bucket")
    with pytest.raises(UserError, match="RAYSWEEP_DATA nosuch://bucket: fsspec cannot open"):
        home()


def class_folder(root, count=12):
    for split in ("train", "test"):
        for k, name in enumerate(("Happy", "neutral", "Sad")):
            for i in range(count):
                photograph(root / split / name / f"{i}.jpg", 100 * k + i)
    return root


def run(capsys, *words):
    code = main([str(word) for word in words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_from_a_folder_to_figures_on_the_command_line(place, tmp_path, capsys):
    root = class_folder(tmp_path / "lab faces")
    assert run(capsys, "list")[1].startswith("nothing is prepared in ")
    parts = ["prepare", root, "--size", "48", "--workers", "1", "--as", "lab"]
    code, out, _ = run(capsys, *parts)
    assert code == 0
    assert "lab: 72 images, 48 px" in out
    assert "already prepared: nothing to do" not in out
    assert "already prepared: nothing to do" in run(capsys, *parts)[1]
    run(capsys, "prepare", "folder", root, "--size", "32", "--workers", "1", "--as", "lab")
    (place.local / "lab" / ".64px.part").mkdir()
    lines = run(capsys, "list")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [["lab", "32"], ["lab", "48"], ["lab", "64"]]
    assert "unfinished" in lines[2]
    code, out, _ = run(capsys, "stats", "lab", "--size", "48")
    assert code == 0
    assert [line.split() for line in out.splitlines() if line.startswith("happiness")] == [
        ["happiness", "12", "0", "12"]
    ]
    assert run(capsys, "stats", place.folder("lab", 32))[1].startswith("lab (lab faces): 72 images")
    code, out, _ = run(capsys, "show", "lab", "--out", tmp_path / "lab.png")
    assert "lab: 72 images, 3 expressions, 48 px" in out
    assert (tmp_path / "lab.png").read_bytes().startswith(b"\x89PNG")
    assert run(capsys, "check", "lab")[1].count("intact") == 2
    images = place.folder("lab", 48) / IMAGES
    images.write_bytes(images.read_bytes()[:-1] + b"\x00\x00")
    assert "lab is prepared at 32, 48 px, but --size is 64" in run(capsys, "show", "lab", "--size", "64")[2]
    code, _, err = run(capsys, "check", "lab")
    assert code == 2
    assert f"{images}: " in err


def test_published_numbers_stand_beside_ours(place, tmp_path, capsys):
    published = {"counts": {"neutral": 7, "happiness": 9, "sadness": 5}, "means": {"neutral": (-0.1, 0.25)}}
    store(place, tmp_path, **published)
    out = run(capsys, "stats", "rafdb")[1].splitlines()
    assert next(line for line in out if line.startswith("neutral")).split() == ["neutral", "8", "0", "0", "7", "+1"]
    moments = [line for line in out if line.startswith("neutral")][1].split()
    assert moments[-2:] == ["-0.100", "0.250"]
    assert all(math.isfinite(float(number)) for number in moments[1:])
    assert any(line.startswith("(VA alone)") for line in out)
    code, out, _ = run(capsys, "show", "rafdb", "--size", "32", "--out", tmp_path / "r.png")
    assert code == 0
    assert (tmp_path / "r-plane.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "rafbd", "."], "did you mean 'rafdb'"),
        (["prepare", "rafdb"], "prepare rafdb needs the path of"),
        (["prepare", "nowhere"], "no such file or folder"),
        (["prepare", "empty"], "no reader recognises this layout"),
        (["prepare", "a", "b", "c"], "expects [NAME] PATH"),
        (["prepare", "folder", "lab", "--size", "16"], "`32 <= --size <= 512` must hold, but got 16"),
        (["prepare", "folder", "lab", "--workers", "0"], "`--workers >= 1` must hold"),
        (["prepare", "folder", "lab", "--max-bad", "2"], "`0 <= --max-bad <= 1` must hold"),
        (["prepare", "folder", "lab", "--margin", "-1"], "`0 <= --margin <= 1` must hold"),
        (["prepare", "folder", "lab", "--option", "x"], "--option expects K=V"),
        (["prepare", "folder", "lab", "--as", "faces"], "built-in data set"),
        (["prepare", "folder", "lab", "--as", "../x"], "cannot name a prepared set"),
        (["prepare", "folder", "empty"], "empty"),
        (["check", "rafbd"], "is not prepared, and nothing is in"),
        (["stats", "none"], "is not prepared, and nothing is in"),
        (["show", "rafdb", "--size", "32"], "rafdb is not prepared"),
        (["show", "rafdb", "--size", "8"], "`32 <= --size <= 512` must hold"),
    ],
)
def test_mistakes_are_answered_in_a_line_and_leave_nothing(place, tmp_path, capsys, words, message):
    (tmp_path / "empty").mkdir()
    class_folder(tmp_path / "lab", 1)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("raysweep: ")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "home").exists()


def test_the_home_can_stand_in_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv("RAYSWEEP_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert home_place() == str(tmp_path / ".raysweep" / "prepared")
    file = tmp_path / "raysweep.toml"
    for place, expected in (
        ("/data/prepared", "/data/prepared"),
        ("../shared", str(tmp_path / "../shared")),
        ("~/faces", str(Path.home() / "faces")),
        ("s3://bucket/faces", "s3://bucket/faces"),
    ):
        file.write_text(f'data = "{place}"\n')
        assert home_place() == expected
    monkeypatch.setenv("RAYSWEEP_DATA", "/elsewhere")
    assert home_place() == "/elsewhere"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('date = "/data"', r"unknown setting 'date': did you mean 'data'\? \(in .*raysweep.toml\)"),
        ("data = 3", "`data` must be a folder or a URL in quotes, but got 3"),
        ('data = ""', "`data` must be a folder or a URL in quotes, but got ''"),
        ("data = /data", "raysweep.toml cannot be read: Invalid value"),
    ],
)
def test_a_file_that_says_something_else(tmp_path, monkeypatch, capsys, text, words):
    monkeypatch.delenv("RAYSWEEP_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raysweep.toml").write_text(text)
    with pytest.raises(UserError, match=words):
        home_place()
    assert run(capsys, "list")[0] == 2


@pytest.mark.parametrize(
    "words",
    [*(pytest.param(words, marks=pytest.mark.full) for words in ("list", "stats lab")), "show lab --out lab.png"],
)
def test_whoever_reads_may_have_read_enough(place, tmp_path, words):
    """`| head -1`, and one that reads nothing at all."""
    root = class_folder(tmp_path / "lab faces")
    assert main(["prepare", str(root), "--size", "48", "--workers", "1", "--as", "lab"]) == 0
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "raysweep.data", *words.split()]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
