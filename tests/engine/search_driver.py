"""Searches without a cluster: real Optuna storages, and scores that a formula gives instead of a training."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from raysweep.config.experiment import Experiment
from raysweep.engine.events import Listener
from raysweep.engine.messages import Epoch, packed
from raysweep.engine.search.optuna_study import ArmStudy
from raysweep.engine.search.schedulers import ArmSchedulers
from raysweep.engine.search.storage import open_storage
from raysweep.engine.search.trial_dispatcher import TrialDispatcher
from raysweep.pipeline import CellResult, FitEvent
from raysweep.store.store import Store
from raysweep.study import Arm, Budget, Cell, Search
from raysweep.study.search_plan import SearchArm, SearchPlan
from tests.conftest import NO_PREDICTIONS

EPOCHS = 4

QUICK = {
    "data.image_size": 32,
    "model.backbone": "small",
    "model.weights": None,
    "train.epochs": EPOCHS,
    "selection.weights": "last",
}


@dataclass
class Heard(Listener):
    """Remembers what it is told."""

    words: list = field(default_factory=list)

    def started(self, work):
        self.words.append(("started", work.arm, work.number))

    def epoch(self, work, event):
        self.words.append(("epoch", work.arm, work.number, event.epoch))

    def ended(self, work, end):
        self.words.append((end.state, work.arm, work.number))
        self.causes.append(end.cause)

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

    `load_sets` of the dispatcher must give small data (the fixture `small_sets`).
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
        self.dispatcher = TrialDispatcher(
            plan, self.studies, self.store, self.heard, devices, self.schedulers.remember, lambda: self.clock
        )
        self.schedulers.watch(self.dispatcher)
        self.dispatcher.prepare()
        self.count = 0

    def next(self):
        self.clock += 10
        self.count += 1
        trial = SimpleNamespace(trial_id=f"tune-{id(self)}-{self.count}")
        self.dispatcher.next(trial.trial_id)
        running = self.dispatcher.trials.get(trial.trial_id)
        if running is not None:
            self.schedulers.on_trial_add(None, trial)
            self.dispatcher.started(trial.trial_id, running.trial.key)
        return trial, running

    def train(self, trial, running, epochs=EPOCHS, store=True):
        """Epoch by epoch, unless a stopper ends it; whether it came to its scores."""
        goal = self.score(running.experiment)
        for epoch in range(1, epochs + 1):
            value = goal * epoch / EPOCHS
            event = FitEvent(
                "key", "target", epoch, EPOCHS, {running.score: value}, training=running.trial.model, until=EPOCHS
            )
            message = Epoch(running.trial.key, event, seconds=float(epoch))
            decision = self.schedulers.on_trial_result(None, trial, packed(message))
            self.dispatcher.epoch(trial.trial_id, message.task, event, message.seconds)
            if decision == "STOP":
                self.dispatcher.give_back(trial.trial_id)
                return False
        if epochs < EPOCHS:
            return False
        scores = {"validation/macro_f1": goal, "validation/nll": abs(goal - 0.5), "val/best_epoch": 4.0}
        if store:
            history = [{"val/macro_f1": goal * epoch / EPOCHS} for epoch in range(1, EPOCHS + 1)]
            self.store.put(running.trial.key, CellResult(scores, {}, history, NO_PREDICTIONS).write, {})
        self.dispatcher.done(trial.trial_id, running.trial.key, float(EPOCHS), scores)
        self.dispatcher.give_back(trial.trial_id)
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
