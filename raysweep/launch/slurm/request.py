"""What a launch asks of Slurm, checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from raysweep.core.errors import UserError

TASKS = 4
"""Tasks of the array by default."""

CPUS = 4
"""CPUs of a task, or of a node, by default."""

STOP_BEFORE = 60
"""Seconds before the time limit at which a task stops, by default."""

REPORT_SECONDS = 3600
"""Time limit of the report's job, if the launch's own is not shorter."""

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")

_OURS = (
    "array",
    "nodes",
    "signal",
    "dependency",
    "output",
    "error",
    "requeue",
    "no-requeue",
    "chdir",
    "wrap",
    "parsable",
)
"""Options of sbatch that the scripts depend on."""


@dataclass(frozen=True)
class SlurmRequest:
    """Resources and limits of the jobs.

    `gpus` and `cpus`: of each task, or of each node if `nodes > 1`; `tasks`: most launches at once; `time`: as for
    sbatch, "" for the partition's default; `stop_before`: seconds before the time limit at which a task stops and is
    requeued; `more`: further options of sbatch, for all jobs.

    Raises:
        UserError: a value that Slurm or a launch cannot use.
    """

    partition: str = ""
    time: str = ""
    gpus: int | None = None
    cpus: int = CPUS
    tasks: int | None = None
    nodes: int = 1
    stop_before: int = STOP_BEFORE
    more: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, value in (("gpus", self.gpus), ("cpus", self.cpus), ("tasks", self.tasks), ("nodes", self.nodes)):
            if value is not None and value < 1:
                hint = ": leave it out for CPUs only" if name == "gpus" else ""
                raise UserError(f"`{name} >= 1` must hold, but --{name} is {value}{hint}")
        if self.nodes > 1 and self.tasks is not None:
            raise UserError("--nodes is one launch over several nodes, --tasks several launches: leave one of them out")
        if not 10 <= self.stop_before <= 65535:
            raise UserError(f"`10 <= stop-before <= 65535` seconds must hold, but got {self.stop_before}")
        if self.time and self.seconds <= self.stop_before:
            raise UserError(
                f"--time {self.time} is not longer than the {self.stop_before} s that a task needs to stop: give more "
                "time, or lower --stop-before"
            )
        for option in self.more:
            name = option.removeprefix("--").partition("=")[0]
            if not option.startswith("--") or name in _OURS or "\n" in option:
                why = f"--{name} is the script's own" if name in _OURS else "expected a long option"
                raise UserError(f"--sbatch {option}: {why}; for example --sbatch=--account=lab")

    @property
    def seconds(self) -> float:
        """The time limit; infinite without one.

        >>> [SlurmRequest(time=text).seconds for text in ("90", "90:30", "1:30:00", "2-0", "1-12:30")]
        [5400.0, 5430.0, 5400.0, 172800.0, 131400.0]
        """
        if not self.time or self.time.lower() in ("unlimited", "infinite"):
            return float("inf")
        found = _TIME.fullmatch(self.time)
        if found is None:
            raise UserError(
                f"--time expects MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS or "
                f"DAYS-HOURS:MINUTES[:SECONDS], but got {self.time!r}"
            )
        parts = [int(found[name]) for name in ("first", "second", "third") if found[name]]
        hours_first = found["days"] or len(parts) == 3
        units = (3600, 60, 1) if hours_first else (60, 1)
        total = sum(part * unit for part, unit in zip(parts, units, strict=False))
        return float(total + 86400 * int(found["days"] or 0))

    @property
    def report_time(self) -> str:
        """Time limit of the report's job, in minutes; the launch's own if that is shorter."""
        return self.time if self.seconds < REPORT_SECONDS else str(REPORT_SECONDS // 60)
