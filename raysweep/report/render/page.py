"""What the page about a study shows, for the templates of Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raysweep.report.figures.catalog import Picture
from raysweep.report.formatting import plural
from raysweep.report.results.provenance import Provenance
from raysweep.report.results.records import Results
from raysweep.report.tables.table import ReportTable
from raysweep.report.text.caption import sentence
from raysweep.report.text.provenance import provenance_words

from .links import Links


@dataclass(frozen=True)
class SearchSection:
    """The searches of a study: the points found, figures, and the interactive page beside this one ("": none)."""

    table: ReportTable
    pictures: Sequence[Picture]
    page: str


@dataclass(frozen=True)
class Page:
    """Everything a page shows, in order."""

    results: Results
    question: str
    reading: Sequence[str]
    tables: Sequence[ReportTable]
    pictures: Sequence[Picture]
    report_command: str
    made: Provenance
    search: SearchSection | None = None

    @property
    def links(self) -> Links:
        return Links.of(self.results)

    @property
    def title(self) -> str:
        return self.results.study.title

    @property
    def origins(self) -> list[tuple[str, str]]:
        """What the numbers come from, a word and what there is to say of it."""
        return provenance_words(self.results, self.made)

    @property
    def commands(self) -> list[str]:
        """To type to launch the study, and to report it."""
        return [self.results.study.command, self.report_command]

    @property
    def cells_title(self) -> str:
        cells = self.results.cells
        complete = sum(cell.complete for cell in cells)
        return f"{plural(len(cells), 'cell')}, {complete} complete, launch {self.results.study.launch}"

    @property
    def cells(self) -> list[list[str]]:
        """A row a cell: name, state, run, and the start of the key."""
        rows = []
        for cell in self.results.cells:
            state = f"{cell.state}: {sentence(cell.cause)}" if cell.cause and cell.state == "failed" else cell.state
            state += ", degenerate" if cell.degenerate else ""
            rows.append([cell.name, state, cell.run_id or "", cell.key[:12]])
        return rows
