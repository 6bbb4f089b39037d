"""Methods: what is trained, in which order, and what is scored."""

from .ddaf import CellResult, experiment_key, run_cell

__all__ = ["CellResult", "experiment_key", "run_cell"]
