"""Methods as graphs of stages: what is trained from what, and what is scored."""

from raysweep.artifacts.cell_result import CellResult

from .datasets import Leak, Sets, draw_sets, remarks
from .execution import Context, FitEvent
from .load_datasets import load_sets
from .methods import build
from .run import run_cell, run_validation
from .stage import Known
from .stages.validate import build_validation
from .tasks import Task, Work, done_cells, epochs_alone, main_chain, plan_tasks, plan_work

__all__ = [
    "CellResult",
    "Context",
    "FitEvent",
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
