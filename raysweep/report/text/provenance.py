"""What stands at the foot of a page: code, data, devices, time and libraries behind its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from raysweep.artifacts.study_record import StudyRecord
from raysweep.report.formatting import listed, plural
from raysweep.report.results.provenance import Provenance, commit_of
from raysweep.report.results.records import Results

from .searches import hours_words


def provenance_words(results: Results, made: Provenance) -> list[tuple[str, str]]:
    """Pairs of a heading and a sentence, in the order of the page."""
    study = results.study
    return [
        ("Code", _code(made)),
        ("Data", _data(study)),
        ("Devices", _counted(made.devices, "not recorded")),
        ("Device-hours", hours_sentence(made)),
        ("Libraries", _libraries(made)),
        ("Launch", f"{study.launch}: {study.command}"),
    ]


def hours_sentence(made: Provenance) -> str:
    """Device-hours by kind of work, of training and validation."""
    if not made.hours:
        return "not recorded."
    parts = [f"{hours_words(hours)} of {kind}" for kind, hours in made.hours.items()]
    more = f"; of {plural(made.untimed, 'cell')} the time is not recorded" if made.untimed else ""
    total = f"{hours_words(made.total_hours)} in all: " if len(parts) > 1 else ""
    return f"{total}{listed(parts)} (training and validation{more})."


def _code(made: Provenance) -> str:
    if not made.code:
        return "no cell is complete."
    parts = []
    for version, count in made.code.items():
        commit, clean = commit_of(version)
        name = (
            f"commit {commit}, {'clean' if clean else 'with uncommitted changes'}" if commit else "no commit recorded"
        )
        parts.append(f"raysweep {version.partition('+')[0] or 'of an unknown version'}, {name}" + _of(made.code, count))
    return f"{'; '.join(parts)}."


def _data(study: StudyRecord) -> str:
    sets = [(study.data.name, study.data.fingerprint), *((e.name, e.fingerprint) for e in study.data.extras)]
    return f"{listed([f'{name} (fingerprint {mark[:16]})' if mark else name for name, mark in sets])}."


def _libraries(made: Provenance) -> str:
    if not made.libraries:
        return "not recorded."
    return f"{'; '.join(f'{name} {_versions(found)}' for name, found in made.libraries.items())}."


def _versions(found: Mapping[str, int]) -> str:
    return " or ".join(version or "not recorded" for version in found)


def _counted(found: Mapping[str, int], unknown: str) -> str:
    return f"{listed([(name or unknown) + _of(found, count) for name, count in found.items()])}."


def _of(all_of_them: Mapping[str, int], count: int) -> str:
    """The number of cells, where there are several things."""
    return f" ({plural(count, 'cell')})" if len(all_of_them) > 1 else ""
