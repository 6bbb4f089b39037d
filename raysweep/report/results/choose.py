"""Chooses the launch of a report by the named study and data.

Studies and data sets are identified by contents. If they have changed since the launch, or a name is ambiguous, an
error says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from raysweep.config.sections import Data
from raysweep.core.errors import UserError, unknown_name
from raysweep.study import find_study, list_studies
from raysweep.tracking import schema

Runs = Sequence[Any]
"""Launches of one MLflow experiment, newest first."""

CACHE = Path(".raysweep") / "data"
"""Cache of decoded images of launches in this folder."""


@dataclass(frozen=True)
class AskedStudy:
    """The named study. `file` and `content`: path and digest of its file, "" if none is found."""

    name: str
    file: str = ""
    content: str = ""
    by_path: bool = False

    @property
    def shown(self) -> str:
        return self.file if self.by_path else self.name


def asked_study(name: str) -> AskedStudy:
    """The study of a name, or of the path of its file.

    Raises:
        UserError: a path without a study file, or a file that cannot be run.
    """
    if name.endswith(".py"):
        name, study = find_study(name)
        return AskedStudy(name, study.origin.file, study.origin.content, by_path=True)
    if name not in list_studies():
        return AskedStudy(name)
    try:
        _, study = find_study(name)
    except UserError:  # its launches can still be shown
        return AskedStudy(name)
    return AskedStudy(name, study.origin.file, study.origin.content)


def launches_of(runs: Runs, asked: AskedStudy) -> Runs:
    """The launches of this study among those of its name, including older ones without a recorded digest.

    Raises:
        UserError: the file has changed since or was never run, or several studies have this name.
    """
    told = [run for run in runs if _tag(run, schema.STUDY_CONTENT)]
    if not told:
        return runs
    if asked.content in _contents(told):
        return [run for run in runs if _tag(run, schema.STUDY_CONTENT) in (asked.content, "")]
    here = [run for run in told if asked.file and asked.file == _tag(run, schema.STUDY_FILE)]
    if here:
        raise UserError(
            f"{asked.shown} has changed since it was launched: run it again, or see what it was then with "
            f"--launch {_launch(here[0])}"
        )
    if asked.by_path:
        raise UserError(
            f"{asked.shown} has not been run: {_places(told, schema.STUDY_FILE)}; run it, or choose with --launch"
        )
    if len({_tag(run, schema.STUDY_FILE) for run in told}) > 1 and len(_contents(told)) > 1:
        raise UserError(
            f"several studies are called {asked.name!r}: {_places(told, schema.STUDY_FILE)}; name its file, or choose "
            "with --launch"
        )
    newest = _tag(told[0], schema.STUDY_CONTENT)
    return [run for run in runs if _tag(run, schema.STUDY_CONTENT) in (newest, "")]


def launches_on(runs: Runs, study: str, data: str) -> tuple[Runs, list[str]]:
    """The launches on one data set, given by name or path, and remarks on their choice.

    Raises:
        UserError: no launch on it, its contents have changed since, or several data sets have this name.
    """
    path = Path(data).expanduser()
    if path.exists() and not _is_name(data):
        return _by_content(runs, study, data, path)
    places = (data, str(path.resolve()))
    found = [run for run in runs if data == _tag(run, schema.DATA) or _tag(run, schema.DATA_SOURCE) in places]
    if not found and (older := _undocumented(runs, data, path)):
        return older, [_by_name_alone(older, data)]
    if not found:
        names = list(dict.fromkeys(_tag(run, schema.DATA) for run in runs))
        hint = f"(or run it: python -m raysweep.run {study} --on {data})"
        raise unknown_name(f"data set of {study!r}:", data, names, hint)
    if len({_tag(run, schema.DATA_SOURCE) for run in found}) > 1 and len({_origin(run) for run in found}) > 1:
        raise UserError(
            f"several data sets are called {data!r}: {_places(found, schema.DATA_SOURCE)}; name its path, or choose "
            "with --launch"
        )
    absent = found[0] if _is_path(_tag(found[0], schema.DATA_SOURCE)) else None
    unchecked = absent is not None and not Path(_tag(absent, schema.DATA_SOURCE)).exists()
    note = f"{_tag(found[0], schema.DATA_SOURCE)} is not there any more: taken by its name, its content not compared"
    return found, [note] if unchecked else []


def other_extras(runs: Runs, chosen: Any) -> list[str]:
    """A sentence if launches on the same data used other extra sets than the chosen one."""
    ours = _tag(chosen, schema.EXTRAS)
    others: dict[str, str] = {}
    for run in runs:
        if _tag(run, schema.EXTRAS) != ours and _origin(run) == _origin(chosen):
            others.setdefault(_tag(run, schema.EXTRAS), _launch(run))
    if not others:
        return []
    return [
        f"{_launch(chosen)} is shown; launches on these data with other extra sets: "
        f"{', '.join(others.values())} (choose with --launch)"
    ]


def _by_content(runs: Runs, study: str, data: str, path: Path) -> tuple[Runs, list[str]]:
    now = cache(lambda fields: _fingerprint(str(path.resolve()), fields))
    troubles: list[str] = []
    found = [run for run in runs if _tag(run, schema.DATA_FINGERPRINT) == _known(run, now, troubles)]
    if found:
        return found, []
    here = [run for run in runs if _tag(run, schema.DATA_SOURCE) == str(path.resolve())]
    if here:
        why = f"cannot be read any more ({troubles[0]})" if troubles else "holds something else now"
        raise UserError(
            f"{data} {why}, since {study!r} was launched on it: run it again, or see what it was then with "
            f"--launch {_launch(here[0])}"
        )
    if older := _undocumented(runs, data, path):
        return older, [_by_name_alone(older, data)]
    raise UserError(
        f"{study!r} has not been run on {data}: {_places(runs, schema.DATA_SOURCE)}; run it: "
        f"python -m raysweep.run {study} --on {data}"
    )


def _undocumented(runs: Runs, data: str, path: Path) -> Runs:
    """Older launches that did not record data sources, found by the name of the data set."""
    names = (data, path.stem, path.resolve().name)
    return [run for run in runs if not _tag(run, schema.DATA_SOURCE) and _tag(run, schema.DATA) in names]


def _by_name_alone(runs: Runs, data: str) -> str:
    return f"{_launch(runs[0])} did not note what {data} held: taken by its name alone"


def _known(run: Any, now: Callable[[str], str], troubles: list[str]) -> str | None:
    """The present fingerprint of the path, read as the launch read it; None if it cannot be read."""
    fields = _tag(run, schema.DATA_FIELDS)
    if not fields:
        return None
    try:
        return now(fields)
    except UserError as error:
        troubles.append(str(error))
        return None


def _fingerprint(source: str, fields: str) -> str:
    from raysweep.data.load import load_fresh  # torch takes seconds

    try:
        config = Data.model_validate({**json.loads(fields), "source": source})
    except ValueError as error:
        raise UserError(f"its launch read data otherwise ({type(error).__name__})") from None
    return load_fresh(config, CACHE if CACHE.is_dir() else None).fingerprint


def _is_name(text: str) -> bool:
    """Whether a launch takes the text for the name of a data set even if a file of that name exists."""
    from raysweep.data.load import SOURCES
    from raysweep.data.prepare.location import home

    return text in SOURCES or text in home().names()


def _is_path(source: str) -> bool:
    return Path(source).is_absolute()


def _places(runs: Runs, tag: str) -> str:
    """The distinct values of a tag, each with its newest launch, as text."""
    newest: dict[str, str] = {}
    for run in runs:
        newest.setdefault(_tag(run, tag) or "unknown", _launch(run))
    shown = [f"{launch} of {place}" if tag == schema.STUDY_FILE else f"{launch} on {place}"
             for place, launch in newest.items()]  # fmt: skip
    more = [f"and {len(shown) - 4} more"] if len(shown) > 4 else []
    return "launches are " + ", ".join(shown[:4] + more)


def _contents(runs: Runs) -> set[str]:
    return {_tag(run, schema.STUDY_CONTENT) for run in runs}


def _origin(run: Any) -> str:
    return _tag(run, schema.DATA_FINGERPRINT).split(" ")[0]


def _launch(run: Any) -> str:
    return _tag(run, schema.LAUNCH) or str(run.info.run_id)


def _tag(run: Any, name: str) -> str:
    tags: Mapping[str, str] = run.data.tags
    return tags.get(name, "")
