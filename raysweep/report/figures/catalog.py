"""Which figures a study gets, in order: a figure is a file with a function, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from matplotlib.figure import Figure

from raysweep.report.results.aggregate import Summary

from .search_panels import MOST_ARMS, shown_arms
from .style import contents, save, style

FIGURES = {
    "scores": "levels:scores_figure",
    "differences": "differences:differences_figure",
    "memorisation": "curves:memorisation_figure",
    "learning": "curves:learning_figure",
    "arms": "papers.strategies:strategies_figure",
    "classes": "diagnostics.classes:classes_figure",
    "confusion": "diagnostics.confusion:confusion_figure",
    "reliability": "diagnostics.reliability:reliability_figure",
    "gaussians": "papers.gaussians:gaussians_figure",
    "fusion": "papers.fusion:fusion_figure",
    "va_errors": "papers.va_errors:va_errors_figure",
    "attention": "attention:attention_figure",
    "plane": "papers.plane:plane_figure",
    "adapted_faces": "papers.adapted_faces:adapted_faces_figure",
    "truth": "adapted_labels:truth_figure",
    "labels": "adapted_labels:labels_figure",
}
"""By name (`figures/<study>_<name>.png` and `.pdf`): file and function in this folder, from a `Summary` to a figure and
its caption, None where a study has nothing to show in it."""

SEARCH_FIGURES = {
    "search_history": "search_history:history_figure",
    "search_importance": "search_importance:importance_figure",
    "search_parallel": "search_parallel:parallel_figure",
    "search_slices": "search_slices:slices_figure",
    "search_front": "search_front:front_figure",
}
"""Of the searches inside arms: functions of the planned search and its `SearchRecord`s."""

WITH_FACES = ("attention", "fusion", "adapted_faces")
"""Those that show images of the data set."""


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn but not saved, the name of its files without ending, what a reader should know."""

    stem: str
    figure: Figure
    caption: str


def draw_pictures(summary: Summary, stem: str, faces: bool = True) -> list[Picture]:
    """Every figure that axes, scores and curves allow. `faces`: those that show images of the data set, too."""
    with style():
        names = [name for name in FIGURES if faces or name not in WITH_FACES]
        drawn = {name: _function(FIGURES[name])(summary) for name in names}
    return [Picture(f"{stem}_{name}", *one) for name, one in drawn.items() if one is not None]


def draw_search_pictures(summary: Summary, stem: str) -> list[Picture]:
    """Every figure that the trials allow; none without a trial."""
    plan, searches = summary.study.search, summary.searches
    if plan is None or not shown_arms(searches):
        return []
    more = sum(bool(search.trials) for search in searches) > MOST_ARMS
    cut = f" The first {MOST_ARMS} arms." if more else ""
    with style():
        drawn = {name: _function(place)(plan, searches) for name, place in SEARCH_FIGURES.items()}
    return [Picture(f"{stem}_{name}", one[0], one[1] + cut) for name, one in drawn.items() if one is not None]


def _function(place: str) -> Callable[..., tuple[Figure, str] | None]:
    found: Callable[..., tuple[Figure, str] | None] = resolve_name(f"{__package__}.{place}")
    return found


def picture_digests(pictures: Sequence[Picture]) -> dict[str, str]:
    """By file below the report's folder, what it is drawn from."""
    digests = {picture.stem: contents(picture.figure) for picture in pictures}
    return {f"figures/{stem}.{kind}": digest for stem, digest in digests.items() for kind in ("png", "pdf")}


def save_pictures(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write each as PNG and PDF. Returns the files."""
    with style():
        return [path for picture in pictures for path in save(picture.figure, folder, picture.stem)]
