"""Which figures a study gets, and what is written below each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from raysweep.core.formatting import arm_name
from raysweep.report.formatting import listed, plural, title
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.statistics import paired, simultaneous
from raysweep.report.tables.arms import difference_words

from .adapted_labels import POINTS, draw_label_planes, draw_truth_scores
from .attention import draw_attention
from .attention_data import Constancy, Gallery, constancy, gallery
from .curves import FIT_TITLES, draw_learning, draw_memorisation
from .differences import draw_forest
from .label_data import MOST_ARMS, ArmPlanes, arm_planes, truth_panels
from .levels import draw_levels
from .scores import draw_dependence
from .series import MOST_PANELS, CurvePanel, Dependence, curves, dependence, forest, monitored
from .style import contents, save, style

NAMES = ("scores", "differences", "memorisation", "learning", "attention", "truth", "labels")
"""Every figure there can be: `figures/<study>_<name>.png` and `.pdf`."""


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn but not saved, the name of its files without ending, what a reader should know."""

    stem: str
    figure: Figure
    caption: str


def draw_pictures(summary: Summary, stem: str, faces: bool = True) -> list[Picture]:
    """Every figure that axes, scores and curves allow. `faces`: those that show images of the data set, too."""
    with style():
        return [Picture(f"{stem}_{name}", figure, words) for name, figure, words in _figures(summary, faces)]


def picture_digests(pictures: Sequence[Picture]) -> dict[str, str]:
    """By file below the report's folder, what it is drawn from."""
    digests = {picture.stem: contents(picture.figure) for picture in pictures}
    return {f"figures/{stem}.{kind}": digest for stem, digest in digests.items() for kind in ("png", "pdf")}


def save_pictures(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write each as PNG and PDF. Returns the files."""
    with style():
        return [path for picture in pictures for path in save(picture.figure, folder, picture.stem)]


def _figures(summary: Summary, faces: bool) -> Iterator[tuple[str, Figure, str]]:
    study = summary.study
    along = dependence(summary)
    if along is not None:
        figure = (
            draw_dependence(along, study.source)
            if along.axis.numeric
            else draw_levels(along, study.compared_axis.name, study.source)
        )
        yield "scores", figure, _scores_words(summary, along)
    rows = forest(summary)
    if rows and not all(axis.numeric for axis in study.axes if axis.name in study.reference):
        figure = draw_forest(rows, study.metric, arm_name(study.reference), summary.family)
        yield "differences", figure, _differences_words(summary)
    fits = {name: curves(summary, name, most=None) for name in FIT_TITLES}
    if fits["fit/flipped"]:
        words = _memorisation_words(summary, fits["fit/flipped"])
        groups = {panel.group for panel in fits["fit/flipped"][:MOST_PANELS]}
        fits = {name: [panel for panel in panels if panel.group in groups] for name, panels in fits.items()}
        yield "memorisation", draw_memorisation(fits, study.compared_axis), words
    watched = monitored(study)
    learning = curves(summary, watched, most=None)
    if learning:
        images, score = "test" if study.protocol == "best_on_test" else "validation", title(watched.split("/")[1])
        figure = draw_learning(learning[:MOST_PANELS], f"{images} {score}", study.compared_axis)
        yield "learning", figure, _learning_words(summary, learning, f"{score} on {images} images")
    shown = gallery(summary) if faces else None
    if shown is not None:
        kept = constancy(summary)
        yield "attention", draw_attention(shown, kept, study.data.classes), attention_words(shown, kept)
    yield from _label_figures(summary)


def _label_figures(summary: Summary) -> Iterator[tuple[str, Figure, str]]:
    """Where cells adapt the labels of an extra data set."""
    panels = truth_panels(summary)
    if panels:
        yield "truth", draw_truth_scores(panels), _TRUTH_WORDS
    arms = arm_planes(summary, MOST_ARMS + 1)
    if arms:
        yield "labels", draw_label_planes(arms[:MOST_ARMS], summary.study.data.classes), _planes_words(arms)


def _scores_words(summary: Summary, along: Dependence) -> str:
    words = (
        f"{title(along.panels[0].score)} and other scores along {along.axis.name}: mean, 95 % t-interval of the mean, "
        "and each replicate (faint). Arms share splits, flipped labels and initial weights, so paired differences are "
        "known better than these intervals suggest."
    )
    if any(point.flagged for line in along.panels[0].lines for point in line.points):
        words += " Open markers: some cells are missing or degenerate."
    if along.paper:
        words += " The lower panels show the paper's numbers on axes of their own: images and recipe differ from ours."
    if any(panel.paper for panel in along.panels):
        words += " Dashed: the paper's numbers." if along.axis.numeric else " Short bars: the paper's numbers."
    if not along.axis.numeric:
        words += " Broken line: mean of the reference." if summary.study.reference else ""
    return words


def _differences_words(summary: Summary) -> str:
    return (
        f"Paired differences in {title(summary.study.metric)} from {arm_name(summary.study.reference)} with "
        f"{simultaneous(summary.family)}. Filled and coloured: beyond noise, blue better, red worse."
    )


def _memorisation_words(summary: Summary, panels: Sequence[CurvePanel]) -> str:
    second = " Second training, on all images." if summary.study.protocol == "select_then_retrain" else ""
    return (
        "Memorisation: share of training labels that the model predicts while it trains. Flipped labels that are "
        "predicted as given are memorised noise. Bold: mean over replicates; thin: each replicate."
        f"{second}{_cut(panels)}"
    )


def _learning_words(summary: Summary, panels: Sequence[CurvePanel], what: str) -> str:
    first = " First training, which chooses the epoch." if summary.study.protocol == "select_then_retrain" else ""
    return f"Learning curves: {what}. Bold: mean over replicates; thin: each replicate.{first}{_cut(panels)}"


def attention_words(shown: Gallery, along: Constancy | None) -> str:
    """What the faces show, and where there is an axis to follow, what is compared along it."""
    where = f", {arm_name(shown.fixed)}" if shown.fixed else ""
    words = (
        f"Attention in the manner of DDAF's Figure 6 (replicate {shown.replicate}{where}): the first test image of "
        f"{plural(len(shown.faces), 'expression')} and Grad-CAM maps over it, what in feature maps of "
        f"{shown.places[0]} x {shown.places[1]} places speaks for the image's own label (the paper does not say for "
        "which class; derivatives are kept place by place, which in a ResNet changes nothing), each map scaled by its "
        "own maximum. Below each: the prediction, red-brown where it is wrong."
    )
    if shown.flat:
        words += " A grey face without colour: nothing speaks for the label."
    if along is None:
        return words
    at = f"{along.axis.name}={along.first}"
    words += (
        f" Below: Pearson's correlation between the map of an image at {at} and at a further level, same method and "
        f"replicate, mean over {plural(along.images, 'test image')}; mean and 95 % t-interval over replicates (faint: "
        "each). 1 is the same map."
    )
    if differences := _likeness_differences(along):
        words += f" {differences}"
    if along.between:
        words += f" Crosses: the same between two replicates at {at}, which differ in all seeds; mean over pairs."
    if along.flat:
        words += (
            f" {along.flat:.1%}".replace("%", " %") + " of all maps are the same everywhere; such a map against "
            "another one counts as 0, and two such are left out."
        )
    return words


def _likeness_differences(along: Constancy) -> str:
    """The lines at the last level against the reference's, or nothing without one."""
    reference = next((line for line in along.lines if line.is_reference), None)
    if reference is None:
        return ""
    last = reference.points[-1]
    found = []
    for line in along.lines:
        if line is not reference and line.points[-1].x == last.x:
            comparison = paired(line.points[-1].values, last.values)
            found += [f"{line.name} {difference_words(comparison)}"] if comparison is not None else []
    if not found:
        return ""
    where = f"{along.axis.name}={last.x:g}"
    return f"At {where} against {reference.name}: {listed(found)} (paired by replicate, exploratory: 95 % one by one)."


_TRUTH_WORDS = (
    "Labels of the training images against the truth, which the method never sees: mean over replicates with 95 % "
    "t-intervals. A is the target, B the extra set; right: the likeliest label by A's criteria. Kept: what a model "
    "trained on A agrees with; rest: what it does not."
)


def _planes_words(arms: Sequence[ArmPlanes]) -> str:
    replicates = listed([str(number) for number in sorted({arm.replicate for arm in arms[:MOST_ARMS]})])
    more = f" The first {MOST_ARMS} arms whose labels differ." if len(arms) > MOST_ARMS else ""
    word = "replicates" if " " in replicates else "replicate"
    return (
        f"Labels in the valence/arousal plane ({word} {replicates}), at most {POINTS:,} points a panel. Colour: "
        "class; dots: class centres of what is shown; crosses: those of A, to which B is mapped. "
        f"The number in a corner counts the images.{more}"
    )


def _cut(panels: Sequence[CurvePanel]) -> str:
    return f" The first {MOST_PANELS} panels." if len(panels) > MOST_PANELS else ""
