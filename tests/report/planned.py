"""Summaries of studies that come with raysweep, with scores made up, without MLflow: what tables are made of."""

import random

from raysweep.artifacts.study_record import StudyRecord
from raysweep.report.results.aggregate import summarise
from raysweep.report.results.records import CellRecord, Results
from raysweep.study.describe import _study_fields
from raysweep.study.discovery import own_study


def planned(name, kind="faces", data=None, encoder="small", replicates=5, change=None, skip=(), encoders=None):
    """A summary of the study `name` (or of a `Study`), scored on a set of the reader `kind`.

    `skip`: names of arms that were not computed. `change`: study to study. `encoders`: arm name to its encoder.
    """
    study = own_study(name) if isinstance(name, str) else name
    study = change(study) if change else study
    name = name if isinstance(name, str) else "mine"
    record = StudyRecord.read(_plan(name, study, kind, data or kind, encoder, replicates, encoders or {}), "launch")
    cells = tuple(
        CellRecord(c.coordinates, c.arm, c.replicate, c.key, *_outcome(c, record, skip)) for c in record.cells
    )
    return summarise(Results(record, cells))


def _outcome(cell, record, skip):
    if cell.arm in skip:
        return None, "missing", {}
    draw = random.Random(f"{cell.arm} {cell.replicate}")
    return f"{hash_of(cell.key)}", "complete", {score: draw.uniform(0.5, 0.6) for score in record.columns}


def hash_of(text):
    return f"{random.Random(text).getrandbits(128):032x}"


def _plan(name, study, kind, data, encoder, replicates, encoders):
    arms = study.arms()
    classes = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
    classes = (*classes, "contempt") if kind == "affectnet" else classes
    return {
        "version": 1,
        "study": {
            **_study_fields(name, study),
            "axes": [{"name": axis.name, "levels": list(axis.levels)} for axis in study.axes],
            "tables": [table.describe() for table in study.tables],
            "notes": list(study.notes),
        },
        "preset": "demo", "replicates": list(range(replicates)), "protocol": "validation", "weights": "swa",
        "data": {"name": data, "fingerprint": "f" * 16, "classes": classes, "counts": (600, 100, 100), "notes": (),
                 "kind": kind},
        "recipe": {"model.backbone": encoder, "data.image_size": "48", "train.epochs": "5"},
        "cells": [
            {"coordinates": dict(arm.coordinates), "arm": arm.name, "replicate": r, "key": f"{arm.name} {r}"}
            for arm in arms
            for r in range(replicates)
        ],
        "command": f"python -m raysweep.run {name}", "overrides": {},
        "experiment": {"model.backbone": encoder},
        "arms": {arm.name: {"model.backbone": encoders.get(arm.name, encoder)} for arm in arms},
    }  # fmt: skip
