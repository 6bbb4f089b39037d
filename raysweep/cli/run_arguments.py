"""The options of `raysweep run`, and the launch requests they make."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

from raysweep.cli.arguments import address, data_folders, parse_assignment, parse_seeds
from raysweep.cli.slurm import add_slurm
from raysweep.config.presets import PRESETS
from raysweep.config.values import Word, read_value, split_values
from raysweep.core.errors import UserError, unknown_name
from raysweep.study import Study, with_axis
from raysweep.study.cells import with_fixed
from raysweep.study.request import Request, make_request

EXAMPLES = """examples:
  python -m raysweep.run --list
  python -m raysweep.run ablation_alpha
  python -m raysweep.run ablation_alpha --on /data/my_faces --seeds 5
  python -m raysweep.run ablation_alpha --on affectnet morphset --preset paper
  python -m raysweep.run ablation_alpha --axis labels.alpha=0,0.5,1 --set train.epochs=5
  python -m raysweep.run ablation_noise_rate --preset paper --address auto --plan --devices 8,64
  python -m raysweep.run ablation_alpha --plan --detect 0.01
  python -m raysweep.run search_dcjt --trials 40
  python -m raysweep.run --doctor
  python -m raysweep.run ablation_alpha --doctor --address auto --store s3://bucket/raysweep
  python -m raysweep.run ablation_alpha --preset paper --slurm --partition gpu --gpus 1 --time 8:00:00
  python -m raysweep.run --status
  python -m raysweep.run --gc
"""


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m raysweep.run",
        description="Run a study: train every cell that is not in the store yet, track it in MLflow, print the table.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument(
        "study",
        nargs="?",
        help="name of a study, or the path of a study file; names are looked up in search_spaces/ of the working "
        "folder, then among the studies that come with raysweep (see --list)",
    )
    _add_inspection(arguments.add_argument_group("instead of training"))
    _add_study(arguments.add_argument_group("what is trained"))
    _add_search(arguments.add_argument_group("studies with a search"))
    _add_places(arguments.add_argument_group("where it runs, and where results go"))
    _add_sharing(arguments.add_argument_group("several launches of one study on one store"))
    add_slurm(arguments.add_argument_group("on a Slurm cluster (docs/cluster.md)"))
    return arguments


def _add_inspection(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--list", action="store_true", help="list the studies and presets")
    add("--fields", action="store_true", help="list every field that --set and --axis accept")
    add("--plan", action="store_true", help="show what would be trained, and how long it would take, and stop")
    add(
        "--devices",
        default="1,8,64",
        metavar="N,N,...",
        help="with --plan: numbers of devices to simulate the launch on; default 1,8,64",
    )
    add(
        "--detect",
        type=float,
        metavar="D",
        help="with --plan: how many replicates find a difference of D in the headline score, by what the store holds; "
        "exit code 1 if nothing was measured",
    )
    add(
        "--status",
        action="store_true",
        help="show the state of every study in the store, and running launches",
    )
    add(
        "--doctor",
        action="store_true",
        help="check what a launch needs, here and with --address on every node of a cluster: versions, store, "
        "tracking, data sets of the study if one is named, token, disk, devices; exit code 1 if none would work",
    )
    add("--cluster", metavar="FILE", help="with --doctor: also check that this file for `ray up` is filled in")
    add("--gc", action="store_true", help="list files in the store that no study refers to; with --yes, remove them")
    add("--yes", action="store_true", help="with --gc: remove the listed files")


def _add_study(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--preset", default="demo", help="smoke (seconds), demo (minutes on 2 cores), paper (needs a GPU); default demo"
    )
    add(
        "--on",
        metavar="DATA",
        nargs="+",
        help="data set: a name, a folder with one subfolder per expression, or a CSV file; several: a table for each, "
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
        help="replace, narrow or add an axis; quote a value that contains a comma; repeatable",
    )
    add("--retry-failed", action="store_true", help="retry cells that failed in an earlier launch")


def _add_search(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--trials", type=int, metavar="N", help="trials per arm; default by preset")
    add("--device-hours", type=float, metavar="H", help="stop searching after this much device time per arm")
    add("--search-storage", metavar="URL", type=address, help="Optuna storage; default STORE/optuna.db (SQLite)")


def _add_places(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--address", help="Ray cluster to join (auto: the one this machine belongs to); default: this machine only")
    add("--devices-per-trial", type=int, default=1, metavar="N", help="GPUs (or CPUs) per cell; default 1")
    add(
        "--wait-for-devices",
        type=int,
        metavar="N",
        help="with --address: begin once the cluster has N devices; default: begin with those it has, use others as "
        "they come",
    )
    add(
        "--store",
        type=address,
        default=".raysweep",
        help="where finished work is kept: a folder, or a URL such as s3://bucket/raysweep; default .raysweep. "
        "An address with a password: @FILE, a file that holds it (as for --tracking and --search-storage)",
    )
    add(
        "--tracking",
        metavar="URI",
        type=address,
        help="MLflow tracking store; default MLFLOW_TRACKING_URI or sqlite:///mlflow.db",
    )
    add(
        "--out",
        metavar="FOLDER",
        help="output folder; default reports/STUDY, or reports/STUDY-DATA if that folder holds a report on other data",
    )
    add("--json", action="store_true", help="print one JSON object instead of text")


def _add_sharing(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--worker",
        action="store_true",
        help="end when other launches compute all that is left; write no report, and leave the events of MLflow "
        "in SQLite to --report-only",
    )
    add(
        "--report-only",
        action="store_true",
        help="train nothing: publish what launches on this store left for MLflow, and write the report; exit code 1 "
        "when cells are missing",
    )


def requests(asked: argparse.Namespace, name: str, study: Study) -> dict[str, Request]:
    """One launch request per data set, by the subfolder of its report ("" if there is only one).

    Raises:
        UserError: invalid options, or options that contradict each other.
    """
    study = _with_axes(study, asked.axis)
    if asked.preset not in PRESETS:
        raise unknown_name("preset", asked.preset, PRESETS)
    study = study.at(asked.preset)
    changes = _changes(asked.set, asked.on or [])
    if asked.option:
        changes["data.options"] = tuple(asked.option)
    study, changes = with_fixed(study, changes)
    replicates = parse_seeds(asked.seeds) if asked.seeds else None
    if study.search is not None and replicates and ":" not in asked.seeds:
        first = study.search.replicate + 1  # a count: that many, after the replicate that is searched on
        replicates = range(first, first + len(replicates))
    limits = (replicates, asked.trials, asked.device_hours, asked.search_storage, asked.retry_failed)
    return {
        label: make_request(name, study, asked.preset, {**changes, **data}, *limits)
        for label, data in _chosen_data(asked.on or []).items()
    }


def _chosen_data(sources: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The fields that each data set sets, by the subfolder of its report; "" when there is one report."""
    if len(sources) > 1:
        return {name: {"data.source": source} for name, source in data_folders(sources).items()}
    return {"": {"data.source": sources[0]} if sources else {}}


def device_counts(text: str) -> list[int]:
    """ "1,8,64" as numbers."""
    counts = [part.strip() for part in text.split(",") if part.strip()]
    if not counts or not all(count.isdigit() and int(count) for count in counts):
        raise UserError(f"--devices expects numbers of devices such as 8,64, but got {text!r}")
    return [int(count) for count in counts]


def check_detect(difference: float | None, plan: bool) -> None:
    """Raises UserError for a --detect without --plan, or one that is no difference."""
    if difference is None:
        return
    if not plan:
        raise UserError("--detect answers with the plan: add --plan")
    if not (math.isfinite(difference) and difference > 0):
        raise UserError(f"--detect expects a positive difference such as 0.01, but got {difference:g}")


def check_waiting(count: int | None, address: str | None) -> None:
    """Raises UserError for a --wait-for-devices that nothing can fulfil."""
    if count is None:
        return
    if count < 1:
        raise UserError(f"--wait-for-devices expects a number of devices, but got {count}")
    if address is None:
        raise UserError("--wait-for-devices needs a cluster: add --address, or leave it out")


def _with_axes(study: Study, texts: Sequence[str]) -> Study:
    """The study with the --axis options applied; each axis, by name or field, at most once."""
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
    """Values of the --set options, by field."""
    changes: dict[str, Any] = {}
    for text in texts:
        path, value = parse_assignment("--set", text)
        if path in changes:
            raise UserError(f"--set names {path} twice: leave one of them out")
        changes[path] = read_value(path, Word(value))
    if on and "data.source" in changes:
        raise UserError(f"--on and --set data.source both name the data ({', '.join(on)} and {changes['data.source']})")
    return changes
