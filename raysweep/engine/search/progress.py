"""What a person sees while a search runs: a live table of the arms in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from raysweep.core.awake import awake
from raysweep.core.console import plain
from raysweep.core.formatting import duration
from raysweep.metrics.registry import HIGHER_IS_BETTER
from raysweep.study.search_plan import SearchPlan

from .dispatcher import SearchListener, SearchTrial
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


class SearchProgress(SearchListener):
    """A listener that shows trials done and running, the best of each arm, and the time left.

    Args:
        so_far: what the storage had before, by name of the arm.
    """

    def __init__(self, plan: SearchPlan, so_far: Mapping[str, Found], console: Console, devices: int = 1) -> None:
        self.plan, self.console, self.devices = plan, console, devices
        self.metric = plan.search.objectives[0]
        self.arms = {arm.cell.arm.name: _begun(so_far.get(arm.cell.arm.name)) for arm in plan.arms}
        self.had = sum(arm.done for arm in self.arms.values())
        self.began = awake()
        self._live = Live(console=console, get_renderable=self._screen, refresh_per_second=4, transient=True)

    def __enter__(self) -> SearchProgress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def started(self, trial: SearchTrial) -> None:
        self.arms[trial.arm].running[trial.number] = (0, None)

    def epoch(self, trial: SearchTrial, epoch: int, metrics: Mapping[str, float]) -> None:
        self.arms[trial.arm].running[trial.number] = (epoch, metrics.get(f"val/{self.metric}"))

    def ended(self, trial: SearchTrial, state: str, scores: Mapping[str, float], seconds: float, cause: str) -> None:
        arm = self.arms[trial.arm]
        arm.running.pop(trial.number, None)
        arm.seconds += seconds
        if state != "stopped":
            arm.done += 1
            arm.early += state == "pruned"
            arm.failed += state == "failed"
        score = scores.get(f"validation/{self.metric}")
        if score is not None and self._better(score, arm.best):
            arm.best, arm.number = score, trial.number
        self._line(trial, state, score, seconds, cause)

    def stopping(self) -> None:
        self.console.print("stopping after the running epochs; Ctrl-C again to stop now", highlight=False)

    def _better(self, score: float, best: float | None) -> bool:
        if best is None:
            return True
        return score > best if HIGHER_IS_BETTER[self.metric] else score < best

    def _line(self, trial: SearchTrial, state: str, score: float | None, seconds: float, cause: str) -> None:
        arm = self.arms[trial.arm]
        words = [f"[{self._count(arm)}] {SHORT[state]:11} {trial.arm or 'search'} t{trial.number}"]
        if score is not None:
            words.append(f"val {self.metric} {score:.3f}")
        if arm.best is not None:
            words.append(f"best {arm.best:.3f} (t{arm.number})")
        words.append(f"{seconds:.0f} s" if seconds else "known already")
        if cause:
            words.append(cause)
        self.console.print("  ".join(words), highlight=False, markup=False, soft_wrap=True)

    def _count(self, arm: _Arm) -> str:
        trials = self.plan.budget.trials
        return f"{arm.done}/{trials}" if trials is not None else f"{arm.done}"

    def _share(self, arm: _Arm) -> float:
        """How much of an arm's budget is used, 0 to 1."""
        budget = self.plan.budget
        of_trials = arm.done / budget.trials if budget.trials is not None else 0.0
        of_time = arm.seconds / (budget.device_hours * 3600) if budget.device_hours is not None else 0.0
        return min(1.0, max(of_trials, of_time))

    def _seconds_left(self) -> float | None:
        """From the pace of this launch so far; None before the first two trials have ended."""
        ended = sum(arm.done for arm in self.arms.values()) - self.had
        if ended < 2:
            return None
        shares = [self._share(arm) for arm in self.arms.values()]
        left = sum(
            (1 - share) * (arm.done / share) for share, arm in zip(shares, self.arms.values(), strict=True) if share
        )
        return (awake() - self.began) / ended * left

    def _screen(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("search", "trials", "early", "failed", f"best val {self.metric}", "running", "device time"):
            table.add_column(plain(title), style="cyan" if title == "search" else "", header_style="dim")
        for name, arm in self.arms.items():
            running = "  ".join(_running(number, *where) for number, where in sorted(arm.running.items())[:6])
            best = "" if arm.best is None else f"{arm.best:.3f} (t{arm.number})"
            counts = (self._count(arm), str(arm.early or ""), str(arm.failed or ""))
            table.add_row(plain(name or "search"), *counts, best, running, duration(arm.seconds))
        share = sum(self._share(arm) for arm in self.arms.values()) / len(self.arms)
        left = self._seconds_left()
        words = "" if left is None else f"about {duration(left)} left"
        return Group(table, ProgressBar(total=1.0, completed=share, width=40), plain(words))


def _running(number: int, epoch: int, score: float | None) -> str:
    shown = "" if score is None else f" {score:.3f}"
    return f"t{number} epoch {epoch}{shown}" if epoch else f"t{number}"


def _begun(found: Found | None) -> _Arm:
    """An arm as an earlier launch left it."""
    if found is None:
        return _Arm()
    best = found.values[0] if found.values else None
    counts = found.counts
    return _Arm(found.trials, counts["pruned"], counts["failed"], best, found.number, found.device_seconds)
