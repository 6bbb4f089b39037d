"""Studies: axes, arms, searches, and the cells to train.

`raysweep.study.plan` needs torch and is not imported here, so that listing and checking studies is fast.
"""

from raysweep.artifacts.declared_table import Table
from raysweep.config.presets import PRESETS, Preset

from .cells import Cell, fresh_replicates, make_cells, search_budget, search_cells, with_axis
from .discovery import find_study, hidden_studies, list_studies, studies_in, study_folders
from .overrides import own_changes
from .search import Budget, Search
from .search_space import Choice, IntUniform, LogUniform, Range, Uniform
from .study import TUNING, Arm, Axis, Study, Yours

__all__ = [
    "PRESETS",
    "TUNING",
    "Arm",
    "Axis",
    "Budget",
    "Cell",
    "Choice",
    "IntUniform",
    "LogUniform",
    "Preset",
    "Range",
    "Search",
    "Study",
    "Table",
    "Uniform",
    "Yours",
    "find_study",
    "fresh_replicates",
    "hidden_studies",
    "list_studies",
    "make_cells",
    "own_changes",
    "search_budget",
    "search_cells",
    "studies_in",
    "study_folders",
    "with_axis",
]
