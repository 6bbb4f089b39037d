"""Whether a machine has the same data set, without reading images."""

import json
from dataclasses import replace

import pytest

from raysweep.core.errors import UserError
from raysweep.data.__main__ import main as prepare
from raysweep.data.set_content import content_of
from tests.own_sets import write_set

COUNTS = dict.fromkeys(("neutral", "happiness", "fear", "surprise"), 4)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A prepared set "mine" at 32 px; gives the data home."""
    home = tmp_path / "home"
    monkeypatch.setenv("RAYSWEEP_DATA", str(home))
    table = write_set(tmp_path, "mine", {"train": COUNTS, "test": COUNTS}, va=True)
    assert prepare(["prepare", "csv", str(table), "--as", "mine", "--size", "32"]) == 0
    return home


def test_a_prepared_set(prepared):
    found = content_of("mine", 32)
    assert found.about == "32 images prepared at 32 px"
    assert found.content == json.loads((prepared / "mine" / "32px" / "manifest.json").read_text())["fingerprint"]
    found.check_here()


def test_another_size_is_said_with_the_command(prepared):
    with pytest.raises(UserError, match=r"mine is prepared at 32 px, but data.image_size is 64: .*--size 64"):
        content_of("mine", 64)


def test_another_set_of_that_name(prepared):
    with pytest.raises(UserError, match="its mine is another data set than the launch's"):
        replace(content_of("mine", 32), content="0" * 16).check_here()


def test_a_copy_that_was_cut_short(prepared):
    images = prepared / "mine" / "32px" / "images.npy"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"images\.npy has .* bytes instead of .*: copy it there again"):
        content_of("mine", 32)


def test_not_prepared_here(prepared):
    there = content_of("mine", 32)
    (prepared / "mine" / "32px" / "manifest.json").unlink()
    with pytest.raises(UserError, match="mine"):
        there.check_here()


def test_a_list_and_a_folder_by_path(tmp_path):
    table = write_set(tmp_path, "own", {"train": COUNTS}, va=True)
    before = content_of(str(table), 32)
    table.write_text(table.read_text() + "\n")
    with pytest.raises(UserError, match="another data set"):
        before.check_here()
    folder = tmp_path / "faces_by_class"
    for name in ("happiness/1.png", "fear/2.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"")
    whole = content_of(str(folder), 32)
    assert whole.about == "a folder of 2 files"
    (folder / "fear" / "2.png").unlink()
    with pytest.raises(UserError, match=r"another data set .*\(a folder of 1 file there, a folder of 2 files here\)"):
        whole.check_here()


def test_drawn_faces_need_nothing():
    assert content_of("faces", 64).content == ""
