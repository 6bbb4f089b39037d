"""Examination of a data set before training: duplicates, and classes that contradict valence and arousal.

    images -> survey -> exact groups  \\
                     -> near links     -> twin groups -> across splits, labelled twice, which to drop
    va, labels -> va_inconsistencies

`examine` does all of it and gives a `QualityReport`; `draw_twins` and `draw_inconsistent` draw its findings.
"""

from .contact_sheets import draw_inconsistent, draw_twins
from .duplicate_groups import across_splits, exact_groups, members, twin_groups, which_to_drop, with_several_labels
from .near_duplicates import Links, near_links
from .removal import all_twins, without, without_twins
from .report import HEADER, QualityReport, examine
from .thumbnails import Thumbnails, survey
from .va_outliers import Inconsistencies, robust_gaussians, va_inconsistencies

__all__ = [
    "HEADER",
    "Inconsistencies",
    "Links",
    "QualityReport",
    "Thumbnails",
    "across_splits",
    "all_twins",
    "draw_inconsistent",
    "draw_twins",
    "exact_groups",
    "examine",
    "members",
    "near_links",
    "robust_gaussians",
    "survey",
    "twin_groups",
    "va_inconsistencies",
    "which_to_drop",
    "with_several_labels",
    "without",
    "without_twins",
]
