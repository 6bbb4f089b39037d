"""Studies in a real SQLite tracking store, written by the real writer from fabricated store products."""

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from raysweep.core.experiment import Experiment, flat_words
from raysweep.core.store import Store
from raysweep.recipes import CellResult
from raysweep.report import build_report
from raysweep.report.load import load_results
from raysweep.study import Axis, Study
from raysweep.tracking import writer as writer_module
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer

MLFLOW_NOISE = "ignore:The ``noload`` loader strategy is deprecated"
"""MLflow's own use of SQLAlchemy."""

CLASSES = ("neutral", "happiness", "sadness", "surprise")
LOWER = ("rmse_valence", "rmse_arousal", "ece")


def pytest_collection_modifyitems(items):
    """What MLflow does inside is not ours to mend; anything else stays an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(MLFLOW_NOISE))


@dataclass
class Fabricated:
    """A study with made-up cells. `level(coordinates)` is the true macro-F1; replicates add shared noise."""

    name: str
    axes: dict
    reference: dict
    level: object
    published: str | None = None
    metric: str = "macro_f1"
    columns: tuple = ("rmse_valence", "rmse_arousal", "accuracy", "macro_f1", "ece")
    replicates: int = 5
    preset: str = "demo"
    protocol: str = "validation"
    weights: str = "swa"
    data: str = "faces"
    epochs: int = 4
    noise_axis: str | None = None
    spread: float = 0.008
    failed: dict = field(default_factory=dict)  # (arm, replicate) to cause
    missing: tuple = ()
    running: tuple = ()
    stopped: tuple = ()
    degenerate: tuple = ()
    versions: dict = field(default_factory=dict)  # replicate to code version
    devices: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    source: str = "DDAF, Table 4"
    title: str = "Effect of the fusion weight alpha"
    data_notes: tuple = ()
    notes: tuple = ()

    @property
    def arms(self):
        study = Study(
            self.title, [Axis(name, {level: {} for level in levels}) for name, levels in self.axes.items()], {}
        )
        return study.arms()

    def cells(self):
        return [
            {"arm": arm.name, "coordinates": dict(arm.coordinates), "replicate": r, "key": self.key(arm.name, r)}
            for arm in self.arms
            for r in range(self.replicates)
        ]

    def key(self, arm, replicate):
        return hashlib.sha256(f"{self.name} {arm} {replicate} {self.preset}".encode()).hexdigest()

    def plan(self):
        experiment = Experiment().with_changes(self.recipe)
        study = {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "metric": self.metric,
            "published": self.published,
            "columns": list(self.columns),
            "notes": list(self.notes),
            "reference": self.reference,
            "axes": [{"name": name, "levels": list(levels)} for name, levels in self.axes.items()],
        }
        return {
            "study": study,
            "preset": self.preset,
            "replicates": list(range(self.replicates)),
            "protocol": self.protocol,
            "weights": self.weights,
            "data": {
                "name": self.data,
                "fingerprint": "f" * 16,
                "classes": list(CLASSES),
                "counts": [3000, 0, 800],
                "notes": list(self.data_notes),
            },
            "recipe": flat_words(experiment.model_dump(exclude={"seeds"})),
            "cells": self.cells(),
            "command": f"python -m raysweep.run {self.name} --seeds {self.replicates}",
        }

    def result(self, cell):
        """Scores around the arm's level; the replicate's luck is shared by all arms."""
        replicate = cell["replicate"]
        luck = np.random.default_rng(replicate).normal(0, 0.02)
        own = np.random.default_rng(int(cell["key"][:8], 16))
        f1 = float(self.level(cell["coordinates"])) + luck + own.normal(0, self.spread)
        scores = {
            "macro_f1": f1,
            "accuracy": f1 + 0.02 + own.normal(0, 0.004),
            "ece": 0.3 - 0.4 * f1 + own.normal(0, 0.01),
        }
        scores |= {
            "rmse_valence": 0.6 - 0.4 * f1 + own.normal(0, 0.006),
            "rmse_arousal": 0.55 - 0.4 * f1 + own.normal(0, 0.006),
        }
        scores |= {"ccc_valence": f1 - 0.1, "ccc_arousal": f1 - 0.15, "nll": 2 - f1, "brier": 1 - f1}
        scores = {name: float(value) for name, value in scores.items() if name in self.columns}
        history = [self.epoch(cell, e, f1, own) for e in range(1, self.epochs + 1)]
        both = {f"test/{n}": v for n, v in scores.items()} | {f"test_{self.weights}/{n}": v for n, v in scores.items()}
        both |= {f"test_last/{n}": v - 0.01 for n, v in scores.items()} if self.weights != "last" else {}
        return CellResult({**both, "val/best_macro_f1": f1}, self.facts(cell), history, self.arrays())

    def epoch(self, cell, epoch, f1, own):
        share = 1 - np.exp(-3 * epoch / self.epochs)
        metrics = {"train/loss": 2 - share, "val/macro_f1": f1 * share + own.normal(0, 0.01), "seconds": 1.0}
        metrics["fit/unflipped"] = 0.9 * share + own.normal(0, 0.005)
        rate = float(cell["coordinates"].get(self.noise_axis, 0)) if self.noise_axis else 0.0
        if rate:
            fused = cell["coordinates"].get("method", "one-hot") != "one-hot"
            metrics["fit/flipped"] = (0.25 if fused else 0.6) * share**3 + own.normal(0, 0.01)
            metrics["fit/recovered"] = (0.6 if fused else 0.3) * share + own.normal(0, 0.01)
        return {name: float(value) for name, value in metrics.items()}

    def facts(self, cell):
        place = (cell["arm"], cell["replicate"])
        return {
            "degenerate": place in self.degenerate,
            "weights_hash": "w" * 16,
            "noise_hash": "n" * 16,
            "confusion": (np.eye(4, dtype=int) * 20 + 2).tolist(),
            "classes": list(CLASSES),
            "data_fingerprint": "f" * 16,
            "device": self.devices.get(cell["replicate"], "x86_64"),
            "code_version": self.versions.get(cell["replicate"], "0.1.0+1a2b3c4"),
        }

    def arrays(self):
        return {
            "rows": np.arange(4),
            "labels": np.arange(4),
            "probs": np.eye(4),
            "affect": np.zeros((4, 2)),
            "va": np.full((4, 2), np.nan),
        }

    def outcome(self, cell):
        place = (cell["arm"], cell["replicate"])
        for state in ("missing", "running", "stopped"):
            if place in getattr(self, state):
                return state
        return "failed" if place in self.failed else "complete"


def write_study(client, store, fabricated, launch="20260101-120000-aaaa", when=1_700_000_000_000):
    """Publish a fabricated study the way a launch does."""
    writer = Writer(client, store)
    common = {"study": fabricated.name, "launch": launch}
    writer.write({**common, "event": "launch", "time": when, "plan": fabricated.plan(), "tags": {}})
    stopped = []
    for number, planned in enumerate(fabricated.cells()):
        tags = {"raysweep.data_fingerprint": "f" * 16, "raysweep.preset": fabricated.preset}
        cell = {**planned, "config": {"arm": planned["arm"]}, "tags": tags}
        event = {**common, "time": when + 1 + number, "cell": cell}
        outcome = fabricated.outcome(planned)
        if outcome == "complete":
            result = fabricated.result(planned)
            store.put(planned["key"], result.write, {})
            writer.write({**event, "event": "complete"})
        elif outcome == "failed":
            writer.write({**event, "event": "start"})
            writer.write(
                {**event, "event": "failed", "cause": fabricated.failed[(planned["arm"], planned["replicate"])]}
            )
        elif outcome in ("running", "stopped"):
            writer.write({**event, "event": "start"})
            stopped += [cell] if outcome == "stopped" else []
    writer.write({**common, "event": "end", "time": when + 10_000, "status": "FINISHED", "stopped": stopped})


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """An empty tracking database; making its tables takes seconds, so tests copy the file."""
    file = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@dataclass
class Tracking:
    """One tracking store of its own in a folder."""

    folder: Path
    uri: str
    client: MlflowClient
    store: Store

    def write(self, fabricated, **how):
        if (
            self.client.get_experiment_by_name(fabricated.name) is None
        ):  # artifacts beside the database, not in the working folder
            self.client.create_experiment(fabricated.name, artifact_location=(self.folder / "artifacts").as_uri())
        write_study(self.client, self.store, fabricated, **how)
        return self

    def load(self, name, **how):
        return load_results(name, self.uri, **how)


def make_tracking(migrated, folder):
    shutil.copy(migrated, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return Tracking(folder, uri, connect(uri), Store(folder / "store"))


@pytest.fixture
def tracking(migrated, tmp_path, monkeypatch):
    """A fresh store; the pictures of a cell, which cost most of the time, are left out."""
    monkeypatch.setattr(writer_module, "draw_artifacts", lambda result, folder: None)
    return make_tracking(migrated, tmp_path)


ALPHA = Fabricated(
    "ablation_alpha",
    {"alpha": ("0", "0.3", "0.5", "0.7", "1")},
    {"alpha": "1"},
    lambda where: 0.60 - 0.25 * (float(where["alpha"]) - 0.5) ** 2,
    published="ddaf_table4",
    epochs=5,
    recipe={"labels.alpha": 0.5},
)

_SLOPE = {"one-hot": 0.30, "Euclidean": 0.12, "Gaussian": 0.16}
NOISE = Fabricated(
    "ablation_noise_rate",
    {"noise": ("0", "0.1", "0.2", "0.3"), "method": ("one-hot", "Euclidean", "Gaussian")},
    {"method": "one-hot"},
    lambda where: 0.62 - _SLOPE[where["method"]] * float(where["noise"]),
    published="ddaf_table3",
    columns=("macro_f1", "accuracy", "ece"),
    noise_axis="noise",
    epochs=5,
    source="DDAF, Table 3",
    title="Label noise and label fusion",
    failed={("noise=0.3, method=one-hot", 4): "DegenerateLoss: the loss became nan in epoch 3"},
    missing=(("noise=0.3, method=Gaussian", 3),),
    degenerate=(("noise=0.3, method=one-hot", 1),),
    versions={0: "0.1.0+0000000.dirty"},
    data_notes=("derived VA, no claim",),
)


@pytest.fixture(scope="session")
def shared(migrated, tmp_path_factory):
    """Two studies that tests read and do not change: a whole one-axis study, a two-axis one with gaps."""
    tracking = make_tracking(migrated, tmp_path_factory.mktemp("shared"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "draw_artifacts", lambda result, folder: None)
        tracking.write(NOISE)
    return tracking.write(ALPHA)


@pytest.fixture
def alpha():
    return ALPHA


@pytest.fixture
def fabricate():
    return Fabricated


@pytest.fixture(scope="session")
def written(shared, tmp_path_factory):
    """The reports of both shared studies: name to (files, folder)."""
    folder = tmp_path_factory.mktemp("reports")
    names = ("ablation_alpha", "ablation_noise_rate")
    return {name: (build_report(name, folder / name, shared.uri), folder / name) for name in names}
