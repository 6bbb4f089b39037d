"""A store at gs://, with a local emulator in place of Google: pip install 'raysweep[gcs]' gcp-storage-emulator."""

import pytest

from raysweep.store.store import Store
from tests.several_launches import free_port

pytest.importorskip("gcsfs")
emulator = pytest.importorskip("gcp_storage_emulator.server")


@pytest.mark.filterwarnings("ignore")  # the emulator's and Google's own
def test_a_product_and_a_checkpoint_travel_through_it(tmp_path, monkeypatch):
    port = free_port()
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        key = "a" * 64
        here, there = (Store("gs://bucket/store", tmp_path / name) for name in ("here", "there"))
        here.save_partial(key, "fit.pt", lambda path: path.write_text("half"))
        assert there.partial_file(key, "fit.pt").read_text() == "half"
        here.put(key, lambda folder: (folder / "x").write_text("whole"), {"host": "w1"})
        assert there.hosts([key]) == {key: "w1"}
        assert there.get(key) is not None
        assert (there.folder(key) / "x").read_text() == "whole"
        assert there.partial_file(key, "fit.pt") is None
        there.drop(key)
        assert not here.has(key)
    finally:
        server.stop()
