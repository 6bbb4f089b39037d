"""From launches of one study on several data sets to the files of their common report."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.spreadsheet import csv_text

from .figures.catalog import Picture
from .figures.datasets import draw_together
from .figures.papers.attention_datasets import attention_together
from .figures.scores import dependence
from .figures.style import style
from .folder import subject_of
from .formatting import file_stem, plural, title
from .render.camera_ready import notes_latex, paper_latex
from .render.csv_files import scores_csv, tables_csv
from .render.files import Contents, stale_among, write_files
from .render.jinja import render
from .render.links import Links
from .results.aggregate import Summary, family_size, summarise
from .results.records import Results
from .tables.datasets import TOGETHER, check_alike, together_table
from .tables.declared import declared_tables, paper_tables
from .tables.table import ReportTable
from .text.findings import question, reading

FILES_TOGETHER = ".files-together.json"
"""Checksums of the common report's files, which may lie beside those of one data set."""


_ATTENTION = "_attention"
"""End of the name of the figure with faces."""


@dataclass(frozen=True)
class _Page:
    """What the page shows. `own`: data set to its own report, relative to the page and without the file's ending,
    where there is one; `report_command`: to type to report them."""

    summaries: tuple[Summary, ...]
    own: Mapping[str, str]
    pictures: Sequence[Picture]
    report_command: str
    links: Links

    @property
    def study(self) -> StudyRecord:
        """As the first launch planned it."""
        return self.summaries[0].study

    @property
    def stem(self) -> str:
        return f"{file_stem(self.study.name)}_{TOGETHER}"

    @property
    def title(self) -> str:
        return f"{self.study.title}: {plural(len(self.summaries), 'data set')}"

    @property
    def question(self) -> str:
        return question(self.summaries[0])

    @property
    def tables(self) -> list[ReportTable]:
        """The paper's layout first, where there is one."""
        return [*declared_tables(self.summaries, self.stem), together_table(self.summaries)]

    @property
    def readings(self) -> list[tuple[str, str, list[str]]]:
        """Of every data set its name, the link to its own report, and the result in words."""
        names = [summary.study.data.name for summary in self.summaries]
        return [(name, self.own.get(name, ""), reading(s)) for name, s in zip(names, self.summaries, strict=True)]

    @property
    def commands(self) -> list[str]:
        """What launched them, each once, and what reports them."""
        return [*dict.fromkeys(summary.study.command for summary in self.summaries), self.report_command]


def write_together(
    results: Sequence[Results], out: Path, reports: Sequence[Path] = (), faces: bool = True
) -> tuple[Path, ...]:
    """Write the report of one study on several data sets into the folder `out`. Returns the files.

    Args:
        results: one launch a data set, in the order of the table.
        out: folder; files of an earlier report of this kind are replaced.
        reports: folders of the data sets' own reports, in the same order, to link to.
        faces: with the figure that shows faces.

    Raises:
        UserError: the launches cannot stand in one table, or `out` cannot be written.
    """
    return write_files(_contents(results, out, reports, faces), out)


def check_together(results: Sequence[Results]) -> None:
    """Raises UserError unless the launches can stand in one table."""
    check_alike([summarise(one) for one in results])


def stale_together(
    results: Sequence[Results], out: Path, reports: Sequence[Path] = (), faces: bool = True
) -> list[str]:
    """As `stale_files`, of the common report."""
    return stale_among(_contents(results, out, reports, faces), out)


def _contents(results: Sequence[Results], out: Path, reports: Sequence[Path], faces: bool) -> Contents:
    page = _page(results, out, reports, faces)
    return Contents(
        texts=partial(_texts, page),
        pictures=page.pictures,
        shown={f"{page.stem}.html": page.pictures},
        optional=[f"{page.stem}_tables.csv", f"{page.stem}_pivot.tex", f"{page.stem}.tex", *_picture_files(page.stem)],
        subjects=[subject_of(one.study) for one in results],
        checksums=FILES_TOGETHER,
    )


def _page(results: Sequence[Results], out: Path, reports: Sequence[Path], faces: bool) -> _Page:
    family = sum(map(family_size, results))  # a reader sees one table
    summaries = tuple(summarise(one, family) for one in results)
    check_alike(summaries)
    study = summaries[0].study
    pages = [folder / file_stem(study.name) for folder in reports]
    names = [summary.study.data.name for summary in summaries]
    links = {name: Path(os.path.relpath(page, out)).as_posix() for name, page in zip(names, pages, strict=False)}
    without = [] if faces else ["--no-faces"]
    command = shlex.join(["python", "-m", "raysweep.report", study.name, "--on", *names, *without])
    runs, pictures = Links.of(results[0]), _pictures(summaries, f"{file_stem(study.name)}_{TOGETHER}", faces)
    return _Page(summaries, links, pictures, command, runs)


def _picture_files(stem: str) -> list[str]:
    return [f"figures/{stem}{end}.{kind}" for end in ("", _ATTENTION) for kind in ("png", "pdf")]


def _pictures(summaries: Sequence[Summary], stem: str, faces: bool) -> list[Picture]:
    """The headline score, and where faces may be shown attention."""
    with style():
        drawn = {"": _scores(summaries), _ATTENTION: attention_together(summaries) if faces else None}
    return [Picture(f"{stem}{end}", *one) for end, one in drawn.items() if one is not None]


def _scores(summaries: Sequence[Summary]) -> tuple[Figure, str] | None:
    study = summaries[0].study
    along = {summary.study.data.name: data for summary in summaries if (data := dependence(summary)) is not None}
    if len(along) < 2:
        return None
    axis = next(iter(along.values())).axis
    text = (
        f"{title(study.metric)} along {axis.name}, a panel a data set, each on an axis of its own: mean, 95 % "
        "t-interval of the mean, and each replicate (faint)."
    )
    return draw_together(along, study.compared_axis.name), text


def _texts(page: _Page, figures: Path | None) -> dict[str, str]:
    """Name to content of every file but pictures. `figures`: folder of those that the page shows."""
    texts = {f"{page.stem}.md": render("datasets.md", page=page)}
    texts[f"{page.stem}_paper.tex"] = paper_latex(paper_tables(page.summaries, page.stem))
    texts[f"{page.stem}_notes.tex"] = notes_latex(page.tables[-1])
    texts[f"{page.stem}.csv"] = _csv(page.summaries)
    texts |= {f"{page.stem}_tables.csv": tables_csv(page.tables[:-1])} if page.tables[:-1] else {}
    return texts | {f"{page.stem}.html": render("datasets.html", page=page, folder=figures)}


def _csv(summaries: Sequence[Summary]) -> str:
    """The long format of every data set, its name in the first column."""
    lines: list[list[str]] = []
    for summary in summaries:
        head, *rows = csv.reader(io.StringIO(scores_csv(summary)))
        lines += ([] if lines else [["data", *head]]) + [[summary.study.data.name, *row] for row in rows]
    return csv_text(lines)
