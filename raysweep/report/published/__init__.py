"""Numbers printed in the papers, as printed. They stand beside ours; nothing is computed from them.

All rates are fractions of 1, as in `raysweep.metrics`; what a paper prints in percent is written as a
fraction with the same digits.
"""

from __future__ import annotations

from . import dcjt as published_dcjt
from . import ddaf as published_ddaf
from .table import PublishedTable

__all__ = ["PUBLISHED", "PublishedTable"]

PUBLISHED: dict[str, PublishedTable] = {**published_ddaf.TABLES, **published_dcjt.TABLES}
"""By the name that a study gives as `published`."""
