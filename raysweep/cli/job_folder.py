"""A launch submitted by `ray job submit`: what it writes must outlive the job."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from raysweep.core.errors import UserError

JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Variable that Ray sets for the command of a submitted job."""

COPIES = "runtime_resources"
"""Folder of a Ray session with the copies of `--working-dir`, which Ray removes."""


def check_job(asked: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> None:
    """Raises UserError where a submitted job would train outside of its cluster, or write into a folder that Ray
    removes: one that was submitted with a `--working-dir` runs in a copy of it."""
    if JOB not in environment:
        return
    if asked.address is None:
        raise UserError("a submitted job trains on its cluster only if it is told to: add --address auto")
    tracking = asked.tracking or environment.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    places = {
        "--store": asked.store,
        "--out": asked.out or "reports",
        "--tracking": tracking,
        "--search-storage": asked.search_storage or "sqlite:////",
    }
    lost = [option for option, place in places.items() if _is_in_copy(place)]
    if lost:
        raise UserError(
            f"this job runs in a copy of its --working-dir, which Ray removes, and with it what goes to "
            f"{', '.join(lost)}: "
            "give URLs or absolute paths, such as --store s3://bucket/raysweep --out $HOME/reports/mine"
        )


def _is_in_copy(place: str) -> bool:
    """Whether a folder, or the file of a SQLite URL, is in a job's copy."""
    path = place.partition("sqlite:///")[2] or place
    return "://" not in path and COPIES in Path(path).expanduser().resolve().parts
