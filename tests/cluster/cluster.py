"""A cluster on hosts: `ray up cluster-local.yaml` with its marked lines filled in, launches, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from tests.cluster import services
from tests.cluster.hosts import PROJECT, Hosts, HostsError, call

LAPTOP = ("laptop", "10.77.0.2")
HEAD = ("head", "10.77.0.10")
WORKERS = {"w1": "10.77.0.11", "w2": "10.77.0.12", "w3": "10.77.0.13"}
PATIENCE = float(os.environ.get("RAYSWEEP_PATIENCE", "1"))
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

    def launch(self, name: str, more: str = "", address: str = "--address auto", user: str = "ubuntu") -> Launch:
        """Start the study on the head under a name of its own: its MLflow experiment, store and report."""
        self.head(f"mkdir -p ~/drills && cp search_spaces/ablation_noise_rate.py ~/drills/{name}.py", user=user)
        command = (
            f". ~/.raysweep_env; cd ~/drills; PYTHONPATH=~/raysweep exec python -m raysweep.run ~/drills/{name}.py "
            f"--preset smoke {address} --store s3://{services.BUCKET}/{name} --out ~/drills/{name} {more}"
        )
        return Launch(self, name, self.hosts.words("head", command, user))


class Launch:
    """A launch that runs on the head, and what it prints."""

    def __init__(self, cluster: Cluster, name: str, words: list[str]) -> None:
        self.cluster, self.name, self.began = cluster, name, time.monotonic()
        self.log = cluster.hosts.folder / f"launch-{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_cells(self, count: int, seconds: float = 300) -> None:
        """Until so many cells are in the store. Raises HostsError if the launch ends before."""
        end = time.monotonic() + seconds * PATIENCE
        while len(results(self.cluster.hosts, self.name)) < count:
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


def results(hosts: Hosts, store: str) -> dict[str, list[str]]:
    """`result.json` of every cell in a store, by key. Read at the S3 server itself, not through the proxy.

    A cell has several where a machine that was cut off went on: the manifest names one of them.
    """
    code = (
        "import boto3, json; s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:9001'); "
        f"pages = s3.get_paginator('list_objects_v2').paginate(Bucket='{services.BUCKET}', Prefix='{store}/'); "
        "names = [o['Key'] for page in pages for o in page.get('Contents', ()) if o['Key'].endswith('/result.json')]; "
        f"read = lambda name: s3.get_object(Bucket='{services.BUCKET}', Key=name)['Body'].read().decode(); "
        "print(json.dumps({name: read(name) for name in names}))"
    )
    found: dict[str, str] = json.loads(hosts.run(services.NAME, f'~/raysweep-venv/bin/python -c "{code}"'))
    by_key: dict[str, list[str]] = {}
    for name, text in found.items():
        by_key.setdefault(name.removeprefix(f"{store}/stages/").partition("/")[0], []).append(text)
    return by_key


__all__ = ["CPUS", "HEAD", "LAPTOP", "WORKERS", "Cluster", "Launch", "call", "filled_in", "results"]
