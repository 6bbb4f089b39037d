"""Every field of an `Experiment` is in a key where it acts; where it is left out, nothing that is computed differs."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from pydantic import BaseModel, Field, create_model

from raysweep.config.acting_fields import acting_fields, plain
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data, Joint, Labels, Model, Section, Seeds, Selection, Train
from raysweep.models import build_model
from raysweep.pipeline import Sets, build, load_sets, run_cell
from raysweep.pipeline.stage_kinds import NUMERICS, STAGE_KINDS
from raysweep.store.store import Store
from tests.pipeline.small_joint import fits, key_of, make_a, make_b, same, small_joint

REACH = {kind.name: kind.reach for kind in STAGE_KINDS.values() if kind.reach}

RECORD = Path(__file__).with_name("recorded_defaults.json")

A = Sets(make_a(with_va=True))
AB = Sets(make_a(), (make_b(),))
AB_TUNED = Sets(make_a(), (make_b(),), make_a(seed=3))

TARGET = {"joint.method": "target", "joint.extra": ()}
NOISY = {**TARGET, "labels.noise_rate": 0.2}
FUSED = {**TARGET, "labels.method": "gaussian", "labels.alpha": 0.5, "labels.within_std": None}
EUCLIDEAN = {**FUSED, "labels.method": "euclidean"}
WEIGHTED = {**TARGET, "objective.class_weights": "soft"}
SCN = {**TARGET, "model.head": "scn", "scn.relabel_from": 2.0}
SWA = {**TARGET, "train.swa_start": 0.5}
RAW = {"joint.mapping": "none", "joint.relabel": False}

WHERE = {
    "labels.method": (EUCLIDEAN, "gaussian"),
    "labels.alpha": (FUSED, 0.6),
    "labels.squared": (EUCLIDEAN, False),
    "labels.within_std": (FUSED, 2.0),
    "labels.statistics": (NOISY, "noisy"),
    "labels.noise_rate": (TARGET, 0.1),
    "labels.noise_kind": (NOISY, "with_replacement"),
    "labels.va_noise": (TARGET, 0.1),
    "model.backbone": (TARGET, "resnet18"),
    "model.weights": ({**TARGET, "model.backbone": "resnet18"}, "imagenet"),
    "model.affect": (TARGET, "tanh"),
    "model.head": (TARGET, "scn"),
    "model.arm_alpha": ({**TARGET, "model.backbone": "arm"}, "fixed"),
    "objective.class_weights": (TARGET, "soft"),
    "objective.weight_cap": ({**TARGET, "objective.class_weights": "capped"}, 2.0),
    "objective.cosine": (TARGET, True),
    "objective.weighted_va": (WEIGHTED, False),
    "objective.weight_va": (TARGET, 2.0),
    "objective.va_reduction": (TARGET, "sum"),
    "augment.flip": (TARGET, 0.1),
    "augment.rotate": (TARGET, 5.0),
    "augment.translate": (TARGET, 0.2),
    "augment.scale_min": (TARGET, 0.9),
    "augment.scale_max": (TARGET, 1.1),
    "augment.brightness": (TARGET, 0.2),
    "augment.contrast": (TARGET, 0.2),
    "augment.erase": (TARGET, 0.2),
    "augment.erase_min": ({**TARGET, "augment.erase": 0.5}, 0.1),
    "augment.erase_max": ({**TARGET, "augment.erase": 0.5}, 0.2),
    "train.epochs": (TARGET, 5),
    "train.batch_size": (TARGET, 20),
    "train.learning_rate": (TARGET, 3.001e-3),
    "train.weight_decay": (TARGET, 1e-4),
    "train.decay_every": (TARGET, 3.0),
    "train.decay_factor": (TARGET, 0.4),
    "train.swa_start": (SWA, 0.2),
    "train.precision": (TARGET, "bfloat16"),
    "train.deterministic": (TARGET, True),
    "joint.method": ({}, "combine"),
    "joint.pseudo_va": ({}, "all"),
    "joint.labeller_weight_va": ({}, 10.0),
    "joint.extra_part": ({}, "subset"),
    "joint.mapping": ({}, "global"),
    "joint.map_all": ({}, True),
    "joint.relabel": ({}, False),
    "joint.schedule": ({}, "concatenate"),
    "joint.warm_up": ({}, 1.0),
    "joint.frequency": ({}, 1.0),
    "joint.unit": ({}, "batch"),
    "joint.draw": ({}, "balanced"),
    "joint.extra_weight": ({}, 0.5),
    "joint.finetune_rate": ({"joint.finetune": "C"}, 0.5),
    "scn.high_share": (SCN, 0.5),
    "scn.margin": (SCN, 0.3),
    "scn.rank_weight": (SCN, 0.5),
    "scn.relabel_from": (SCN, 3.0),
    "scn.relabel_margin": (SCN, 0.1),
    "scn.relabel_among": (SCN, "all"),
    "selection.protocol": (TARGET, "select_then_retrain"),
    "selection.metric": (TARGET, "accuracy"),
    "selection.weights": (TARGET, "last"),
    "selection.validation_share": (TARGET, 0.3),
    "selection.validation_per_class": (TARGET, 2),
    "seeds.split": (TARGET, 1),
    "seeds.noise": (NOISY, 1),
    "seeds.init": (TARGET, 1),
    "seeds.order": (TARGET, 1),
}
"""Field to a configuration in which it acts, and another value for it."""

FACES = {"data.source": "faces", "data.image_size": 32, "data.train_images": 64, "data.test_images": 16}
JOINED = {**FACES, "data.source": "faces-a", "joint.extra": "faces-b-strong", "joint.extra_images": 64}

WHERE_IMAGES_DIFFER = {
    "data.source": ({**FACES, **TARGET}, "faces-c"),
    "data.image_size": ({**FACES, **TARGET}, 40),
    "data.train_images": ({**FACES, **TARGET}, 48),
    "data.test_images": ({**FACES, **TARGET}, 24),
    "data.options": ({**FACES, **TARGET, "data.source": "TWINS"}, "expression=other"),
    "data.classes": ({**FACES, **TARGET}, 7),
    "data.drop": ({**FACES, **TARGET}, "contempt"),
    "data.map": ({**FACES, **TARGET}, "fear:surprise"),
    "data.leave_out": ({**FACES, **TARGET, "data.source": "TWINS"}, "twins"),
    "joint.extra": (JOINED, "faces-b-none"),
    "joint.extra_sets": ({**JOINED, "joint.extra": "faces-b-strong+faces-d"}, 1),
    "joint.extra_splits": (JOINED, "all"),
    "joint.classes": (JOINED, 7),
    "joint.drop": (JOINED, "contempt"),
    "joint.map": (JOINED, "fear:surprise"),
    "joint.extra_images": (JOINED, 48),
    "joint.extra_share": (JOINED, 0.5),
    "joint.extra_draw": ({**JOINED, "joint.extra_share": 0.5}, "once"),
    "joint.finetune": (JOINED, "target"),
}
"""The same of fields that say which images are read."""


def every_field(model, prefix=""):
    """Dotted paths of the fields of a model and of the models within."""
    paths = []
    for name, info in model.model_fields.items():
        inner = info.annotation
        section = isinstance(inner, type) and issubclass(inner, BaseModel)
        paths += every_field(inner, f"{prefix}{name}.") if section else [prefix + name]
    return paths


def at(changes):
    return small_joint(**{path.replace(".", "__"): value for path, value in changes.items()})


def sets_of(experiment):
    return AB_TUNED if experiment.joint.finetune else A if experiment.joint.method == "target" else AB


def key(changes):
    experiment = at(changes)
    return key_of(experiment, sets_of(experiment))


def test_every_field_says_where_it_acts():
    """A new field needs a line above: a configuration in which another value gives other numbers."""
    assert set(every_field(Experiment)) == {*WHERE, *WHERE_IMAGES_DIFFER}


@pytest.mark.parametrize("path", WHERE)
def test_a_field_changes_a_key_where_it_acts(path):
    setup, value = WHERE[path]
    assert key(setup) != key({**setup, path: value})


@pytest.mark.parametrize("path", WHERE_IMAGES_DIFFER)
def test_other_images_change_a_key(path, tmp_path, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "faces"
    setup, value = WHERE_IMAGES_DIFFER[path]
    if setup["data.source"] == "TWINS":
        setup = {**setup, "data.source": str(some_twins(tmp_path))}
    keys = [key_of(cell, load_sets(cell, cache)) for cell in (at(setup), at({**setup, path: value}))]
    assert keys[0] != keys[1]


def some_twins(folder):
    """A CSV whose first image is in training and in test."""
    lines = ["path,expression,split,other"]
    for i in range(60):
        name, split = f"{i}.png", "test" if i % 4 == 3 else "train"
        pixels = torch.randint(0, 256, (40, 40, 3), generator=torch.Generator().manual_seed(0 if i == 3 else i))
        Image.fromarray(pixels.byte().numpy()).save(folder / name)
        lines.append(
            f"{name},{('happiness', 'sadness', 'anger')[0 if i == 3 else i % 3]},{split},{('fear', 'anger')[i % 2]}"
        )
    (folder / "faces.csv").write_text("\n".join(lines))
    return folder / "faces.csv"


def test_what_is_left_out_of_keys_exists():
    fields = every_field(Experiment)
    known = {*fields, *(path.partition(".")[0] for path in fields)}
    for reach in REACH.values():
        assert set(reach.without) <= known
        assert all(reach.without.values())
    assert STAGE_KINDS.keys() - REACH.keys() == {"fit"}


def test_a_section_is_left_out_as_a_whole_only_where_another_kind_has_it():
    for kind, reach in REACH.items():
        for section in set(reach.without) & set(Experiment.model_fields):
            assert any(other.reads(section) for name, other in REACH.items() if name != kind)


def names(section, *of):
    return {f"{section}.{name}" for name in of}


LEFT_OUT = [
    # a field of a part that is off
    (TARGET, {"joint.mapping": "none", "joint.relabel": False, "joint.warm_up": 1.0, "joint.unit": "batch",
              "joint.pseudo_va": "own", "joint.extra_part": "subset", "joint.schedule": "concatenate",
              "joint.draw": "balanced", "joint.labeller_weight_va": 2.0, "joint.frequency": 1.0, "joint.map_all": True,
              "joint.extra_images": 20, "joint.extra_share": 0.5, "joint.finetune_rate": 0.3, "joint.extra": ("B",),
              "joint.extra_draw": "once",
              "joint.extra_sets": 1, "joint.extra_splits": "all", "joint.extra_weight": 2.0, "joint.classes": 7,
              "joint.drop": "contempt", "joint.map": "fear:surprise"}),
    (TARGET, {"scn.high_share": 0.4, "scn.margin": 0.4, "scn.rank_weight": 9.0, "scn.relabel_from": 1.0,
              "scn.relabel_margin": 0.0, "scn.relabel_among": "all", "model.arm_alpha": "fixed",
              "seeds.noise": 5, "labels.noise_kind": "with_replacement",
              "labels.statistics": "noisy", "labels.within_std": 0.5, "labels.squared": False, "labels.method": "votes",
              "objective.weight_cap": 1.0, "objective.weighted_va": False}),
    ({**SCN, "scn.relabel_from": None}, {"scn.relabel_margin": 0.4, "scn.relabel_among": "all"}),
    ({**TARGET, "objective.weight_va": 0.0}, {"objective.va_reduction": "sum", "objective.weighted_va": False}),
    ({**TARGET, "labels.method": "one_hot"}, {"labels.alpha": 0.1, "labels.squared": False, "labels.within_std": 0.3}),
    (FUSED, {"labels.squared": False}),
    # nothing is held out
    ({**TARGET, "selection.protocol": "last", "selection.weights": "last"},
     {"selection.metric": "accuracy", "selection.validation_share": 0.5, "selection.validation_per_class": 1,
      "seeds.split": 8}),
    # schedules that come to the same
    (TARGET, {"train.decay_every": 0.67}),
    ({**SWA, "selection.weights": "swa"}, {"train.swa_start": 0.55}),
    ({**TARGET, "train.decay_every": 6.0}, {"train.decay_factor": 0.1}),
    ({}, {"joint.warm_up": 0.5, "joint.frequency": 0.34}),
    # what is done to B, when B is not trained on like that
    ({"joint.extra_part": "none"}, {"joint.mapping": "none", "joint.map_all": True, "joint.relabel": False,
                                    "joint.unit": "batch", "joint.draw": "balanced", "joint.schedule": "concatenate"}),
    ({**RAW, "joint.pseudo_va": "none"}, {"joint.map_all": True, "joint.labeller_weight_va": 1.0}),
    # where the data lie, and what was asked for them
    (TARGET, {"data.source": "elsewhere", "data.image_size": 64, "data.train_images": 16, "data.test_images": 16,
              "data.options": "names=keep", "data.leave_out": "twins", "data.classes": 7, "data.drop": "contempt",
              "data.map": "fear:surprise"}),
]  # fmt: skip
"""A configuration, and fields that leave the key alone there."""

ALWAYS = {
    # of the configurations that can be trained here, none leaves these without effect
    *names("train", "epochs", "batch_size", "learning_rate", "weight_decay", "precision", "deterministic"),
    *names("augment", "flip", "rotate", "translate", "scale_min", "scale_max", "brightness", "contrast"),
    *names("augment", "erase", "erase_min", "erase_max"),
    *names("model", "backbone", "affect", "head"),
    *names("objective", "class_weights", "cosine", "weight_va"),
    *names("labels", "noise_rate", "va_noise"),
    *names("seeds", "init", "order"),
    *names("selection", "protocol", "weights"),
    *names("joint", "method", "finetune"),
}
"""Fields that are in the key, in one form or another, of every cell."""


@pytest.mark.parametrize(("setup", "other"), LEFT_OUT)
def test_what_is_left_out_changes_nothing(setup, other, tmp_path):
    """The key is the same, and whoever trains apart gets the same weights, scores and predictions."""
    assert key(setup) == key({**setup, **other})
    cells = [at(setup), at({**setup, **other})]
    assert cells[0] != cells[1]
    ours, theirs = (run_cell(cell, sets_of(cell), Store(tmp_path / str(i))) for i, cell in enumerate(cells))
    assert ours.facts["weights_hash"] == theirs.facts["weights_hash"]
    assert same(ours.scores, theirs.scores)
    assert (ours.predictions.probs == theirs.predictions.probs).all()


def test_every_field_is_always_in_the_key_or_shown_to_leave_it_alone():
    shown = {path for _, other in LEFT_OUT for path in other} | {"model.weights"}  # a file elsewhere: the test below
    assert not shown & ALWAYS
    assert shown | ALWAYS == set(every_field(Experiment))


def test_the_same_weights_in_another_file(tmp_path):
    state = build_model(at(TARGET).model, 3, seed=7).encoder.state_dict()
    files = [tmp_path / "one.pt", tmp_path / "two.pt"]
    for file in files:
        torch.save(state, tmp_path / "weights")
        file.write_bytes((tmp_path / "weights").read_bytes())
    assert len({key({**TARGET, "model.weights": str(file)}) for file in files}) == 1
    state = {name: value + 1 for name, value in state.items()}
    torch.save(state, files[1])
    assert len({key({**TARGET, "model.weights": str(file)}) for file in files}) == 2


class NewInTrain(Train):
    beta1: float = Field(0.9, description="Adam's")


class NewInData(Data):
    crop: tuple[int, ...] = Field((), description="of every image")


class NewInLabels(Labels):
    smoothing: float = Field(0, description="of the one-hot label")


class NewInModel(Model):
    dropout: float | None = Field(None, description="before the heads")


class NewInJoint(Joint):
    weights: dict[str, float] = Field({}, description="by extra set")


class NewInSelection(Selection):
    flipped_too: bool = Field(False, description="average over mirror images")


class NewInSeeds(Seeds):
    dropout: int = Field(0, description="which units fall out")


class Inner(Section):
    depth: int = 3


class NewSection(Section):
    inner: Inner = Inner()


NEW = [
    ("train", NewInTrain, {"beta1": 0.5}),
    ("data", NewInData, {"crop": (1, 2)}),
    ("labels", NewInLabels, {"smoothing": 0.1}),
    ("model", NewInModel, {"dropout": 0.0}),
    ("joint", NewInJoint, {"weights": {"B": 2.0}}),
    ("selection", NewInSelection, {"flipped_too": True}),
    ("seeds", NewInSeeds, {"dropout": 1}),
    ("optimiser", NewSection, {"inner": {"depth": 4}}),
]


def with_new(section, kind, experiment, values=None):
    """The experiment with another class for one of its sections, and values of its new fields."""
    model = create_model("More", __base__=Experiment, **{section: (kind, kind())})
    tree = experiment.model_dump()
    return model.model_validate({**tree, section: {**tree.get(section, {}), **(values or {})}})


@pytest.mark.parametrize(("section", "kind", "values"), NEW, ids=[section for section, _, _ in NEW])
def test_a_new_field_moves_keys_when_it_is_set_and_only_then(section, kind, values):
    """Nobody has said anything about it: neither a list of fields nor a default."""
    for setup in ({}, {"joint.method": "combine"}, {**SCN, "joint.finetune": "C"}):
        old = at(setup)
        sets = sets_of(old)
        assert key_of(with_new(section, kind, old), sets) == key_of(old, sets)
        new = with_new(section, kind, old, values)
        assert key_of(new, sets) != key_of(old, sets)
        moved = {stage.key for stage in fits(build(new, sets))} & {stage.key for stage in fits(build(old, sets))}
        assert not moved
        assert key_of(new.with_changes({"train.batch_size": 20}), sets) != key_of(new, sets)  # it goes on as what it is


def test_one_spelling_for_equal_values():
    assert plain((5.0, -0.0, 1e-3, True, 1, "1")) == [5, 0, 0.001, True, 1, "1"]
    assert json.dumps(plain(-0.0)) == "0"
    assert json.dumps(plain(True)) == "true"
    assert acting_fields(at({"objective.weight_va": 3})) == acting_fields(at({"objective.weight_va": 3.0}))
    assert key({"joint.warm_up": -0.0}) == key({"joint.warm_up": 0})


def defaults():
    return {path: plain(value) for path, value in flat(Experiment().model_dump()).items()}


def flat(tree, prefix=""):
    found = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def readers(path):
    """Kinds of stages whose keys leave the field out at its default."""
    section = path.partition(".")[0]
    return [kind for kind, reach in REACH.items() if reach.reads(section) and path not in reach.without]


def unbumped(recorded, now, numerics):
    """Fields whose default moved although a kind of stage that leaves it out has the numerics it had."""
    moved = [path for path, value in recorded["defaults"].items() if path in now and now[path] != value]
    return [path for path in moved if any(numerics[kind] == recorded["numerics"][kind] for kind in readers(path))]


def test_a_default_does_not_move_without_a_bump():
    """Keys leave out what stands at its default: with another default they would find products of the old one."""
    recorded = json.loads(RECORD.read_text())
    assert not unbumped(recorded, defaults(), NUMERICS), "bump NUMERICS of the kinds of stages that read it"
    text = json.dumps({"numerics": NUMERICS, "defaults": defaults()}, indent=1) + "\n"
    assert RECORD.read_text() == text, f"once that is right, write this into {RECORD.name}:\n{text}"


def test_which_defaults_need_which_bump():
    recorded = json.loads(RECORD.read_text())
    other = {**recorded["defaults"], "train.batch_size": 1, "labels.alpha": 0.4, "train.learning_rate": 1.0}
    assert unbumped(recorded, other, NUMERICS) == ["labels.alpha", "train.batch_size"]
    bumped = {**NUMERICS, "targets": NUMERICS["targets"] + 1}
    assert unbumped(recorded, other, bumped) == ["train.batch_size"]
