"""Finds studies: Python files in `search_spaces/` folders, or any file by path."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import raysweep
from raysweep.core.errors import UserError, describe, unknown_name

from .identity import study_content
from .study import Study, StudyOrigin

FOLDER = "search_spaces"


def study_folders() -> list[Path]:
    """`search_spaces/` of the working folder, then raysweep's own: in an installed package, or next to it in a clone.

    If a study is in both, the first one is used.
    """
    candidates = [Path.cwd() / FOLDER, *_own_folder()]
    return list(dict.fromkeys(folder.resolve() for folder in candidates if folder.is_dir()))


def _own_folder() -> list[Path]:
    package = Path(raysweep.__file__).resolve().parent
    return [place / FOLDER for place in (package, package.parent) if (place / FOLDER).is_dir()][:1]


@cache
def own_study(name: str) -> Study:
    """The study of this name that comes with raysweep, even if the working folder has one of that name."""
    (folder,) = _own_folder()
    return load_study(folder / f"{name}.py")


def studies_in(folder: Path) -> dict[str, Path]:
    """Study name to file, in one folder."""
    return {file.stem: file for file in sorted(folder.glob("[a-z]*.py"))}


def list_studies() -> dict[str, Path]:
    """Study name to file. A file in the working folder hides one of the same name that comes with raysweep."""
    found: dict[str, Path] = {}
    for folder in reversed(study_folders()):
        found.update(studies_in(folder))
    return dict(sorted(found.items()))


def hidden_studies() -> dict[str, Path]:
    """Study name to file, for files hidden by a study of the same name with other contents."""
    used = list_studies()
    every = [item for folder in study_folders() for item in studies_in(folder).items()]
    return {name: file for name, file in every if file != used[name] and file.read_bytes() != used[name].read_bytes()}


def find_study(name: str) -> tuple[str, Study]:
    """A study by name or by the path of its file: (name, study).

    Raises:
        UserError: no such study (names the nearest), or a file that does not define one.
    """
    if name.endswith(".py"):
        file = Path(name).expanduser()
        if not file.is_file():
            raise UserError(f"no such study file: {file}")
        return file.stem, load_study(file)
    studies = list_studies()
    if name not in studies:
        raise unknown_name("study", name, studies, "(`--list` shows them)")
    return name, load_study(studies[name])


def load_study(file: Path) -> Study:
    """Run a study file and return its `study`."""
    spec = importlib.util.spec_from_file_location(f"raysweep_study_{file.stem}", file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    try:
        code = compile(file.read_bytes(), str(file), "exec")  # the import loader would write and use a __pycache__
        exec(code, module.__dict__)
    except UserError as error:
        raise UserError(f"{file.name}: {error}") from None
    except Exception as error:
        raise UserError(f"{file.name} cannot be run: {describe(error)}") from error
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise UserError(f"{file.name} must define `study = Study(...)`, but `study` is {type(study).__name__}")
    return replace(study, origin=StudyOrigin(str(file.resolve()), study_content(study)))
