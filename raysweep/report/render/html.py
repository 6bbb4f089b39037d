"""What our HTML pages are made of: tables, paragraphs, pictures inside the file, and the document around them."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from raysweep.report.figures.catalog import Picture
from raysweep.report.formatting import MINUS
from raysweep.report.tables.table import Entry, Table


def document(title: str, body: Sequence[str]) -> str:
    """One file that any browser shows without a network."""
    return _DOCUMENT.format(title=html.escape(title), body="\n".join(body))


def paragraph(text: str, kind: str = "") -> str:
    """Words of a class of paragraphs ("caption", "note"), escaped; backquotes are left out."""
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text).replace('`', '')}</p>"


def pictures_html(pictures: Sequence[Picture], figures: Path | None) -> list[str]:
    """Pictures saved in the folder `figures`, inside the page; None: without their bytes."""
    body = []
    for picture in pictures:
        data = base64.b64encode((figures / f"{picture.stem}.png").read_bytes()).decode() if figures else ""
        text = html.escape(picture.caption)
        body.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'
        )
    return body


def table_html(table: Table) -> str:
    """A table without its caption and notes."""
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
    text = html.escape(entry.plain).replace(MINUS, "&minus;")
    text = f"<b>{text}</b>" if entry.bold else text
    hint = f' title="runs: {html.escape(" ".join(entry.runs))}"' if entry.runs else ""
    marks = f" <span class=marks>{entry.marks}</span>" if entry.marks else ""
    return f'<td class="{"left" if left else ""}"{hint}>{text}{marks}</td>'


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
.marks {{ font-size: 17px; line-height: 1 }}
.caption, .note, figcaption {{ font-size: 13px; color: #444 }} .note {{ margin: .3rem 0 }}
figure {{ margin: 1.5rem 0 }} img {{ max-width: 100% }} pre {{ background: #f5f5f5; padding: .8rem; overflow-x: auto }}
</style></head><body>
{body}
</body></html>
"""
