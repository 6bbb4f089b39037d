"""From a study's name to the files of its report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raysweep.tracking.arm_runs import ArmRun

from .figures.catalog import FIGURES, SEARCH_FIGURES, draw_pictures, draw_search_pictures
from .folder import default_folder, subject_of
from .formatting import file_stem
from .render.camera_ready import figures_latex, notes_latex, paper_latex
from .render.csv_files import cells_csv, scores_csv, tables_csv
from .render.files import Contents, stale_among, write_files
from .render.jinja import render
from .render.markdown import table_markdown
from .render.page import Page, SearchSection
from .render.results_json import NAME, results_json
from .render.search_page import search_page
from .results.aggregate import Summary, summarise
from .results.arm_runs import arm_runs
from .results.load import load_results
from .results.provenance import provenance
from .results.records import Results
from .tables.arms import compact_table, results_table
from .tables.budget import BUDGET, budget_table
from .tables.declared import declared_tables, paper_tables
from .tables.diagnostics import NAMES as DIAGNOSTICS
from .tables.diagnostics import diagnostic_files
from .tables.differences import DIFFERENCES, differences_table
from .tables.searches import points_csv, points_table, trials_csv
from .text.checklist import checklist
from .text.findings import question, reading

EARLIER = ("", "_pivot", "_peers", "_standalone", "_points", f"_{BUDGET}", f"_{DIFFERENCES}")
"""Ends of LaTeX files of earlier versions, which are left over."""


@dataclass(frozen=True)
class ReportFiles:
    """What was written. `table_markdown` is the short table for a terminal, `reading` the result in words."""

    paths: tuple[Path, ...]
    table_markdown: str
    incomplete: bool
    reading: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    search_paths: tuple[Path, ...] = ()  # of `paths` those that show the study's searches
    checks: tuple[str, ...] = ()  # where MLflow disagrees with the files of its runs
    arms: tuple[ArmRun, ...] = ()  # for MLflow


def build_report(
    study_name: str,
    out: Path | str | None,
    tracking_uri: str | None = None,
    launch: str | None = None,
) -> ReportFiles:
    """Read a study from MLflow and write its tables, figures and page into the folder `out`.

    Args:
        study_name: name of the study, which is the name of its MLflow experiment, or the path of its file.
        out: folder, created when it does not exist. Files of an earlier report are replaced. None: below `reports/`,
            where no report about another study or other data is.
        tracking_uri: MLflow store; default MLFLOW_TRACKING_URI or sqlite:///mlflow.db.
        launch: name or run id of a launch; default the newest.

    Raises:
        UserError: no such study or launch, no readable plan, or `out` cannot be written.
    """
    results = load_results(study_name, tracking_uri, launch)
    return write_report(results, Path(out) if out is not None else default_folder([subject_of(results.study)]))


def write_report(results: Results, out: Path, faces: bool = True) -> ReportFiles:
    """Write the report of loaded results. It is drafted beside `out` first: a failure leaves nothing half-written.

    `faces`: with the figures that show faces, which a data set's licence may forbid to pass on.
    """
    summary = summarise(results)
    paths = write_files(_contents(results, summary, faces), out)
    header, rows = summary_rows(summary)
    return ReportFiles(
        paths, table_markdown(compact_table(summary)), summary.incomplete, tuple(reading(summary)),
        tuple(header), tuple(tuple(row) for row in rows), _search_paths(out, paths, results), results.checks,
        arm_runs(summary),
    )  # fmt: skip


def log_report(report: ReportFiles, log: Callable[[Path, str], None]) -> int:
    """Hand every file of a report to `log`, and what shows the searches; returns how many files.

    Only `raysweep.tracking` writes to MLflow: `log(file, folder)` is its, and the launch's run gets "report/<file>",
    and "search/<file>" of pictures, tables and the page to explore.
    """
    root = report.paths[0].parent
    files = [(path, (Path("report") / path.parent.relative_to(root)).as_posix()) for path in report.paths]
    files += [(path, "search") for path in report.search_paths if path.suffix in (".html", ".png", ".csv")]
    for path, folder in files:
        log(path, folder)
    return len(files)


def stale_files(results: Results, out: Path, faces: bool = True) -> list[str]:
    """Files in `out` that are absent, left over, or not what a fresh report would hold; pictures are compared by what
    they were drawn from and by their checksums, since their bytes depend on the version of the font library."""
    return stale_among(_contents(results, summarise(results), faces), out)


def summary_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the short table as plain words, for `rich` or anything else."""
    table = compact_table(summary)
    rows = [[f"{entry.plain} {entry.marks}".strip() for entry in row] for row in table.rows]
    return [column.full_title for column in table.columns], rows


def summary_text(summary: Summary) -> str:
    """The short table as aligned text, its notes, and the reading."""
    header, rows = summary_rows(summary)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    lines += [f"{mark} {text}" for mark, text in compact_table(summary).notes]
    return "\n".join([*lines, "", *reading(summary)])


def _contents(results: Results, summary: Summary, faces: bool) -> Contents:
    page, stem = _page(results, summary, faces), file_stem(results.study.name)
    found = page.search.pictures if page.search else ()
    return Contents(
        texts=partial(_texts, page, summary),
        pictures=[*page.pictures, *found],
        shown={f"{stem}.html": [*found, *page.pictures]},
        optional=_optional_names(stem),
        subjects=[subject_of(results.study)],
    )


def _page(results: Results, summary: Summary, faces: bool) -> Page:
    study = results.study
    command = shlex.join(
        ["python", "-m", "raysweep.report", study.name, "--launch", study.launch, *([] if faces else ["--no-faces"])]
    )
    pictures = draw_pictures(summary, file_stem(study.name), faces)
    more = [differences_table(summary), *declared_tables([summary]), budget_table(summary, results)]
    tables = [results_table(summary), *(table for table in more if table is not None)]
    found = _search(summary)
    return Page(results, question(summary), reading(summary), tables, pictures, command, provenance(results), found)


def _search(summary: Summary) -> SearchSection | None:
    """What a study that searches shows besides its replicates."""
    if summary.study.search is None:
        return None
    stem = file_stem(summary.study.name)
    some = any(search.trials for search in summary.searches)
    page = f"{stem}_search.html" if some else ""
    return SearchSection(points_table(summary), draw_search_pictures(summary, stem), page)


def _search_names(stem: str) -> list[str]:
    """Every file that a search can add to the report, relative to it."""
    names = [f"{stem}_{name}" for name in ("search.html", "points.csv", "trials.csv")]
    return names + [f"figures/{stem}_{name}.{kind}" for name in SEARCH_FIGURES for kind in ("png", "pdf")]


def _search_paths(out: Path, paths: Sequence[Path], results: Results) -> tuple[Path, ...]:
    """Of the files written, those that show searches."""
    names = _search_names(file_stem(results.study.name)) if results.study.search else []
    return tuple(path for path in paths if path.relative_to(out).as_posix() in names)


def _texts(page: Page, summary: Summary, figures: Path | None) -> dict[str, str]:
    """Name to content of every file but pictures. `figures`: folder of those that the page shows."""
    stem = file_stem(page.results.study.name)
    tables = [*page.tables, *([page.search.table] if page.search else [])]
    texts = {f"{stem}.md": render("study.md", page=page)}
    found = [*page.pictures, *(page.search.pictures if page.search else ())]
    papers = paper_tables([summary])
    shown = [*page.tables[1:], *([page.search.table] if page.search else [])]
    more = [table for table in shown if table.label not in {one.label for one in papers}]
    texts[f"{stem}_paper.tex"] = paper_latex([*papers, *more])
    texts[f"{stem}_notes.tex"] = notes_latex(page.tables[0])
    texts[f"{stem}_figures.tex"] = figures_latex(found, page.tables[0].tag)
    texts |= {f"{stem}.csv": scores_csv(summary), f"{stem}_cells.csv": cells_csv(page.results)}
    texts[f"{stem}_{NAME}"] = results_json(page.results, summary, tables, page.made, page.reading)
    texts |= {f"{stem}_tables.csv": tables_csv(page.tables[1:])} if page.tables[1:] else {}
    items = checklist(page.results, summary, page.made, page.commands)
    texts[f"{stem}_checklist.md"] = render("checklist.md", page=page, items=items)
    texts[f"{stem}.html"] = render("study.html", page=page, folder=figures)
    texts |= diagnostic_files(summary)
    return texts | (_search_texts(page.search, summary) if page.search else {})


def _search_texts(section: SearchSection, summary: Summary) -> dict[str, str]:
    """Of a study that searches: its points, its trials, and the page to explore them."""
    table = section.table
    texts = {f"{table.label}.csv": points_csv(table)}
    texts[f"{file_stem(summary.study.name)}_trials.csv"] = trials_csv(summary)
    return texts | ({section.page: search_page(summary)} if section.page else {})


def _optional_names(stem: str) -> list[str]:
    """Files that some reports of a study have and others have not."""
    names = [f"figures/{stem}_{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")]
    names += [f"{stem}_{name}.csv" for name in DIAGNOSTICS]
    return [*names, f"{stem}_tables.csv", *(f"{stem}{end}.tex" for end in EARLIER), *_search_names(stem)]
