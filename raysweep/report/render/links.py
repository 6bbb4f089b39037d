"""Addresses of runs in MLflow's pages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from raysweep.report.results.records import Results

USUAL = "http://127.0.0.1:5000"
"""Where `mlflow ui` listens by default; a database has no address of its own."""


@dataclass(frozen=True)
class Links:
    """Links to runs of one experiment. `server`: without a slash at its end."""

    server: str
    experiment: str

    @classmethod
    def of(cls, results: Results) -> Links:
        known = re.fullmatch("[0-9A-Za-z_-]{1,64}", results.experiment)  # a server may say anything
        return cls(results.server or USUAL, results.experiment if known else "")

    def runs(self, runs: Sequence[str]) -> str:
        """One run's page, or the comparison of several; "" without a run."""
        known = [run for run in dict.fromkeys(runs) if re.fullmatch("[0-9a-f]{32}", run)]
        if not known or not self.experiment:
            return ""
        if len(known) == 1:
            return f"{self.server}/#/experiments/{self.experiment}/runs/{known[0]}"
        several = quote(json.dumps(known, separators=(",", ":")), safe=",")
        return f"{self.server}/#/compare-runs?runs={several}&experiments={quote(json.dumps([self.experiment]))}"

    @property
    def pattern(self) -> str:
        """One run's page, with RUN in place of its id."""
        return f"{self.server}/#/experiments/{self.experiment}/runs/RUN"

    @property
    def sentence(self) -> str:
        """What a reader has to start for the links to work."""
        if not self.experiment:
            return ""
        where = f"MLflow at {self.server}"
        start = ", where `mlflow ui` shows the tracking store of these runs by default" if self.server == USUAL else ""
        how = "hover, tap or press Enter to see the replicates. Headers sort their table."
        return f"Numbers link to {where}{start}: {how}"
