"""How scores, numbers and names are written, in every format alike."""

from __future__ import annotations

import re

from raysweep.core.formatting import listed, plural
from raysweep.metrics.registry import HIGHER_IS_BETTER, WITHOUT_DIRECTION
from raysweep.report.results.statistics import LEVEL

__all__ = [
    "DASH", "MINUS", "PLUS_MINUS", "TITLES", "better_way", "file_stem", "limit", "listed", "number", "one_line",
    "p_value", "plural", "title",
]  # fmt: skip

DASH = "–"
MINUS = "−"
PLUS_MINUS = "±"

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "rmse_valence": "RMSE V",
    "rmse_arousal": "RMSE A",
    "ccc_valence": "CCC V",
    "ccc_arousal": "CCC A",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier",
    "kl_votes": "KL to votes",
    "kept_share": "share of B kept",
    "given_right": "B right as given",
    "kept_right": "kept B right",
    "remainder_right": "rest of B right",
    "relabelled_right": "rest of B right, relabelled",
    "relabel_agreement": "rest of B, label unchanged",
    "pseudo_rmse": "RMSE of A's pseudo VA",
    "pseudo_ccc": "CCC of A's pseudo VA",
    "pseudo_own_rmse": "RMSE of A's pseudo VA to A's own VA",
    "pseudo_own_ccc": "CCC of A's pseudo VA with A's own VA",
    "given_va_rmse": "RMSE of B's VA as given",
    "mapped_va_rmse": "RMSE of B's VA, mapped",
}
"""What a score is called in a table. Rates are fractions of 1, never percent, ours and the papers' alike."""


def title(score: str, arrow: bool = False) -> str:
    """Name of a score, with an arrow that points to better where one way is.

    >>> title("rmse_valence", arrow=True), title("kept_share", arrow=True)
    ('RMSE V ↓', 'share of B kept')
    """
    name = TITLES.get(score, score)
    return f"{name} {better_way(score)}".rstrip() if arrow else name


def better_way(score: str) -> str:
    """An arrow, up or down; empty for a score without a better way."""
    if score in WITHOUT_DIRECTION:
        return ""
    return "↑" if HIGHER_IS_BETTER[score] else "↓"


def number(value: float, signed: bool = False, decimals: int = 3) -> str:
    """Three decimals, a real minus sign, no negative zero.

    >>> number(-0.0004), number(0.0412, signed=True), number(-1.5)
    ('0.000', '+0.041', '−1.500')
    """
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        return "0.000"
    return MINUS + text[1:] if text.startswith("-") else f"{'+' if signed else ''}{text}"


def limit(value: float) -> str:
    """An end of an interval: as many decimals as tell on which side of 0 it is.

    >>> limit(0.0412), limit(-0.0002), limit(0.0)
    ('+0.041', '−0.0002', '0.000')
    """
    return number(value, signed=True, decimals=_decimals(value, 0))


def p_value(p: float) -> str:
    """Three decimals, never 0; more where they tell on which side of 0.05 it is.

    >>> p_value(0.00001), p_value(0.0312), p_value(0.04997)
    ('< 0.001', '0.031', '0.04997')
    """
    return "< 0.001" if p < 0.001 else f"{p:.{_decimals(p, LEVEL)}f}"


def _decimals(value: float, mark: float) -> int:
    """The fewest, from three on, that keep a value apart from a mark; three for the mark itself."""
    return next((count for count in range(3, 13) if float(f"{value:.{count}f}") != mark), 3)


def file_stem(name: str) -> str:
    """A name that is safe as part of a file name, whatever the tracking server calls its studies.

    >>> file_stem("../ablation alpha")
    'ablation_alpha'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-") or "study"


def one_line(text: str, limit: int = 200) -> str:
    """Foreign text on one line of bounded length."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
