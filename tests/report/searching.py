"""Made-up searches: trials proposed by a real Optuna study, written by the real writer, beside made-up replicates."""

import hashlib
import itertools
import math
import random
from dataclasses import dataclass, field

import optuna

from raysweep.artifacts.study_record import PlannedArm, PlannedSearch
from raysweep.report.results.searches import SearchRecord, TrialRecord
from raysweep.study.study import Arm
from raysweep.tracking.writer import Writer
from tests.report.conftest import Fabricated, write_study

SPACE = {
    "labels.alpha": {"kind": "uniform", "low": 0.0, "high": 1.0, "choices": None, "when": None},
    "labels.method": {"kind": "choice", "low": None, "high": None, "choices": ["euclidean", "gaussian"], "when": None},
    "train.learning_rate": {"kind": "log", "low": 1e-4, "high": 1e-2, "choices": None, "when": None},
    "joint.warm_up": {"kind": "int", "low": 0, "high": 8, "choices": None, "when": None},
    "joint.frequency": {"kind": "int", "low": 1, "high": 5, "choices": None, "when": {"joint.method": ["dcjt"]}},
    "joint.method": {"kind": "choice", "low": None, "high": None, "choices": ["dcjt", "target"], "when": None},
}
FIELDS = ("labels.alpha", "labels.method", "train.learning_rate", "joint.warm_up", "joint.method")


def propose(trial, space=SPACE):
    """A point of the space, the conditional field only where its condition holds."""
    point = {path: _suggest(trial, path, space[path]) for path in space if not space[path]["when"]}
    for path, range_ in space.items():
        if range_["when"] and all(point[other] in values for other, values in range_["when"].items()):
            point[path] = _suggest(trial, path, range_)
    return point


def _suggest(trial, path, range_):
    if range_["kind"] == "choice":
        return trial.suggest_categorical(path, range_["choices"])
    if range_["kind"] == "int":
        return trial.suggest_int(path, range_["low"], range_["high"])
    return trial.suggest_float(path, range_["low"], range_["high"], log=range_["kind"] == "log")


def score(point, rng):
    """macro-F1 and ECE of a point: alpha and the learning rate matter most."""
    alpha = point.get("labels.alpha", 0.5)
    f1 = 0.6 - 0.3 * (alpha - 0.6) ** 2 - 0.04 * (math.log10(point.get("train.learning_rate", 1e-3)) + 3) ** 2
    f1 += 0.02 * (point.get("joint.method") == "dcjt") + rng.gauss(0, 0.006)
    return f1, 0.3 - 0.3 * f1 + 0.1 * alpha + rng.gauss(0, 0.01)


def searched(trials=24, seed=0, objectives=1, pruned=0.3, failed=0.07, space=SPACE):
    """(the Optuna study, its trials as records): every trial as its sampler proposed it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["maximize", "minimize"][:objectives], sampler=optuna.samplers.TPESampler(seed=seed)
    )
    rng, records = random.Random(seed), []
    for number in range(trials):
        trial = study.ask()
        point, values = propose(trial, space), None
        values = score(point, rng)[:objectives]
        luck = rng.random()
        state = "failed" if luck < failed else "pruned" if luck < failed + pruned else "complete"
        states = {"failed": optuna.trial.TrialState.FAIL, "pruned": optuna.trial.TrialState.PRUNED}
        study.tell(trial, list(values) if state == "complete" else None, states.get(state))
        cause = "DegenerateLoss: the loss became nan" if state == "failed" else ""
        last = {} if state == "failed" else {"macro_f1": values[0] - 0.05}
        scored = values if state == "complete" else ()
        records.append(TrialRecord(number, state, point, scored, last, 90.0 + number, cause, 0))
    return study, tuple(records)


def plan_of(arms=("",), objectives=1, space=SPACE):
    return PlannedSearch.read(plan_json({arm: {"search": f"s {arm}"} for arm in arms}, objectives, space))


def plan_json(arms, objectives=1, space=SPACE):
    return {
        "sampler": "tpe",
        "stopper": "asha",
        "objectives": ["macro_f1", "ece"][:objectives],
        "directions": ["maximize", "minimize"][:objectives],
        "budget": {"trials": 24, "device_hours": None},
        "replicate": 100,
        "space": space,
        "arms": arms,
    }


def record_of(trials, arm="", number=None):
    return SearchRecord(PlannedArm(arm, f"s {arm}", {}, None, number), tuple(trials))


def told(trials, search):
    """What a launch writes of a search that is over; without a chosen point where no trial is complete."""
    states = [trial.state for trial in trials]
    counts = {"trials": len(trials), **{s: states.count(s) for s in ("complete", "pruned", "failed")}}
    facts = {"search": search, **counts, "device_hours": sum(trial.seconds for trial in trials) / 3600}
    done = [trial for trial in trials if trial.values]
    if done:
        best = max(done, key=lambda trial: trial.values[0])
        facts |= {"number": best.number, "value": list(best.values), "point": dict(best.point)}
    return facts


@dataclass
class SearchStudy(Fabricated):
    """A fabricated study with searches: `searches` by arm (without tuning), `arms_told` what the plan says of them."""

    searches: dict = field(default_factory=dict)
    arms_told: dict | None = None
    objectives: int = 1
    replicated: bool = True

    @property
    def arms(self):
        """As a launch plans them; no study file may name an axis "tuning" itself."""
        combinations = itertools.product(*self.axes.values())
        return [Arm(dict(zip(self.axes, levels, strict=True)), {}) for levels in combinations]

    def cells(self):
        if not self.replicated:
            return []
        lost = {arm for arm, facts in self.arms_as_told().items() if "number" not in facts}
        return [cell for cell in super().cells() if not self.is_lost(cell, lost)]

    def is_lost(self, cell, lost):
        rest = ", ".join(f"{a}={level}" for a, level in cell["coordinates"].items() if a != "tuning")
        return cell["coordinates"]["tuning"] == "searched" and rest in lost

    def arms_as_told(self):
        if self.arms_told is not None:
            return self.arms_told
        return {arm: told(trials, self.search_name(arm)) for arm, trials in self.searches.items()}

    def search_name(self, arm):
        return f"{self.name} {arm}".strip()

    def plan(self):
        return {**super().plan(), "search": plan_json(self.arms_as_told(), self.objectives)}

    def write_trials(self, client, store, launch="20260101-120000-aaaa", when=1_700_000_100_000):
        writer = Writer(client, store)
        for arm, trials in self.searches.items():
            for trial in trials:
                write_trial(writer, self.name, launch, when + trial.number, self.as_event(arm, trial), trial)

    def as_event(self, arm, trial):
        key = hashlib.sha256(f"{self.name} {arm} {trial.number}".encode()).hexdigest()
        return {
            "search": self.search_name(arm),
            "number": trial.number,
            "arm": arm,
            "coordinates": {},
            "replicate": 100,
            "key": key,
            "point": dict(trial.point),
            "config": {"arm": arm},
            "tags": {},
        }


def write_trial(writer, study, launch, when, event, trial):
    """The events of one trial, as a launch emits them."""
    common = {"study": study, "launch": launch, "time": when, "trial": event}
    writer.write({**common, "event": "trial"})
    if trial.state == "running":
        return
    if trial.last:
        curve = {"train/loss": 1.0, **{f"val/{name}": value for name, value in trial.last.items()}}
        writer.write({**common, "event": "trial_epoch", "epoch": 1, "metrics": curve})
    scores = dict(zip(("validation/macro_f1", "validation/ece"), trial.values, strict=False))
    end = {"state": trial.state, "scores": scores, "seconds": trial.seconds, "cause": trial.cause}
    writer.write({**common, "event": "trial_end", **end})


def write_search_study(tracking, study, **how):
    """The whole study into a tracking store: trials and the launch with its replicates."""
    if tracking.client.get_experiment_by_name(study.name) is None:
        tracking.client.create_experiment(study.name, artifact_location=(tracking.folder / "artifacts").as_uri())
    write_study(tracking.client, tracking.store, study, **how)
    study.write_trials(tracking.client, tracking.store)
    return tracking


def example(name="search_example", **changes):
    """Two arms, the first searched well, five replicates; the search helps by 0.04."""
    settings = {
        "axes": {"noise": ("0", "0.3"), "tuning": ("default", "searched")},
        "reference": {"tuning": "default"},
        "level": lambda where: 0.55 + 0.04 * (where["tuning"] == "searched") - 0.2 * float(where.get("noise", 0)),
        "columns": ("macro_f1", "accuracy", "ece"),
        "title": "Searched against default",
        "source": "",
        "epochs": 1,
        "config": lambda where: {"labels.alpha": 0.25},
        "searches": {"noise=0": searched(24, 0)[1], "noise=0.3": searched(16, 1)[1]},
    }
    return SearchStudy(name, **{**settings, **changes})
