"""From MLflow to the paper's table: means, honest statistics, Markdown, LaTeX, CSV and figures.

Reads the tracking store alone; never imports the engine.
"""

from .build import (
    ReportFiles,
    build_report,
    log_report,
    stale_files,
    summary_rows,
    summary_text,
    write_report,
)
from .build_datasets import check_together, stale_together, write_together
from .folder import default_folder, noted_launch, subject_of
from .render.index import index_text, write_index
from .results.aggregate import Summary, summarise
from .results.load import list_results, load_results
from .results.records import Results

__all__ = [
    "ReportFiles",
    "Results",
    "Summary",
    "build_report",
    "check_together",
    "default_folder",
    "index_text",
    "list_results",
    "load_results",
    "log_report",
    "noted_launch",
    "stale_files",
    "stale_together",
    "subject_of",
    "summarise",
    "summary_rows",
    "summary_text",
    "write_index",
    "write_report",
    "write_together",
]
