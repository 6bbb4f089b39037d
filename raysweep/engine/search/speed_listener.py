"""A listener of searches that measures how fast the devices are, for the next plan."""

from __future__ import annotations

from raysweep.config.experiment import Experiment
from raysweep.pipeline import FitEvent
from raysweep.scheduling import Speeds

from .dispatcher import SearchListener


class SearchTiming(SearchListener):
    """Notes the seconds of every epoch; `speeds` is saved by whoever has it."""

    def __init__(self, speeds: Speeds) -> None:
        self.speeds = speeds

    def trained(self, experiment: Experiment, event: FitEvent) -> None:
        self.speeds.note(event, experiment)
