"""From launches of one study on several data sets to the files of their common report."""

from __future__ import annotations

import csv
import html
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.spreadsheet import write_csv

from .figures.catalog import Picture, picture_digests, save_pictures
from .figures.datasets import draw_together
from .figures.series import dependence
from .figures.style import style
from .folder import mark_folder, subject_of
from .formatting import file_stem, plural, title
from .render.csv_files import scores_csv
from .render.files import Expected, drop_stale, placed, stale_among
from .render.html import document, paragraph, pictures_html, table_html
from .render.latex import table_latex
from .render.markdown import escape, prose, table_markdown
from .render.page import code, pictures_markdown, without_notes
from .results.aggregate import Summary, family_size, summarise
from .results.records import Results
from .tables.datasets import TOGETHER, check_alike, together_pivot, together_table
from .tables.table import Table
from .text.findings import question, reading

FILES_TOGETHER = ".files-together.json"
"""Checksums of the common report's files, which may lie beside those of one data set."""


@dataclass(frozen=True)
class _Page:
    """What the page shows. `links`: data set to its own report, relative to the page, where there is one."""

    summaries: tuple[Summary, ...]
    links: Mapping[str, str]
    pictures: Sequence[Picture]
    command: str

    @property
    def stem(self) -> str:
        return f"{file_stem(self.summaries[0].study.name)}_{TOGETHER}"


def write_together(results: Sequence[Results], out: Path, reports: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Write the report of one study on several data sets into the folder `out`. Returns the files.

    Args:
        results: one launch a data set, in the order of the table.
        out: folder; files of an earlier report of this kind are replaced.
        reports: folders of the data sets' own reports, in the same order, to link to.

    Raises:
        UserError: the launches cannot stand in one table, or `out` cannot be written.
    """
    page = _page(results, out, reports)
    paths = placed(out, lambda draft: _write(page, draft), picture_digests(page.pictures), FILES_TOGETHER)
    drop_stale(out, paths, _every_name(page))
    mark_folder(out, [subject_of(one.study) for one in results])
    return tuple(paths)


def check_together(results: Sequence[Results]) -> None:
    """Raises UserError unless the launches can stand in one table."""
    check_alike([summarise(one) for one in results])


def stale_together(results: Sequence[Results], out: Path, reports: Sequence[Path] = ()) -> list[str]:
    """As `stale_files`, of the common report."""
    page = _page(results, out, reports)
    name = f"{page.stem}.html"
    expected = Expected(
        texts=_texts(page),
        pages={name: _html(page, None)},
        shows={name: [f"figures/{picture.stem}.png" for picture in page.pictures]},
        pictures=picture_digests(page.pictures),
        others=_every_name(page),
        files=FILES_TOGETHER,
    )
    return stale_among(out, expected)


def _every_name(page: _Page) -> list[str]:
    """Files that some common reports of a study have and others have not."""
    return [f"{page.stem}_pivot.tex", *(f"figures/{page.stem}.{kind}" for kind in ("png", "pdf"))]


def _page(results: Sequence[Results], out: Path, reports: Sequence[Path]) -> _Page:
    family = sum(map(family_size, results))  # a reader sees one table
    summaries = tuple(summarise(one, family) for one in results)
    check_alike(summaries)
    study = summaries[0].study
    pages = [folder / f"{file_stem(study.name)}.md" for folder in reports]
    names = [summary.study.data.name for summary in summaries]
    links = {name: Path(os.path.relpath(page, out)).as_posix() for name, page in zip(names, pages, strict=False)}
    command = shlex.join(["python", "-m", "raysweep.report", study.name, "--on", *names])
    return _Page(summaries, links, _pictures(summaries, f"{file_stem(study.name)}_{TOGETHER}"), command)


def _pictures(summaries: Sequence[Summary], stem: str) -> list[Picture]:
    study = summaries[0].study
    along = {summary.study.data.name: data for summary in summaries if (data := dependence(summary)) is not None}
    if len(along) < 2:
        return []
    axis = next(iter(along.values())).axis
    text = (
        f"{title(study.metric)} along {axis.name}, a panel a data set, each on an axis of its own: mean, 95 % "
        "t-interval of the mean, and each replicate (faint)."
    )
    with style():
        return [Picture(stem, draw_together(along, study.compared_axis.name), text)]


def _write(page: _Page, out: Path) -> list[Path]:
    drawn = save_pictures(page.pictures, out / "figures")
    texts = {**_texts(page), f"{page.stem}.html": _html(page, out / "figures")}
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [*(out / name for name in texts), *drawn]


def _texts(page: _Page) -> dict[str, str]:
    tables = {f"{table.label}.tex": table_latex(table) for table in _tables(page)}
    return {f"{page.stem}.md": _markdown(page), **tables, f"{page.stem}.csv": _csv(page.summaries)}


def _tables(page: _Page) -> list[Table]:
    """The paper's shape first, where there is one."""
    pivot = together_pivot(page.summaries)
    return [*([pivot] if pivot else []), together_table(page.summaries)]


def _markdown(page: _Page) -> str:
    study, (first, *others) = page.summaries[0].study, _tables(page)
    parts = [f"# {escape(_title(page))}", escape(question(page.summaries[0])), "## Results"]
    parts += [prose(" ".join(first.caption)), table_markdown(first)]
    for table in others:
        parts += [f"**Every score: {escape(study.title)}**", table_markdown(without_notes(table))]
    if page.pictures:
        parts += ["## Figures", *pictures_markdown(page.pictures)]
    parts.append("## Reading")
    for summary in page.summaries:
        name = summary.study.data.name
        link = f" ([its own report]({page.links[name]}))" if name in page.links else ""
        parts += [f"### {escape(name)}{link}", "\n".join(f"- {escape(words)}" for words in reading(summary))]
    return "\n\n".join([*parts, "## To do it again", code([*_commands(page), page.command])]) + "\n"


def _html(page: _Page, figures: Path | None) -> str:
    study, (first, *others) = page.summaries[0].study, _tables(page)
    body = [f"<h1>{html.escape(_title(page))}</h1>", paragraph(question(page.summaries[0])), "<h2>Results</h2>"]
    body += [paragraph(" ".join(first.caption), "caption"), table_html(first)]
    body += [paragraph(f"{mark} {text}".strip(), "note") for mark, text in first.notes]
    for table in others:
        body += [paragraph(f"Every score: {study.title}"), table_html(table)]
    body += ["<h2>Figures</h2>", *pictures_html(page.pictures, figures)] if page.pictures else []
    body.append("<h2>Reading</h2>")
    for summary in page.summaries:
        name = summary.study.data.name
        link = page.links.get(name, "").removesuffix(".md")
        own = f' (<a href="{html.escape(link)}.html">its own report</a>)' if link else ""
        body += [f"<h3>{html.escape(name)}{own}</h3>", "<ul>"]
        body += [*(f"<li>{html.escape(words)}</li>" for words in reading(summary)), "</ul>"]
    commands = html.escape("\n".join([*_commands(page), page.command]))
    return document(_title(page), [*body, "<h2>To do it again</h2>", f"<pre>{commands}</pre>"])


def _csv(summaries: Sequence[Summary]) -> str:
    """The long format of every data set, its name in the first column."""
    lines: list[list[str]] = []
    for summary in summaries:
        head, *rows = csv.reader(io.StringIO(scores_csv(summary)))
        lines += ([] if lines else [["data", *head]]) + [[summary.study.data.name, *row] for row in rows]
    out = io.StringIO()
    write_csv(out, lines)
    return out.getvalue()


def _title(page: _Page) -> str:
    return f"{page.summaries[0].study.title}: {plural(len(page.summaries), 'data set')}"


def _commands(page: _Page) -> list[str]:
    """What launched them, each once."""
    return list(dict.fromkeys(summary.study.command for summary in page.summaries))
