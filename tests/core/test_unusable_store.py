"""Stores that are read-only, went away or break: one sentence, before training where possible, no cell blamed."""

import errno
import os
import subprocess

import pytest

from raysweep.cli.report import main as report
from raysweep.cli.run import main as run
from raysweep.engine.messages import Failed, Unusable
from raysweep.engine.worker import trouble
from raysweep.maintenance import status
from raysweep.store.leases import Leases
from raysweep.store.store import Store, StoreUnusable
from raysweep.store.unusable import GONE, described, is_unusable, reading, why_unwritable, writing

KEY = "ab" * 32


def mount(place, *words):
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount(place, "-t", "tmpfs", "-o", "size=2m", "none")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def freeze(place):
    mount(place, "-o", "remount,ro")


def put(store, key=KEY):
    store.put(key, lambda folder: (folder / "a.txt").write_text("x"), {})


WRITES = {
    "put": put,
    "checkpoint": lambda store: store.save_partial(KEY, "fit.pt", lambda path: path.write_bytes(b"x")),
    "failure": lambda store: store.note_failure(KEY, {"cause": "x"}),
    "forget": lambda store: store.forget_failure("cd" * 32),
    "mark": lambda store: store.files.write("raysweep.json", b"{}"),
    "lease": lambda store: Leases(store, "launch").take([KEY]),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_read_only_store_is_said_whatever_writes(disk, write):
    store = Store(disk / "store")
    put(store, "ef" * 32)
    store.note_failure("cd" * 32, {"cause": "x"})
    freeze(disk)
    with pytest.raises(
        StoreUnusable, match=r"the store cannot be written: .*Read-only file system.*run the same command again"
    ):
        WRITES[write](store)
    assert store.get("ef" * 32) is not None
    assert status(store).products == 1


@pytest.mark.parametrize("words", [["run", "--plan"], ["run"]])
def test_a_read_only_store_is_said_before_training(disk, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    freeze(disk)
    code = run(["ablation_alpha", "--preset", "smoke", "--store", str(disk / "store"), *words[1:]])
    said = capsys.readouterr().err
    assert "the store cannot be written" in said
    assert "read-only file system" in said
    assert code == (0 if "--plan" in words else 2)
    assert "Traceback" not in said


@pytest.mark.parametrize("out", ["file", "below a file", "read-only"])
def test_a_report_that_cannot_be_written_is_said_before_training(disk, out, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    place = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "deep", "read-only": disk / "reports"}[out]
    freeze(disk)
    assert run(["ablation_alpha", "--preset", "smoke", "--out", str(place)]) == 2
    assert "the report cannot be written" in capsys.readouterr().err


def test_a_store_that_is_removed_in_the_midst(tmp_path):
    store = Store(tmp_path / "store")
    put(store)

    def write(folder):
        (folder / "a.txt").write_text("x")
        os.rename(store.local, tmp_path / "elsewhere")

    with pytest.raises(StoreUnusable, match=r"cannot be written: .*No such file"):
        store.put("cd" * 32, write, {})
    assert store.get(KEY) is None  # nothing there, and no error


def raise_it(fault, wrapped):
    if wrapped:
        raise RuntimeError("of a library") from fault
    raise fault


@pytest.mark.parametrize("number", sorted(GONE))
def test_whatever_a_share_says_that_went_away(tmp_path, number):
    """EIO, ESTALE, EROFS and their like, in any step of a write or a read, also inside what a library raised."""
    for name in (None, str(tmp_path / "stages" / "x")):
        for wrapped in (False, True):
            fault = OSError(number, os.strerror(number), name)
            with pytest.raises(StoreUnusable, match="the store cannot be written") as error, writing(tmp_path):
                raise_it(fault, wrapped)
            assert "\n" not in str(error.value)
    if number != errno.ENOTDIR:  # something else in the place of a folder: nothing is in it
        with pytest.raises(StoreUnusable, match="the store cannot be read"), reading(tmp_path):
            raise OSError(number, os.strerror(number))
    assert isinstance(trouble(OSError(number, os.strerror(number), "/data/images.npy")), Unusable)


@pytest.mark.parametrize("error", [
    OSError(errno.EACCES, "denied", "/somewhere/else"), ValueError("x"), KeyError("x"), RuntimeError("x"),
    FileNotFoundError(errno.ENOENT, "no", "/somewhere/else"), OSError(errno.EEXIST, "there"),
])  # fmt: skip
def test_what_is_no_fault_of_the_store_stays_what_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, writing(tmp_path):
        raise error
    assert caught.value is error


def test_faults_of_a_cell_are_noted_on_it():
    for error in (ValueError("NaN"), RuntimeError("out of memory"), OSError(errno.ENOENT, "no such file")):
        assert isinstance(trouble(error), Failed)
        assert not is_unusable(error)


def test_why_nothing_can_be_written(tmp_path, disk):
    (tmp_path / "file").write_text("x")
    assert why_unwritable(tmp_path / "not" / "there" / "yet") == ""
    assert why_unwritable(tmp_path / "file") == f"{tmp_path / 'file'} is no folder"
    freeze(disk)
    assert "read-only file system" in why_unwritable(disk / "deep")


def test_the_report_command_on_a_folder_that_cannot_be_written(disk, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("raysweep.cli.report._write", lambda asked: (disk / "x").mkdir())
    freeze(disk)
    assert report(["ablation_alpha"]) == 1
    assert "the report cannot be written" in capsys.readouterr().err


def test_numpys_short_write_is_a_full_disk(tmp_path):
    """numpy raises OSError without a number when a disk becomes full within an array."""
    error = OSError("1277952 requested and 262016 written")
    assert is_unusable(error)
    assert described(error).startswith("no room left on the disk")
    with pytest.raises(StoreUnusable, match="disk is full"), writing(tmp_path):
        raise error
    assert not is_unusable(OSError("12 requested"))
