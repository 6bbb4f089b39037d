"""The scripts for sbatch, from the templates in `templates/`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from raysweep.core.errors import UserError

from .request import SlurmRequest

RESTARTS = 200
"""Requeues at the time limit after which a task ends: without a limit, one that never gets an epoch done would go on
for ever."""

SPARE = 10
"""Seconds of `stop_before` that are left to requeue the job."""


@dataclass(frozen=True)
class Scripts:
    """Two files for sbatch: the launch, and the report after it.

    Args:
        launch, report: paths of the scripts, where `write` puts them.
        texts: their contents, by path.
    """

    launch: Path
    report: Path
    texts: dict[Path, str] = field(repr=False)

    def write(self) -> None:
        """Write both, for this account only. Raises UserError: they exist, or cannot be written."""
        for path, text in self.texts.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o700)) as stream:
                    stream.write(text)
            except FileExistsError:
                raise UserError(f"--slurm-script: {path} exists: remove it, or name another file") from None
            except OSError as error:
                raise UserError(f"--slurm-script: {path} cannot be written ({error.strerror})") from None


def make_scripts(
    request: SlurmRequest,
    study: str,
    folder: Path,
    command: Sequence[str],
    file: Path | None = None,
    tasks: int = 1,
    needs_tracking_variable: bool = False,
) -> Scripts:
    """The scripts of a launch.

    Args:
        study: its name.
        folder: the launch's own, for logs and, by default, scripts. All nodes must see it.
        command: arguments of `python -m raysweep.run`, without `--worker`, `--report-only` and `--address`.
        file: where the launch's script goes; the report's goes beside it.
        tasks: of the array.
        needs_tracking_variable: MLFLOW_TRACKING_URI must reach the job, since it is not in `command`.

    Raises:
        UserError: a path that Slurm cannot take.
    """
    launch = file or folder / "launch.sh"
    report = launch.with_name(f"{launch.stem}-report{launch.suffix}")
    base = [sys.executable, "-m", "raysweep.run", *command]
    several, logs = request.nodes > 1, str(folder).replace("%", "%%")
    values = {
        **_values(request, folder, several),
        "tasks": tasks,
        "needs_tracking_variable": needs_tracking_variable,
    }
    log = f"{logs}/%{'j' if several else 'A_%a'}.log"
    asked = {"name": _job_name(study), "log": log, "gpus": request.gpus, "command": [*base, "--worker"]}
    name, own = _job_name(f"{study}-report"), f"{logs}/report-%j.log"
    after = {"name": name, "log": own, "gpus": None, "command": [*base, "--report-only"]}
    template = "nodes.sh" if several else "array.sh"
    texts = {launch: _rendered(template, **values, **asked), report: _rendered("report.sh", **values, **after)}
    return Scripts(launch, report, texts)


def _values(request: SlurmRequest, folder: Path, several: bool) -> dict[str, object]:
    """What both scripts need to know."""
    return {
        "request": request,
        "work": str(Path.cwd()),
        "folder": str(folder),
        "python": sys.executable,
        "bin": str(Path(sys.executable).parent),
        "patience": max(1, request.stop_before - SPARE),
        "restarts": RESTARTS,
        "tell": 'kill -TERM "$(cat "$RAYSWEEP_LAUNCH.pid")"' if several else 'kill -TERM "$launch"',
    }


def _rendered(template: str, **values: object) -> str:
    return TEMPLATES.get_template(template).render(values)


def _job_name(study: str) -> str:
    """The study's name as one word."""
    return "raysweep-" + re.sub(r"[^\w.-]", "_", study, flags=re.ASCII)


def _directive(text: object) -> str:
    r"""A value of an #SBATCH line, quoted as sbatch reads it: in double quotes, where nothing is replaced.

    >>> print(_directive("gpu"), _directive("/a b/%j.log"))
    gpu "/a b/%j.log"
    """
    value = str(text)
    if re.search(r"[\"\\\n\r]", value):
        raise UserError(f"sbatch cannot take {value!r}: it has a double quote, a backslash or a line end")
    return f'"{value}"' if re.search(r"[\s#']", value) else value


def _option(text: str) -> str:
    """A whole option of an #SBATCH line."""
    name, separator, value = text.partition("=")
    return f"{_directive(name)}{separator}{_directive(value)}"


TEMPLATES = Environment(
    loader=PackageLoader("raysweep.launch.slurm"),
    undefined=StrictUndefined,
    autoescape=False,  # shell, not HTML: a filter quotes each value
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {
    "shell": shlex.quote, "command": shlex.join, "directive": _directive, "option": _option,
}  # fmt: skip
