"""Ray lives here and nowhere else: Tune hands out tasks, Train runs the trainer."""

from .handout import Handout, Listener, Outcome
from .launch import Options, allot_again, cluster, launch
from .progress import Progress
from .record import Recorder
from .resources import Allotment
from .timing import Timing

__all__ = [
    "Allotment",
    "Handout",
    "Listener",
    "Options",
    "Outcome",
    "Progress",
    "Recorder",
    "Timing",
    "allot_again",
    "cluster",
    "launch",
]
