"""The report as one page: Markdown beside its figures, and the same as one self-contained HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .caption import sentence
from .markdown import escape, prose, table_markdown
from .pictures import Picture
from .records import Results
from .table import Entry, Table
from .words import MINUS, plural


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
        parts += [f"**{escape(table.caption[0])}**", table_markdown(_without_notes(table))]
    if page.search:
        parts += _search_markdown(page.search)
    if page.pictures:
        parts.append("## Figures")
    parts += _pictures_markdown(page.pictures)
    parts += ["## To do it again", _code([study.command, page.report_command])]
    parts += [
        "## Cells",
        f"<details><summary>{_cells_title(page.results)}</summary>",
        _cells_markdown(page.results),
        "</details>",
    ]
    return "\n\n".join(parts) + "\n"


def page_html(page: Page, figures: Path) -> str:
    """One file that any browser shows without a network. `figures`: folder of the saved pictures."""
    study = page.results.study
    body = [f"<h1>{html.escape(study.title)}</h1>", _paragraph(page.question), "<h2>Reading</h2>"]
    body += ["<ul>", *(f"<li>{html.escape(words)}</li>" for words in page.reading), "</ul>", "<h2>Results</h2>"]
    body += [_paragraph(" ".join(page.tables[0].caption), "caption")]
    body += [
        _table_html(page.tables[0]),
        *(_paragraph(f"{mark} {text}".strip(), "note") for mark, text in page.tables[0].notes),
    ]
    for table in page.tables[1:]:
        body += [_paragraph(table.caption[0]), _table_html(table)]
    body += _search_html(page.search, figures) if page.search else []
    body += ["<h2>Figures</h2>"] if page.pictures else []
    body += _pictures_html(page.pictures, figures)
    commands = html.escape("\n".join([study.command, page.report_command]))
    body += ["<h2>To do it again</h2>", f"<pre>{commands}</pre>", "<h2>Cells</h2>"]
    body += [f"<details><summary>{_cells_title(page.results)}</summary>", _cells_html(page.results), "</details>"]
    return _DOCUMENT.format(title=html.escape(study.title), body="\n".join(body))


def _search_markdown(section: SearchSection) -> list[str]:
    parts = ["## Search", prose(" ".join(section.table.caption)), table_markdown(section.table)]
    if section.page:
        parts.append(f"Every trial, to explore in a browser: [{escape(section.page)}]({section.page})")
    return parts + _pictures_markdown(section.pictures)


def _pictures_markdown(pictures: Sequence[Picture]) -> list[str]:
    return [
        part
        for picture in pictures
        for part in (f"![{escape(picture.caption)}](figures/{picture.stem}.png)", f"*{escape(picture.caption)}*")
    ]


def _search_html(section: SearchSection, figures: Path) -> list[str]:
    body = ["<h2>Search</h2>", _paragraph(" ".join(section.table.caption), "caption"), _table_html(section.table)]
    body += [_paragraph(f"{mark} {text}".strip(), "note") for mark, text in section.table.notes]
    if section.page:
        name = html.escape(section.page)
        body.append(f'<p>Every trial, to explore: <a href="{name}">{name}</a></p>')
    return body + _pictures_html(section.pictures, figures)


def _pictures_html(pictures: Sequence[Picture], figures: Path) -> list[str]:
    body = []
    for picture in pictures:
        data = base64.b64encode((figures / f"{picture.stem}.png").read_bytes()).decode()
        words = html.escape(picture.caption)
        body.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'
        )
    return body


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


def _table_html(table: Table) -> str:
    lines = ['<div class="wide"><table>', "<thead>"]
    if any(column.group for column in table.columns):
        lines.append(f"<tr>{_groups_html(table)}</tr>")
    heads = (f'<th class="{"left" if c.left else ""}">{html.escape(c.title)}</th>' for c in table.columns)
    lines += [f"<tr>{''.join(heads)}</tr>", "</thead><tbody>"]
    for index, row in enumerate(table.rows):
        cells = "".join(_entry_html(entry, column.left) for entry, column in zip(row, table.columns, strict=True))
        lines.append(f"<tr{' class=rule' if index in table.rules else ''}>{cells}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def _groups_html(table: Table) -> str:
    spans: list[tuple[str, int]] = []
    for column in table.columns:
        if spans and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + 1)
        else:
            spans.append((column.group, 1))
    return "".join(f'<th colspan="{n}"{" class=group" if name else ""}>{html.escape(name)}</th>' for name, n in spans)


def _entry_html(entry: Entry, left: bool) -> str:
    words = html.escape(entry.plain).replace(MINUS, "&minus;")
    words = f"<b>{words}</b>" if entry.bold else words
    hint = f' title="runs: {html.escape(" ".join(entry.runs))}"' if entry.runs else ""
    return f'<td class="{"left" if left else ""}"{hint}>{words}{f" {entry.marks}" if entry.marks else ""}</td>'


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text).replace('`', '')}</p>"


def _code(lines: Sequence[str]) -> str:
    return "\n".join(["```sh", *(line.replace("```", "` ` `") for line in lines), "```"])


def _without_notes(table: Table) -> Table:
    return Table(table.label, table.columns, table.rows, table.caption, (), table.rules)


_DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.6rem }} h2 {{ font-size: 1.15rem; margin-top: 2rem }}
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 13px; border-top: 2px solid #222; border-bottom: 2px solid #222 }}
th, td {{ padding: .25rem .6rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }}
th.left, td.left {{ text-align: left }} th.group {{ border-bottom: 1px solid #999; text-align: center }}
tbody {{ border-top: 1px solid #222 }} tr.rule td {{ border-top: 1px solid #ccc }}
.caption, .note, figcaption {{ font-size: 13px; color: #444 }} .note {{ margin: .3rem 0 }}
figure {{ margin: 1.5rem 0 }} img {{ max-width: 100% }} pre {{ background: #f5f5f5; padding: .8rem; overflow-x: auto }}
</style></head><body>
{body}
</body></html>
"""
