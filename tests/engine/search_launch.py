"""One launch of a small search on real Ray, to be killed: python -m tests.engine.search_launch FOLDER [EPOCHS]."""

import json
import os
import signal
import sys
from pathlib import Path

from ray.util import placement_group_table

from raysweep.engine.cluster import ClusterOptions, cluster
from raysweep.engine.events import Listener
from raysweep.engine.resources import Allotment
from raysweep.engine.search.run import run_search, search_so_far
from raysweep.store.store import Store
from raysweep.study import LogUniform, Search, Study, search_budget, search_cells
from raysweep.study.search_plan import plan_search

RATE = "train.learning_rate"
study = Study(
    title="Small",
    base={"selection.protocol": "validation", "train.epochs": 5, "selection.weights": "last"},
    search=Search(
        space={RATE: LogUniform(1e-4, 1.0)},
        objectives=["nll"],  # a learning rate of 0.3 is far worse than the preset's from the first epoch on
        start=[{RATE: 0.3}, {}, {RATE: 0.31}],
        trials=3,
    ),
)


class Deadly(Listener):
    """Remembers trials' ends and epochs; kills this process after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left, self.ends, self.epochs = epochs, [], {}

    def epoch(self, work, event):
        if event.epoch in self.epochs.setdefault(work.number, []):
            return
        self.epochs[work.number].append(event.epoch)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def ended(self, work, end):
        self.ends.append((work.number, end.state, dict(end.scores), end.cause))


def main(folder: Path, epochs: int) -> None:
    options = ClusterOptions(Store(folder), folder / "data")
    plan = plan_search("small", study, "smoke", search_cells(study, "smoke", {}), search_budget(study, "smoke"),
                       options.cache)  # fmt: skip
    heard, so_far = Deadly(epochs), search_so_far(plan, options)
    with cluster(options, 3):
        outcome = run_search(
            plan,
            options,
            Allotment("CPU", 1, 1, 1, 1),
            heard,
            str(os.getpid()),
            lambda launch: launch == "living",
            so_far,
        )
        left = [group["state"] for group in placement_group_table().values() if group["state"] != "REMOVED"]
    found = outcome.found[""]
    values = {"ends": heard.ends, "epochs": heard.epochs, "groups": left, "counts": found.counts, "point": found.point}
    print(json.dumps(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else -1)
