"""Studies in a real SQLite tracking store, written by the real writer from fabricated store products."""

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.config.experiment import Experiment, flat_words
from raysweep.pipeline import CellResult
from raysweep.report import build_report
from raysweep.report.render.jinja import TEMPLATES
from raysweep.report.results.load import load_results
from raysweep.store.store import Store
from raysweep.study import Axis, Study
from raysweep.tracking import writer as writer_module
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer
from tests.conftest import NO_PREDICTIONS

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
    extras: tuple = ()  # of {"name", "fingerprint", "count", "notes"}
    config: object = None  # coordinates to changes of the cell's Experiment; None: only the arm's name
    labels: object = None  # (coordinates, replicate) to `AdaptedLabels`, or None
    attention: object = None  # the same to `AttentionMaps`, or None
    label_scores: object = None  # the same to scores by plain name
    label_notes: object = None  # the same to sentences

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
        return hashlib.sha256(f"{self.name} {arm} {replicate} {self.preset} {self.data}".encode()).hexdigest()

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
                **({"extras": list(self.extras)} if self.extras else {}),
            },
            "overrides": {},
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
        both |= {f"labels/{n}": v for n, v in (self.of(self.label_scores, cell) or {}).items()}
        scores = {**both, "val/best_macro_f1": f1}  # made up: none would agree with predictions (see `test_verify`)
        more = self.of(self.labels, cell), self.of(self.attention, cell)
        return CellResult(scores, self.facts(cell), history, NO_PREDICTIONS, *more)

    def of(self, what, cell):
        return what(cell["coordinates"], cell["replicate"]) if what else None

    def words(self, cell):
        """The cell's configuration."""
        if self.config is None:
            return {"arm": cell["arm"]}
        return Experiment().with_changes(self.config(cell["coordinates"])).model_dump()

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
            **({"label_notes": self.label_notes(cell["coordinates"], cell["replicate"])} if self.label_notes else {}),
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
    data = {"raysweep.data": fabricated.data, "raysweep.data_fingerprint": "f" * 16}
    writer.write({**common, "event": "launch", "time": when, "plan": fabricated.plan(), "tags": data})
    stopped = []
    for number, planned in enumerate(fabricated.cells()):
        tags = {"raysweep.data_fingerprint": "f" * 16, "raysweep.preset": fabricated.preset}
        cell = {**planned, "config": fabricated.words(planned), "tags": tags}
        event = {**common, "time": when + 1 + number, "cell": cell}
        outcome = fabricated.outcome(planned)
        if outcome == "complete":
            store.put(planned["key"], fabricated.result(planned).write, {})
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


def table_html(table):
    """A table as pages show it, without its caption and notes."""
    return str(TEMPLATES.get_template("macros.html").module.bare_table(table))


def make_tracking(migrated, folder):
    shutil.copy(migrated, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return Tracking(folder, uri, connect(uri), Store(folder / "store"))


def no_pictures(patch):
    patch.setattr(writer_module, "draw_artifacts", lambda result, folder: None)
    patch.setattr(writer_module, "draw_labels", lambda made, classes, folder: None)
    patch.setattr(writer_module, "draw_attention", lambda made, classes, folder: None)


@pytest.fixture
def tracking(migrated, tmp_path, monkeypatch):
    """A fresh store; the pictures of a cell, which cost most of the time, are left out."""
    no_pictures(monkeypatch)
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


CENTRES = np.array([[0.0, 0.0], [0.6, 0.1], [-0.6, -0.2], [0.2, 0.6]])
SHIFTS = {"none": 0.0, "moderate": 0.2, "strong": 0.4}


def adapted_labels(shift, seed=0, count=120):
    """Labels of four classes: B's habits are moved by `shift`; mapping and relabelling take it back."""
    rng = np.random.default_rng(seed)
    labels = {"target": rng.integers(0, 4, count), "truth": rng.integers(0, 4, 2 * count)}
    truth = CENTRES[labels["truth"]] + rng.normal(0, 0.1, (2 * count, 2))
    target = CENTRES[labels["target"]] + rng.normal(0, 0.1, (count, 2))
    wrong = rng.random(2 * count) < shift
    return AdaptedLabels(
        target_labels=labels["target"],
        target_va=(target + rng.normal(0, 0.05, target.shape)).astype(np.float32),
        target_truth_va=target.astype(np.float32),
        extra_labels_given=np.where(wrong, (labels["truth"] + 1) % 4, labels["truth"]),
        extra_labels_new=np.where(rng.random(2 * count) < 0.1, 0, labels["truth"]),
        extra_truth_labels=labels["truth"],
        extra_va_given=(truth - shift).astype(np.float32),
        extra_va_new=(truth + rng.normal(0, 0.05, truth.shape)).astype(np.float32),
        extra_truth_va=truth.astype(np.float32),
        extra_selected=~wrong & (rng.random(2 * count) < 0.8),
    )


def method_scores(where, replicate):
    """Scores of adapted labels: DCJT alone has all of them, SCN none."""
    if where["method"] != "DCJT":
        return {}
    luck, shift = np.random.default_rng(replicate).normal(0, 0.01), SHIFTS[where["shift"]]
    return {
        "kept_share": 0.7 - shift + luck,
        "given_right": 0.8 - shift + luck,
        "kept_right": 0.93 - shift / 4 + luck,
        "remainder_right": 0.5 - shift + luck,
        "relabelled_right": 0.6 - shift / 2 + luck,
        "relabel_agreement": 0.7 + luck,
        "pseudo_rmse": 0.15 + luck,
        "pseudo_ccc": 0.9 + luck,
        "given_va_rmse": 0.1 + shift + luck,
        "mapped_va_rmse": 0.12 + shift / 5 + luck,
    }


_GAINS = {
    "target only": 0.0,
    "combination": -0.02,
    "SCN joint": 0.0,
    "DCJT": 0.02,
}
METHODS = Fabricated(
    "dcjt_methods",
    {"shift": tuple(SHIFTS), "method": tuple(_GAINS)},
    {"method": "target only"},
    lambda where: 0.6 + _GAINS[where["method"]] * (1 + 5 * SHIFTS[where["shift"]] * (where["method"] == "combination")),
    published="dcjt_methods",
    epochs=2,
    metric="accuracy",
    columns=("accuracy", "macro_f1", "ece", "kept_share", "pseudo_rmse"),
    source="DCJT, Tables 3 and 4",
    title="Methods of training with an extra data set",
    spread=0.004,
    recipe={"labels.method": "one_hot", "objective.class_weights": "none"},
    extras=tuple(
        {
            "name": f"faces-{shift}",
            "fingerprint": shift,
            "count": 6000,
            "notes": ["B's raters have habits of their own"],
        }
        for shift in SHIFTS
    ),
    config=lambda where: {
        "labels.method": "one_hot",
        "objective.class_weights": "none",
        "objective.va_reduction": "mean",
        "objective.weight_va": 15.0 if where["method"] == "DCJT" else 0.0,
        "joint.method": "dcjt" if where["method"] == "DCJT" else "target",
        "joint.extra": f"faces-{where['shift']}",
    },
    labels=lambda where, replicate: (
        adapted_labels(SHIFTS[where["shift"]], replicate) if where["method"] == "DCJT" else None
    ),
    label_scores=method_scores,
    label_notes=lambda where, replicate: (
        [f"EDCLM fell back to the global map for contempt ({4 + replicate} samples in B)"]
        if where == {"shift": "strong", "method": "DCJT"}
        else []
    ),
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """What reports keep of a run is of one test: tests give the same runs other predictions."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("raysweep.core.user_cache.user_cache", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def shared(migrated, tmp_path_factory):
    """Studies that tests read and do not change: a one-axis one, a two-axis one with gaps, one with an extra set."""
    tracking = make_tracking(migrated, tmp_path_factory.mktemp("shared"))
    with pytest.MonkeyPatch.context() as patch:
        no_pictures(patch)
        tracking.write(NOISE)
        tracking.write(METHODS)
    return tracking.write(ALPHA)


@pytest.fixture
def alpha():
    return ALPHA


@pytest.fixture
def fabricate():
    return Fabricated


@pytest.fixture(scope="session")
def written(shared, tmp_path_factory):
    """The reports of the shared studies: name to (files, folder)."""
    folder = tmp_path_factory.mktemp("reports")
    names = ("ablation_alpha", "ablation_noise_rate", "dcjt_methods")
    return {name: (build_report(name, folder / name, shared.uri), folder / name) for name in names}
