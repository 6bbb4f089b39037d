"""`python -m raysweep.run STUDY --slurm`: submit the launch to a Slurm cluster."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.core.errors import UserError
from raysweep.core.filesystem import file_system, network_file_system
from raysweep.core.masking import masked
from raysweep.launch.slurm import Scripts, SlurmRequest, Submitted, check_sbatch, make_scripts, submit
from raysweep.launch.slurm.request import CPUS, STOP_BEFORE, TASKS

if TYPE_CHECKING:  # torch takes seconds
    from raysweep.launch.session import Session

ONLY_SLURM: dict[str, Any] = {
    **dict.fromkeys(("partition", "time", "gpus", "cpus", "tasks", "nodes", "stop_before", "slurm_script")),
    "sbatch": [],
    "slurm_dry_run": False,
}
"""Options of a submission, with their defaults."""

_NOT_FOR_JOBS = {"study", "slurm", "plan", "devices", "json", *ONLY_SLURM}
"""Options that the jobs' own commands leave out, besides those that are at their defaults."""

_NOT_WITH_SLURM = ("list", "fields", "status", "gc", "address", "worker", "report_only")


def add_slurm(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--slurm",
        action="store_true",
        help="submit the launch with sbatch: an array of launches that share the store, and a last job for the report",
    )
    add("--partition", metavar="P", help="partition; default the cluster's")
    add(
        "--time",
        metavar="T",
        help="time limit of each task, which is then requeued and goes on; default the partition's",
    )
    add("--gpus", type=int, metavar="N", help="GPUs of each task; default none")
    add("--cpus", type=int, metavar="N", help=f"CPUs of each task, and cells at a time without GPUs; default {CPUS}")
    add("--tasks", type=int, metavar="N", help=f"launches at once, at most; default {TASKS}")
    add(
        "--nodes",
        type=int,
        metavar="N",
        help="one launch over N nodes instead of an array, for --devices-per-trial beyond one node; --gpus and --cpus "
        "are then those of each node",
    )
    add(
        "--stop-before",
        type=int,
        metavar="SECONDS",
        help=f"stop so long before the time limit; more than an epoch takes saves epochs; default {STOP_BEFORE}",
    )
    add(
        "--sbatch",
        metavar="OPTION",
        action="append",
        default=[],
        help="a further option of sbatch for all jobs, such as --sbatch=--account=lab; repeatable",
    )
    add("--slurm-script", metavar="FILE", help="where the script goes; default in the store")
    add("--slurm-dry-run", action="store_true", help="print the scripts, submit nothing; so does --plan")


def check(asked: argparse.Namespace) -> None:
    """Check all that needs no data. Raises UserError."""
    if asked.worker and asked.report_only:
        raise UserError(
            "--worker trains and writes no report, --report-only the other way round: leave one of them out"
        )
    if not asked.slurm:
        given = next((name for name, default in ONLY_SLURM.items() if getattr(asked, name) != default), None)
        if given is not None:
            raise UserError(f"{_option(given)} is for launches on Slurm: add --slurm")
        return
    for name in _NOT_WITH_SLURM:
        if getattr(asked, name):
            why = "its jobs start their own Ray" if name == "address" else "it submits launches"
            raise UserError(f"--slurm and {_option(name)} exclude each other ({why}): leave one of them out")
    _request(asked)
    for option, value in (
        ("--store", asked.store),
        ("--tracking", asked.tracking),
        ("--search-storage", asked.search_storage),
    ):
        if value and masked(value) != value:
            where = {"--tracking": "MLFLOW_TRACKING_URI"}.get(option, "a file of the service it belongs to")
            raise UserError(
                f"{option} has a password, which every account of a node could read in its list of processes: put it "
                f"into {where}, and leave it out of the command"
            )
    if not _dry(asked):
        check_sbatch()


def submitted(asked: argparse.Namespace, study: str, sessions: Mapping[str, Session]) -> int:
    """Write and submit the scripts of planned launches, or only print them."""
    request = _request(asked)
    for session in sessions.values():
        session.check()  # on this machine, since nodes often have no way to download weights
    tracking = _tracking(asked)
    _warn_of_local_places(asked, tracking)
    folder = _folder(asked)
    words = _words(asked, tracking)
    scripts = make_scripts(
        request,
        study,
        folder,
        words,
        Path(asked.slurm_script).expanduser().resolve() if asked.slurm_script else None,
        _tasks(asked, request, sessions),
        needs_tracking_variable=tracking is None,
    )
    if _dry(asked):
        for path, text in scripts.texts.items():
            print(f"# {path}\n{text}")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    scripts.write()
    jobs = submit(scripts)
    _tell(asked, scripts, jobs, folder, study)
    return 0


def _tell(asked: argparse.Namespace, scripts: Scripts, jobs: Submitted, folder: Path, study: str) -> None:
    out = Path(asked.out).resolve() if asked.out else Path("reports").resolve() / Path(study).stem
    if asked.json:
        facts = {"launch": jobs.launch, "report": jobs.report, "scripts": [str(path) for path in scripts.texts]}
        print(json.dumps({**facts, "logs": str(folder), "out": str(out)}, indent=1))
        return
    print(f"submitted        job {jobs.launch}; then job {jobs.report} writes the report, by default to {out}")
    print(f"watch            squeue --me; tail -F {shlex.quote(str(folder))}/*.log")
    print(f"progress         python -m raysweep.run --status --store {shlex.quote(str(asked.store))}")
    print(f"stop             scancel --signal=TERM --batch {jobs.launch}")
    print(f"scripts          {', '.join(str(path) for path in scripts.texts)}")


def _request(asked: argparse.Namespace) -> SlurmRequest:
    given = {
        name: getattr(asked, name) for name in ("partition", "time", "gpus", "cpus", "tasks", "nodes", "stop_before")
    }
    return SlurmRequest(**{name: value for name, value in given.items() if value is not None}, more=tuple(asked.sbatch))


def _dry(asked: argparse.Namespace) -> bool:
    return bool(asked.slurm_dry_run or asked.plan)


def _tasks(asked: argparse.Namespace, request: SlurmRequest, sessions: Mapping[str, Session]) -> int:
    """Size of the array: as asked, but no more than there are tasks to compute.

    Raises:
        UserError: several launches of a search with a storage for one.
    """
    ahead = sum(session.tasks_ahead for session in sessions.values())
    if not any(session.search for session in sessions.values()):
        return max(1, min(request.tasks or TASKS, ahead))
    if (request.tasks or 1) > 1 and (asked.search_storage or "sqlite").startswith("sqlite"):
        raise UserError(
            "a search keeps its trials in SQLite, which several nodes cannot write: give --tasks 1, or a server with "
            "--search-storage"
        )
    return request.tasks or 1


def _tracking(asked: argparse.Namespace) -> str | None:
    """The address for the jobs, a file's path in full; None if they read MLFLOW_TRACKING_URI, which has a password.

    Raises:
        UserError: it cannot be used.
    """
    from raysweep.tracking.server import SQLITE, connect, tracking_uri

    uri = tracking_uri(asked.tracking)
    if not uri.startswith(SQLITE):
        connect(uri)
        return uri if masked(uri) == uri else None
    file = Path(uri.removeprefix(SQLITE)).resolve()
    if not network_file_system(file.parent):
        connect(f"{SQLITE}{file}")
    elif not os.access(file.parent, os.W_OK):
        raise UserError(f"tracking: the folder of {uri} does not exist or cannot be written: {file.parent}")
    return f"{SQLITE}{file}"


def _warn_of_local_places(asked: argparse.Namespace, tracking: str | None) -> None:
    """Name the places that other nodes probably do not see."""
    places = {"this folder": str(Path.cwd()), "--store": asked.store, "--out": asked.out or "reports"}
    places["--tracking"] = (tracking or "http://").removeprefix("sqlite:///")
    local: dict[str, list[str]] = {}
    for option, place in places.items():
        kind = "" if "://" in place else file_system(Path(place))
        if kind and not network_file_system(Path(place)):
            local.setdefault(kind, []).append(option)
    for kind, options in local.items():
        sys.stderr.write(
            f"warning: {', '.join(options)}: on {kind}, which is usually a disk of one machine, but all nodes must see "
            "the same files there (a job on a node that does not ends at once)\n"
        )


def _folder(asked: argparse.Namespace) -> Path:
    """Folder of one submission, in the store if that is a folder."""
    root = Path(".raysweep" if "://" in asked.store else asked.store).expanduser().resolve()
    return root / "slurm" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _words(asked: argparse.Namespace, tracking: str | None) -> list[str]:
    """The jobs' arguments: what was asked for, with the paths of what is written in full.

    Studies and data sets are named as they were: the jobs look them up in the same working folder.
    """
    from raysweep.cli.run_arguments import parser

    resolved: dict[str, Any] = {**vars(asked), "tracking": tracking, "store": _in_full(asked.store)}
    resolved["out"] = _in_full(asked.out) if asked.out else None
    storage = asked.search_storage or ""
    if storage.startswith("sqlite:///"):
        resolved["search_storage"] = f"sqlite:///{_in_full(storage.removeprefix('sqlite:///'))}"
    words = [asked.study]
    for action in parser()._actions:
        value = resolved.get(action.dest)
        if action.dest in _NOT_FOR_JOBS or not value or value == action.default:
            continue
        option = action.option_strings[0]
        if action.nargs == 0:
            words.append(option)
        elif action.nargs == "+":
            words += [option, *value]
        else:
            words += [f"{option}={one}" for one in (value if isinstance(value, list) else [value])]
    return words


def _in_full(place: str) -> str:
    return place if "://" in place else str(Path(place).expanduser().resolve())


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
