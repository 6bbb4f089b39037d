"""A Slurm cluster on one machine: slurmctld, munged and slurmd nodes in namespaces of their own.

Each node has its own network, processes, host name, /dev/shm and folder for Ray; files are shared by all, as on a
cluster. Traffic stays on a bridge that only the namespaces reach. Needs root, and Debian's slurmctld, slurmd,
slurm-client and munge.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "unshare", "nsenter", "ip")

CONFIG = """\
ClusterName={name}
SlurmctldHost=controller(10.78.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdParameters=config_overrides
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=3,bf_interval=3,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
InactiveLimit=0
ReturnToService=2
SlurmdTimeout=60
MailProg=/bin/true
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=graceful Nodes=ALL MaxTime=INFINITE PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""

NODE = """
set -e
hostname {node}
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
mkdir -p /tmp/ray {folder}/ray-{node}
mount --bind {folder}/ray-{node} /tmp/ray
mount --bind {folder}/hosts /etc/hosts
exec slurmd -D -N {node} -f {folder}/slurm.conf
"""


class Slurm:
    """A running cluster. Use as a context manager.

    Args:
        folder: for its configuration, state and logs.
        nodes: number of nodes, called n1, n2, ...
        cpus: CPUs that each node claims.

    `network`: a folder on a network file system; None without Debian's bindfs.
    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 1) -> None:
        self.folder, self.cpus = folder, cpus
        self.nodes = {f"n{i}": f"10.78.0.{10 + i}" for i in range(1, nodes + 1)}
        self.name = f"rs{secrets.token_hex(2)}"
        self.network: Path | None = None
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Slurm:
        try:
            self._write_config()
            self._mount()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGKILL)  # of `unshare --kill-child`: all of its namespace
            daemon.wait()
        for space in (*self.nodes, "hub"):
            subprocess.run(["ip", "netns", "del", self._space(space)], stderr=subprocess.DEVNULL)
        for node in self.nodes:
            shutil.rmtree(self.folder / f"ray-{node}", ignore_errors=True)
        if self.network is not None:
            subprocess.run(["umount", "--lazy", str(self.network)], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), "PYTHONWARNINGS": "ignore"}

    def command(self, *words: str) -> list[str]:
        """The words, run where the controller answers."""
        return [*self._inside("hub"), *words]

    def run(self, *words: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, env=self.environment, cwd=cwd)
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def states(self, job: str) -> dict[str, str]:
        """State of every task of a job that is pending or running; a finished job has none."""
        shown = self.run("squeue", "--noheader", "--array", "--format=%i %T", "--jobs", job, check=False).stdout
        return dict(line.split() for line in shown.splitlines())

    def fields(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of one job or task."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job).stdout.splitlines()[0]
        return dict(word.split("=", 1) for word in shown.split() if "=" in word)

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float) -> Any:
        """What the condition gives once it is true; every deadline is multiplied by RAYSWEEP_PATIENCE."""
        until = time.monotonic() + seconds * float(os.environ.get("RAYSWEEP_PATIENCE", "1"))
        while not (found := condition()):
            assert time.monotonic() < until, f"waited for {what}\n{self.run('squeue', '--array').stdout}"
            time.sleep(0.2)
        return found

    def _mount(self) -> None:
        """Mount `network`, which the kernel says to be a network file system: FUSE lets a mount choose its name."""
        if shutil.which("bindfs") is None:
            return
        behind, place = self.folder / "behind", self.folder / "network"
        behind.mkdir()
        place.mkdir()
        subprocess.run(["bindfs", "-o", "subtype=glusterfs", str(behind), str(place)], check=True)
        self.network = place

    def _write_config(self) -> None:
        nodes = "\n".join(
            f"NodeName={name} NodeAddr={address} NodeHostname={name} CPUs={self.cpus} State=UNKNOWN"
            for name, address in self.nodes.items()
        )
        (self.folder / "state").mkdir(parents=True)
        self.folder.chmod(0o755)
        text = CONFIG.format(name=self.name, folder=self.folder, nodes=nodes)
        (self.folder / "slurm.conf").write_text(text)
        known = [f"{address} {name}" for name, address in {**self.nodes, "controller": "10.78.0.1"}.items()]
        (self.folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *known]) + "\n")
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)

    def _start(self) -> None:
        hub = self._space("hub")
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", hub, "addr", "add", "10.78.0.1/24", "dev", "br0")
        _ip("-n", hub, "link", "set", "br0", "up")
        self._daemon("munged", [
            *("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket"),
            *(f"--key-file={self.folder}/munge.key", f"--pid-file={self.folder}/munged.pid"),
            *(f"--seed-file={self.folder}/munge.seed", "--num-threads=2"),
        ])  # fmt: skip
        self.wait_for_path(self.folder / "munge.socket")
        conf = str(self.folder / "slurm.conf")
        self._daemon("controller", self.command("unshare", "--uts", "sh", "-c",
                     f"hostname controller; exec slurmctld -D -f {conf}"))  # fmt: skip
        for node, address in self.nodes.items():
            self._add_node(node, address)
        self.wait_for("all nodes", lambda: self._idle() == len(self.nodes), 60)

    def _add_node(self, node: str, address: str) -> None:
        space, hub = self._space(node), self._space("hub")
        _ip("netns", "add", space)
        _ip("-n", hub, "link", "add", f"v-{node}", "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", hub, "link", "set", f"v-{node}", "master", "br0", "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        script = NODE.format(node=node, folder=self.folder)
        enter = (*self._inside(node), "unshare", *("--mount", "--pid", "--uts", "--ipc", "--fork"))
        self._daemon(node, [*enter, "--kill-child=KILL", "bash", "-c", script])

    def _daemon(self, name: str, words: Sequence[str]) -> None:
        with (self.folder / f"{name}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                                 env=self.environment, stdin=subprocess.DEVNULL)
            )  # fmt: skip

    def _idle(self) -> int:
        shown = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T", check=False).stdout
        return shown.split().count("idle")

    def wait_for_path(self, path: Path) -> None:
        until = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < until, f"{path} does not appear"
            time.sleep(0.1)

    def _inside(self, name: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._space(name)}"]  # `ip netns exec` hides /sys/fs/cgroup

    def _space(self, name: str) -> str:
        return f"{self.name}-{name}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
