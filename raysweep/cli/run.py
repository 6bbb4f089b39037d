"""`python -m raysweep.run STUDY`: plan, train what is missing, show progress, print the table."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.cli import slurm
from raysweep.cli.arguments import end_on_sigterm, leave, silence_stdout
from raysweep.config.experiment import Experiment, field_choices, field_paths
from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.core.masking import mask_streams, masked, masking
from raysweep.launch.options import LaunchOptions
from raysweep.store.unusable import FULL, StoreUnusable, is_unusable, why_unwritable
from raysweep.study import (
    PRESETS,
    Study,
    find_study,
    hidden_studies,
    list_studies,
    studies_in,
    study_folders,
)
from raysweep.study.request import Request
from raysweep.study.sources import check_sources

from .job_folder import check_job
from .run_arguments import check_detect, check_waiting, device_counts, parser, requests

if TYPE_CHECKING:  # torch and mlflow take seconds
    from raysweep.launch.session import Session
    from raysweep.tracking.working_copy import WorkingCopy

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""


@masking()
def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 some cells failed or the table is incomplete, 2 invalid arguments or input, 130 stopped by
    Ctrl-C or SIGTERM."""
    end_on_sigterm()
    asked = parser().parse_args(argv)
    try:
        slurm.check(asked)
        if asked.list:
            return _list()
        if asked.fields:
            return _fields()
        if asked.status or asked.gc:
            return _maintain(asked)
        if asked.doctor:
            return _doctor(asked)
        if not asked.study:
            parser().print_usage(sys.stderr)
            late = " before --on, which takes every argument after it" if asked.on and len(asked.on) > 1 else ""
            raise UserError(f"name a study{late}, for example ablation_alpha (`--list` shows them)")
        return _run(asked)
    except UserError as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 2
    except StoreUnusable as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # --plan, --list and similar; a launch that trains stops with exit code 1
        silence_stdout()
        return 0
    except OSError as error:
        if not is_unusable(error):
            raise
        with contextlib.suppress(OSError):  # stdout may be the full file, and stderr may be on the same disk
            full = "no space left on the disk" if error.errno in FULL else "a file cannot be read or written"
            print(f"raysweep: {full}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; finished cells are kept. To continue:\n  {_command()}", file=sys.stderr)
        return INTERRUPTED


def _run(asked: argparse.Namespace) -> int:
    name, study = find_study(asked.study)
    if asked.study in (hidden := hidden_studies()):
        print(f"raysweep: {name} is {list_studies()[name]}, which hides {hidden[name]}", file=sys.stderr)
    asked_for = requests(asked, name, study)
    devices = device_counts(asked.devices)
    check_waiting(asked.wait_for_devices, asked.address)
    check_detect(asked.detect, asked.plan)
    if not asked.plan:
        check_job(asked)
    _check_writable(asked)
    for request in asked_for.values():  # before torch, ray and mlflow are imported, which takes seconds
        check_sources(request.study, request.cells, request.changes)

    from raysweep.launch.session import Session
    from raysweep.store.store import Store

    sessions = {label: Session.prepare(request, Store(asked.store)) for label, request in asked_for.items()}
    if len(sessions) > 1:
        _check_apart(sessions, asked.on)
    if asked.slurm:
        return slurm.submitted(asked, name, sessions)
    if asked.plan:
        for session in sessions.values():
            session.check(download=False)
        return _shown(asked, sessions, devices)
    if len(sessions) > 1 and not asked.report_only:  # report errors of every data set before training on the first
        for session in sessions.values():
            session.check()
    if not asked.report_only:
        return _launched(asked, study, sessions)
    from raysweep.tracking.working_copy import working_copy

    with working_copy(asked.tracking, Store(asked.store).local / "journal") as database:
        return _launched(asked, study, sessions, database)


def _shown(asked: argparse.Namespace, sessions: Mapping[str, Session], devices: Sequence[int]) -> int:
    """Print the plans. Returns 1 if --detect asks for what nothing was measured for."""
    answered = True
    for session in sessions.values():
        found = None if asked.detect is None else session.detection(asked.detect)
        answered = answered and (found is None or found.pooled is not None)
        if asked.json:
            plan = session.json(devices, asked.devices_per_trial)
            print(json.dumps(plan if found is None else {**plan, "detect": found.json()}, indent=1))
        else:
            print(session.text(devices, asked.devices_per_trial), *([] if found is None else [found.text]), sep="\n")
    return 0 if answered else 1


def _check_writable(asked: argparse.Namespace) -> None:
    """Raises UserError where the store or the reports cannot be written; `--plan` only warns."""
    places = {"the store": asked.store, "the report": asked.out or "reports"}
    for what, place in places.items():
        why = "" if "://" in str(place) else why_unwritable(Path(place).expanduser())
        if why and not asked.plan:
            raise UserError(f"{what} cannot be written: {why}")
        if why:
            print(f"raysweep: {what} cannot be written, so a launch would fail: {why}", file=sys.stderr)


def _launched(
    asked: argparse.Namespace, study: Study, sessions: Mapping[str, Session], database: WorkingCopy | None = None
) -> int:
    """Run the planned launches, one per data set; for several, also write their common table."""
    out = Path(asked.out) if asked.out else None
    if len(sessions) > 1:
        from raysweep.report import default_folder
        from raysweep.study.identity import report_subject

        origin = study.origin
        subjects = [
            report_subject(session.request.name, origin.file, origin.content, session.used)
            for session in sessions.values()
        ]
        out = out or default_folder(subjects)
    code = 0
    for label, session in sessions.items():
        code = max(code, session.run(_options(asked, out / label if out else None, database), as_json=asked.json))
        if code == INTERRUPTED:
            return code
    if out and len(sessions) > 1 and not asked.worker:
        from raysweep.launch.summary import report_together

        folders = {out / label: session.data for label, session in sessions.items()}
        sentence, written = report_together(asked.study, folders, out, database.uri if database else asked.tracking)
        print(sentence, file=sys.stderr if asked.json else sys.stdout)
        code = code if written else max(code, 1)
    return code


def _check_apart(sessions: Mapping[str, Session], sources: Sequence[str]) -> None:
    """Raises UserError when two data sets hold the same images or have the same name."""
    seen: dict[str, str] = {}
    for source, session in zip(sources, sessions.values(), strict=True):
        scored = session.used[0]
        for value, why in ((scored.origin, "hold the same images"), (scored.name, f"are both called {scored.name!r}")):
            if value in seen:
                raise UserError(f"--on: {seen[value]} and {source} {why}: leave one of them out, or rename it")
        seen |= {scored.origin: source, scored.name: source}


def _options(asked: argparse.Namespace, out: Path | None, database: WorkingCopy | None) -> LaunchOptions:
    from raysweep.tracking.server import SQLITE, tracking_uri

    wait_for = asked.wait_for_devices or 0
    deferred = asked.worker and tracking_uri(asked.tracking).startswith(SQLITE)  # for one launch at a time
    how = {"worker": asked.worker, "deferred": deferred, "report_only": asked.report_only, "database": database}
    return LaunchOptions(_command(), asked.address, asked.devices_per_trial, wait_for, asked.tracking, out, **how)


def _maintain(asked: argparse.Namespace) -> int:
    """`--status` and `--gc`: what the store holds, and what can be removed."""
    from raysweep.maintenance import collect, status
    from raysweep.store.store import Store

    store = Store(asked.store)
    found = collect(store, delete=asked.yes) if asked.gc else status(store, asked.study)
    print(json.dumps(found.json(), indent=1) if asked.json else found.text())
    return 0


def _doctor(asked: argparse.Namespace) -> int:
    """`--doctor`: whether a launch would work. Returns 1 if not."""
    named: Sequence[Request] = []
    if asked.study:
        name, study = find_study(asked.study)
        named = list(requests(asked, name, study).values())

    from raysweep.launch.doctor.diagnosis import Asked, diagnose

    where = (asked.address, asked.devices_per_trial, asked.tracking, asked.out, asked.cluster)
    found = diagnose(Asked(asked.store, named, *where))
    print(json.dumps(found.json(), indent=1) if asked.json else found.text())
    return 0 if found.works else 1


def _command() -> str:
    """The command line without passwords, for reports."""
    return masked("python -m raysweep.run " + shlex.join(sys.argv[1:]))


def _list() -> int:
    used, hidden, folders = list_studies(), hidden_studies(), study_folders()
    for folder in folders:
        own = [name for name in studies_in(folder) if used[name].parent == folder]
        if len(folders) > 1 and own:
            print(f"in {folder}:")
        for name in own:
            study = find_study(name)[1]
            arms = plural(len(study.arms()), "arm") + (f"; hides {hidden[name]}" if name in hidden else "")
            print(f"{name:24} {study.title} ({study.source + '; ' if study.source else ''}{arms})")
        if own:
            print()
    for name, preset in PRESETS.items():
        print(f"--preset {name:15} {preset.about}; {plural(preset.seeds, 'replicate')}")
    return 0


def _fields() -> int:
    defaults = Experiment().model_dump()
    for path, about in field_paths().items():
        section, field = path.split(".")
        choices = field_choices(path)
        print(f"{path:32} {about} [{defaults[section][field]}]" + (f" ({', '.join(choices)})" if choices else ""))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    mask_streams()
    leave(main())
