"""Groups of rows that show one picture: their rows, which span splits or have several labels, and rows to drop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raysweep.data.dataset import TEST, TRAIN, VALIDATION

Rows = NDArray[np.int64]

_PRIORITY = {TRAIN: 0, VALIDATION: 1, TEST: 2}
"""The image in the split of highest priority is kept: published test sets do not change, training images are many."""


def join(count: int, left: Rows, right: Rows) -> Rows:
    """The lowest row that each of `count` rows is linked with, through any number of links. Shape (count,)."""
    ones = np.ones(len(left), np.int8)
    component = connected_components(coo_array((ones, (left, right)), shape=(count, count)), directed=False)[1]
    return _lowest(component)


def exact_groups(digests: NDArray[np.uint64]) -> Rows:
    """The lowest row with the same digest, for each row. Shape (N,)."""
    return _lowest(np.unique(digests, return_inverse=True)[1])


def twin_groups(exact: Rows, left: Rows, right: Rows) -> Rows:
    """Pixel-identical rows and near twins together: the lowest row of the group, for each row. Shape (N,)."""
    rows = np.arange(len(exact))
    return join(len(exact), np.concatenate([rows, left]), np.concatenate([exact, right]))


def members(group: Rows) -> list[Rows]:
    """Rows of every group of two or more, ascending, groups by their lowest row.

    >>> [rows.tolist() for rows in members(np.array([0, 1, 0, 3, 1]))]
    [[0, 2], [1, 4]]
    """
    shared = np.flatnonzero(np.bincount(group)[group] > 1) if len(group) else group
    order = shared[np.argsort(group[shared], kind="stable")]
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []


def across_splits(groups: Sequence[Rows], splits: NDArray[np.int64]) -> list[Rows]:
    """The groups with rows in more than one split. `splits` (N,)."""
    return [rows for rows in groups if len(np.unique(splits[rows])) > 1]


def with_several_labels(groups: Sequence[Rows], labels: NDArray[np.int64]) -> list[Rows]:
    """The groups whose rows have different labels; rows with a negative label (none) do not count. `labels` (N,)."""
    return [rows for rows in groups if len(np.unique(labels[rows][labels[rows] >= 0])) > 1]


def which_to_drop(groups: Sequence[Rows], splits: NDArray[np.int64], within: bool = False) -> Rows:
    """The rows to leave out, so that no picture is in two splits. Shape (D,), ascending.

    Validation images with a twin in test are left out, and training images with a twin in either. `within`: also
    all but the lowest of a group's remaining rows.

    >>> which_to_drop([np.array([0, 3, 4])], np.array([0, 0, 0, 1, 1])).tolist()
    [0]
    >>> which_to_drop([np.array([0, 3, 4])], np.array([0, 0, 0, 1, 1]), within=True).tolist()
    [0, 4]
    """
    priority = np.array([_PRIORITY[TRAIN], _PRIORITY[VALIDATION], _PRIORITY[TEST]])[splits]
    dropped = [np.empty(0, np.int64)]
    for rows in groups:
        best = priority[rows] == priority[rows].max()
        dropped.append(rows[~best])
        if within:
            dropped.append(rows[best][1:])
    return np.sort(np.concatenate(dropped))


def _lowest(component: NDArray[np.integer]) -> Rows:
    """Each component named by its lowest member."""
    first: Rows = np.unique(component, return_index=True)[1]
    return first[component] if len(component) else np.empty(0, np.int64)
