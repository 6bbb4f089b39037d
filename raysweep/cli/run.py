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
from typing import TYPE_CHECKING, Any, Protocol

from raysweep.config.experiment import Experiment, field_choices, field_paths
from raysweep.config.values import Word, read_value, split_values
from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import data_folders, leave, parse_assignment, parse_seeds, plural, silence_stdout
from raysweep.core.masking import mask_streams, masked, masking
from raysweep.launch.options import Wishes
from raysweep.store.unusable import FULL, StoreUnusable, is_unusable, why_unwritable
from raysweep.study import (
    PRESETS,
    Study,
    find_study,
    hidden_studies,
    list_studies,
    make_cells,
    studies_in,
    study_folders,
    with_axis,
)
from raysweep.study.cells import fresh_replicates, search_budget, search_cells, with_fixed
from raysweep.study.sources import check_sources

if TYPE_CHECKING:  # torch takes seconds
    from raysweep.data.dataset import FaceData
    from raysweep.study.identity import SetIdentity

EXAMPLES = """examples:
  python -m raysweep.run --list
  python -m raysweep.run ablation_alpha
  python -m raysweep.run ablation_alpha --on /data/my_faces --seeds 5
  python -m raysweep.run ablation_alpha --on affectnet morphset --preset paper
  python -m raysweep.run ablation_alpha --axis labels.alpha=0,0.5,1 --set train.epochs=5
  python -m raysweep.run ablation_noise_rate --preset paper --address auto --plan --devices 8,64
  python -m raysweep.run search_dcjt --trials 40
  python -m raysweep.run --status
  python -m raysweep.run --gc
"""


INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="python -m raysweep.run",
        description="Run a study: train every cell that is not in the store yet, track it in MLflow, print the table.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = words.add_argument
    add(
        "study",
        nargs="?",
        help="name of a study, or the path of a study file; names are looked up in search_spaces/ of the working "
        "folder, then among the studies that come with raysweep (see --list)",
    )
    add("--list", action="store_true", help="list the studies and presets")
    add("--status", action="store_true", help="what the store holds, by study, and which launches are running")
    add("--gc", action="store_true", help="show what no study refers to any more; with --yes, remove it")
    add("--yes", action="store_true", help="with --gc: really remove")
    add("--fields", action="store_true", help="list every field that --set and --axis accept")
    add(
        "--preset", default="demo", help="smoke (seconds), demo (minutes on 2 cores), paper (needs a GPU); default demo"
    )
    add(
        "--on",
        metavar="DATA",
        nargs="+",
        help="data set: a name, a folder with one folder an expression, or a CSV file; several: a table for each, "
        "and one for all",
    )
    add(
        "--option",
        metavar="K=V",
        action="append",
        default=[],
        help="how a folder or CSV file of --on is read, as for `python -m raysweep.data prepare`; repeatable",
    )
    add("--seeds", metavar="N|A:B", help="number of replicates, or a range of replicate numbers such as 100:105")
    add("--set", metavar="FIELD=VALUE", action="append", default=[], help="set a field for every arm; repeatable")
    add(
        "--axis",
        metavar="FIELD=V,V,...",
        action="append",
        default=[],
        help="replace, narrow or add an axis; a value with a comma stands in quotes; repeatable",
    )
    add("--address", help="Ray cluster to join (auto: the one this machine belongs to); default: this machine alone")
    add("--devices-per-trial", type=int, default=1, metavar="N", help="GPUs (or CPUs) one cell trains on; default 1")
    add("--plan", action="store_true", help="show what would be trained, and how long it would take, and stop")
    add(
        "--devices",
        default="1,8,64",
        metavar="N,N,...",
        help="with --plan: numbers of devices to simulate the launch on; default 1,8,64",
    )
    add("--retry-failed", action="store_true", help="try cells again that an earlier launch failed at")
    add("--trials", type=int, metavar="N", help="search studies: trials an arm; default by preset")
    add(
        "--device-hours",
        type=float,
        metavar="H",
        help="search studies: stop searching after this much device time an arm",
    )
    add("--search-storage", metavar="URL", help="search studies: Optuna storage; default STORE/optuna.db (SQLite)")
    add("--json", action="store_true", help="print one JSON object instead of text")
    add(
        "--store",
        default=".raysweep",
        help="where finished work is kept: a folder, or a URL such as s3://bucket/raysweep",
    )
    add("--tracking", metavar="URI", help="MLflow tracking store; default MLFLOW_TRACKING_URI or sqlite:///mlflow.db")
    add(
        "--out",
        metavar="FOLDER",
        help="where the report goes; default reports/STUDY, or beside it when that is about other data",
    )
    return words


@masking()
def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 some cells failed or no whole table could be made, 2 a mistake in what was asked, 130
    stopped by Ctrl-C."""
    asked = parser().parse_args(argv)
    try:
        if asked.list:
            return _list()
        if asked.fields:
            return _fields()
        if asked.status or asked.gc:
            return _upkeep(asked)
        if not asked.study:
            parser().print_usage(sys.stderr)
            late = " before --on, which takes all words after it" if asked.on and len(asked.on) > 1 else ""
            raise UserError(f"name a study{late}, for example ablation_alpha (`--list` shows them)")
        return _run(asked)
    except UserError as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 2
    except StoreUnusable as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # --plan, --list and their like; a launch that trains stops, with exit code 1
        silence_stdout()
        return 0
    except OSError as error:
        if not is_unusable(error):
            raise
        with contextlib.suppress(OSError):  # it may have been stdout that was full, and stderr may lie beside it
            full = "no room left on the disk" if error.errno in FULL else "a place cannot be written or read"
            print(f"raysweep: {full}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; finished cells are kept. To go on:\n  {_command()}", file=sys.stderr)
        return INTERRUPTED


def _run(asked: argparse.Namespace) -> int:
    name, study = find_study(asked.study)
    if asked.study in (hidden := hidden_studies()):
        print(f"raysweep: {name} is {list_studies()[name]}, which hides {hidden[name]}", file=sys.stderr)
    study = _with_axes(study, asked.axis)
    if asked.preset not in PRESETS:
        raise unknown_name("preset", asked.preset, PRESETS)
    study = study.at(asked.preset)
    changes = _changes(asked.set, asked.on or [])
    if asked.option:
        changes["data.options"] = tuple(asked.option)
    study, changes = with_fixed(study, changes)
    replicates = parse_seeds(asked.seeds) if asked.seeds else None
    devices = _devices(asked.devices)
    if study.search is not None:
        if replicates and ":" not in asked.seeds:  # a count: as many after the one that is searched on
            replicates = range(study.search.replicate + 1, study.search.replicate + 1 + len(replicates))
    else:
        for option, value in (("--trials", asked.trials), ("--device-hours", asked.device_hours)):
            if value is not None:
                raise UserError(f"{option} is for studies with a search, and {name} has none")
    _check_writable(asked)
    sources = asked.on or []
    chosen = _chosen_data(sources)
    sessions = {label: _prepared(asked, name, study, {**changes, **data}, replicates) for label, data in chosen.items()}
    if len(sessions) > 1:
        _check_apart(sessions, sources)
    if asked.plan:
        for session in sessions.values():
            session.check(download=False)
        for session in sessions.values():
            asked_of = (devices, asked.devices_per_trial)
            print(json.dumps(session.json(*asked_of), indent=1) if asked.json else session.text(*asked_of))
        return 0
    if len(sessions) > 1:  # a mistake about the last data set is said before the first is trained on
        for session in sessions.values():
            session.check()
    return _launched(asked, name, study, sessions)


def _check_writable(asked: argparse.Namespace) -> None:
    """Raises UserError where the store or the reports could not be written; a plan says it and goes on."""
    places = {"the store": asked.store, "the report": asked.out or "reports"}
    for what, place in places.items():
        why = "" if "://" in str(place) else why_unwritable(Path(place).expanduser())
        if why and not asked.plan:
            raise UserError(f"{what} cannot be written: {why}")
        if why:
            print(f"raysweep: {what} cannot be written, so a launch would end at once: {why}", file=sys.stderr)


def _chosen_data(sources: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each data set changes, by the folder of its report below the study's; "" when there is one report."""
    if len(sources) > 1:
        return {name: {"data.source": source} for name, source in data_folders(sources).items()}
    return {"": {"data.source": sources[0]} if sources else {}}


def _launched(asked: argparse.Namespace, name: str, study: Study, sessions: Mapping[str, Runnable]) -> int:
    """Run what was planned, data set by data set; of several a table of all, too."""
    out = Path(asked.out) if asked.out else None
    if len(sessions) > 1:
        from raysweep.report import default_folder
        from raysweep.study.identity import identity_words

        origin = study.origin
        subjects = [identity_words(name, origin.file, origin.content, session.used) for session in sessions.values()]
        out = out or default_folder(subjects)
    code = 0
    for label, session in sessions.items():
        code = max(code, session.run(_wishes(asked, out / label if out else None), as_json=asked.json))
        if code == INTERRUPTED:
            return code
    if out and len(sessions) > 1:
        from raysweep.launch.summary import report_together

        folders = {out / label: session.data for label, session in sessions.items()}
        words, written = report_together(asked.study, folders, out, asked.tracking)
        print(words, file=sys.stderr if asked.json else sys.stdout)
        code = code if written else max(code, 1)
    return code


def _check_apart(sessions: Mapping[str, Runnable], sources: Sequence[str]) -> None:
    """Raises UserError when two of several data sets hold the same images, or have one name."""
    seen: dict[str, str] = {}
    for source, session in zip(sources, sessions.values(), strict=True):
        scored = session.used[0]
        for word, why in ((scored.origin, "hold the same images"), (scored.name, f"are both called {scored.name!r}")):
            if word in seen:
                raise UserError(f"--on: {seen[word]} and {source} {why}: leave one of them out, or rename it")
        seen |= {scored.origin: source, scored.name: source}


class Runnable(Protocol):
    """A planned launch: what it would do, for people and for programs, and doing it."""

    def text(self, devices: Sequence[int], per_trial: int) -> str: ...

    def json(self, devices: Sequence[int], per_trial: int) -> dict[str, Any]: ...

    @property
    def data(self) -> FaceData: ...

    def check(self, download: bool = True) -> None: ...

    @property
    def used(self) -> Sequence[SetIdentity]: ...

    def run(self, wishes: Wishes, as_json: bool) -> int: ...


def _prepared(
    asked: argparse.Namespace, name: str, study: Study, changes: dict[str, Any], replicates: range | None
) -> Runnable:
    """Mistakes are answered before anything slow is imported: torch, ray and mlflow take seconds."""
    if study.search is None:
        cells = make_cells(study, asked.preset, replicates or range(PRESETS[asked.preset].seeds), changes)
        check_sources(study, cells, changes)

        from raysweep.launch.session import Session
        from raysweep.store.store import Store

        return Session.prepare(name, study, asked.preset, cells, Store(asked.store), asked.retry_failed)
    check_sources(study, search_cells(study, asked.preset, changes), changes)
    fresh_replicates(study, asked.preset, replicates)
    search_budget(study, asked.preset, asked.trials, asked.device_hours)

    from raysweep.launch.search_session import SearchOptions, SearchSession
    from raysweep.store.store import Store

    limits = (asked.trials, asked.device_hours, asked.search_storage)
    words = SearchOptions(Store(asked.store), replicates, *limits, retry_failed=asked.retry_failed)
    return SearchSession.prepare(name, study, asked.preset, changes, words)


def _wishes(asked: argparse.Namespace, out: Path | None) -> Wishes:
    return Wishes(_command(), asked.address, asked.devices_per_trial, asked.tracking, out)


def _upkeep(asked: argparse.Namespace) -> int:
    """`--status` and `--gc`: what the store holds, and what can go."""
    from raysweep.maintenance import collect, status
    from raysweep.store.store import Store

    store = Store(asked.store)
    told = collect(store, delete=asked.yes) if asked.gc else status(store, asked.study)
    print(json.dumps(told.json(), indent=1) if asked.json else told.text())
    return 0


def _devices(text: str) -> list[int]:
    """ "1,8,64" as numbers."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdigit() and int(word) for word in words):
        raise UserError(f"--devices expects numbers of devices such as 8,64, but got {text!r}")
    return [int(word) for word in words]


def _with_axes(study: Study, texts: Sequence[str]) -> Study:
    """The study with what --axis says, each axis once, by its name or by its field."""
    changed: set[str] = set()
    for text in texts:
        name, separator, values = (part.strip() for part in text.partition("="))
        if not separator or not name or not values:
            raise UserError(f"--axis expects FIELD=VALUE,VALUE,..., but got {text!r}")
        own = next((axis.name for axis in study.axes if name == axis.name or axis.sets(name)), name)
        if own in changed:
            raise UserError(f"--axis names {name} twice: put all its values into one")
        before = {axis.name for axis in study.axes}
        study = with_axis(study, name, split_values(f"--axis {name}", values))
        changed |= {own, *({axis.name for axis in study.axes} - before)}
    return study


def _changes(texts: Sequence[str], on: Sequence[str]) -> dict[str, Any]:
    """What --set sets, by field."""
    changes: dict[str, Any] = {}
    for text in texts:
        path, value = parse_assignment("--set", text)
        if path in changes:
            raise UserError(f"--set names {path} twice: leave one of them out")
        changes[path] = read_value(path, Word(value))
    if on and "data.source" in changes:
        raise UserError(f"--on and --set data.source both name the data ({', '.join(on)} and {changes['data.source']})")
    return changes


def _command() -> str:
    """What was typed, without passwords: it goes into reports."""
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
