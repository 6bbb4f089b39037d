"""Mistakes with a bucket: each is one sentence with the remedy, and nothing is made by them."""

import pytest

from raysweep.core.errors import UserError
from raysweep.store.access import why_refused
from raysweep.store.store import Store, StoreUnusable
from tests.store.s3_server import asked, server  # noqa: F401  (fixtures)

s3fs = pytest.importorskip("s3fs")
requests = pytest.importorskip("requests")


def test_a_store_that_works_is_left_as_it_was(asked):  # noqa: F811
    Store("s3://mine/store").try_out()
    files = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=asked, skip_instance_cache=True)
    assert files.find("mine") == []


def test_no_credentials(asked, monkeypatch):  # noqa: F811
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=r"store s3://mine/store cannot be used: it needs credentials.*aws configure"):
        Store("s3://mine/store")


def test_a_wrong_key(asked):  # noqa: F811
    requests.post(f"{asked}/moto-api/reset-auth", data=b"0", timeout=10)  # from now on keys are looked at
    try:
        with pytest.raises(UserError, match=r"store s3://mine/store cannot be used: .*key"):
            Store("s3://mine/store").try_out()
    finally:
        requests.post(f"{asked}/moto-api/reset-auth", data=b"inf", timeout=10)


def test_a_bucket_that_does_not_exist_is_not_made(asked):  # noqa: F811
    with pytest.raises(StoreUnusable, match="there is no bucket 'mispelt-mine': make it, or correct the address"):
        Store("s3://mispelt-mine/store").try_out()
    files = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=asked, skip_instance_cache=True)
    assert "mine" in files.ls("")
    assert "mispelt-mine" not in files.ls("")


def test_nobody_there(asked, monkeypatch):  # noqa: F811
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
