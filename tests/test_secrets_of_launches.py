"""A password in every address that a launch is given, an open umask, and what others of the machine could see of it.

One launch of one cell, with what a user types after it, watched while it runs.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from raysweep.store.ray_sessions import MARK
from tests.several_launches import run_all

STORE, HOME, TRACKING = "st0re/p@ss:w0rd", "h0me-passw0rd", "tr4cking-t0ken"
PLANTED = [STORE, "st0re", "ss:w0rd", HOME, TRACKING]

VAULT = '''
import fsspec
from fsspec.implementations.local import LocalFileSystem

class Vault(LocalFileSystem):
    """Files of this machine, under URLs with a name and a password."""

    protocol = "vault"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol("/" + str(path).rpartition("@here/")[2].lstrip("/"))

fsspec.register_implementation("vault", Vault)
'''

LISTENING = re.compile(r"LISTEN\s+\d+\s+\d+\s+(\S+)\s+\S+\s+users:.*?pid=(\d+)")


class Watch(threading.Thread):
    """Looks at all processes of a launch, at their sockets and at Ray's files, until it is told that it is over."""

    def __init__(self, mark: str, temporary: Path) -> None:
        super().__init__()
        self.mark, self.temporary, self.over = mark, temporary, threading.Event()
        self.processes: set[str] = set()
        self.sockets: set[str] = set()
        self.files: set[str] = set()
        self.found: set[str] = set()

    def run(self) -> None:
        while not self.over.wait(0.5):
            pids = self._look_at_processes()
            listed = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
            self.sockets |= {address for address, pid in LISTENING.findall(listed) if pid in pids}
            for path in self.temporary.rglob("*"):
                if path.is_file() and path.stat().st_size < 1e7:
                    self._grep(str(path.relative_to(self.temporary)), path)
                    self.files.add(path.name)

    def _look_at_processes(self) -> set[str]:
        pids = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environ, words = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if self.mark.encode() not in environ:
                continue
            pids.add(folder.name)
            if b"RUN_BY_TEST" in words:
                continue  # the command itself: what its user typed
            self.processes.add(words.decode().split("\0")[0])
            self.found |= {f"{words!r} {word}" for word in PLANTED if word.encode() in environ + words}
        return pids

    def _grep(self, name: str, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return
        self.found |= {f"{name} {word}" for word in PLANTED if word.encode() in content}


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    folder, code = tmp_path_factory.mktemp("launched"), tmp_path_factory.mktemp("code")
    (code / "sitecustomize.py").write_text(VAULT)
    store, tracking = (
        f"vault://me:{STORE}@here{folder}/store",
        f"sqlite+pysqlite:///file:{folder}/m.db?token={TRACKING}&uri=true",
    )
    study = ["run", "ablation_alpha", "--preset", "smoke", "--seeds", "1", "--axis", "labels.alpha=1"]
    commands = [
        [*study, "--store", store, "--tracking", tracking],
        ["run", "--status", "--store", store],
        ["run", "--gc", "--json", "--store", store],
        ["report", "ablation_alpha", "--tracking", tracking],
        ["report", "--list"],
        ["data", "list"],
        ["data", "list", "--data", f"vault://me:{HOME}@here{folder}/elsewhere"],
        ["run", "ablation_alpha", "--plan", "--store", f"s4://me:{STORE}@here/x"],
        ["report", "ablation_alpha", "--tracking", f"postgresql+nothing://me:{STORE}@here/x"],
    ]
    env = {
        "RAYSWEEP_DATA": f"vault://me:{HOME}@here{folder}/prepared",
        "MLFLOW_TRACKING_URI": tracking,
        "HOME": str(folder / "home"),
        "PYTHONPATH": f"{code}{os.pathsep}{Path(__file__).parents[1]}",
        "RAY_OVERRIDE_RESOURCES": '{"CPU": 1}',
        "RUN_MARK": secrets.token_hex(8),
    }
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as temporary:  # sockets need short paths
        watch = Watch(env["RUN_MARK"], Path(temporary))
        watch.start()
        before = os.umask(0)
        try:
            ended = run_all(folder, commands, RAY_TMPDIR=temporary, **env)
        finally:
            os.umask(before)
            watch.over.set()
            watch.join()
        left = list((Path(temporary) / "ray").glob("*"))
    return folder, ended, watch, left


def test_it_ran(launched):
    _, ended, watch, _ = launched
    assert [one.code for one in ended] == [0, 0, 0, 0, 0, 0, 0, 2, 2], [one.stderr for one in ended]
    assert any("raylet" in name for name in watch.processes)
    assert MARK in watch.files


def test_nothing_that_is_printed_holds_a_password(launched):
    for one in launched[1]:
        for word in PLANTED:
            assert word not in one.stdout + one.stderr


def test_no_file_holds_one(launched):
    """Store, journal, MLflow's tables and artifacts, Tune's states, reports."""
    folder = launched[0]
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} >= {".json", ".db", ".html", ".jsonl", ".pkl"}
    for path in paths:
        content = path.read_bytes()
        assert not [word for word in PLANTED if word.encode() in content], path


def test_no_process_and_no_log_of_ray_shows_one(launched):
    assert not launched[2].found


def test_ray_listens_on_loopback_alone(launched):
    sockets = launched[2].sockets
    assert len(sockets) >= 4
    assert all(re.match(r"127\.0\.0\.1:|\[::ffff:127\.0\.0\.1\]:|\[::1\]:", address) for address in sockets), sockets


def test_the_token_is_private_whatever_the_umask(launched):
    token = launched[0] / "home" / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700


def test_ray_leaves_no_session(launched):
    assert not [path for path in launched[3] if path.name.startswith("session")]
