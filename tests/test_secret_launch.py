"""A launch whose store, data home and tracking server are given with credentials: no file and no process shows them."""

import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bench.tracking import LocalServer
from tests.several_launches import ray_head

SECRET = f"S3cr3t{secrets.token_hex(6)}"  # command lines of other tests at the same time hold others

moto = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")


def command_lines(but):
    """Of all processes that this user may see."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in but:
            try:
                yield entry.name, (entry / "cmdline").read_bytes()
            except OSError:
                continue


def holding(folder):
    """Files below a folder with the secret in name or content."""
    return [str(path) for path in folder.rglob("*")
            if SECRET in path.name or (path.is_file() and SECRET.encode() in path.read_bytes())]  # fmt: skip


@pytest.fixture
def places(tmp_path):
    """Environment with a server that speaks S3, and the URI of a tracking server with a password."""
    s3 = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": f"key-{SECRET}", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": endpoint, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    files = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=endpoint, skip_instance_cache=True)
    files.mkdir("bucket")
    tracking = LocalServer(tmp_path / "server")
    (tmp_path / "server").mkdir()
    tracking.start()
    yield environment, files, tracking.uri.replace("://", f"://me:{SECRET}@")
    tracking.kill()
    s3.stop()


def test_nothing_that_a_launch_leaves_or_starts_shows_a_credential(places, tmp_path):
    environment, files, tracking = places
    environment["RAYSWEEP_DATA"] = f"s3://bucket/data?password={SECRET}"
    work, temporary = tmp_path / "work", tmp_path / "t"
    work.mkdir(), temporary.mkdir()
    parts = ["ablation_alpha", "--preset", "smoke", "--axis", "alpha=0.5,1", "--set", "train.epochs=1"]
    places_given = ["--store", f"s3://bucket/store?token={SECRET}", "--tracking", tracking]
    before, sessions = {int(pid) for pid, _ in command_lines(())}, set(Path("/tmp/ray").glob("session_*"))
    command = [sys.executable, "-m", "raysweep.run", *parts, *places_given]
    typed = b"".join(word.encode() + b"\0" for word in command)  # forks have it, too, until they exec
    with subprocess.Popen(
        command, cwd=work, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as launch:
        seen = []
        while launch.poll() is None:
            seen += [
                pid for pid, line in command_lines({launch.pid, *before}) if SECRET.encode() in line and line != typed
            ]
            time.sleep(0.5)
        said = launch.stdout.read()
    assert launch.returncode == 0, said[-3000:]
    assert SECRET not in said
    assert "***" in said
    assert seen == []
    assert holding(tmp_path) == []
    new = set(Path("/tmp/ray").glob("session_2*")) - sessions
    assert [path for session in new for path in holding(session / "logs")] == []
    stored = files.find("bucket")
    assert stored
    assert [name for name in stored if SECRET.encode() in files.cat_file(name)] == []
    shown = subprocess.run(
        [sys.executable, "-m", "raysweep.report", "ablation_alpha", "--tracking", tracking], cwd=work, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert SECRET not in shown.stdout + shown.stderr
    assert holding(work) == []


CLOUD = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


@pytest.mark.full
def test_a_cluster_without_keys_works_with_the_drivers_and_shows_them_nowhere(places, tmp_path, monkeypatch):
    """Nodes that know neither keys nor endpoint; addresses with passwords come from files."""
    environment, files, tracking = places
    environment |= {"AWS_SESSION_TOKEN": f"session-{SECRET}"}
    for name in CLOUD:
        monkeypatch.delenv(name, raising=False)
    work, private = tmp_path / "work", tmp_path / "private"
    work.mkdir(), private.mkdir()
    (private / "tracking").write_text(tracking + "\n")
    (private / "store").write_text(f"s3://bucket/store?token={SECRET}\n")
    parts = ["ablation_alpha", "--preset", "smoke", "--axis", "alpha=0.5,1", "--set", "train.epochs=1"]
    places_given = ["--store", f"@{private}/store", "--tracking", f"@{private}/tracking"]
    command = [sys.executable, "-m", "raysweep.run", *parts, *places_given]
    ray = Path("/tmp") / f"rs-{os.getpid()}"  # sockets need short paths
    before = {int(pid) for pid, _ in command_lines(())}
    try:
        with ray_head(work, f"--temp-dir={ray}") as (address, access):
            log = work / "launch.out"
            with (
                log.open("w") as out,
                subprocess.Popen(
                    [*command, "--address", address], cwd=work, env={**environment, **access}, stdout=out, stderr=out
                ) as launch,
            ):
                seen = []
                while launch.poll() is None:
                    seen += [line for _, line in command_lines(before) if SECRET.encode() in line]
                    time.sleep(0.5)
            assert launch.returncode == 0, log.read_text()[-3000:]
            logs = [path for path in ray.rglob("*") if path.is_file()]
            assert any("raylet" in path.name for path in logs)
            assert any(path.name.startswith("worker") for path in logs)
            assert holding(ray) == []
    finally:
        shutil.rmtree(ray, ignore_errors=True)
    assert seen == []
    for path in private.iterdir():
        path.unlink()
    assert holding(tmp_path) == []
    stored = files.find("bucket")
    assert stored
    assert [name for name in stored if SECRET.encode() in files.cat_file(name)] == []
