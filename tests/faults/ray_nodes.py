"""A cluster of real Ray nodes on this machine, each in namespaces of its own."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults import processes
from tests.faults.launches import wait_for
from tests.faults.test_elastic import free_port

RAY = Path(sys.executable).parent / "ray"


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode == 0


class Nodes:
    """Starts a head without CPUs, then workers, called w1, w2, ...; `head` and `started` are their processes."""

    def __init__(self, folder: Path, place: str, running: ExitStack) -> None:
        self.folder, self.place, self.running = folder, place, running
        self.started: list[subprocess.Popen] = []

    def __call__(self, *covered: str | Path) -> str:
        """The head's address. A worker for each folder given, which an empty file system covers on it; "" for none."""
        self.address = f"127.0.0.1:{free_port()}"
        head = ["--head", f"--port={self.address.split(':')[1]}", "--num-cpus=0", "--include-dashboard=false"]
        self.head = self._start("head", [*head, f"--temp-dir={self.place}"])
        for folder in covered:
            self.add(folder)
        return self.address

    def add(self, covered: str | Path = "", size: str = "50%") -> subprocess.Popen:
        """One more worker, of one CPU. `size`: of the file system that covers a folder, as for tmpfs."""
        name = f"w{len(self.started) + 1}"
        hide = f'mount -t tmpfs -o size={size} none "{covered}" && ' if covered else ""
        script = f'hostname {name} && {hide}exec "$@"'
        before = ["unshare", "--mount", "--uts", "bash", "-c", script, "bash"]
        self.started.append(self._start(name, [f"--address={self.address}", "--num-cpus=1"], before))
        return self.started[-1]

    def _start(self, name: str, options: list[str], before: Sequence[str] = ()) -> subprocess.Popen:
        said = self.folder / f"{name}.out"
        process = start(before, options, said)
        self.running.enter_context(processes.leaving_none(process))
        await_start(process, said)
        return process


@contextmanager
def ray_nodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Nodes of a cluster with a token of its own; all are gone at the end."""
    if not may_mount():
        pytest.skip("needs mount namespaces (root)")
    (folder / "token").write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    with tempfile.TemporaryDirectory(prefix="ray-") as place, ExitStack() as running:
        yield Nodes(folder, place, running)


def start(before: Sequence[str], options: list[str], said: Path) -> subprocess.Popen:
    with said.open("wb") as out:
        return subprocess.Popen(
            [*before, str(RAY), "start", "--block", "--min-worker-port=0", "--max-worker-port=0", *options],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def await_start(node: subprocess.Popen, said: Path) -> None:
    wait_for(
        "a node of Ray", lambda: "runtime started" in said.read_text() or node.poll() is not None, 90, said.read_text
    )
    assert node.poll() is None, said.read_text()
