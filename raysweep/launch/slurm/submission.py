"""Submission of a launch's scripts with sbatch."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError

from .scripts import Scripts


@dataclass(frozen=True)
class Submitted:
    """Job ids of the launch and of its report."""

    launch: str
    report: str


def check_sbatch() -> None:
    """Raises UserError where there is no Slurm."""
    if shutil.which("sbatch") is None:
        raise UserError("sbatch is not found: run this where Slurm is, or see the scripts with --slurm-dry-run")


def submit(scripts: Scripts) -> Submitted:
    """Submit the launch, and the report to follow it.

    Raises:
        UserError: Slurm refuses one of them; if it refuses the report, the launch runs.
    """
    launch = _sbatch(scripts.launch)
    after = f"--dependency=afterany:{launch}"
    try:
        return Submitted(launch, _sbatch(scripts.report, after))
    except UserError as error:
        raise UserError(
            f"job {launch} is submitted, but its report is not: {error}; later: sbatch {after} {scripts.report}"
        ) from None


def _sbatch(script: Path, *options: str) -> str:
    """Submit one script. Returns the job's id."""
    done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True)
    told = " ".join((done.stderr or done.stdout).split())
    if done.returncode:
        raise UserError(
            f"Slurm refused {script}: {told.removeprefix('sbatch: error: ') or f'exit code {done.returncode}'}"
        )
    return done.stdout.strip().partition(";")[0]  # JOB or JOB;CLUSTER
