"""Mistakes with a bucket: each is one sentence with the remedy, and nothing is made by them."""

import logging

import pytest

from raysweep.core.errors import UserError
from raysweep.store.access import why_refused
from raysweep.store.store import Store, StoreUnusable

moto = pytest.importorskip("moto.server")
requests = pytest.importorskip("requests")
s3fs = pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def server():
    """Endpoint of a server that speaks S3 and has the bucket "mine"."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    s3 = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    s3fs.S3FileSystem(key="x", secret="x", endpoint_url=endpoint, skip_instance_cache=True).mkdir("mine")
    yield endpoint
    s3.stop()


@pytest.fixture
def asked(server, monkeypatch, tmp_path):
    """The environment of somebody with a key and nothing else; gives the server's endpoint."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": server, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return server


def test_a_store_that_works_is_left_as_it_was(asked):
    Store("s3://mine/store").try_out()
    files = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=asked, skip_instance_cache=True)
    assert files.find("mine") == []


def test_no_credentials(asked, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=r"store s3://mine/store cannot be used: it needs credentials.*aws configure"):
        Store("s3://mine/store")


def test_a_wrong_key(asked):
    requests.post(f"{asked}/moto-api/reset-auth", data=b"0", timeout=10)  # from now on keys are looked at
    try:
        with pytest.raises(UserError, match=r"store s3://mine/store cannot be used: .*key"):
            Store("s3://mine/store").try_out()
    finally:
        requests.post(f"{asked}/moto-api/reset-auth", data=b"inf", timeout=10)


def test_a_bucket_that_does_not_exist_is_not_made(asked):
    with pytest.raises(StoreUnusable, match="there is no bucket 'mispelt-mine': make it, or correct the address"):
        Store("s3://mispelt-mine/store").try_out()
    files = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=asked, skip_instance_cache=True)
    assert "mine" in files.ls("")
    assert "mispelt-mine" not in files.ls("")


def test_nobody_there(asked, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match="nothing answers there: check the network, and AWS_ENDPOINT_URL"):
        Store("s3://mine/store")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be written"):
        Store(tmp_path / "file" / "store").try_out()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("InvalidAccessKeyId: The AWS Access Key Id you provided does not exist"), "does not accept this key"),
        (OSError("An error occurred (ExpiredToken)"), "expired: log in again"),
        (RuntimeError("The config profile (mine) could not be found"), "AWS_PROFILE names no profile"),
        (RuntimeError("strange"), "RuntimeError: strange: check the address"),
    ],
)
def test_what_providers_say(error, said):
    assert said in why_refused(error)


def test_the_cause_counts_too():
    error = PermissionError("Forbidden")
    error.__cause__ = RuntimeError("An error occurred (SignatureDoesNotMatch)")
    assert "does not accept this key" in why_refused(error)
