"""A study: a question, the arms that answer it, and the cells to train.

`raysweep.study.plan` (keys, store) needs torch and is not imported here: listing and checking studies is instant.
"""

from .cells import Cell, make_cells, with_axis
from .load import find_study, list_studies
from .presets import PRESETS, Preset
from .study import Arm, Axis, Study

__all__ = [
    "PRESETS",
    "Arm",
    "Axis",
    "Cell",
    "Preset",
    "Study",
    "find_study",
    "list_studies",
    "make_cells",
    "with_axis",
]
