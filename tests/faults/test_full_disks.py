"""Drill 6: the disk is full, of the store alone or of everything; with room again the same command goes on."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from raysweep.store.store import Store
from tests.faults import small_study
from tests.faults.launches import Launch, epochs_told, run
from tests.faults.records import assert_same, outcome
from tests.faults.small_study import STUDY, WORDS
from tests.faults.stores import products

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, 14 MB: the small study needs about twice as much."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=14m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_room(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Write a file until nothing more fits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(os.urandom(size))
    return ballast


def reasons(text: str) -> list[str]:
    """What a launch says of why it ended early."""
    return [line for line in text.splitlines() if line.startswith("stopped: ")]


def test_a_store_without_room(disk, fresh, reference):
    parts = (*WORDS, "--store", str(disk / "store"))
    full = run(fresh, *parts, code=1)
    assert "Traceback" not in full.text, full.text
    assert len(reasons(full.text)) == 1, full.text
    assert "room" in reasons(full.text)[0]
    store = Store(disk / "store")
    products(store)  # none is broken
    assert not list((disk / "store" / "drafts").glob("*"))
    assert "failed" not in {cell.state for cell in outcome(fresh, STUDY).values()}  # nothing is wrong with the cells
    make_room(disk)
    run(fresh, *parts)
    assert_same(outcome(fresh, STUDY), reference.cells)


def test_a_disk_that_fills_up_below_everything(disk, tmp_path, template, reference):
    """Store, journal, MLflow's database and the report lie on it."""
    make_room(disk)
    folder = small_study.prepare(disk / "work", template, reference)
    with Launch(folder, *WORDS, said=tmp_path) as launch:
        launch.wait_for("epochs", lambda: epochs_told(folder) >= 3)
        ballast = fill(disk)
        full = launch.end(code=None)
    ballast.unlink()
    assert full.code == 1, full.text
    assert "Traceback" not in full.text, full.text
    assert len(reasons(full.text)) == 1, full.text
    assert "room" in reasons(full.text)[0]
    products(Store(folder / ".raysweep"))  # none is broken
    run(folder, *WORDS)
    assert_same(outcome(folder, STUDY), reference.cells)


def test_a_disk_that_is_full_from_the_start(disk, template, reference):
    make_room(disk)
    folder = small_study.prepare(disk / "work", template, reference)
    ballast = fill(disk)
    full = run(folder, *WORDS, code=None)
    ballast.unlink()
    assert full.code in (1, 2), full.text
    assert "Traceback" not in full.text, full.text
    run(folder, *WORDS)
    assert_same(outcome(folder, STUDY), reference.cells)
