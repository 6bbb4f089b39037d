"""An object store that does not answer for a while, or refuses: no cell is blamed, short outages are outlasted."""

import json
import threading
import time

import pytest

from raysweep.engine.messages import Failed, Unusable
from raysweep.engine.worker import trouble
from raysweep.store import remote_access
from raysweep.store.remote_access import PatientFileSystem, is_passing
from raysweep.store.store import Store, StoreUnusable
from tests.cluster.proxy import Proxy
from tests.store.s3_server import asked, server  # noqa: F401  (fixtures)

botocore = pytest.importorskip("botocore.exceptions")


def refusal(status, code="Oops"):
    facts = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.ClientError(facts, "HeadObject")


class Flaky:
    """A file system whose calls raise these errors, one after another, then answer."""

    protocol = "s3"

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def cat_file(self, path):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return path.encode()


class Time:
    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds


def patient(*errors, answered=True):
    clock = Time()
    flaky = Flaky(*([] if answered else errors))
    fs = PatientFileSystem(flaky, "s3://bucket/store", lambda: clock.now, clock.sleep)
    if answered:
        fs.cat_file("first")
        flaky.errors = list(errors)
    return fs, flaky, clock


@pytest.mark.parametrize(
    "error",
    [
        refusal(503),
        refusal(503, "SlowDown"),
        refusal(500, "InternalError"),
        refusal(429),
        botocore.EndpointConnectionError(endpoint_url="http://x"),
        botocore.ReadTimeoutError(endpoint_url="http://x"),
        ConnectionResetError(),
        TimeoutError(),
        json.JSONDecodeError("no JSON", "<html>502 Bad Gateway", 0),
    ],
)
def test_what_passes_is_tried_again(error, capsys):
    fs, flaky, _ = patient(error, error, error)
    assert fs.cat_file("a") == b"a"
    assert flaky.calls == 1 + 4
    assert capsys.readouterr().err.count("s3://bucket/store does not answer") == 1


@pytest.mark.parametrize(
    "error",
    [refusal(403, "AccessDenied"), refusal(400), botocore.NoCredentialsError(), ValueError("odd answer")],
)
def test_what_does_not_pass_is_said_at_once_and_blames_no_cell(error):
    assert not is_passing(error)
    fs, flaky, clock = patient(error)
    with pytest.raises(StoreUnusable, match="s3://bucket/store cannot be used") as caught:
        fs.cat_file("a")
    assert (flaky.calls, clock.now) == (2, 0.0)
    assert isinstance(trouble(caught.value), Unusable)


def test_a_long_outage_ends_with_a_sentence():
    fs, _, clock = patient(*[refusal(503)] * 1000)
    with pytest.raises(StoreUnusable, match=r"its server is overloaded or down.*run the same command again"):
        fs.cat_file("a")
    assert remote_access.PATIENCE < clock.now < remote_access.PATIENCE + 10


def test_a_store_that_has_never_answered_is_not_waited_for():
    fs, flaky, clock = patient(refusal(503), answered=False)
    with pytest.raises(StoreUnusable):
        fs.cat_file("a")
    assert (flaky.calls, clock.now) == (1, 0.0)


@pytest.mark.parametrize(
    "error", [FileNotFoundError("a"), NotADirectoryError("a"), NotImplementedError(), KeyError("a")]
)
def test_what_is_no_fault_of_the_store_is_passed_on(error):
    fs, flaky, _ = patient(error)
    with pytest.raises(type(error)):
        fs.cat_file("a")
    assert flaky.calls == 2


def test_a_cell_that_fails_by_itself_still_fails():
    assert isinstance(trouble(ValueError("no")), Failed)


@pytest.fixture
def proxied(asked, monkeypatch, tmp_path):  # noqa: F811
    """A store behind a proxy that refuses while the file `fault` says so."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    file = tmp_path / "fault"
    proxy = Proxy("127.0.0.1", 0, int(asked.rpartition(":")[2]), file)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Store("s3://mine/outages"), file
    proxy.shutdown()
    proxy.server_close()


def test_a_product_is_written_and_read_through_an_outage(proxied, capsys):
    store, fault = proxied
    store.try_out()
    fault.write_text("503")
    threading.Thread(target=lambda: (time.sleep(2), fault.unlink())).start()
    store.put("a" * 64, lambda folder: (folder / "x").write_text("x"), {})
    assert store.has("a" * 64)
    assert not fault.exists()
    assert "does not answer" in capsys.readouterr().err


def test_many_files_are_read_through_an_outage(proxied):
    store, fault = proxied
    for name in ("p", "q", "r"):
        store.files.write(name, name.encode())
    fault.write_text("503")
    threading.Thread(target=lambda: (time.sleep(1), fault.unlink())).start()
    assert store.files.read_all(["p", "q", "r", "none"]) == {"p": b"p", "q": b"q", "r": b"r"}
