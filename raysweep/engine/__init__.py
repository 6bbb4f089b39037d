"""Ray lives here and nowhere else: Tune hands out tasks, Train runs the trainer."""

from .launch import Listener, Options, Outcome, cluster, launch
from .progress import Progress
from .record import Recorder

__all__ = ["Listener", "Options", "Outcome", "Progress", "Recorder", "cluster", "launch"]
