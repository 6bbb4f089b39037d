"""Methods as graphs of stages: what is trained from what, and what is scored."""

from .context import Context, FitEvent
from .graph import KINDS, Task, Work, done_cells, epochs_alone, main_chain, plan_tasks, plan_work
from .images import Images
from .known import Known
from .load_sets import load_sets
from .methods import METHODS, build
from .result import CellResult
from .run import run_cell
from .sets import Leak, Sets, draw_sets, remarks
from .trial import run_validation
from .validate import build_validation

__all__ = [
    "KINDS",
    "METHODS",
    "CellResult",
    "Context",
    "FitEvent",
    "Images",
    "Known",
    "Leak",
    "Sets",
    "Task",
    "Work",
    "build",
    "build_validation",
    "done_cells",
    "draw_sets",
    "epochs_alone",
    "load_sets",
    "main_chain",
    "plan_tasks",
    "plan_work",
    "remarks",
    "run_cell",
    "run_validation",
]
