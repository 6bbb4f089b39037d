"""Progress display of a running search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.progress_bar import ProgressBar

from raysweep.core.awake import awake
from raysweep.core.console import plain
from raysweep.core.formatting import duration
from raysweep.engine.events import End, SearchTrial, WorkItem
from raysweep.engine.progress import Progress
from raysweep.metrics.registry import METRICS
from raysweep.pipeline import FitEvent
from raysweep.study.search_plan import SearchPlan

from .optuna_study import Found

SHORT = {"complete": "done", "pruned": "ended early", "failed": "FAILED", "stopped": "stopped"}


@dataclass
class _Arm:
    done: int = 0
    early: int = 0
    failed: int = 0
    best: float | None = None
    number: int | None = None
    seconds: float = 0.0
    running: dict[int, tuple[int, float | None]] = field(default_factory=dict)  # number to epoch and score


class SearchProgress(Progress):
    """A listener that shows trials done and running, the best of each arm, and the time left.

    Args:
        so_far: results of earlier launches, by arm name.
    """

    def __init__(self, plan: SearchPlan, so_far: Mapping[str, Found], console: Console) -> None:
        super().__init__(console)
        self.plan, self.metric = plan, plan.search.objectives[0]
        self.arms = {arm.cell.arm.name: _begun(so_far.get(arm.cell.arm.name)) for arm in plan.arms}
        self.had = sum(arm.done for arm in self.arms.values())
        self.began = awake()

    def started(self, work: WorkItem) -> None:
        assert isinstance(work, SearchTrial)
        self.arms[work.arm].running[work.number] = (0, None)

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        assert isinstance(work, SearchTrial)
        if event.training == work.model:
            self.arms[work.arm].running[work.number] = (event.epoch, event.metrics.get(f"val/{self.metric}"))

    def ended(self, work: WorkItem, end: End) -> None:
        assert isinstance(work, SearchTrial)
        arm = self.arms[work.arm]
        arm.running.pop(work.number, None)
        arm.seconds += end.seconds
        if end.state != "stopped":
            arm.done += 1
            arm.early += end.state == "pruned"
            arm.failed += end.state == "failed"
        score = end.scores.get(f"validation/{self.metric}")
        if score is not None and self._better(score, arm.best):
            arm.best, arm.number = score, work.number
        self._end_line(work, end, score)

    def _better(self, score: float, best: float | None) -> bool:
        if best is None:
            return True
        return score > best if METRICS[self.metric].higher_is_better else score < best

    def _end_line(self, trial: SearchTrial, end: End, score: float | None) -> None:
        arm = self.arms[trial.arm]
        parts = [f"[{self._count(arm)}] {SHORT[end.state]:11} {trial.arm or 'search'} t{trial.number}"]
        if score is not None:
            parts.append(f"val {self.metric} {score:.3f}")
        if arm.best is not None:
            parts.append(f"best {arm.best:.3f} (t{arm.number})")
        parts.append(f"{end.seconds:.0f} s" if end.seconds else "known already")
        if end.cause:
            parts.append(end.cause)
        self.line("  ".join(parts))

    def _count(self, arm: _Arm) -> str:
        trials = self.plan.budget.trials
        return f"{arm.done}/{trials}" if trials is not None else f"{arm.done}"

    def _share(self, arm: _Arm) -> float:
        """Used share of an arm's budget, 0 to 1."""
        budget = self.plan.budget
        of_trials = arm.done / budget.trials if budget.trials is not None else 0.0
        of_time = arm.seconds / (budget.device_hours * 3600) if budget.device_hours is not None else 0.0
        return min(1.0, max(of_trials, of_time))

    def _seconds_left(self) -> float | None:
        """Estimated from the mean time per trial in this launch; None before two trials have ended."""
        ended = sum(arm.done for arm in self.arms.values()) - self.had
        if ended < 2:
            return None
        shares = [self._share(arm) for arm in self.arms.values()]
        left = sum(
            (1 - share) * (arm.done / share) for share, arm in zip(shares, self.arms.values(), strict=True) if share
        )
        return (awake() - self.began) / ended * left

    def screen(self) -> Group:
        table = self.table("search", "trials", "early", "failed", f"best val {self.metric}", "running", "device time")
        for name, arm in self.arms.items():
            running = "  ".join(_running(number, *where) for number, where in sorted(arm.running.items())[:6])
            best = "" if arm.best is None else f"{arm.best:.3f} (t{arm.number})"
            counts = (self._count(arm), str(arm.early or ""), str(arm.failed or ""))
            table.add_row(plain(name or "search"), *counts, best, running, duration(arm.seconds))
        share = sum(self._share(arm) for arm in self.arms.values()) / len(self.arms)
        left = self._seconds_left()
        shown = "" if left is None else f"about {duration(left)} left"
        return Group(table, ProgressBar(total=1.0, completed=share, width=40), plain(shown))


def _running(number: int, epoch: int, score: float | None) -> str:
    shown = "" if score is None else f" {score:.3f}"
    return f"t{number} epoch {epoch}{shown}" if epoch else f"t{number}"


def _begun(found: Found | None) -> _Arm:
    """The state of an arm after earlier launches."""
    if found is None:
        return _Arm()
    best = found.values[0] if found.values else None
    counts = found.counts
    return _Arm(found.trials, counts["pruned"], counts["failed"], best, found.number, found.device_seconds)
