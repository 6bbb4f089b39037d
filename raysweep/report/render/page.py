"""The report as one page: Markdown beside its figures, and the same as one self-contained HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raysweep.report.figures.catalog import Picture
from raysweep.report.formatting import plural
from raysweep.report.results.records import Results
from raysweep.report.tables.table import Table
from raysweep.report.text.caption import sentence

from .html import document, paragraph, pictures_html, table_html
from .markdown import escape, prose, table_markdown


@dataclass(frozen=True)
class SearchSection:
    """The searches of a study: the points found, figures, and the interactive page beside this one ("": none)."""

    table: Table
    pictures: Sequence[Picture]
    page: str


@dataclass(frozen=True)
class Page:
    """Everything a page shows, in order."""

    results: Results
    question: str
    reading: Sequence[str]
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    report_command: str
    search: SearchSection | None = None


def page_markdown(page: Page) -> str:
    """GitHub's Markdown; pictures are linked relative to the page."""
    study = page.results.study
    parts = [f"# {escape(study.title)}", escape(page.question), "## Reading"]
    parts += ["\n".join(f"- {escape(words)}" for words in page.reading)]
    parts += ["## Results", prose(" ".join(page.tables[0].caption)), table_markdown(page.tables[0])]
    for table in page.tables[1:]:
        parts += [f"**{escape(table.caption[0])}**", table_markdown(without_notes(table))]
    if page.search:
        parts += _search_markdown(page.search)
    if page.pictures:
        parts.append("## Figures")
    parts += pictures_markdown(page.pictures)
    parts += ["## To do it again", code([study.command, page.report_command])]
    parts += [
        "## Cells",
        f"<details><summary>{_cells_title(page.results)}</summary>",
        _cells_markdown(page.results),
        "</details>",
    ]
    return "\n\n".join(parts) + "\n"


def page_html(page: Page, figures: Path | None) -> str:
    """One file that any browser shows without a network. `figures`: folder of the saved pictures; None: without."""
    study = page.results.study
    body = [f"<h1>{html.escape(study.title)}</h1>", paragraph(page.question), "<h2>Reading</h2>"]
    body += ["<ul>", *(f"<li>{html.escape(words)}</li>" for words in page.reading), "</ul>", "<h2>Results</h2>"]
    body += [paragraph(" ".join(page.tables[0].caption), "caption")]
    body += [
        table_html(page.tables[0]),
        *(paragraph(f"{mark} {text}".strip(), "note") for mark, text in page.tables[0].notes),
    ]
    for table in page.tables[1:]:
        body += [paragraph(table.caption[0]), table_html(table)]
    body += _search_html(page.search, figures) if page.search else []
    body += ["<h2>Figures</h2>"] if page.pictures else []
    body += pictures_html(page.pictures, figures)
    commands = html.escape("\n".join([study.command, page.report_command]))
    body += ["<h2>To do it again</h2>", f"<pre>{commands}</pre>", "<h2>Cells</h2>"]
    body += [f"<details><summary>{_cells_title(page.results)}</summary>", _cells_html(page.results), "</details>"]
    return document(study.title, body)


def _search_markdown(section: SearchSection) -> list[str]:
    parts = ["## Search", prose(" ".join(section.table.caption)), table_markdown(section.table)]
    if section.page:
        parts.append(f"Every trial, to explore in a browser: [{escape(section.page)}]({section.page})")
    return parts + pictures_markdown(section.pictures)


def pictures_markdown(pictures: Sequence[Picture]) -> list[str]:
    """Pictures in the folder `figures` beside the page, each with its caption."""
    return [
        part
        for picture in pictures
        for part in (f"![{escape(picture.caption)}](figures/{picture.stem}.png)", f"*{escape(picture.caption)}*")
    ]


def _search_html(section: SearchSection, figures: Path | None) -> list[str]:
    body = ["<h2>Search</h2>", paragraph(" ".join(section.table.caption), "caption"), table_html(section.table)]
    body += [paragraph(f"{mark} {text}".strip(), "note") for mark, text in section.table.notes]
    if section.page:
        name = html.escape(section.page)
        body.append(f'<p>Every trial, to explore: <a href="{name}">{name}</a></p>')
    return body + pictures_html(section.pictures, figures)


def _cells_title(results: Results) -> str:
    complete = sum(cell.complete for cell in results.cells)
    return f"{plural(len(results.cells), 'cell')}, {complete} complete, launch {html.escape(results.study.launch)}"


def _cells_rows(results: Results) -> list[list[str]]:
    rows = []
    for cell in results.cells:
        state = f"{cell.state}: {sentence(cell.cause)}" if cell.cause and cell.state == "failed" else cell.state
        rows.append([cell.name, f"{state}, degenerate" if cell.degenerate else state, cell.run_id or "", cell.key[:12]])
    return rows


_CELLS_HEAD = ["cell", "state", "MLflow run", "key"]


def _cells_markdown(results: Results) -> str:
    lines = [_CELLS_HEAD, ["---"] * len(_CELLS_HEAD), *([escape(word) for word in row] for row in _cells_rows(results))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells_html(results: Results) -> str:
    head = "".join(f"<th>{word}</th>" for word in _CELLS_HEAD)
    rows = "".join(
        "<tr>" + "".join(f'<td class="left">{html.escape(w)}</td>' for w in row) + "</tr>\n"
        for row in _cells_rows(results)
    )
    return f"<table><tr>{head}</tr>\n{rows}</table>"


def code(lines: Sequence[str]) -> str:
    """Lines of a shell as a block that they cannot leave."""
    return "\n".join(["```sh", *(line.replace("```", "` ` `") for line in lines), "```"])


def without_notes(table: Table) -> Table:
    """The same table, of which notes are said elsewhere."""
    return replace(table, notes=())
