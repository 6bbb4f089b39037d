"""Numbers printed in the papers, as printed. They stand beside ours; nothing is computed from them.

All rates are fractions of 1, as in `raysweep.metrics`; what a paper prints in percent is written as a fraction with
the same digits.
"""

from __future__ import annotations

import re

from . import published_dcjt, published_ddaf
from .published_table import PublishedTable

__all__ = ["PUBLISHED", "PublishedTable", "same_data", "same_setting"]

PUBLISHED: dict[str, PublishedTable] = {**published_ddaf.TABLES, **published_dcjt.TABLES}
"""By the name that a study gives as `published`."""

_SHORT = {"caers": "caer"}
"""Data sets that are also known under a shorter name."""


def same_setting(dataset: str, data_name: str, preset: str, encoder: str = "") -> bool:
    """Whether our numbers may share an axis with the paper's: its data set, its recipe, and its encoder.

    `dataset` may name an encoder after a comma; it is compared where `encoder`, the name of ours, is given.

    >>> same_setting("Aff-Wild", "aff_wild", "paper"), same_setting("AffectNet", "faces", "demo")
    (True, False)
    >>> [same_setting("RAF-DB, ResNet-18", "raf-db", "paper", encoder) for encoder in ("resnet18", "arm")]
    [True, False]
    """
    return preset == "paper" and same_data(dataset, data_name, encoder)


def same_data(dataset: str, data_name: str, encoder: str = "") -> bool:
    """Whether the paper's numbers are on our data set and of our encoder, whatever the recipe.

    >>> same_data("CAER-S, ARM", "caer_s-224", "arm"), same_data("RAF-DB", "faces")
    (True, False)
    """
    theirs, _, their_encoder = (_plain(part) for part in dataset.partition(","))
    if encoder and their_encoder and _plain(encoder) != their_encoder:
        return False
    return _plain(data_name).startswith(_SHORT.get(theirs, theirs))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
