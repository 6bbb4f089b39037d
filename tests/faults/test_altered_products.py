"""Drill 7: files of the store are cut short or altered: found out, computed again, the same numbers."""

import shutil

import pytest

from raysweep.store.store import Store
from tests.faults.launches import run
from tests.faults.records import assert_same, outcome
from tests.faults.small_study import PLANNED, STUDY, WORDS
from tests.faults.stores import alter, cut_short, products, results

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def used(tmp_path, reference):
    """A copy of a store and a database where everything is done."""
    return shutil.copytree(reference.folder, tmp_path / "used")


@pytest.mark.parametrize("damage", [cut_short, alter])
@pytest.mark.parametrize("kind", ["evaluate", "fit"])
def test_a_damaged_product_is_computed_again(used, reference, damage, kind):
    store = Store(used / ".raysweep")
    before, found = products(store), results(store)
    for key, manifest in before.items():
        if manifest["kind"] == kind:
            damage(store.folder(key) / ("predictions.npz" if kind == "evaluate" else "state.pt"))
        elif kind == "fit" and manifest["kind"] == "evaluate":
            store.drop(key)  # else nobody would want the damaged ones
    again = run(used, *WORDS)
    assert again.told["done"] == 4
    if kind == "evaluate":
        assert again.epochs == 0
    elif damage is cut_short:  # seen at once; an altered file of the right size only when somebody reads it
        assert again.epochs == PLANNED
    assert products(store).keys() == before.keys()
    assert results(store) == found
    assert_same(outcome(used, STUDY), reference.cells)
