"""How scores, numbers and names are written, in every format alike."""

from __future__ import annotations

import re

from raysweep.core.formatting import listed, plural
from raysweep.metrics.registry import METRICS
from raysweep.report.results.statistics import LEVEL

__all__ = [
    "DASH", "MINUS", "PLUS_MINUS", "better_way", "file_stem", "limit", "listed", "number", "one_line",
    "p_value", "plural", "title",
]  # fmt: skip

DASH = "–"
MINUS = "−"
PLUS_MINUS = "±"


def title(score: str, arrow: bool = False) -> str:
    """Name of a score, with an arrow that points to better where one way is.

    >>> title("rmse_valence", arrow=True), title("kept_share", arrow=True)
    ('RMSE V ↓', 'share of B kept')
    """
    name = METRICS[score].title if score in METRICS else score
    return f"{name} {better_way(score)}".rstrip() if arrow else name


def better_way(score: str) -> str:
    """An arrow, up or down; empty for a score without a better way."""
    if not METRICS[score].directed:
        return ""
    return "↑" if METRICS[score].higher_is_better else "↓"


def number(value: float, signed: bool = False, decimals: int = 3) -> str:
    """Three decimals, a real minus sign, no negative zero.

    >>> number(-0.0004), number(0.0412, signed=True), number(-1.5)
    ('0.000', '+0.041', '−1.500')
    """
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        return f"{0:.{min(decimals, 3)}f}"
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
