"""Machines on which the store or the data are not there: an empty file system covers a folder on them."""

import pytest

from raysweep.data.__main__ import main as prepare
from raysweep.store.store import Store
from tests.faults.launches import run
from tests.faults.records import assert_same, outcome
from tests.faults.small_study import STUDY, WORDS
from tests.own_sets import write_set

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def launch(folder, address, *more, code=None):
    parts = ("ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--address", address)
    return run(folder, *parts, *more, code=code)


def test_where_no_machine_shares_the_store_the_launch_ends_before_training(nodes, fresh):
    ended = launch(fresh, nodes(fresh))
    assert ended.code == 1
    assert ended.told["done"] == 0
    assert ended.told["stopped"].startswith("no machine can work\n  w1: its store ")
    assert "--store must be a folder that all machines share, or a URL" in ended.stderr
    assert not [cell for cell in outcome(fresh, "ablation_alpha").values() if cell.state in ("complete", "failed")]
    assert not list((fresh / ".raysweep").glob("failed/*"))


def test_a_machine_without_the_store_takes_no_part_and_the_others_do_all(nodes, fresh):
    ended = launch(fresh, nodes(fresh, ""), code=0)
    assert ended.told["done"] == 2
    assert list(ended.told["unfit_machines"]) == ["w1"]
    assert "machine w1 cannot work: its store" in ended.stderr
    assert "machine w2 is ready: 1 CPU" in ended.stderr
    assert {cell.state for cell in outcome(fresh, "ablation_alpha").values()} == {"complete"}


def test_data_that_a_machine_lacks_fail_no_cell_and_are_found_once_they_are_there(nodes, fresh, tmp_path, monkeypatch):
    home = tmp_path / "data"
    monkeypatch.setenv("RAYSWEEP_DATA", str(home))
    counts = dict.fromkeys(("neutral", "happiness", "fear", "surprise"), 12)
    table = write_set(tmp_path, "mine", {"train": counts, "test": counts}, va=True)
    assert prepare(["prepare", "csv", str(table), "--as", "mine", "--size", "32"]) == 0
    stopped = launch(fresh, nodes(home), "--on", "mine")
    assert stopped.code == 1
    assert stopped.told["failed"] == {}
    assert "no machine can work\n  w1: " in stopped.told["stopped"]
    again = run(fresh, "ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--on", "mine")
    assert again.told["done"] == 2  # nothing is left alone as failed


def test_a_machine_whose_own_disk_is_full_takes_no_part(nodes, fresh, reference, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = f"file://{fresh / 'shared'}"  # a URL: what a machine computes lies on its own disk first
    cache = Store(store).local
    cache.mkdir(parents=True)
    address = nodes("")
    nodes.add(cache, size="200k")
    ended = run(fresh, *WORDS, "--store", store, "--address", address)
    assert "machine w2 cannot work: its disk is full" in ended.stderr
    assert "full" in ended.told["unfit_machines"]["w2"]
    assert_same(outcome(fresh, STUDY), reference.cells)
