"""`ray job submit`: what a job would lose with its folder is refused, and one that keeps it ends with its table."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from raysweep.cli.job_folder import COPIES, JOB
from raysweep.cli.run import main
from tests.faults import processes
from tests.several_launches import free_port

STUDY = ["ablation_alpha", "--preset", "smoke", "--seeds", "1", "--axis", "alpha=1"]
KEPT = ["--store", "s9://bucket/x", "--tracking", "http://127.0.0.1:5000", "--out", "/tmp/reports"]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job's copy of a working folder."""
    folder = tmp_path / "session" / COPIES / "working_dir_files" / "_ray_pkg_1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv(JOB, "{}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def without(*options):
    words = list(KEPT)
    for option in options:
        at = words.index(option)
        del words[at : at + 2]
    return words


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (without("--store", "--out", "--tracking"), "--store, --out, --tracking:"),
        (without("--store"), "--store:"),
        ([*without("--store"), "--store", "here"], "--store:"),
        (without("--out"), "--out:"),
        (without("--tracking"), "--tracking:"),
        ([*without("--tracking"), "--tracking", "sqlite:///m.db"], "--tracking:"),
        ([*KEPT, "--search-storage", "sqlite:///o.db"], "--search-storage:"),
    ],
)
def test_what_would_be_removed_with_the_job_is_refused(words, lost, job, capsys):
    assert main([*STUDY, "--address", "auto", *words]) == 2
    said = capsys.readouterr().err
    assert f"which Ray removes, and with it what goes to {lost} give URLs" in said
    assert said.count("\n") == 1
    assert list(job.iterdir()) == []


def test_an_absolute_path_into_the_copy_is_none_outside(job, capsys):
    assert main([*STUDY, "--address", "auto", *without("--store"), "--store", str(job / "store")]) == 2
    assert "what goes to --store:" in capsys.readouterr().err


def test_places_outside_pass(job, capsys):
    assert main([*STUDY, "--address", "auto", *KEPT]) == 2
    assert "fsspec cannot open s9://" in capsys.readouterr().err


def test_a_job_that_names_no_cluster_is_refused(job, capsys):
    assert main([*STUDY, *KEPT]) == 2
    assert "add --address auto" in capsys.readouterr().err


def test_a_folder_that_stays_is_as_good_as_any(job, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*STUDY, "--address", "auto", *without("--out", "--store"), "--store", "s9://x"]) == 2
    assert "fsspec cannot open s9://" in capsys.readouterr().err


@pytest.fixture
def cluster(tmp_path):
    """A head with a job server on the loopback: the environment of who may submit, and the server's address."""
    for package in ("aiohttp_cors", "opencensus", "grpc"):
        pytest.importorskip(package, reason="pip install 'raysweep[jobs]'")
    (tmp_path / "token").write_text(secrets.token_hex(32))
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_USAGE_STATS_ENABLED": "0"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {
        **os.environ,
        **access,
        "PATH": path,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    web, log = f"http://127.0.0.1:{free_port()}", tmp_path / "head.out"
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as place:
        start = ["ray", "start", "--head", "--block", "--num-cpus=1", f"--port={free_port()}", f"--temp-dir={place}"]
        ports = ["--dashboard-host=127.0.0.1", f"--dashboard-port={web.rpartition(':')[2]}"]
        with log.open("wb") as out:
            head = subprocess.Popen(
                [*start, *ports], env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        with processes.leaving_none(head):
            until = time.monotonic() + 120
            while not answers(web) and time.monotonic() < until:
                assert head.poll() is None, log.read_text()
                time.sleep(0.5)
            yield env, web


def answers(web):
    try:
        urllib.request.urlopen(f"{web}/api/version", timeout=5).close()
    except urllib.error.HTTPError:  # it asks for the token
        return True
    except OSError:
        return False
    return True


@pytest.mark.full
def test_a_real_job_keeps_its_results_or_says_what_it_would_lose(cluster, tmp_path):
    env, web = cluster
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text("x")

    def submit(*words, **changes):
        command = ["ray", "job", "submit", "--address", web, "--working-dir", ".", "--", "python", "-m", "raysweep.run"]
        parts = [*command, *STUDY, "--address", "auto", *words]
        return subprocess.run(
            parts, cwd=work, env={**env, **changes}, capture_output=True, text=True, timeout=400, check=False
        )

    refused = submit("--store", "mine")
    assert refused.returncode != 0
    assert "which Ray removes, and with it what goes to --store, --out, --tracking" in refused.stdout + refused.stderr
    kept = tmp_path / "kept"
    kept.mkdir()
    places = ["--store", str(kept / "store"), "--out", str(kept / "out"), "--tracking", f"sqlite:///{kept}/m.db"]
    done = submit(*places)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 of 1 cell done" in done.stdout
    assert (kept / "out" / "ablation_alpha.html").exists()
    stranger = submit(*places, RAY_AUTH_TOKEN_PATH="", RAY_AUTH_TOKEN="f" * 64)
    assert stranger.returncode != 0
    assert "1 of 1" not in stranger.stdout
