"""Several commands in one process, one after another: torch, ray and mlflow are imported once, which costs the most.

A cluster of their own (`ray_head`) saves starting Ray for each of them, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import processes
from tests.faults.launches import wait_for

RUNNER = """# RUN_BY_TEST
import contextlib, io, json, sys
import raysweep.data.__main__, raysweep.report.__main__, raysweep.run
mains = {"run": raysweep.run.main, "report": raysweep.report.__main__.main, "data": raysweep.data.__main__.main}
for module, *words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    sys.argv[1:] = words
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = mains[module](words)
    print(json.dumps({"code": code, "stdout": out.getvalue(), "stderr": err.getvalue()}), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self) -> list[dict[str, Any]]:
        """The objects that --json printed, one a data set."""
        told, text = [], self.stdout.strip()
        while text:
            value, end = json.JSONDecoder().raw_decode(text)
            told, text = [*told, value], text[end:].strip()
        return told


def run_all(folder: Path, commands: Sequence[Sequence[str]], seconds: float = 1800, **env: str) -> list[Ended]:
    """Run commands in a folder: ["run", "report" or "data", words of the command line...]."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **env},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    ended = [Ended(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith('{"code"')]
    assert len(ended) == len(commands), done.stderr[-3000:]
    return ended


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def ray_head(folder: Path, *words: str, cpus: int = 1, **env: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A Ray head in a session of its own, on loopback alone: its address, and the environment of who may join.

    Args:
        folder: for its log and its token.
        words: more words of `ray start`.
        cpus: processes that train at once; each imports torch, so one is the quickest for tiny cells.
    """
    (folder / "token").write_text(secrets.token_hex(32))
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_USAGE_STATS_ENABLED": "0"}
    address, log = f"127.0.0.1:{free_port()}", folder / "head.out"
    start = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--num-cpus={cpus}"]
    ports = ["--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=false", f"--port={address[10:]}"]
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as place:  # not Ray's own: others' launches look there
        with log.open("wb") as out:
            head = subprocess.Popen(
                [*start, *ports, f"--temp-dir={place}", *words],
                env={**os.environ, **access, **env},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with processes.leaving_none(head):
            wait_for("Ray's head", lambda: "runtime started" in log.read_text() or head.poll() is not None, 90)
            assert head.poll() is None, log.read_text()
            yield address, access
