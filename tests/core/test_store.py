"""The store: whole products or none, altered ones noticed, puts idempotent."""

from pathlib import Path

import pytest

from raysweep.core.keys import NUMERICS, canonical_json, stage_key
from raysweep.core.store import Store


def fill(text):
    def write(folder: Path):
        (folder / "result.json").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "more.bin").write_bytes(b"\0" * 10)

    return write


def test_put_then_get(tmp_path):
    store = Store(tmp_path)
    assert store.get("k") is None
    store.put("k", fill("one"), {"seconds": 3})
    manifest = store.get("k")
    assert manifest is not None
    assert manifest["seconds"] == 3
    assert set(manifest["files"]) == {"result.json", "deep/more.bin"}


def test_the_first_product_stays(tmp_path):
    store = Store(tmp_path)
    store.put("k", fill("one"), {})
    store.put("k", fill("two"), {})
    assert (store.folder("k") / "result.json").read_text() == "one"


@pytest.mark.parametrize("harm", ["truncate", "alter", "remove", "manifest"])
def test_a_harmed_product_is_missing_and_replaced(tmp_path, harm):
    store = Store(tmp_path)
    store.put("k", fill("one"), {})
    file = store.folder("k") / "result.json"
    if harm == "truncate":
        file.write_text("o")
    elif harm == "alter":
        file.write_text("onf")
    elif harm == "remove":
        file.unlink()
    else:
        (store.folder("k") / "manifest.json").write_text('{"files": ')
    assert store.get("k") is None
    store.put("k", fill("two"), {})
    assert store.get("k") is not None
    assert file.read_text() == "two"


def test_a_failing_write_leaves_nothing(tmp_path):
    store = Store(tmp_path)

    def write(folder):
        (folder / "result.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.put("k", write, {})
    assert store.get("k") is None
    assert list((tmp_path / "stages").iterdir()) == []


def test_put_clears_the_partial_work(tmp_path):
    store = Store(tmp_path)
    (store.partial("k") / "fit.pt").write_bytes(b"x")
    store.put("k", fill("one"), {})
    assert not (tmp_path / "partial" / "k").exists()


def test_keys_ignore_order_and_tell_values_apart():
    assert canonical_json({"b": 1, "a": [None, True]}) == '{"a":[null,true],"b":1}'
    key = stage_key("fit", {"a": 1, "b": 2.0}, {"before": "x", "data": "y"})
    assert key == stage_key("fit", {"b": 2.0, "a": 1}, {"data": "y", "before": "x"})
    others = [
        stage_key("select", {"a": 1, "b": 2.0}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1, "b": 2.5}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1, "b": 2.0}, {"before": "y", "data": "x"}),
        stage_key("fit", {"a": 1, "b": 2.0}, {"before": "x", "labels": "y"}),
    ]
    assert len({key, *others}) == 6
    assert len(key) == 64
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_bumped_number_moves_the_keys_of_its_kind_alone(monkeypatch):
    fit, select = (stage_key(kind, {}, {}) for kind in ("fit", "select"))
    monkeypatch.setitem(NUMERICS, "fit", NUMERICS["fit"] + 1)
    assert stage_key("fit", {}, {}) != fit
    assert stage_key("select", {}, {}) == select


def test_two_processes_that_finish_the_same_work_leave_one_product(tmp_path):
    """The slower one finds an intact product in place when it is done writing."""
    store = Store(tmp_path)

    def write_late(folder):
        fill("slow")(folder)
        Store(tmp_path).put("k", fill("quick"), {})

    store.put("k", write_late, {})
    assert (store.folder("k") / "result.json").read_text() == "quick"
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["k"]
