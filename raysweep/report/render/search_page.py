"""The interactive page of a study's searches: one file, no network, no library; the data are embedded as JSON.

Plotly, which Optuna's own figures use, was left out: its script alone has 4.5 MB a page, its parallel coordinates show
nothing when hovered, and Optuna's leave out trials in which a conditional field is not set.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.colors import Normalize, to_hex

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.figures.search_panels import objective_title
from raysweep.report.figures.search_scale import Scale, objective_scales, scales, value_words
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.searches import SearchRecord, TrialRecord
from raysweep.report.text.searches import counts_words, how_found, troubles

from .jinja import render


def search_page(summary: Summary) -> str:
    """Parallel coordinates (drag along an axis to select) and the history of every arm's search, with hovering."""
    study, plan = summary.study, summary.study.search
    assert plan is not None
    data = json.dumps(page_data(plan, summary.searches), separators=(",", ":"), allow_nan=False)
    return render(
        "search.html",
        title=f"{study.title}: search",
        sentences=[how_found(plan, summary.searches), *troubles(summary)],
        data=Markup(data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")),
        script=Markup(files(__package__).joinpath("templates", "search.js").read_text(encoding="utf-8")),
    )


def page_data(plan: PlannedSearch, searches: tuple[SearchRecord, ...]) -> dict[str, Any]:
    """What the page's script reads: axes with their marks, objectives, and by arm its trials.

    A trial's `places` run from 0 to 1 along every axis, fields first; null: not set, or not scored.
    """
    fields, ends = scales(plan, searches), objective_scales(plan, searches)
    norm = Normalize(ends[0].low, ends[0].high)
    axes = [
        {"label": objective_title(plan, s.label) if not s.path else s.label, "path": s.path, "log": s.log,
         "marks": [[_round(place), text] for place, text in s.ticks()]}
        for s in (*fields, *ends)
    ]  # fmt: skip
    return {
        "axes": axes,
        "objectives": [{"label": objective_title(plan, name), "maximize": direction == "maximize"}
                       for name, direction in zip(plan.objectives, plan.directions, strict=True)],
        "arms": [
            {"name": search.arm or "search", "counts": counts_words(search.counts),
             "trials": [_trial(plan, search, trial, fields, ends, norm) for trial in search.trials]}
            for search in searches
        ],
    }  # fmt: skip


def _trial(
    plan: PlannedSearch,
    search: SearchRecord,
    trial: TrialRecord,
    fields: list[Scale],
    ends: list[Scale],
    norm: Normalize,
) -> dict[str, Any]:
    places = [scale.place(trial.point[scale.path]) if scale.path in trial.point else None for scale in fields]
    scored = trial.values or (None,) * len(ends)
    places += [None if value is None else end.place(value) for end, value in zip(ends, scored, strict=True)]
    color = to_hex(mpl.colormaps["viridis"](norm(trial.values[0]))) if trial.values else "#bbbbbb"
    return {
        "number": trial.number,
        "state": trial.state,
        "chosen": trial.number == search.told.number,
        "places": [None if place is None else _round(place) for place in places],
        "values": [None if value is None else _round(value) for value in scored],
        "last": [_round(trial.last[name]) if name in trial.last else None for name in plan.objectives],
        "words": [[path, value_words(value)] for path, value in trial.point.items()],
        "seconds": None if trial.seconds is None else _round(trial.seconds),
        "cause": trial.cause,
        "run": trial.run_id,
        "color": color,
    }


def _round(value: float) -> float:
    """Six significant digits: the last bits differ between machines."""
    return float(f"{value:.6g}")
