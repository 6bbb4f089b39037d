"""Methods as graphs of stages: what is trained from what, and what is scored."""

from .context import Context, FitEvent
from .graph import KINDS, Task, epochs_alone, main_chain, plan_tasks
from .methods import METHODS, build
from .result import CellResult
from .run import run_cell
from .sets import Sets, load_sets

__all__ = [
    "KINDS",
    "METHODS",
    "CellResult",
    "Context",
    "FitEvent",
    "Sets",
    "Task",
    "build",
    "epochs_alone",
    "load_sets",
    "main_chain",
    "plan_tasks",
    "run_cell",
]
