"""Time the training thread spends a metric: stock synchronous `mlflow.log_metric` divided by raysweep's recorder.

Both report the same curve to the same MLflow server (a process of its own, SQLite, loopback), an epoch every
few milliseconds. Ours is `JournalListener.epoch`: a line in the journal, and the publisher's thread is woken; its
time is divided by the metrics of the epoch. Required: equal histories, by value and step, when everything has arrived.
A third run is killed (SIGKILL) at half time: what was reported until then must be on the server after the
journal is adopted, and the rest after the next launch, each value once. Prints one JSON line.

    python -m bench.tracking [--repeats 5] [--epochs 60]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
from mlflow import MlflowClient

from raysweep.config.experiment import Experiment
from raysweep.core.version import code_version
from raysweep.engine.journal_listener import JournalListener
from raysweep.pipeline import FitEvent, Task
from raysweep.pipeline.stage import Attached, Stage
from raysweep.store.store import Store
from raysweep.study import Axis, Cell, Study
from raysweep.study.plan import Plan
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import Publisher, adopt_journals
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer

NAMES = [
    f"{part}/{name}" for part in ("train", "val") for name in ("loss", "accuracy", "macro_f1", "rmse", "ccc", "ece")
]
PACE = 0.01
"""Seconds between epochs, so that the publisher works while the next one is reported."""

History = dict[str, list[tuple[int, float]]]


class LocalServer:
    """A real `mlflow server` on a free port of the loopback, its SQLite store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server; returns when it answers."""
        mlflow = str(Path(sys.executable).with_name("mlflow"))
        parts = ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}", "--workers", "1"]
        parts += ["--artifacts-destination", str(self.folder / "artifacts"), "--host", "127.0.0.1"]
        parts += ["--port", str(self.port)]
        quick = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # jobs have processes of their own
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [mlflow, "server", *parts], stdout=log, stderr=log, env=quick, start_new_session=True
            )
        while not self._answers():
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the server and its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return True
        except OSError:
            return False


class OneCell:
    """A hand-made launch of one cell: the driver's plan and task while a trial reports its epochs."""

    def __init__(self, study: str, epochs: int) -> None:
        stage = Stage("start", {}, {})
        self.epochs = []
        for epoch in range(1, epochs + 1):
            stage = Stage("fit", {"epoch": epoch}, {"before": stage}, Attached(epoch=epoch, title="training"))
            self.epochs.append(stage)
        final = Stage("evaluate", {}, {"model": stage})
        makes = frozenset({self.epochs[0].key})
        self.task = Task(final, frozenset(), (), frozenset(), frozenset({final.key}), makes)
        question = Study("bench", [Axis("arm", {"one": {}})], {})
        cell = Cell(question.arms()[0], 0, Experiment(), final.key)
        # No faces are needed to report epochs.
        self.plan = Plan(study, question, "bench", [cell], None, (), {final.key: final}, frozenset(), (self.task,))  # type: ignore[arg-type]

    def event(self, epoch: int) -> FitEvent:
        return FitEvent(self.epochs[epoch - 1].key, "training", epoch, len(self.epochs), metrics_of(epoch))


@contextmanager
def recording(cell: OneCell, uri: str, folder: Path, launch: str) -> Iterator[tuple[JournalListener, Publisher]]:
    """A launch's recorder with its journal and publisher, as `raysweep.launch.session` sets them up."""
    writer = Writer(connect(uri), Store(folder / "store"))
    with closing(Journal(folder / "journal" / f"{launch}.jsonl")) as journal:
        publisher = Publisher(journal, writer)
        publisher.start()
        recorder = JournalListener(cell.plan.study_name, launch, uri, journal, publisher)
        recorder.launched({}, {}, cell.plan)
        recorder.started(cell.task)
        yield recorder, publisher
        recorder.finished("FINISHED")
        if not publisher.close(60):
            raise SystemExit(f"not everything arrived: {publisher.trouble}")


def metrics_of(epoch: int) -> dict[str, float]:
    return {name: epoch + number / 7 for number, name in enumerate(NAMES)}


def expected(epochs: int) -> History:
    return {name: [(epoch, metrics_of(epoch)[name]) for epoch in range(1, epochs + 1)] for name in NAMES}


def history(client: MlflowClient, run: str) -> History:
    """All values of a run in the order of their steps; a value that arrived twice is there twice."""
    return {name: sorted((m.step, m.value) for m in client.get_metric_history(run, name)) for name in NAMES}


def cell_run(client: MlflowClient, study: str) -> str:
    """Id of the one cell's run."""
    experiment = client.get_experiment_by_name(study)
    (run,) = client.search_runs([experiment.experiment_id], "tags.`raysweep.kind` = 'cell'")
    return str(run.info.run_id)


def stock(uri: str, epochs: int, log: Callable[[int], int]) -> tuple[float, str]:
    """Median seconds a metric and the run's id. `log` reports an epoch and says in how many timed calls."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("stock")
    seconds = []
    with mlflow.start_run() as run:
        for epoch in range(1, epochs + 1):
            began = time.perf_counter()
            count = log(epoch)
            seconds.append((time.perf_counter() - began) / count)
            time.sleep(PACE)
    return statistics.median(seconds), run.info.run_id


def one_by_one(epoch: int) -> int:
    """`mlflow.log_metric`, as most training loops call it."""
    for name, value in metrics_of(epoch).items():
        mlflow.log_metric(name, value, step=epoch)
    return len(NAMES)


def at_once(epoch: int) -> int:
    """`mlflow.log_metrics`: one request an epoch."""
    mlflow.log_metrics(metrics_of(epoch), step=epoch)
    return len(NAMES)


def ours(uri: str, epochs: int, folder: Path, study: str) -> float:
    """Median seconds a metric that `JournalListener.epoch` takes while the publisher is at work."""
    cell, seconds = OneCell(study, epochs), []
    with recording(cell, uri, folder, study) as (recorder, _):
        for epoch in range(1, epochs + 1):
            event = cell.event(epoch)
            began = time.perf_counter()
            recorder.epoch(cell.task, event)
            seconds.append((time.perf_counter() - began) / len(NAMES))
            time.sleep(PACE)
    return statistics.median(seconds)


def drive(uri: str, epochs: int, folder: Path) -> None:
    """Report epochs, and print the number of each afterwards; the process that `killed` starts and kills."""
    cell = OneCell("killed", epochs)
    with recording(cell, uri, folder, "first") as (recorder, _):
        for epoch in range(1, epochs + 1):
            recorder.epoch(cell.task, cell.event(epoch))
            print(epoch, flush=True)
            time.sleep(PACE)


def killed(uri: str, epochs: int, folder: Path) -> int:
    """Kill a driver at half time, adopt its journal, go on. Returns how many epochs were reported before the kill.

    Exits when an epoch is lost, or arrived twice, or with another value.
    """
    parts = [sys.executable, "-m", "bench.tracking", "--drive", uri, str(folder), "--epochs", str(epochs)]
    with subprocess.Popen(parts, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if int(line) >= epochs // 2:
                os.kill(driver.pid, signal.SIGKILL)
                break
        reported = max([int(line), *(int(rest) for rest in driver.stdout)])
    client = connect(uri)
    if troubles := adopt_journals(folder / "journal", Writer(client, Store(folder / "store")), uri):
        raise SystemExit(troubles[0])
    found = history(client, cell_run(client, "killed"))
    there = len(found[NAMES[0]])
    if not reported <= there <= epochs or found != expected(there):
        raise SystemExit(f"{reported} epochs were reported, but {there} are on the server: {found}")
    cell = OneCell("killed", epochs)
    with recording(cell, uri, folder, "second") as (recorder, _):
        for epoch in range(1, epochs + 1):  # from the first on, as a new launch does
            recorder.epoch(cell.task, cell.event(epoch))
    if history(client, cell_run(client, "killed")) != expected(epochs):
        raise SystemExit("after the second launch the curve is not whole, each value once")
    return reported


def measure(repeats: int, epochs: int, folder: Path) -> dict[str, object]:
    server = LocalServer(folder)
    server.start()
    try:
        client = connect(server.uri)
        theirs, batched, mine = [], [], []
        for number in range(repeats):
            seconds, run = stock(server.uri, epochs, one_by_one)
            theirs.append(seconds)
            batched.append(stock(server.uri, epochs, at_once)[0])
            mine.append(ours(server.uri, epochs, folder, f"ours{number}"))
            if not history(client, run) == history(client, cell_run(client, f"ours{number}")) == expected(epochs):
                raise SystemExit("the two runs' histories differ")
        reported = killed(server.uri, 4 * epochs, folder)
    finally:
        server.kill()
    ratios = [left / right for left, right in zip(theirs, mine, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 1),
        "ratios": [round(ratio, 1) for ratio in ratios],
        "stock_us_per_metric": round(1e6 * statistics.median(theirs), 1),
        "stock_log_metrics_us_per_metric": round(1e6 * statistics.median(batched), 1),
        "raysweep_us_per_metric": round(1e6 * statistics.median(mine), 2),
        "equal_histories": True,
        "killed_after_epochs": reported,
        "lost_after_kill": 0,
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.drive:
        drive(asked.drive[0], asked.epochs, Path(asked.drive[1]))
        return 0
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(asked.repeats, asked.epochs, Path(folder))
    machine = {
        "load_before": round(load, 1),
        "device": platform.machine(),
        "cpus": os.cpu_count(),
        "mlflow": mlflow.__version__,
    }
    facts = {"metrics_per_epoch": len(NAMES), "epochs": asked.epochs, "code_version": code_version()}
    print(json.dumps({"bench": "tracking", **figures, **facts, **machine}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
