"""In which order tasks run, what they cost, and a simulated cluster that drives the same queue. Knows no Ray."""

from .costs import Costs, Speeds
from .forecast import Forecast, forecast
from .queue import TaskQueue
from .simulate import Happens, Schedule, Span, simulate

__all__ = ["Costs", "Forecast", "Happens", "Schedule", "Span", "Speeds", "TaskQueue", "forecast", "simulate"]
