"""How often a table excludes an arm that is truly as good as the best: at most 5 % by its guarantee."""

from __future__ import annotations

from itertools import product

import numpy as np

from raysweep.report import summarise

from .tables import SHAPES, Count, Levels, _draw, results_of


def wrongly_excluded(shape: str, replicates: int, tables: int, seed: int) -> Count:
    """Of simulated tables in which all arms are equal, those that exclude the first arm of any group."""
    form = SHAPES[shape]
    rng = np.random.default_rng([seed, replicates, list(SHAPES).index(shape)])
    arms: list[Levels] = [levels if len(levels) > 1 else levels[0] for levels in product(*form.axes.values())]
    wrong = 0
    for _ in range(tables):
        drawn = _draw(form, arms, replicates, rng, 0.0)
        cells = {arm: [{"macro_f1": cell["macro_f1"]} for cell in row] for arm, row in drawn.items()}
        best = summarise(results_of(form.axes, form.reference, cells, form.same)).best
        wrong += any(not next(iter(group.standings.values())).may_be_best for group in best)
    return Count(wrong, tables)
