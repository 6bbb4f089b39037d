"""FERPlus: from the votes of ten raters to a label, by the three rules of its authors.

Every rule first drops single votes: an option that one rater alone chose counts as a slip.
"""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS

from .values import Rejected, read_number, shown

CHOICES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""What a rater could choose, in the order of the list; the first eight are expressions."""

EXPRESSION_CHOICES = len(EXPRESSIONS)

Votes = Sequence[float]


def read_votes(texts: Sequence[str]) -> list[float]:
    """Counts by `CHOICES`. Raises Rejected: a count that is no whole number from 0 on."""
    votes = [read_number(text) for text in texts]
    for vote, text in zip(votes, texts, strict=True):
        if not 0 <= vote <= 1000 or vote != int(vote):
            raise Rejected("bad row", f"{shown(text)} is no number of votes")
    return votes


def majority(votes: Votes) -> list[float]:
    """The choice of more than half of the votes alone. Raises Rejected: there is none."""
    top = max(votes)
    if top <= sum(votes) / 2:
        raise Rejected("no majority", _words(votes))
    return [vote if vote == top else 0.0 for vote in votes]


def probability(votes: Votes) -> list[float]:
    """The most frequent choices, up to three, until they have three quarters of the votes.

    As in the authors' code, the choices stop at "unknown" or "NF", whichever comes first in order of votes (then of
    the list), and those two do not count beside expressions with more votes.

    Raises:
        Rejected: more than three choices are needed, or they have no more than half of the votes.
    """
    kept, taken = [0.0] * len(votes), 0.0
    for choice in sorted(range(len(votes)), key=lambda i: -votes[i]):
        level_open = any(votes[choice] == votes[i] for i in range(len(votes)) if kept[i])
        full = taken >= 0.75 * sum(votes) or sum(map(bool, kept)) >= 3
        if not votes[choice] or (full and not level_open):  # equals enter together
            break
        kept[choice] = votes[choice]
        taken += votes[choice]
        if choice >= EXPRESSION_CHOICES:
            if sum(kept) > votes[choice]:
                kept[choice] = 0.0
            break
    if sum(kept) <= sum(votes) / 2 or sum(map(bool, kept)) > 3:
        raise Rejected("no majority", _words(votes))
    return kept


def multi_target(votes: Votes) -> list[float]:
    """Choices with at least 30 % of the votes. Raises Rejected: together they have no more than half."""
    kept = [vote if vote >= 0.3 * sum(votes) else 0.0 for vote in votes]
    if sum(kept) <= sum(votes) / 2:
        raise Rejected("no majority", _words(votes))
    return kept


RULES = {"majority": majority, "probability": probability, "multi_target": multi_target}


def label(votes: Votes, mode: str) -> tuple[str, tuple[float, ...]]:
    """An expression, and votes by `EXPRESSIONS`.

    `majority`: all votes for expressions, single ones too. `probability`: what the rule keeps. `multi_target`: the same
    weight for every expression that the rule keeps.

    Raises:
        Rejected: no majority, or the raters say that it is no expression, or no face.
    """
    kept = RULES[mode]([vote if vote > 1 else 0.0 for vote in votes])
    top = kept.index(max(kept))
    if top >= EXPRESSION_CHOICES:
        raise Rejected("not a face", f"{CHOICES[top]}: {_words(votes)}")
    if mode == "majority":
        kept = list(votes)
    elif mode == "multi_target":
        kept = [float(vote > 0) for vote in kept]
    return CHOICES[top], by_expression(kept)


def by_expression(votes: Votes) -> tuple[float, ...]:
    """The votes for expressions, in the order of `EXPRESSIONS`."""
    return tuple(votes[CHOICES.index(name)] for name in EXPRESSIONS)


def derived_va(votes: Votes) -> tuple[float, float]:
    """AffectNet's published class means, weighted by all votes for expressions."""
    weights = by_expression(votes)
    pairs = list(zip(weights, AFFECTNET_MEANS, strict=True))
    valence, arousal = (sum(weight * mean[axis] for weight, mean in pairs) / sum(weights) for axis in (0, 1))
    return valence, arousal


def _words(votes: Votes) -> str:
    return ", ".join(f"{name} {vote:g}" for name, vote in zip(CHOICES, votes, strict=True) if vote)
