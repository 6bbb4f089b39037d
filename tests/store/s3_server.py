"""Fixtures: a server that speaks S3."""

import contextlib
import logging

import pytest


@pytest.fixture(scope="module")
def server():
    """Endpoint of a server that speaks S3 and has the bucket "mine"."""
    moto, s3fs = pytest.importorskip("moto.server"), pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    s3 = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    with contextlib.suppress(FileExistsError):  # all servers of a process have the same buckets
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
