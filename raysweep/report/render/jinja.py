"""The Jinja2 templates of a report's pages, in `templates/`, and the filters that they use."""

from __future__ import annotations

import base64
import html
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext
from markupsafe import Markup

from raysweep.report.figures.catalog import Picture
from raysweep.report.formatting import MINUS, number
from raysweep.report.tables.table import Entry

from .markdown import escape, prose, table_markdown


def render(template: str, **values: object) -> str:
    """A page from a template. In HTML every value is escaped; templates of Markdown name a filter for each."""
    return TEMPLATES.get_template(template).render(values)


@pass_eval_context
def _value(context: EvalContext, value: object) -> object:
    """A value in HTML, escaped as the standard library does; Jinja2 itself writes other entities for quotes."""
    return Markup(html.escape(str(value))) if context.autoescape and not hasattr(value, "__html__") else value


def _png(picture: Picture, folder: Path | None) -> str:
    """Bytes of a picture saved in a folder, as Base64; None: empty."""
    return base64.b64encode((folder / f"{picture.stem}.png").read_bytes()).decode() if folder else ""


def _minus(text: str) -> Markup:
    """Escaped text, minus signs as entities."""
    return Markup(html.escape(text).replace(MINUS, "&minus;"))


def _replicates(entry: Entry) -> str:
    """Replicates with their values in the entry's unit, for the page's script."""
    unit = 100 if entry.percent else 1
    return " ".join(f"{replicate}:{number(unit * value, decimals=4)}" for replicate, value in entry.values)


def _script() -> Markup:
    return Markup(files(__package__).joinpath("templates", "page.js").read_text(encoding="utf-8"))


TEMPLATES = Environment(
    loader=PackageLoader("raysweep.report.render"),
    autoescape=select_autoescape(["html"]),
    finalize=_value,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {
    "escaped": escape, "html": html.escape, "minus": _minus, "png": _png, "prose": prose, "replicates": _replicates,
    "table": table_markdown,
}  # fmt: skip
TEMPLATES.globals["script"] = _script
