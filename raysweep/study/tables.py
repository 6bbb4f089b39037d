"""Checks of the tables that a study declares, when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from raysweep.artifacts.declared_table import DATA, ENCODER, Table
from raysweep.core.errors import UserError, unknown_name
from raysweep.metrics.registry import METRICS

if TYPE_CHECKING:
    from .study import Study


def check_tables(study: Study) -> None:
    """Raises UserError, with the nearest name, for an axis, level or metric that the study does not have."""
    for table in study.tables:
        if not isinstance(table, Table):
            raise UserError(f"tables=[...] of a study holds Table(...), but got {table!r}")
        _check_axes(table, [axis.name for axis in study.axes])
        _check_levels(table, study)
        _check_metrics(table, list(dict.fromkeys([study.metric, *study.columns])))


def _check_axes(table: Table, axes: Sequence[str]) -> None:
    for place, names, valid in (
        ("rows", table.rows, axes),
        ("columns", table.columns, axes),
        ("blocks", table.blocks, [*axes, DATA, ENCODER]),
        ("ticks", table.ticked_axes, table.rows),
        ("levels", table.levels, axes),
    ):
        for name in names:
            if name not in valid:
                raise unknown_name(f"axis in {place} of the study's table:", name, valid)
    placed = [*table.blocks, *table.rows, *table.columns]
    if twice := next((name for name in placed if placed.count(name) > 1), None):
        raise UserError(f"the study's table has {twice!r} twice: an axis is one of rows, columns and blocks")


def _check_levels(table: Table, study: Study) -> None:
    for name, levels in table.levels.items():
        axis = study.axis(name)
        valid = {**axis.levels, **(axis.own or {}), **axis.offered}
        _check_names(f"level of axis {name!r} in the study's table:", levels, valid)


def _check_metrics(table: Table, columns: Sequence[str]) -> None:
    named = [*table.metrics, *(metric for metrics in table.groups.values() for metric in metrics)]
    _check_names("metric in the study's table:", named, METRICS)
    for metric in named:
        if metric not in columns:
            raise UserError(
                f"the study's table asks for the metric {metric!r}, but the study's columns are "
                f"{', '.join(columns)}: add it to columns=(...)"
            )


def _check_names(what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    for name in names:
        if name not in valid:
            raise unknown_name(what, name, valid)
