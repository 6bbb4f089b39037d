"""Task order, task costs, and a simulated cluster that drives the same queue. Independent of Ray."""

from .cost_model import Costs, Speeds
from .queue import TaskQueue
from .simulation import Happens, Schedule, Span, simulate

__all__ = ["Costs", "Happens", "Schedule", "Span", "Speeds", "TaskQueue", "simulate"]
