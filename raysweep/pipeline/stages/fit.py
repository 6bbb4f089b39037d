"""Training as a chain of one-epoch stages.

The identity of a training is its chain: an epoch's key is made of the epoch before, the targets it
reads and whatever its steps depend on (learning rate, whether B joins, ...). Two trainings share their
epochs up to the first that differs, wherever either of them is cut. Work is done in longer runs: to
reach an epoch, training goes on from the latest epoch of its chain that the store has.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from raysweep.config.experiment import Experiment
from raysweep.config.sections import Selection
from raysweep.data.dataset import TRAIN, FaceData
from raysweep.models.backbones import weights_checksum
from raysweep.pipeline.execution import Context, FitEvent, is_first_rank
from raysweep.pipeline.stage import Attached, Known, Stage
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.training import EpochResult, Trainer, TrainingPart, load_checkpoint, save_checkpoint
from raysweep.training.selection import check_metric, watched

State = dict[str, Any]

CHECKPOINT = "fit.pt"
"""Of a training that is not done, in the store's unfinished work."""


def fit_chain(
    experiment: Experiment,
    scored: Stage,
    trained: Sequence[Stage],
    extra: Sequence[Stage] = (),
    start: Stage | None = None,
    title: str = "training",
    known: Known | None = None,
) -> Stage:
    """The last epoch of a training.

    Raises:
        UserError: no image of `scored` has what the score needs that chooses the epoch.

    Args:
        experiment: its schedule and losses; its targets may come from other stages.
        scored: data set whose validation images are watched.
        trained, extra: targets that every epoch passes over, and that join by the schedule.
        start: stage of kind "start"; default random weights or `model.weights`.
        title: name of this training in displays.
        known: epochs of other trainings, which this one may share. Its last epoch is always its own: it carries
            what only this experiment says, such as which weights are scored.
    """
    known = known or Known()
    data, selection = scored.data, experiment.selection
    known.once((id(data), selection.model_dump_json()), partial(_check_choice, selection, data))
    step = Stage("step", _step_params(experiment), {"scored": scored})
    start = start or start_stage(experiment, len(scored.data.classes))
    alone = {"step": step, **{f"trained{i}": stage for i, stage in enumerate(trained)}}
    joined = {**alone, **{f"extra{i}": stage for i, stage in enumerate(extra)}}
    sections = (experiment.train, experiment.scn, experiment.model, *([experiment.joint] if extra else []))
    same = tuple(section.model_dump_json() for section in sections)
    schedule = known.once(same, partial(_schedule, experiment, bool(extra)))
    epochs = _Epochs(experiment, title, alone, joined, schedule)
    token = (start.key, *epochs.reads, tuple(epoch.token for epoch in schedule[:-1]))
    before = known.once(token, partial(epochs.all_but_last, start, known))
    return epochs.after(before, experiment.train.epochs)


def _check_choice(selection: Selection, data: FaceData) -> None:
    """Raises UserError where no image that may be watched has what `selection.metric` needs."""
    rows = watched(selection, data)
    if selection.holds_out and not len(rows):  # they are drawn from these
        rows = data.rows(TRAIN)
    check_metric(selection.metric, data, rows)


class _Epoch(NamedTuple):
    """What distinguishes one epoch of a training from another, as parameters of its stage and as a token."""

    params: dict[str, Any]
    token: tuple[Any, ...]

    @property
    def joins(self) -> bool:
        return self.params["join"] is not None


def _schedule(experiment: Experiment, extra: bool) -> list[_Epoch]:
    """By epoch; `extra`: whether there is anything to join."""
    train, joint, scn = experiment.train, experiment.joint, experiment.model.head == "scn"
    every = [
        {
            "rate": train.rate(epoch),
            "join": (joint.unit, joint.draw) if extra and joint.joins(epoch, train.epochs) else None,
            "average": train.averages(epoch),
            "relabel": scn and experiment.scn.relabels(epoch, train.epochs),
        }
        for epoch in range(1, train.epochs + 1)
    ]
    return [_Epoch(params, tuple(params.values())) for params in every]


class _Epochs:
    """The epochs of one training. `alone`, `joined`: inputs of an epoch without and with the extra sets."""

    def __init__(
        self,
        experiment: Experiment,
        title: str,
        alone: Mapping[str, Stage],
        joined: Mapping[str, Stage],
        schedule: Sequence[_Epoch],
    ) -> None:
        self.experiment, self.title, self.schedule = experiment, title, schedule
        self.inputs = (alone, joined)
        self.reads = tuple((title, *((role, stage.key) for role, stage in inputs.items())) for inputs in self.inputs)

    def all_but_last(self, before: Stage, known: Known) -> Stage:
        """Every epoch but the last, each shared where an equal one is known."""
        for number, epoch in enumerate(self.schedule[:-1], 1):
            token = (before.key, self.reads[epoch.joins], epoch.token)
            before = known.once(token, partial(self.after, before, number))
        return before

    def after(self, before: Stage, number: int) -> Stage:
        epoch = self.schedule[number - 1]
        inputs = {"before": before, **self.inputs[epoch.joins]}
        return Stage("fit", epoch.params, inputs, Attached(self.experiment, title=self.title, epoch=number))


def start_stage(experiment: Experiment, classes: int) -> Stage:
    """Initial weights by seed or from a file."""
    model = experiment.model
    weights = weights_checksum(model.backbone, model.weights) or "random"
    return Stage("start", {**key_fields("start", experiment), "weights": weights, "classes": classes})


def start_from(experiment: Experiment, model: Stage, same_classes: bool, classes: int) -> Stage:
    """The headline's weights of another training; without the heads when the classes differ."""
    fresh = start_stage(experiment, classes)
    params = {**key_fields("evaluate", experiment), "heads": same_classes}
    return Stage("start", params, {"model": model, **({} if same_classes else {"heads": fresh})})


def chain(stage: Stage) -> list[Stage]:
    """The epochs that lead to this one, first to last."""
    epochs = []
    while stage.kind == "fit":
        epochs.append(stage)
        stage = stage.inputs["before"]
    return epochs[::-1]


def run_fit(stage: Stage, context: Context) -> State:
    """Train from the latest stored epoch to this one. Raises DegenerateLoss, UserError."""
    trainer = _at_latest(stage, context)
    epochs = {epoch.attached.epoch: epoch for epoch in chain(stage)}
    for number, metrics in enumerate(trainer.history, 1):
        _report(context, stage, epochs[number], EpochResult(number, metrics), cost(trainer, metrics), replayed=True)
    last = stage.attached.epoch
    for result in trainer.epochs(until=last):
        here = epochs[result.epoch]
        if result.epoch < last and here.key in context.keep:
            context.keep_product(here, trainer.state_dict())
        elif result.epoch < last and is_first_rank():
            context.store.save_partial(stage.key, CHECKPOINT, partial(save_checkpoint, trainer.state_dict()))
        _report(context, stage, here, result, cost(trainer, result.metrics), replayed=False)
    return trainer.state_dict()


def trainer_after(stage: Stage, context: Context) -> Trainer:
    """A trainer in the state after this epoch, trained or read: for its weights and scores."""
    return _trainer(stage, context, context.product(stage))


class TrainerState:
    """A trainer's state after an epoch, as the store keeps it."""

    @staticmethod
    def write(state: State, folder: Path) -> None:
        save_checkpoint(state, folder / "state.pt")

    @staticmethod
    def read(folder: Path) -> State:
        state: State = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        return state


def run_start(stage: Stage, context: Context) -> dict[str, torch.Tensor] | None:
    """Weights to start from; None for those that the model's own seed or file gives."""
    if "model" not in stage.inputs:
        return None
    weights = _plain_weights(trainer_after(stage.inputs["model"], context).ready_model())
    if stage.params["heads"]:
        return weights
    return {name: value for name, value in weights.items() if name.startswith("encoder.")}


def _plain_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A model's state without the names that averaging puts around it."""
    state = {k.removeprefix("module."): v.detach().cpu() for k, v in model.state_dict().items()}
    state.pop("n_averaged", None)
    return state


def _at_latest(stage: Stage, context: Context) -> Trainer:
    """A trainer in the state of the checkpoint or of the latest stored epoch."""
    _parts(stage, context)  # first: M_A, trained for them, may store epochs of this very chain
    return _trainer(stage, context, context.from_first(lambda: _latest_state(stage, context)))


def _latest_state(stage: Stage, context: Context) -> State | None:
    state = load_checkpoint(context.store.partial_file(stage.key, CHECKPOINT))
    reached = state["epoch"] if state else 0
    later = [epoch for epoch in chain(stage)[:-1] if epoch.attached.epoch > reached]
    there = context.store.present(epoch.key for epoch in later)
    for epoch in reversed(later):
        if epoch.key not in there:
            continue
        if context.store.get(epoch.key) is not None:
            return TrainerState.read(context.store.folder(epoch.key))
        context.keep |= {epoch.key}  # a file was altered: it is made again in passing
    return state


def _trainer(stage: Stage, context: Context, state: State | None) -> Trainer:
    parts = _parts(stage, context)
    data = context.product(stage.inputs["step"].inputs["scored"])
    start = context.product(chain(stage)[0].inputs["before"]) if state is None else None
    trainer = Trainer(
        stage.experiment, data, context.device, trained=parts["trained"], extra=parts["extra"], start=start
    )
    if state is not None:
        trainer.load_state_dict(state)
    return trainer


def _parts(stage: Stage, context: Context) -> dict[str, list[TrainingPart]]:
    """The targets of every epoch ("trained"), and those that have joined up to this one ("extra")."""
    inputs = {name: source for epoch in chain(stage) for name, source in epoch.inputs.items()}
    return {
        role: [context.product(inputs[name]) for name in sorted(inputs) if name.startswith(role)]
        for role in ("trained", "extra")
    }


def _report(
    context: Context, stage: Stage, epoch: Stage, result: EpochResult, took: Mapping[str, Any], replayed: bool
) -> None:
    title, last = stage.attached.title, stage.experiment.train.epochs
    piece = {"training": stage.key, "until": stage.attached.epoch, **took}
    context.report(FitEvent(epoch.key, title, result.epoch, last, result.metrics, replayed, **piece))


def cost(trainer: Trainer, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What an epoch cost, as fields of `FitEvent`."""
    return {"seconds": metrics["seconds"], "images": round(metrics["images"]), "device": device_name(trainer)}


def device_name(trainer: Trainer) -> str:
    """The kind of device, and how many when there are several: a report flags cells of different ones."""
    gpu = trainer.device.type == "cuda"
    kind = torch.cuda.get_device_name(trainer.device) if gpu else platform.machine()
    return kind if trainer.ranks.size == 1 else f"{kind} x{trainer.ranks.size}"


def _step_params(experiment: Experiment) -> dict[str, Any]:
    """Everything besides targets and start that every step of a training depends on."""
    protocol = experiment.selection.protocol
    watch = "validation" if experiment.selection.holds_out else "test" if protocol == "best_on_test" else "none"
    return {**key_fields("step", experiment), "watch": watch}
