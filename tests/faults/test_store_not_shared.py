"""Two machines that do not see each other's files: the worker's folder of the store is another one."""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults import processes
from tests.faults.launches import run, wait_for
from tests.faults.records import outcome
from tests.faults.test_elastic import free_port

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

RAY = Path(sys.executable).parent / "ray"


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode == 0


@pytest.fixture
def cluster(fresh, tmp_path, monkeypatch):
    """Address of a head without CPUs, and a worker on which an empty file system covers the launch's folder."""
    if not may_mount():
        pytest.skip("needs mount namespaces (root)")
    (tmp_path / "token").write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ray-") as place:  # no launch's own: `RAY_TMPDIR` is looked at for others
        head = ["--head", f"--port={address.split(':')[1]}", "--num-cpus=0", "--include-dashboard=false"]
        covered = ["unshare", "--mount", "bash", "-c", f'mount -t tmpfs none "{fresh}" && exec "$@"', "bash"]
        with processes.leaving_none(start([], [*head, f"--temp-dir={place}"], tmp_path / "head.out")) as first:
            await_start(first, tmp_path / "head.out")
            worker = start(covered, [f"--address={address}", "--num-cpus=1"], tmp_path / "worker.out")
            with processes.leaving_none(worker):
                await_start(worker, tmp_path / "worker.out")
                yield address


def start(before: list[str], options: list[str], said: Path) -> subprocess.Popen:
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


def test_a_store_that_is_not_shared_ends_the_launch_at_its_first_product(cluster, fresh):
    parts = ("ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--address", cluster)
    ended = run(fresh, *parts, code=None)
    assert ended.code != 0
    assert ended.told["done"] == 0
    assert "wrote a product that this machine does not see" in ended.told["stopped"]
    assert "--store must be a folder that all machines share, or a URL" in ended.stderr
    assert not [cell for cell in outcome(fresh, "ablation_alpha").values() if cell.state in ("complete", "failed")]
    assert not list((fresh / ".raysweep").glob("failed/*"))
