"""Which launch a report is about: of the study that was named, as its file says it now, on the data that were named.

Names and paths only find launches. A study is what its file says, a data set what it holds: where that has changed
since, or where one name means several, the report says so and delivers nobody else's.
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
"""Where a launch in this folder keeps decoded images."""


@dataclass(frozen=True)
class AskedStudy:
    """A study as it was named. `file` and `content`: of its file, where one of that name is found; else empty."""

    name: str
    file: str = ""
    content: str = ""
    by_path: bool = False

    @property
    def shown(self) -> str:
        return self.file if self.by_path else self.name


def asked_study(words: str) -> AskedStudy:
    """A study's name, or the path of its file.

    Raises:
        UserError: a path where no study file is, or one that cannot be run.
    """
    if words.endswith(".py"):
        name, study = find_study(words)
        return AskedStudy(name, study.origin.file, study.origin.content, by_path=True)
    if words not in list_studies():
        return AskedStudy(words)
    try:
        _, study = find_study(words)
    except UserError:  # its launches can be shown all the same
        return AskedStudy(words)
    return AskedStudy(words, study.origin.file, study.origin.content)


def launches_of(runs: Runs, asked: AskedStudy) -> Runs:
    """The launches of this study, among those of its name. What was launched before launches said it belongs to all.

    Raises:
        UserError: the file has changed since, was never run, or several studies have this name.
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


def launches_on(runs: Runs, study: str, words: str) -> tuple[Runs, list[str]]:
    """Those on one data set, named as a launch names it or by a path, and what a reader must be told.

    Raises:
        UserError: no launch on it; its content has changed since; several data sets have this name.
    """
    path = Path(words).expanduser()
    if path.exists() and not _is_name(words):
        return _by_content(runs, study, words, path)
    places = (words, str(path.resolve()))
    found = [run for run in runs if words == _tag(run, schema.DATA) or _tag(run, schema.DATA_SOURCE) in places]
    if not found and (older := _untold(runs, words, path)):
        return older, [_by_name_alone(older, words)]
    if not found:
        names = list(dict.fromkeys(_tag(run, schema.DATA) for run in runs))
        hint = f"(or run it: python -m raysweep.run {study} --on {words})"
        raise unknown_name(f"data set of {study!r}:", words, names, hint)
    if len({_tag(run, schema.DATA_SOURCE) for run in found}) > 1 and len({_origin(run) for run in found}) > 1:
        raise UserError(
            f"several data sets are called {words!r}: {_places(found, schema.DATA_SOURCE)}; name its path, or choose "
            "with --launch"
        )
    absent = found[0] if _is_path(_tag(found[0], schema.DATA_SOURCE)) else None
    unchecked = absent is not None and not Path(_tag(absent, schema.DATA_SOURCE)).exists()
    note = f"{_tag(found[0], schema.DATA_SOURCE)} is not there any more: taken by its name, its content not compared"
    return found, [note] if unchecked else []


def other_extras(runs: Runs, chosen: Any) -> list[str]:
    """A sentence when launches on the same data used other extra sets than the chosen one."""
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


def _by_content(runs: Runs, study: str, words: str, path: Path) -> tuple[Runs, list[str]]:
    now = cache(lambda fields: _fingerprint(str(path.resolve()), fields))
    troubles: list[str] = []
    found = [run for run in runs if _tag(run, schema.DATA_FINGERPRINT) == _known(run, now, troubles)]
    if found:
        return found, []
    here = [run for run in runs if _tag(run, schema.DATA_SOURCE) == str(path.resolve())]
    if here:
        why = f"cannot be read any more ({troubles[0]})" if troubles else "holds something else now"
        raise UserError(
            f"{words} {why}, since {study!r} was launched on it: run it again, or see what it was then with "
            f"--launch {_launch(here[0])}"
        )
    if older := _untold(runs, words, path):
        return older, [_by_name_alone(older, words)]
    raise UserError(
        f"{study!r} has not been run on {words}: {_places(runs, schema.DATA_SOURCE)}; run it: "
        f"python -m raysweep.run {study} --on {words}"
    )


def _untold(runs: Runs, words: str, path: Path) -> Runs:
    """Launches from before launches noted what their data sets held, by the name that the path gave."""
    names = (words, path.stem, path.resolve().name)
    return [run for run in runs if not _tag(run, schema.DATA_SOURCE) and _tag(run, schema.DATA) in names]


def _by_name_alone(runs: Runs, words: str) -> str:
    return f"{_launch(runs[0])} did not note what {words} held: taken by its name alone"


def _known(run: Any, now: Callable[[str], str], troubles: list[str]) -> str | None:
    """The fingerprint that the path has now, read as the launch read it; None where that cannot be."""
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


def _is_name(words: str) -> bool:
    """Whether a launch would take it for the name of a data set, though something of that name lies here."""
    from raysweep.data.load import SOURCES
    from raysweep.data.prepare.location import home

    return words in SOURCES or words in home().names()


def _is_path(source: str) -> bool:
    return Path(source).is_absolute()


def _places(runs: Runs, tag: str) -> str:
    """Where launches come from, each place once with its newest launch."""
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
