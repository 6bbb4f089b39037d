"""The index of all reports in a folder, made from their `STUDY_results.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from raysweep.core.errors import UserError
from raysweep.core.notices import passed_over

from .files import INDEX
from .jinja import render
from .results_json import FORMAT, NAME


@dataclass(frozen=True)
class ListedReport:
    """One report: `page` relative to the index, `cells` as "46 of 60", `hours` of devices, `finding` in words."""

    page: str
    title: str
    study: str
    data: str
    preset: str
    cells: str
    hours: float
    launch: str
    finding: str


@dataclass(frozen=True)
class _IndexPage:
    title: str
    reports: tuple[ListedReport, ...]
    common: tuple[tuple[str, str], ...]  # link and name of tables over several data sets


def write_index(root: Path) -> Path:
    """Write the index of the reports in the folders of `root`. Returns its file. Raises UserError."""
    text = index_text(root)
    try:
        (root / INDEX).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{root / INDEX}: cannot be written ({error.strerror or error})") from None
    return root / INDEX


def index_text(root: Path) -> str:
    """The page. Raises UserError where there is no report."""
    reports = tuple(_reports(root))
    if not reports:
        raise UserError(f"{root} has no report with a {NAME}; write one: python -m raysweep.report STUDY")
    common = tuple((_link(root, page), page.stem) for page in sorted(root.glob("*/*_together.html")))
    return render("index.html", page=_IndexPage("Reports", reports, common))


def _reports(root: Path) -> Iterator[ListedReport]:
    for file in sorted(root.glob(f"*/*_{NAME}")):
        page = file.with_name(f"{file.name.removesuffix(f'_{NAME}')}.html")
        if not page.is_file():
            passed_over(str(file), "its page is not beside it")
            continue
        try:
            yield _report(FORMAT.read(file.read_bytes()), _link(root, page))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            passed_over(str(file), f"not as expected ({type(error).__name__}: {error}); write its report again")


def _report(told: dict[str, object], page: str) -> ListedReport:
    values = json.loads(json.dumps(told))
    study, cells = values["study"], values["cells"]
    complete = sum(cell["state"] == "complete" for cell in cells)
    return ListedReport(
        page,
        str(study["title"]),
        str(study["name"]),
        str(values["data"]["name"]),
        str(study["preset"]),
        f"{complete} of {len(cells)}",
        float(values["provenance"]["total_hours"]),
        str(values["launch"]["name"]),
        str(values["reading"][0]) if values["reading"] else "",
    )


def _link(root: Path, page: Path) -> str:
    return quote(page.relative_to(root).as_posix())
