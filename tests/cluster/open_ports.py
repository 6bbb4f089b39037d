"""What a machine without the token gets from the ports of the cluster's machines: nothing that gives or takes data."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.cluster.cluster import HEAD, WORKERS, Cluster
from tests.cluster.expectations import expect
from tests.cluster.hosts import PROJECT

OUTSIDER = ("outsider", "10.77.0.99")

ASK = """
import json, socket, sys, urllib.error, urllib.request
def http(address, port, path):
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
            return f"HTTP {answer.status}: {len(answer.read())} bytes"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except Exception as error:
        return "no HTTP"
def ask(address, port):
    try:
        socket.create_connection((address, port), 5).close()
    except OSError:
        return "closed"
    return ", ".join(dict.fromkeys(http(address, port, path) for path in ("/", "/metrics", "/api/jobs/", "/nodes")))
print(json.dumps([ask(address, port) for address, port in json.loads(sys.argv[1])]))
"""

JOIN = """
import ray, sys
try:
    ray.init(sys.argv[1], logging_level="ERROR", log_to_driver=False)
    print("JOINED", ray.cluster_resources())
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0][:200])
"""


@dataclass(frozen=True)
class Port:
    """A port on which a program of a machine listens for others."""

    machine: str
    address: str
    port: int
    program: str


def open_ports(cluster: Cluster) -> None:
    cluster.hosts.start(*OUTSIDER)
    ports = [port for name, address in (HEAD, ("w1", WORKERS["w1"])) for port in listening(cluster, name, address)]
    asked = json.dumps([(port.address, port.port) for port in ports])
    answers = json.loads(outside(cluster, ASK, f"'{asked}'"))
    lines = [f"{p.machine:6} {p.port:6} {p.program:24} {a}" for p, a in zip(ports, answers, strict=True)]
    lines += [f"ray.init, {token:14} {outside(cluster, JOIN, HEAD[1] + ':6379', token)}" for token in TOKENS]
    text = "\n".join(lines)
    (cluster.hosts.folder / "open_ports.txt").write_text(text)
    print(text, flush=True)
    cluster.hosts.stop(OUTSIDER[0])
    expect(
        "HTTP 200" not in text and "JOINED" not in text, f"a port gives data to a machine without the token:\n{text}"
    )


TOKENS = {"no token": "unset RAY_AUTH_TOKEN", "another token": f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64}"}


def listening(cluster: Cluster, name: str, address: str) -> list[Port]:
    """Ports of a machine that are open to others, once each."""
    found = {}
    for line in cluster.hosts.run(name, "ss -ltnpH", "root").splitlines():
        fields = line.split()
        place, _, port = fields[3].rpartition(":")
        if not place.startswith(("127.", "[::1]")):
            program = fields[5].split('"')[1] if len(fields) > 5 and '"' in fields[5] else "?"
            found[int(port)] = Port(name, address, int(port), program)
    return [found[port] for port in sorted(found)]


def outside(cluster: Cluster, code: str, argument: str, token: str = "no token") -> str:
    """Output of Python on the machine that has no token."""
    cluster.hosts.write(OUTSIDER[0], "~/ask.py", code)
    command = f"cd {PROJECT}; {TOKENS[token]}; timeout 120 ~/raysweep-venv/bin/python ~/ask.py {argument}"
    said = cluster.hosts.run(OUTSIDER[0], command, check=False).strip().splitlines()
    return said[-1] if said else "no answer within 120 s"  # the lines before are Ray's own warnings
