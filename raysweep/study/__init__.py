"""A study: a question, the arms that answer it, and the cells to train."""

from .load import find_study, list_studies
from .plan import Cell, Plan, make_plan
from .presets import PRESETS, Preset
from .study import Arm, Axis, Study

__all__ = ["PRESETS", "Arm", "Axis", "Cell", "Plan", "Preset", "Study", "find_study", "list_studies", "make_plan"]
