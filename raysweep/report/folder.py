"""Where a report goes when nobody says it: no report lands on one about another study or other data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.errors import UserError
from raysweep.core.hashing import canonical_json
from raysweep.study.identity import SetIdentity, report_subject, same_subject

from .formatting import file_stem

ROOT = Path("reports")

SUBJECT, TOGETHER_SUBJECT = ".subject.json", ".subject-together.json"
"""What the report in a folder is about, and the common one of several data sets."""

Subjects = Sequence[Mapping[str, Any]]
"""Of one report, or of the reports that a common one is made of."""


def subject_of(study: StudyRecord) -> dict[str, Any]:
    """What a report is about: the study by its content, its data sets by theirs, and the launch."""
    data = study.data
    sets = [SetIdentity(data.name, data.fingerprint, data.source)]
    sets += [SetIdentity(extra.name, extra.fingerprint, extra.source) for extra in data.extras]
    return {**report_subject(study.name, study.file, study.content, sets), "launch": study.launch}


def noted_launch(folder: Path) -> str:
    """The launch that the report in a folder is of; "" if there is none, or it does not say."""
    mark = _read(folder / SUBJECT) or [{}]
    launch = mark[0].get("launch") if isinstance(mark[0], dict) else None
    return launch if isinstance(launch, str) else ""


def default_folder(subjects: Subjects, root: Path = ROOT) -> Path:
    """`reports/STUDY`; where that has a report about something else, a folder that is named after the data, too.

    Args:
        subjects: one, or several for a common report.
    """
    folders = list(_folders(subjects, root))
    marks = [_read(folder / _file(subjects)) for folder in folders]
    own = (folder for folder, mark in zip(folders, marks, strict=True) if mark and _same(mark, subjects))
    free = (folder for folder, mark in zip(folders, marks, strict=True) if mark is None)
    return next(own, None) or next(free, folders[-1])


def mark_folder(folder: Path, subjects: Subjects) -> None:
    """Note what the report in a folder is about. Raises UserError where that cannot be written."""
    try:
        (folder / _file(subjects)).write_text(json.dumps(list(subjects), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {folder}: cannot write the report there ({error.strerror or error})") from None


def _file(subjects: Subjects) -> str:
    return SUBJECT if len(subjects) == 1 else TOGETHER_SUBJECT


def _folders(subjects: Subjects, root: Path) -> Iterator[Path]:
    stem = file_stem(str(subjects[0]["study"]["name"]))
    names = [str(own["name"]) for subject in subjects for own in subject["data"]]
    longer = f"{stem}-{file_stem('+'.join(dict.fromkeys(names)))[:80]}"
    content = [[s["study"]["content"], *(own["fingerprint"] for own in s["data"])] for s in subjects]
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()[:8]
    yield from (root / stem, root / longer, root / f"{longer}-{digest}")


def _same(mark: Subjects, subjects: Subjects) -> bool:
    try:
        return len(mark) == len(subjects) and all(map(same_subject, mark, subjects))
    except (KeyError, TypeError, AttributeError):
        return False


def _read(file: Path) -> Subjects | None:
    """None where there is no such file: a folder that is free, or of a report that did not say."""
    try:
        mark = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (ValueError, RecursionError):
        return []
    return mark if isinstance(mark, list) else []
