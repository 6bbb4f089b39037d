"""Whatever the user of a launch changes is in the caption and in the label of its tables."""

import re
from dataclasses import replace

import pytest

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.experiment import Experiment, flat_words
from raysweep.config.presets import PRESETS
from raysweep.config.values import split_values
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.results.aggregate import summarise
from raysweep.report.results.records import CellRecord, Results
from raysweep.report.tables.arms import results_table
from raysweep.report.tables.datasets import together_table
from raysweep.report.tables.declared import declared_tables
from raysweep.report.text.caption import caption
from raysweep.study import Axis, Study
from raysweep.study.cells import make_cells, with_axis
from raysweep.study.discovery import find_study
from raysweep.study.overrides import overrides
from raysweep.study.search import Budget
from tests.pipeline.test_key_fields import WHERE, WHERE_IMAGES_DIFFER, at, every_field

CLASSES = ["neutral", "happiness"]


def launched(study, preset="smoke", changes=(), replicates=None, name="any", recorded=True):
    """A launch as its report reads it: the plan, and one complete run a cell."""
    replicates = range(PRESETS[preset].seeds) if replicates is None else replicates
    cells = make_cells(study, preset, replicates, dict(changes))
    first = cells[0].experiment
    plan = {
        "study": {"name": name, "title": study.title, "source": study.source, "metric": study.metric,
                  "published": None, "columns": list(study.columns), "notes": [], "reference": dict(study.reference),
                  "axes": [{"name": a.name, "levels": list(a.levels)} for a in study.axes]},
        "preset": preset,
        "protocol": first.selection.protocol,
        "weights": first.selection.weights,
        "replicates": list(replicates),
        "data": {"name": "D", "fingerprint": "f", "classes": CLASSES, "counts": [100, 0, 40], "notes": []},
        "recipe": flat_words(first.model_dump(exclude={"seeds"})),
        "cells": [{"coordinates": dict(c.arm.coordinates), "arm": c.arm.name, "replicate": c.replicate,
                   "key": c.arm.name} for c in cells],
        "command": "",
        **({"overrides": overrides(study, preset, first, cells[0].changed, list(replicates))} if recorded else {}),
    }  # fmt: skip
    record = StudyRecord.read(plan, "launch")
    runs = tuple(
        CellRecord(p.coordinates, p.arm, p.replicate, p.key, state="complete", scores={study.metric: 0.5},
                   config=flat_words(c.experiment.model_dump()))
        for p, c in zip(record.cells, cells, strict=True)
    )  # fmt: skip
    return summarise(Results(record, runs))


def label(table):
    return re.search(r"\\label\{(.*)\}", table_latex(table)).group(1)


def words(summary):
    """Caption and label of the results."""
    table = results_table(summary)
    return " ".join(table.caption), label(table)


def over(path):
    """A study whose axis does not touch the field."""
    axis = ("train.learning_rate", [1e-3, 2e-3]) if path != "train.learning_rate" else ("train.batch_size", [16, 32])
    return Study("Any", [Axis.of(*axis)])


@pytest.mark.parametrize("recorded", [True, False], ids=["now", "older launch"])
@pytest.mark.parametrize("path", [p for p in every_field(Experiment) if not p.startswith("seeds.")])
def test_every_field_changes_caption_and_label(path, recorded):
    setup, value = {**WHERE, **WHERE_IMAGES_DIFFER}[path]
    base = {f"{section}.{name}": v for section, fields in at(setup).model_dump().items() for name, v in fields.items()}
    swept = over(path).arms()[0].changes
    study = replace(over(path), base={k: v for k, v in base.items() if k not in swept and not k.startswith("seeds.")})
    plain, changed = launched(study, recorded=recorded), launched(study, changes={path: value}, recorded=recorded)
    (before, label_before), (after, label_after) = words(plain), words(changed)
    assert before != after
    assert path in (after if recorded else before + after)  # of an older launch, what differs from its preset is said
    assert label_before != label_after
    assert re.fullmatch(r"tab:[A-Za-z0-9_.:-]+", label_after)
    assert words(launched(study, changes={path: value}, recorded=recorded)) == (after, label_after)


def test_replicates_change_caption_and_label():
    study = over("train.epochs")
    found = {words(launched(study, replicates=r)) for r in (range(1), range(2), range(3, 5), [7])}
    assert len({caption for caption, _ in found}) == len({label for _, label in found}) == 4
    assert "overrides replicates 3 and 4." in words(launched(study, replicates=range(3, 5)))[0]


def test_presets_change_caption_and_label():
    captions, labels = zip(*(words(launched(over("x"), preset)) for preset in PRESETS), strict=True)
    assert len(set(captions)) == len(set(labels)) == len(PRESETS)
    assert labels[list(PRESETS).index("demo")] == "tab:any"


def narrowed(study, name, text):
    return with_axis(study, name, split_values(f"--axis {name}", text))


def test_levels_left_out_replaced_and_added():
    _, study = find_study("ablation_alpha")
    cases = {
        "": study,
        "the levels of alpha: without 0.3, 0.5 and 0.7": narrowed(study, "alpha", "0,1"),
        "the levels of alpha: without 0, 0.3 and 0.7 and with 0.4": narrowed(study, "labels.alpha", "0.4,0.5,1"),
        "the axes by epochs: 4 and 5": narrowed(study, "train.epochs", "4,5"),
        "the levels of alpha: in the order 1, 0.7, 0.5, 0.3 and 0": narrowed(study, "alpha", "1,0.7,0.5,0.3,0"),
    }
    labels = set()
    for said, own in cases.items():
        text, tag = words(launched(own))
        labels.add(tag)
        assert said in text
        assert ("overrides" in text) == bool(said)
    assert len(labels) == len(cases)
    twice = narrowed(narrowed(study, "alpha", "0,1"), "alpha", "0,0.3,0.5,0.7,1")
    assert words(launched(twice)) == words(launched(study))


@pytest.mark.parametrize("name", ["dcjt_mapping", "dcjt_methods"])
def test_what_a_level_was_given_is_said(tmp_path, monkeypatch, name):
    """Two files under one level's name are two launches."""
    _, study = find_study(name)
    axis, level = next((axis, level) for axis in study.axes for level in axis.offered if "Celeb" in level)
    found = set()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.pth").write_bytes(folder.encode())
        first = study.reference.get(axis.name, next(iter(axis.levels)))
        text, tag = words(launched(narrowed(study, axis.name, f"{first},{level}={tmp_path / folder / 'w.pth'}")))
        assert f"{level} (`model.weights={folder}/w.pth`)" in text
        assert str(tmp_path) not in text
        found |= {text, tag}
        monkeypatch.chdir(tmp_path / folder)
        assert words(launched(narrowed(study, axis.name, f"{first},{level}=w.pth"))) == (text, tag)
    assert len(found) == 4


def test_what_is_asked_for_and_was_so_is_no_override():
    _, study = find_study("ablation_alpha")
    own = {"objective.class_weights": "hard", "labels.method": "euclidean", "train.epochs": 2}
    assert words(launched(study, changes=own)) == words(launched(study))


def test_an_override_of_what_the_studys_file_sets():
    _, study = find_study("ablation_alpha")
    text, _ = words(launched(study, changes={"labels.method": "gaussian"}))
    assert "`labels.method=gaussian` (else euclidean)" in text


def test_class_weights_that_are_off_are_not_said_to_come_from_anywhere():
    """The recipe of the issue: alpha = 1 alone would use no statistics at all."""
    _, study = find_study("ablation_alpha")
    off = {"objective.class_weights": "none"}
    (plain, tag), (without, other) = words(launched(study)), words(launched(study, changes=off))
    assert "overrides `objective.class_weights=none` (else" in without
    assert plain != without
    assert tag != other
    assert "class weights come" not in words(launched(study, changes=off))[0]
    assert "class means come from the clean labels" in words(launched(study, changes=off))[0]
    one_hot = {**off, "labels.method": "one_hot"}
    assert " come from the " not in words(launched(over("x"), changes=one_hot))[0]
    gaussian = {**off, "labels.method": "gaussian"}
    assert ": Gaussians come from the clean labels" in words(launched(study, changes=gaussian))[0]
    assert "class means and class weights come from the clean" in words(launched(study))[0]


def test_a_caption_is_about_the_arms_not_about_the_first():
    axis = Axis("kind", {"a": {"labels.statistics": "clean", "labels.noise_rate": 0.1},
                         "b": {"labels.statistics": "noisy", "labels.noise_rate": 0.1, "train.epochs": 3,
                               "model.backbone": "arm", "selection.validation_share": 0.3}})  # fmt: skip
    text = " ".join(caption(launched(Study("Any", [axis]))))
    assert "encoder small or arm, 32 pixels, 2 or 3 epochs" in text
    assert "(15 % or 30 % of them held out for validation)" in text
    assert "class means and class weights of the arms at labels.statistics=noisy come from the noisy labels" in text
    assert "class means and class weights of the arms at labels.statistics=clean come from the clean labels" in text


def test_data_that_lie_elsewhere_are_named_by_the_end_of_their_path(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "faces.csv").write_text("path,expression\n")
    study = over("x")
    one, two = (
        words(launched(study, changes={"data.source": str(tmp_path / n / "faces.csv")})) for n in ("one", "two")
    )
    assert one[1] != two[1]
    assert "`data.source=one/faces.csv` (else faces)" in one[0]
    assert str(tmp_path) not in one[0]


def test_every_table_has_the_label():
    study = Study("Any", [Axis.of("train.learning_rate", [1e-3, 2e-3]), Axis.of("train.epochs", [2, 3])])
    plain, changed = launched(study), launched(study, changes={"objective.cosine": False})
    other = replace(changed, study=replace(changed.study, data=replace(changed.study.data, name="E")))
    for table in (results_table, lambda s: together_table([s, other])):
        assert label(table(plain)) != label(table(changed))
        assert "objective.cosine" in " ".join(table(changed).caption)
    assert label(declared_tables([plain])[0]) != label(declared_tables([changed])[0])


def test_a_searchs_budget():
    _, study = find_study("search_ddaf")
    first = Experiment()
    assert overrides(study, "smoke", first, {}, [1, 2], Budget(4)) == {}
    assert overrides(study, "smoke", first, {}, [1, 2], Budget(5, 0.5)) == {
        "budget": ["4 trials an arm", "5 trials or 0.5 device-hours an arm"]
    }
    one = overrides(study, "smoke", first, {}, [1, 2], Budget(1, 1.0))
    assert one == {"budget": ["4 trials an arm", "1 trial or 1 device-hour an arm"]}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["dcjt_methods", "dcjt_mapping", "ablation_alpha"])
def test_a_study_as_it_is_changes_nothing_however_that_is_found_out(name, preset):
    """The metric of a study chooses its epoch: that is nothing which the user changed."""
    study = find_study(name)[1]
    cell = make_cells(study, preset, range(PRESETS[preset].seeds), {})[0]
    for changed in (cell.changed, None):
        assert overrides(study, preset, cell.experiment, changed, range(PRESETS[preset].seeds)) == {}


def test_another_score_that_chooses_the_epoch_is_a_change_however_that_is_found_out():
    study = find_study("dcjt_methods")[1]
    cell = make_cells(study, "smoke", [0], {"selection.metric": "rmse_arousal"})[0]
    for changed in (cell.changed, None):
        found = overrides(study, "smoke", cell.experiment, changed, [0])
        assert found == {"fields": {"selection.metric": [study.metric, "rmse_arousal"]}}
