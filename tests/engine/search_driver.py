"""Searches without a cluster: real Optuna storages, and scores that a formula gives instead of a training."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from raysweep.config.experiment import Experiment
from raysweep.engine.search.dispatcher import Desk, SearchListener
from raysweep.engine.search.optuna_study import ArmStudy
from raysweep.engine.search.storage import open_storage
from raysweep.engine.search.tune_adapters import ArmSchedulers
from raysweep.pipeline import CellResult, FitEvent
from raysweep.store.store import Store
from raysweep.study import Arm, Budget, Cell, Search
from raysweep.study.search_plan import SearchArm, SearchPlan

EPOCHS = 4

QUICK = {
    "data.image_size": 32,
    "model.backbone": "small",
    "model.weights": None,
    "train.epochs": EPOCHS,
    "selection.weights": "last",
}


@dataclass
class Heard(SearchListener):
    """Remembers what it is told."""

    words: list = field(default_factory=list)

    def started(self, trial):
        self.words.append(("started", trial.arm, trial.number))

    def epoch(self, trial, epoch, metrics):
        self.words.append(("epoch", trial.arm, trial.number, epoch))

    def ended(self, trial, state, scores, seconds, cause):
        self.words.append((state, trial.arm, trial.number))
        self.causes.append(cause)

    causes: list = field(default_factory=list)

    def of(self, *states):
        return [word for word in self.words if word[0] in states]


def make_arm(search: Search, name: str = "", changes=None, data=("squares",)) -> SearchArm:
    experiment = Experiment().with_changes({**QUICK, **(changes or {})})
    arm = Arm({"arm": name} if name else {}, changes or {})
    return SearchArm(f"study smoke {arm.name}".strip(), Cell(arm, 0, experiment), search, data)


def formula(experiment: Experiment) -> float:
    """The score of a point: best at alpha 0.3 and a learning rate of 0.003, a bit better with Gaussian labels."""
    rate, alpha = experiment.train.learning_rate, experiment.labels.alpha
    return 1 - (alpha - 0.3) ** 2 - abs(rate - 3e-3) * 30 + 0.01 * (experiment.labels.method == "gaussian")


class Launch:
    """One launch of a search on a store in a folder, as far as no cluster is needed.

    `load_sets` of the desk must give small data (the fixture `small_sets`).
    """

    def __init__(self, folder, arms, trials=6, name="one", living=(), device_hours=None, devices=1, score=formula,
                 alive=None):  # fmt: skip
        self.arms, self.score = arms, score
        self.store, self.heard = Store(folder), Heard()
        self.storage = open_storage(f"sqlite:///{folder}/optuna.db")
        plan = SearchPlan("study", arms[0].search, Budget(trials, device_hours), arms)
        self.studies = [ArmStudy(arm, self.storage, name, lambda launch: self.alive(launch)) for arm in arms]
        self.alive = alive or (lambda launch: launch in living)
        self.schedulers = ArmSchedulers(arms)
        self.clock = 0.0
        self.desk = Desk(
            plan, self.studies, self.store, self.heard, devices, self.schedulers.remember, lambda: self.clock
        )
        self.schedulers.watch(self.desk)
        self.desk.prepare()
        self.count = 0

    def next(self):
        self.clock += 10
        self.count += 1
        trial = SimpleNamespace(trial_id=f"tune-{id(self)}-{self.count}")
        running = self.desk.next(trial.trial_id)
        if running is not None:
            self.schedulers.on_trial_add(None, trial)
            self.desk.began(trial.trial_id)
        return trial, running

    def train(self, trial, running, epochs=EPOCHS, store=True):
        """Epoch by epoch, unless a stopper ends it; whether it came to its scores."""
        goal = self.score(running.experiment)
        for epoch in range(1, epochs + 1):
            value = goal * epoch / EPOCHS
            decision = self.schedulers.on_trial_result(None, trial, {"search_epoch": epoch, "search_score": value})
            event = FitEvent("key", "target", epoch, EPOCHS, {"val/macro_f1": value})
            self.desk.epoch(trial.trial_id, event, seconds=float(epoch))
            if decision == "STOP":
                self.desk.ended(trial.trial_id)
                return False
        if epochs < EPOCHS:
            return False
        scores = {"validation/macro_f1": goal, "validation/nll": abs(goal - 0.5), "val/best_epoch": 4.0}
        if store:
            history = [{"val/macro_f1": goal * epoch / EPOCHS} for epoch in range(1, EPOCHS + 1)]
            self.store.put(running.trial.key, CellResult(scores, {}, history, {}).write, {})
        self.desk.done(trial.trial_id, scores, seconds=float(EPOCHS))
        self.desk.ended(trial.trial_id)
        return True

    def run(self, until=None):
        """One trial after the other, `until` so many are trained here; returns this launch for chaining."""
        while until is None or self.count < until:
            trial, running = self.next()
            if running is None:
                break
            self.train(trial, running)
        return self

    def trials(self, arm=0):
        return self.studies[arm].study.get_trials(deepcopy=False)

    def counted(self, arm=0):
        """Points and values of the trials that count, in order."""
        stopped = {t.user_attrs.get("raysweep.goes_on") for t in self.trials(arm)}
        ended = [t for t in self.trials(arm) if t.state.is_finished() and t.number not in stopped]
        return [(t.state.name, t.params, t.values) for t in ended]

    def close(self):
        self.storage.engine.dispose()
