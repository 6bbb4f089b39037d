"""A cluster on hosts: `ray up cluster-local.yaml` with its marked lines filled in, launches, and what they leave."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.cluster import services
from tests.cluster.hosts import PROJECT, Hosts, HostsError, call

LAPTOP = ("laptop", "10.77.0.2")
HEAD = ("head", "10.77.0.10")
WORKERS = {"w1": "10.77.0.11", "w2": "10.77.0.12", "w3": "10.77.0.13"}
PATIENCE = float(os.environ.get("RAYSWEEP_PATIENCE", "1"))
SSH = "ssh -o StrictHostKeyChecking=no -i ~/ray_bootstrap_key.pem"
"""From the head to a worker."""
CPUS = "--num-cpus=1 --object-store-memory=150000000"
"""Added to `ray start`: all hosts share this machine's processors and memory."""


def filled_in(text: str, workers: list[str]) -> str:
    """The text of cluster-local.yaml with the lines to change changed. Raises HostsError if one is not there."""
    changes = {
        "head_ip: 192.0.2.10": f"head_ip: {HEAD[1]}",
        "worker_ips: [192.0.2.11, 192.0.2.12]": f"worker_ips: [{', '.join(workers)}]",
        '# "~/.aws": "~/.aws"': '"~/.aws": "~/.aws"',
        "sqlite:///$HOME/mlflow/mlflow.db": services.DATABASE,
        "bin/ray start --head": f"bin/ray start {CPUS} --head",
        "bin/ray start --address": f"bin/ray start {CPUS} --address",
    }
    for old, new in changes.items():
        if text.count(old) != 1:
            raise HostsError(f"cluster-local.yaml: expected {old!r} once, found {text.count(old)}")
        text = text.replace(old, new)
    return text


@dataclass
class Cluster:
    """Head, workers and the laptop that `ray up` runs on. `seconds`: of its steps, by name."""

    hosts: Hosts
    workers: list[str] = field(default_factory=lambda: ["w1", "w2"])
    seconds: dict[str, float] = field(default_factory=dict)

    def build(self) -> None:
        """Switch the hosts on and put on them what a user has: keys for ssh and for the bucket, a token."""
        self.hosts.start(*LAPTOP)
        for path, text in services.AWS.items():
            self.hosts.write("laptop", path, text)
        self.hosts.run("laptop", "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519; umask 077; mkdir -p ~/.ray; "
                                 "~/raysweep-venv/bin/ray get-auth-token --generate > /dev/null")  # fmt: skip
        self.key = self.hosts.run("laptop", "cat ~/.ssh/id_ed25519.pub")
        for name, address in (HEAD, *((name, WORKERS[name]) for name in self.workers)):
            self.switch_on(name, address)

    def switch_on(self, name: str, address: str, disk: str = "3G") -> None:
        self.hosts.start(name, address, disk)
        self.hosts.write(name, "~/.ssh/authorized_keys", self.key)
        if name == "head":
            self.hosts.write(name, "~/.pgpass", services.PGPASS)

    def up(self, wait: bool = True) -> str:
        """`ray up`, then wait until all workers have joined. What `ray up` said."""
        text = filled_in((PROJECT / "cluster-local.yaml").read_text(), [WORKERS[name] for name in self.workers])
        self.hosts.write("laptop", "~/cluster-local.yaml", text)
        began = time.monotonic()
        said = self.ray("up -y ~/cluster-local.yaml", seconds=300 * PATIENCE)
        self.seconds["ray up"] = time.monotonic() - began
        if wait:
            self.wait_for_nodes(1 + len(self.workers))
            self.seconds["last worker joined"] = time.monotonic() - began
        return said

    def down(self) -> None:
        self.ray("down -y ~/cluster-local.yaml", seconds=120 * PATIENCE)

    def ray(self, words: str, seconds: float = 60) -> str:
        """A command of Ray's on the laptop, from the folder of the code."""
        return self.hosts.run("laptop", f"cd {PROJECT} && PATH=~/raysweep-venv/bin:$PATH ray {words}", seconds=seconds)

    def nodes(self) -> list[str]:
        """Addresses of the living machines."""
        code = (
            "import ray, json; ray.init('auto', logging_level='ERROR', log_to_driver=False); "
            "print(json.dumps([n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']]))"
        )
        said = self.head(f'python -c "{code}"', check=False)
        try:
            found: list[str] = json.loads(said.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return []
        return found

    def wait_for_nodes(self, count: int, seconds: float = 120) -> None:
        end = time.monotonic() + seconds * PATIENCE
        while len(found := self.nodes()) < count:
            if time.monotonic() > end:
                log = self.head("tail -n 5 /tmp/ray/session_latest/logs/monitor*", check=False)
                raise HostsError(f"{len(found)} of {count} machines after {seconds * PATIENCE:.0f} s: {log[-1500:]}")
            time.sleep(1)

    def head(self, command: str, seconds: float = 300, check: bool = True, user: str = "ubuntu") -> str:
        return self.hosts.run("head", f". ~/.raysweep_env; cd ~/raysweep; {command}", user, seconds, check)

    def launch(
        self,
        name: str,
        more: str = "",
        address: str = "--address auto",
        user: str = "ubuntu",
        store: str = "",
        before: str = "",
    ) -> Launch:
        """Start the study on the head under a name of its own: its MLflow experiment, store and report.

        `before`: a command that runs the launch.
        """
        store = store or f"s3://{services.BUCKET}/{name}"
        words = self.command(
            name, f"--preset smoke {address} --store {store} --out ~/drills/{name} {more}", user, before
        )
        return Launch(self, name, store, words)

    def command(self, name: str, options: str, user: str = "ubuntu", before: str = "") -> list[str]:
        """The command line of `raysweep run` on the head, with the study under this name."""
        self.head(f"mkdir -p ~/drills && cp search_spaces/ablation_noise_rate.py ~/drills/{name}.py", user=user)
        command = (
            f". ~/.raysweep_env; cd ~/drills; PYTHONPATH=~/raysweep exec {before} python -m raysweep.run "
            f"~/drills/{name}.py {options}"
        )
        return self.hosts.words("head", command, user)

    def config(self) -> dict[str, Any]:
        """The file that the laptop gave to `ray up`."""
        read: dict[str, Any] = yaml.safe_load(self.hosts.run("laptop", "cat ~/cluster-local.yaml"))
        return read

    def start_mlflow(self) -> None:
        """As `ray up` starts it."""
        for command in self.config()["head_start_ray_commands"][:2]:
            self.hosts.run("head", command)

    def set_up(self, name: str) -> None:
        """A machine that is added by hand, as in docs/cluster.md: files from the head, then the setup commands."""
        self.switch_on(name, WORKERS[name])
        self.hosts.run("head", f"rsync -a -e '{SSH}' ~/raysweep ~/.ray ~/.aws {WORKERS[name]}:")
        for command in self.config()["setup_commands"]:
            self._over_ssh(name, command)

    def join(self, name: str) -> None:
        """Start Ray on a machine that is set up."""
        for command in self.config()["worker_start_ray_commands"]:
            self._over_ssh(name, f"export RAY_HEAD_IP={HEAD[1]}; {command}")

    def _over_ssh(self, name: str, command: str) -> None:
        self.hosts.run("head", f"{SSH} {WORKERS[name]} {shlex.quote(f'bash -lc {shlex.quote(command)}')}")


class Launch:
    """A launch that runs on the head, and what it prints. `store`: its URL or folder; `cells`: how many it makes."""

    cells = 12

    def __init__(self, cluster: Cluster, name: str, store: str, words: list[str]) -> None:
        self.cluster, self.name, self.store, self.began = cluster, name, store, time.monotonic()
        self.log = cluster.hosts.folder / f"launch-{name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_cells(self, count: int, seconds: float = 300) -> None:
        """Until so many cells are in the store. Raises HostsError if the launch ends before."""
        end = time.monotonic() + seconds * PATIENCE
        while len(results(self.cluster.hosts, self.store)) < count:
            if self.process.poll() is not None or time.monotonic() > end:
                raise HostsError(f"fewer than {count} cells: {self.said()[-1500:]}")
            time.sleep(0.5)

    def wait(self, seconds: float = 300) -> int:
        """Its exit code. Raises HostsError when it takes longer."""
        try:
            return self.process.wait(timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise HostsError(f"the launch goes on after {seconds * PATIENCE:.0f} s: {self.said()[-1500:]}") from None


def results(hosts: Hosts, store: str, file: str = "result.json") -> dict[str, list[str]]:
    """A file of every product in a store that has it, by key; of a bucket read at its server, not through the proxy.

    A cell has several where a machine that was cut off went on: the manifest names one of them.
    """
    if store.startswith("s3://"):
        found, top = _in_bucket(hosts, store, file), f"{store.removeprefix(f's3://{services.BUCKET}/')}/stages/"
    else:
        found, top = _in_folder(hosts, store, file), f"{store}/stages/"
    by_key: dict[str, list[str]] = {}
    for name, text in found.items():
        by_key.setdefault(name.removeprefix(top).partition("/")[0], []).append(text)
    return by_key


def _in_bucket(hosts: Hosts, store: str, file: str) -> dict[str, str]:
    prefix = store.removeprefix(f"s3://{services.BUCKET}/")
    code = (
        "import boto3, json; s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:9001'); "
        f"pages = s3.get_paginator('list_objects_v2').paginate(Bucket='{services.BUCKET}', Prefix='{prefix}/'); "
        f"names = [o['Key'] for page in pages for o in page.get('Contents', ()) if o['Key'].endswith('/{file}')]; "
        f"read = lambda name: s3.get_object(Bucket='{services.BUCKET}', Key=name)['Body'].read().decode(); "
        "print(json.dumps({name: read(name) for name in names}))"
    )
    found: dict[str, str] = json.loads(hosts.run(services.NAME, f'~/raysweep-venv/bin/python -c "{code}"'))
    return found


def _in_folder(hosts: Hosts, store: str, file: str) -> dict[str, str]:
    code = (
        f"import json, pathlib; files = pathlib.Path('{store}').glob('stages/*/{file}'); "
        "print(json.dumps({str(file): file.read_text() for file in files}))"
    )
    found: dict[str, str] = json.loads(hosts.run("head", f'~/raysweep-venv/bin/python -c "{code}"'))
    return found


__all__ = ["CPUS", "HEAD", "LAPTOP", "WORKERS", "Cluster", "Launch", "call", "filled_in", "results"]
