"""Which figures a study gets, in order: a figure is a file with a function, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.searches import SearchRecord

from .adapted_labels import labels_figure, truth_figure
from .attention import attention_figure
from .curves import learning_figure, memorisation_figure
from .differences import differences_figure
from .levels import scores_figure
from .search_front import front_figure
from .search_history import history_figure
from .search_importance import importance_figure
from .search_panels import MOST_ARMS, shown_arms
from .search_parallel import parallel_figure
from .search_slices import slices_figure
from .style import contents, save, style

FIGURES: dict[str, Callable[[Summary], tuple[Figure, str] | None]] = {
    "scores": scores_figure,
    "differences": differences_figure,
    "memorisation": memorisation_figure,
    "learning": learning_figure,
    "attention": attention_figure,
    "truth": truth_figure,
    "labels": labels_figure,
}
"""By name: `figures/<study>_<name>.png` and `.pdf`. Each gives a figure and its caption, None where a study has nothing
to show in it."""

SEARCH_FIGURES: dict[str, Callable[[PlannedSearch, Sequence[SearchRecord]], tuple[Figure, str] | None]] = {
    "search_history": history_figure,
    "search_importance": importance_figure,
    "search_parallel": parallel_figure,
    "search_slices": slices_figure,
    "search_front": front_figure,
}
"""The same of the searches inside arms."""

WITH_FACES = ("attention",)
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
        drawn = {name: draw(summary) for name, draw in FIGURES.items() if faces or name not in WITH_FACES}
    return [Picture(f"{stem}_{name}", *one) for name, one in drawn.items() if one is not None]


def draw_search_pictures(summary: Summary, stem: str) -> list[Picture]:
    """Every figure that the trials allow; none without a trial."""
    plan, searches = summary.study.search, summary.searches
    if plan is None or not shown_arms(searches):
        return []
    more = sum(bool(search.trials) for search in searches) > MOST_ARMS
    cut = f" The first {MOST_ARMS} arms." if more else ""
    with style():
        drawn = {name: draw(plan, searches) for name, draw in SEARCH_FIGURES.items()}
    return [Picture(f"{stem}_{name}", one[0], one[1] + cut) for name, one in drawn.items() if one is not None]


def picture_digests(pictures: Sequence[Picture]) -> dict[str, str]:
    """By file below the report's folder, what it is drawn from."""
    digests = {picture.stem: contents(picture.figure) for picture in pictures}
    return {f"figures/{stem}.{kind}": digest for stem, digest in digests.items() for kind in ("png", "pdf")}


def save_pictures(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write each as PNG and PDF. Returns the files."""
    with style():
        return [path for picture in pictures for path in save(picture.figure, folder, picture.stem)]
