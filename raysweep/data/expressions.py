"""The eight expressions in AffectNet's order, their published statistics, and their synonyms."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Canonical order. Index = AffectNet's expression code. Seven-class sets drop the last."""

AFFECTNET_COUNTS = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
"""Training images an expression (287,651 in all)."""

AFFECTNET_MEANS = (
    (-0.063, -0.020),
    (0.664, 0.070),
    (-0.637, -0.257),
    (0.180, 0.689),
    (-0.126, 0.766),
    (-0.694, 0.457),
    (-0.453, 0.567),
    (-0.515, 0.583),
)
"""Mean (valence, arousal) an expression over AffectNet's training images."""

SYNONYMS = {
    "neutral": ("neutrality", "neutral face", "neutral expression"),
    "happiness": ("happy", "joy", "joyful", "joyous", "happily"),
    "sadness": ("sad", "sorrow", "sorrowful", "unhappy", "unhappiness", "sadly"),
    "surprise": ("surprised", "surprising", "astonished", "astonishment", "amazed"),
    "fear": ("fearful", "afraid", "scared", "frightened", "terrified", "fearfully"),
    "disgust": ("disgusted", "disgusting", "revulsion"),
    "anger": ("angry", "angered", "angrily", "furious", "rage"),
    "contempt": ("contemptuous", "contempted", "disdain", "disdainful", "scorn", "scornful"),
}
"""In lower case."""

_MEANING = {name: name for name in EXPRESSIONS}
_MEANING |= {synonym: name for name, synonyms in SYNONYMS.items() for synonym in synonyms}

_WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")
_NUMBERED = re.compile(r"\d+\s*[-_.):]*\s*(.+)")

NEARNESS = 0.75
"""`difflib`'s ratio from which a word counts as a misspelling: "feer" is one (0.75), "contentment" is none (0.74)."""

_MISTAKEN = {"natural": "neutral"}
"""Misspellings that are too different from the expression for `NEARNESS`."""


def plain_name(name: str) -> str:
    """One spelling of a class name: composed characters, lower case, single spaces; whole numbers without zeros.

    >>> [plain_name(name) for name in ("De\u0301gou\u0302t", "  Very   HAPPY ", "0", "0.0", "07")]
    ['dégoût', 'very happy', '0', '0', '7']
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")  # characters without width, such as a BOM
    text = unicodedata.normalize("NFC", " ".join(text.split()).casefold())
    number = _WHOLE_NUMBER.fullmatch(text)
    return (number[1].replace("+", "") if number[2] != "0" else "") + number[2] if number else text


def canonical_expression(name: str) -> str:
    """AffectNet's name of an expression ("Happy", "1_joy" -> "happiness"); of other names their `plain_name`.

    >>> [canonical_expression(name) for name in ("Happy", "03-Anger", "neutral_face", "calm", "3")]
    ['happiness', 'anger', 'neutral', 'calm', '3']
    """
    plain = plain_name(name)
    spaced = " ".join(re.split(r"[\s_-]+", plain)).strip()
    numbered = _NUMBERED.fullmatch(spaced)
    for word in (plain, spaced, numbered[1] if numbered else ""):
        if word in _MEANING:
            return _MEANING[word]
    return plain


def likely_expression(name: str) -> str | None:
    """The expression that an unknown name may mean: misspelt ("suprise"), abbreviated ("hap") or with other words
    ("happy_faces"); None where nothing is near."""
    plain = canonical_expression(name)
    parts = [part for part in re.split(r"[\W\d_]+", plain) if part]
    for part in parts:
        if part in _MEANING or part in _MISTAKEN:
            return _MEANING.get(part) or _MISTAKEN[part]
    for part in parts:
        near = get_close_matches(part, _MEANING, n=1, cutoff=NEARNESS)
        cut = [word for word in _MEANING if len(part) >= 2 and word.startswith(part)]
        if near or cut:
            return _MEANING[near[0] if near else cut[0]]
    return None
