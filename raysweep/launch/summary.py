"""Output at the end of a launch: the table, failures, and the next commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from raysweep.artifacts.cell_result import CellResult
from raysweep.core.console import PlainConsole, plain
from raysweep.core.errors import UserError, describe
from raysweep.core.formatting import plural
from raysweep.data.dataset import FaceData
from raysweep.engine.task_dispatcher import TableOutcome
from raysweep.report import ReportFiles, build_report, load_results, log_report, write_together
from raysweep.report.folder import ROOT
from raysweep.report.formatting import file_stem
from raysweep.store.store import Store
from raysweep.study.plan import Plan
from raysweep.tracking.deferred import Deferred
from raysweep.tracking.publisher import Publisher, refused
from raysweep.tracking.server import ui_command

from .options import LaunchOptions

DRAIN_SECONDS = 60.0
"""Seconds that a launch waits at its end for each answer of a slow tracking server; the rest stays in the journal."""

DRAIN_SECONDS_INTERRUPTED = 5.0


@dataclass(frozen=True)
class LaunchSummary:
    """The end of one launch."""

    plan: Plan
    store: Store
    outcome: TableOutcome
    launch: str
    options: LaunchOptions
    console: Console

    def tell(self, publisher: Publisher | Deferred, plan_json: dict[str, Any] | None) -> int:
        """Wait for the tracking server, write the report, print. Returns the exit code: 0; 1 if cells failed or are
        missing, MLflow refused events or there is no table; 130 after Ctrl-C.

        `plan_json`: facts to print on stdout, with the results, as one JSON object instead of the table.
        """
        if self.outcome.interrupted or self.outcome.stopped:
            publisher.close(DRAIN_SECONDS_INTERRUPTED)
            why = f"{self.outcome.stopped}\n" if self.outcome.stopped else ""
            self._say(
                f"\nstopped: {why}{self._progress()}; finished cells are kept. To continue:\n  {self.options.command}"
            )
            if plan_json is not None:
                self._tell_json(plan_json, None)
            return 130 if self.outcome.interrupted else 1
        if not publisher.close(DRAIN_SECONDS, patient=True):
            why = publisher.trouble or "MLflow is too slow"
            self._say(
                f"tracking: some events were not published ({why}); {publisher.journal.path} keeps them "
                "and the next launch publishes them"
            )
        elif missing := refused(publisher.journal):
            self._say(missing)
        report = None if self.options.worker else self._report()
        logged = report is None or not isinstance(publisher, Publisher) or self._log_report(report, publisher)
        if plan_json is not None:
            self._tell_json(plan_json, report)
        else:
            self._tell_people(report)
        no_table = not self.options.worker and (report is None or report.incomplete)
        return 1 if self._failed or no_table or not logged or publisher.journal.refused.exists() else 0

    def _report(self) -> ReportFiles | None:
        name = self.plan.study_name
        try:
            return build_report(name, self.options.out, self.options.opened_at, self.launch)
        except UserError as error:  # the cells are trained anyway
            self._say(f"no report: {error}\nlater: python -m raysweep.report {name} --launch {self.launch}")
            return None

    def _log_report(self, report: ReportFiles, publisher: Publisher) -> bool:
        """Log the report's files to the launch's run in MLflow, and a run for every arm. Whether all arrived."""
        writer, study = publisher.writer, self.plan.study_name
        try:
            with publisher.lock() as changed:  # launches that end together would create the runs twice
                if changed:
                    writer.forget()
                log_report(report, partial(writer.log_file, study, self.launch))
                writer.log_arms(study, self.launch, report.arms)
        except Exception as error:  # noqa: BLE001  any error of the client; the report has the files
            lacks = "the report's files and the arms' means are not all in MLflow"
            self._say(f"tracking: {lacks} ({describe(error)}); repeat the launch to add them")
            return False
        return True

    def _tell_json(self, facts: dict[str, Any], report: ReportFiles | None) -> None:
        told = {
            **facts,
            "done": self._done(),
            "missing": self._left(),
            "failed": self._causes(),
            "stopped": self.outcome.stopped or ("Ctrl-C" if self.outcome.interrupted else None),
            "elsewhere": self.outcome.elsewhere,
            "unfit_machines": self.outcome.unfit,
            "trained": {title: {"pieces": n, "epochs": e} for title, (n, e) in self.outcome.trained.items()},
            "notes": self._notes(),
            "seconds": round(self.outcome.seconds, 1),
            "launch": self.launch,
            "files": [str(path) for path in report.paths] if report else [],
        }
        print(json.dumps(told, indent=1), file=self.options.stdout)

    def _tell_people(self, report: ReportFiles | None) -> None:
        if report is not None:
            table = _table(report)  # not squeezed: terminals wrap long lines
            needed = Measurement.get(self.console, self.console.options.update(width=1000), table).maximum
            wide = PlainConsole(file=self.console.file, width=max(self.console.width, needed), highlight=False)
            wide.print(table)
            for sentence in report.reading:
                self._say(sentence)
            for sentence in report.checks:
                self._say(f"MLflow disagrees with a run's files: {sentence}")
        for note, count in self._notes().items():
            self._say(f"note: {note} ({plural(count, 'cell')})")
        for cell, cause in self._causes().items():
            self._say(f"FAILED {cell}: {cause}")
        for host, reason in self.outcome.unfit.items():
            self._say(f"machine {host} took no part at the end: {reason}")
        if self.plan.failed:
            left = len(self.plan.failed)
            self._say(f"skipped {plural(left, 'cell')} that failed in an earlier launch: add --retry-failed to retry")
        self._say(f"\n{self._progress()}{f' on {self.outcome.devices}' if self.outcome.devices else ''}.")
        if missing := self._missing(report):
            self._say(missing)
        if report is not None:
            page = next(path for path in report.paths if path.suffix == ".html")
            more = plural(len(report.paths) - 1, "more file")
            self._say(f"report           {page} and {more} (Markdown, LaTeX, CSV, figures)")
            usual = ROOT / file_stem(self.plan.study_name)
            if self.options.out is None and page.parent != usual:
                self._say(f"                 ({usual} holds a report on other data or of another study of this name)")
        if self.options.deferred:
            self._say("MLflow           not written: a launch on this store with --report-only publishes and reports")
        else:
            self._say(f"compare trials   {ui_command(self.options.tracking)}")

    def _missing(self, report: ReportFiles | None) -> str:
        """A sentence on cells that are neither done nor failed; "" if there are none."""
        missing = self._left()
        if self.options.worker:
            return f"{plural(missing, 'cell')} left to other launches on this store." if missing > 0 else ""
        if report is None or not report.incomplete or missing <= 0:
            return ""
        return (
            f"The table is INCOMPLETE: {plural(missing, 'cell')} missing. To train what is missing, repeat the launch."
        )

    def _left(self) -> int:
        """Number of cells that are neither done nor failed."""
        return len(self.plan.by_key) - self._done() - len(self._failed)

    def _done(self) -> int:
        return len(self.outcome.completed) + len(self.plan.done)

    def _progress(self) -> str:
        trained = sum(epochs for _, epochs in self.outcome.trained.values())
        return (
            f"{self._done()} of {plural(len(self.plan.by_key), 'cell')} done, {plural(trained, 'epoch')} trained "
            f"in {self.outcome.seconds:.0f} s"
        )

    def _notes(self) -> dict[str, int]:
        """Notes of the methods on their labels, with the number of cells."""
        notes: Counter[str] = Counter()
        for key in sorted(self.outcome.completed):
            file = self.store.folder(key) / CellResult.FILE
            if file.is_file():
                notes.update(json.loads(file.read_text())["facts"].get("label_notes", []))
        return dict(notes)

    def _causes(self) -> dict[str, str]:
        failed = self._failed
        return {cell.name: failed[cell.key] for cell in self.plan.cells if cell.key in failed}

    @property
    def _failed(self) -> dict[str, str]:
        """Key to cause, of cells that failed in this launch or earlier and were skipped."""
        return {**self.plan.failed, **self.outcome.failed}

    @property
    def _say(self) -> Any:
        return partial(self.console.print, markup=False, soft_wrap=True)


def report_together(study: str, sets: Mapping[Path, FaceData], out: Path, tracking: str | None) -> tuple[str, bool]:
    """Write the report of one study on several data sets, from the newest launch on each.

    Returns:
        A message, and whether the report was written.

    Args:
        study: name of the study, or the path of its file.
        sets: the data set of each single report's folder.
        out: folder of the common report.
        tracking: MLflow store.
    """
    try:
        results = [load_results(study, tracking, fingerprint=d.fingerprint) for d in sets.values()]
        paths = write_together(results, out, list(sets))
    except UserError as error:
        return f"no table of all data sets: {error}", False
    page = next(path for path in paths if path.suffix == ".html")
    return f"all data sets    {page} and {len(paths) - 1} more files", True


def _table(report: ReportFiles) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for i, title in enumerate(report.header):
        table.add_column(plain(title), justify="right" if i else "left", no_wrap=True)
    for row in report.rows:
        table.add_row(*map(plain, row))  # text of a study, not markup
    return table
