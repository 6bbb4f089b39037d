"""Kills at random moments, again and again; after every completion the numbers are compared.

    python -m tests.faults.random_kills --kills 50 --seed 0 --log kills.log

Each kill hits, by chance, the driver (SIGKILL), a process of a trial (SIGKILL), or the driver with one or two
Ctrl-C. A study goes on by the same command until it is complete; then another one starts from nothing. The log has
one JSON line a kill and one a completion, at the end a summary.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults import processes, small_study
from tests.faults.launches import PATIENCE, Launch, epochs_told
from tests.faults.records import assert_same, outcome, statuses
from tests.faults.small_study import STUDY, WORDS, Reference

START_UP = 15.0
"""Seconds after its start within which a launch is hit, one time in four."""

AT_WORK = 8.0
"""Seconds after its first epochs within which it is hit otherwise."""

EXPECTED = (1, 130, -signal.SIGKILL, -signal.SIGINT)
"""How a launch that was hit may end; by SIGINT itself when the second Ctrl-C finds it saying goodbye."""

LONGEST = 400.0
"""Seconds that nothing here may take."""

Tell = Callable[..., None]


def drill(place: Path, reference: Reference, kills: int, seed: int, log: Path) -> dict[str, Any]:
    """Kill until `kills` have hit; every study is brought to its end and compared. Returns the summary."""
    chance, began = random.Random(seed), time.monotonic()
    summary: Counter[str] = Counter()

    def tell(**facts: Any) -> None:
        line = {"seconds": round(time.monotonic() - began, 1), **facts}
        with log.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    while summary["kills"] < kills:
        folder = place / f"study-{summary['studies']}"
        folder.mkdir(parents=True)
        summary["studies"] += 1
        _until_complete(folder, chance, kills, summary, tell)
        _compare(folder, reference, summary, tell)
    counts = {name: summary[name] for name in ("kills", "studies", "compared", "different")}
    told = {**counts, "by_kind": {k: n for k, n in sorted(summary.items()) if k not in counts}}
    tell(summary=told)
    return told


def _until_complete(folder: Path, chance: random.Random, kills: int, summary: Counter[str], tell: Tell) -> None:
    """Launch after launch, hit at a random moment while kills are left, until one ends by itself."""
    attempts = 0
    while True:
        attempts += 1
        with Launch(folder, *WORDS) as launch:
            more = summary["kills"] < kills
            while more and _moment(launch, chance):
                hit = _hit(launch, chance, tell, study=folder.name, launch_number=attempts)
                summary["kills"] += bool(hit)
                summary[hit or "missed"] += 1
                more = hit == "worker" and summary["kills"] < kills
            launch.wait_until_over(LONGEST)
            ended = launch.end(code=None, seconds=1)
        if ended.code == 0:
            return
        if ended.code not in EXPECTED or "Traceback" in ended.stderr:
            summary["odd_ends"] += 1
            tell(study=folder.name, odd_end=ended.code, stderr=ended.stderr[-2000:])
        if ended.code == 1:  # a cell whose processes were hit too often is marked; take it up again
            summary["cells_failed"] += 1
            tell(study=folder.name, failed=_failed(folder))
            _retry_failed(folder, summary, tell)


def _retry_failed(folder: Path, summary: Counter[str], tell: Tell) -> None:
    with Launch(folder, *WORDS, "--retry-failed") as launch:
        ended = launch.end(code=None, seconds=LONGEST)
    if ended.code:
        summary["odd_ends"] += 1
        tell(study=folder.name, retry_failed=ended.code, stderr=ended.stderr[-2000:])


def _moment(launch: Launch, chance: random.Random) -> bool:
    """Wait for a random moment of start-up or of work; whether the launch still runs then."""
    if chance.random() < 0.25:
        return _still_runs_after(launch, chance.uniform(0.2, START_UP) * PATIENCE)
    before = epochs_told(launch.folder)
    while launch.alive and epochs_told(launch.folder) == before:
        time.sleep(0.02)
    return _still_runs_after(launch, chance.uniform(0.0, AT_WORK))


def _still_runs_after(launch: Launch, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while launch.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    return launch.alive


def _hit(launch: Launch, chance: random.Random, tell: Tell, **words: Any) -> str:
    """What was hit: "driver", "worker", "ctrl_c", "ctrl_c_twice"; "" when it was gone."""
    kind = chance.choice(["driver", "driver", "worker", "worker", "worker", "ctrl_c", "ctrl_c_twice"])
    workers = sorted(launch.workers())
    if kind == "worker" and not workers:  # none yet, or none any more
        kind = "driver"
    epochs = epochs_told(launch.folder)
    if kind == "driver":
        launch.kill()
    elif kind == "worker":
        if not processes.send(chance.choice(workers), signal.SIGKILL):
            return ""
    else:
        launch.signal(signal.SIGINT)
        if kind == "ctrl_c_twice":
            time.sleep(chance.uniform(0.05, 1.0))
            launch.signal(signal.SIGINT)
    tell(**words, hit=kind, epochs_told=epochs)
    return kind


def _compare(folder: Path, reference: Reference, summary: Counter[str], tell: Tell) -> None:
    summary["compared"] += 1
    try:
        assert_same(outcome(folder, STUDY), reference.cells)
        left = {kind: found.count("RUNNING") for kind, found in statuses(folder, STUDY).items() if "RUNNING" in found}
        assert not left, f"runs that MLflow shows as running: {left}"
    except AssertionError as difference:
        summary["different"] += 1
        tell(study=folder.name, different=str(difference)[:2000])
        return
    tell(study=folder.name, same=True)
    shutil.rmtree(folder)


def _failed(folder: Path) -> dict[str, str]:
    return {f"{arm} #{n}": found.cause for (arm, n), found in outcome(folder, STUDY).items() if found.cause}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--log", type=Path, default=Path("kills.log"))
    asked = arguments.parse_args()
    place = Path(tempfile.mkdtemp(prefix="raysweep-kills-"))
    summary = drill(place, small_study.make_reference(place / "reference"), asked.kills, asked.seed, asked.log)
    print(json.dumps(summary))
    return 1 if summary["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
