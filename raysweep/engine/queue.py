"""Moved to `raysweep.schedule.queue`."""

from raysweep.schedule.queue import TaskQueue

__all__ = ["TaskQueue"]
