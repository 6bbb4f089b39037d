"""Mistakes of users: each is one sentence with the remedy, from the doctor and from a launch, and spoils no cell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster import services
from tests.cluster.cluster import Cluster, Launch
from tests.cluster.expectations import ends, expect
from tests.cluster.hosts import SHARED

NAME = "bad_input"
STORE = f"s3://{services.BUCKET}/{NAME}"


@dataclass(frozen=True)
class Mistake:
    """`says`: in what both print. `make`, `undo`: commands on `host`. `launches`: the launch works without the host."""

    says: str
    options: str = ""
    make: str = "true"
    undo: str = "true"
    host: str = "head"
    user: str = "ubuntu"
    store: str = STORE
    launches: bool = False


MISTAKES = {
    "no credentials": Mistake("it needs credentials", make="mv ~/.aws ~/.aws-", undo="mv ~/.aws- ~/.aws"),
    "no token": Mistake("token", make="mv ~/.ray/auth_token ~/token", undo="mv ~/token ~/.ray/auth_token"),
    "token of another cluster": Mistake(
        "does not accept this token",
        make="cp -p ~/.ray/auth_token ~/token; python3 -c 'print(\"0\" * 64, end=\"\")' > ~/.ray/auth_token",
        undo="mv ~/token ~/.ray/auth_token",
    ),
    "no such bucket": Mistake("there is no bucket 'nowhere'", store="s3://nowhere/store"),
    "store read-only": Mistake(
        "denied", store=f"{SHARED}/closed/store", user="root", make=f"mkdir -pm 555 {SHARED}/closed"
    ),
    "data not prepared": Mistake("nosuch", options="--on nosuch"),
    "more devices than a machine has": Mistake("--devices-per-trial", options="--devices-per-trial 64"),
    "placeholders": Mistake("not filled in", options="--cluster ~/raysweep-cluster.yaml"),
    "another raysweep on a worker": Mistake(
        "w1", host="w1", make="echo '# changed' >> ~/raysweep/raysweep/pipeline/run.py", launches=True,
        undo="sed -i '$d' ~/raysweep/raysweep/pipeline/run.py",
    ),
}  # fmt: skip


def bad_input(cluster: Cluster) -> Launch:
    cluster.hosts.write("head", "~/raysweep-cluster.yaml", "provider: {region: CHANGE-ME}\n")
    wrong = [f"{name}: {said}" for name, mistake in MISTAKES.items() for said in tried(cluster, mistake)]
    expect(not wrong, "; ".join(wrong))
    launch = cluster.launch(NAME)
    ends(launch, 0)
    expect("FAILED" not in launch.said(), launch.said()[-1500:])
    return launch


def tried(cluster: Cluster, mistake: Mistake) -> Iterator[str]:
    """What the doctor and a launch said wrong."""
    options = f"--preset smoke --address auto --store {mistake.store} {mistake.options}"
    with made(cluster, mistake):
        code, said = run(cluster, f"--doctor {options}")
        if code == (0 if not mistake.launches else 2) or mistake.says not in said:
            yield f"the doctor ended with {code} and said {said[-600:]!r}"
        if "--cluster" in options or mistake.launches:
            return
        code, said = run(cluster, f"{options} --out ~/drills/{NAME}")
        if code == 0 or mistake.says not in said or "Traceback" in said:
            yield f"the launch ended with {code} and said {said[-600:]!r}"


@contextmanager
def made(cluster: Cluster, mistake: Mistake) -> Iterator[None]:
    cluster.hosts.run(mistake.host, mistake.make, mistake.user)
    try:
        yield
    finally:
        cluster.hosts.run(mistake.host, mistake.undo, mistake.user)


def run(cluster: Cluster, options: str) -> tuple[int, str]:
    """Exit code of a command on the head, and all that it printed."""
    done = subprocess.run(
        cluster.command(NAME, options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")
