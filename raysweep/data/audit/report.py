"""The whole examination of a data set, and its results as sentences and as rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.progress import Bar, no_bar

from .duplicate_groups import across_splits, exact_groups, members, twin_groups, which_to_drop, with_several_labels
from .near_duplicates import TABLES, THRESHOLD, Links, near_links
from .thumbnails import survey
from .va_outliers import CONFIDENT, Inconsistencies, va_inconsistencies

SPLIT_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}

HEADER = ("kind", "group", "row", "split", "label", "other", "score", "mirrored", "drop")
"""Columns of `QualityReport.rows`.

`kind` is "exact twins", "near twins" or "VA against class"; `group` counts from 0 within its kind; `row` of the data
set; `other` the most probable class given VA; `score` the best likeness of a near twin to another of its group (1:
pixel-identical), or the log odds of the other class against the label; `drop` "yes" for rows of `which_to_drop`.
"""

Rows = NDArray[np.int64]
Row = tuple[str, int, int, str, str, str, str, str, str]


@dataclass(frozen=True)
class QualityReport:
    """`exact` and `twin` (N,): the lowest row of each row's group, of pixel-identical rows and of all twins.

    `labels`, `splits` (N,) as in the data set; `inconsistent` is None where the data set has no VA; `near`: whether
    near twins were searched for.
    """

    name: str
    classes: tuple[str, ...]
    labels: Rows
    splits: Rows
    exact: Rows
    twin: Rows
    links: Links
    inconsistent: Inconsistencies | None
    near: bool = True

    @cached_property
    def exact_groups(self) -> list[Rows]:
        return members(self.exact)

    @cached_property
    def twin_groups(self) -> list[Rows]:
        """Groups of pixel-identical and near twins together."""
        return members(self.twin)

    @cached_property
    def dropped(self) -> Rows:
        """`which_to_drop` of all twins."""
        return which_to_drop(self.twin_groups, self.splits)

    def lines(self) -> list[str]:
        """The results as lines of text."""
        lines = [f"{self.name}: {_counted(len(self.labels), 'image')}"]
        lines += self._twin_lines("pixel-identical twins", self.exact_groups)
        if self.near:
            lines += self._twin_lines("twins in all, near ones included", self.twin_groups)
        if len(self.links.flat):
            lines.append(f"  not compared, of one grey level: {_counted(len(self.links.flat), 'image')}")
        drop = Counter(SPLIT_NAMES[split] for split in self.splits[self.dropped].tolist())
        text = ", ".join(f"{drop[name]:,} of {name}" for name in SPLIT_NAMES.values() if drop[name]) or "none"
        lines.append(f"to leave out so that no picture is in two splits: {text}")
        return lines + self._inconsistency_lines()

    def rows(self) -> Iterator[Row]:
        """One row an image and finding, columns as in `HEADER`; groups first, then contradictions by rank."""
        drop, best, mirrored = set(self.dropped.tolist()), self._best_likeness(), set(self._mirrored().tolist())
        for number, group in enumerate(self.exact_groups):
            for row in group.tolist():
                yield "exact twins", number, row, *self._split_and_label(row), "", "1.000", "", _yes(row in drop)
        near = [group for group in self.twin_groups if len(np.unique(self.exact[group])) > 1]
        for number, group in enumerate(near):
            for row in group.tolist():
                flag = _yes(int(self.exact[row]) in mirrored)
                yield (
                    "near twins",
                    number,
                    row,
                    *self._split_and_label(row),
                    "",
                    f"{best[row]:.3f}",
                    flag,
                    _yes(row in drop),
                )
        found = self.inconsistent
        if found is not None:
            for rank, (row, other, score) in enumerate(
                zip(found.rows.tolist(), found.likeliest.tolist(), found.score.tolist(), strict=True)
            ):
                yield (
                    "VA against class",
                    rank,
                    row,
                    *self._split_and_label(row),
                    self.classes[other],
                    f"{score:.2f}",
                    "",
                    "",
                )

    def _split_and_label(self, row: int) -> tuple[str, str]:
        label = int(self.labels[row])
        return SPLIT_NAMES[int(self.splits[row])], self.classes[label] if label >= 0 else ""

    def _best_likeness(self) -> NDArray[np.float32]:
        """The best likeness of each row to another of its group; links are of the lowest pixel-identical row. (N,)"""
        best = np.zeros(len(self.labels), np.float32)
        for end in (self.links.left, self.links.right):
            np.maximum.at(best, end, self.links.likeness)
        best = best[self.exact]
        copies = np.bincount(self.exact, minlength=len(best))[self.exact]
        best[copies > 1] = 1
        return best

    def _mirrored(self) -> Rows:
        return np.concatenate([self.links.left[self.links.mirrored], self.links.right[self.links.mirrored]])

    def _twin_lines(self, title: str, groups: Sequence[Rows]) -> list[str]:
        across, several = across_splits(groups, self.splits), with_several_labels(groups, self.labels)
        lines = [f"{title}: {_counted(sum(map(len, groups)), 'image')} in {_counted(len(groups), 'group')}"]
        if groups:
            in_test = sum(int((self.splits[rows] == TEST).sum()) for rows in across)
            with_train = sum(int((self.splits[r] == TEST).sum()) for r in across if (self.splits[r] == TRAIN).any())
            spanning, tests = _counted(len(across), "group"), _counted(in_test, "test image")
            lines.append(
                f"  {spanning} in more than one split; {tests} among them, {with_train:,} with a twin in training"
            )
            lines.append(f"  {_counted(len(several), 'group')} with more than one label{self._confused(several)}")
        return lines

    def _confused(self, groups: Sequence[Rows]) -> str:
        """The pairs of classes that twins most often have as labels."""
        pairs: Counter[tuple[str, str]] = Counter()
        for rows in groups:
            present = np.unique(self.labels[rows][self.labels[rows] >= 0]).tolist()
            pairs.update((self.classes[a], self.classes[b]) for a, b in pairwise(present))
        top = ", ".join(f"{a} and {b} {count:,}" for (a, b), count in pairs.most_common(3))
        return f", most often {top}" if top else ""

    def _inconsistency_lines(self) -> list[str]:
        found = self.inconsistent
        if found is None:
            return ["valence and arousal: none, so classes are not compared with them"]
        share = len(found.rows) / found.annotated
        lines = [
            f"class against valence and arousal: {len(found.rows):,} of {found.annotated:,} contradict ({share:.1%})"
        ]
        pairs = Counter(zip(found.given.tolist(), found.likeliest.tolist(), strict=True))
        lines += [
            f"  {count:,} labelled {self.classes[given]} lie where {self.classes[other]} lies"
            for (given, other), count in pairs.most_common(5)
        ]
        lines.append(f"  {len(found.stray):,} lie far from every class")
        return lines


def examine(
    data: FaceData,
    near: bool = True,
    mirrored: bool = True,
    threshold: float = THRESHOLD,
    confident: float = CONFIDENT,
    bar: Bar = no_bar,
) -> QualityReport:
    """Search for twins and for contradictions between class and VA. Reads every image once, candidates again.

    `near=False` finds pixel-identical twins only; `mirrored`, `threshold`: see `near_links`; `confident`: see
    `va_inconsistencies`; `bar` shows progress.
    """
    with bar(f"looking at {data.name}", "images") as on_progress:
        surveyed = survey(data.images, on_progress)
    exact = exact_groups(surveyed.digests)
    with bar("comparing pictures", "rounds") as on_progress:
        tables = TABLES if near else 0
        links = near_links(data.images, surveyed, threshold, mirrored, tables, on_progress=on_progress)
    knows_both = bool((data.va.isfinite().all(1) & (data.labels >= 0)).any())
    return QualityReport(
        name=data.name,
        classes=data.classes,
        labels=data.labels.numpy(),
        splits=data.splits.numpy(),
        exact=exact,
        twin=twin_groups(exact, links.left, links.right),
        links=links,
        inconsistent=va_inconsistencies(data.va, data.labels, data.num_classes, confident) if knows_both else None,
        near=near,
    )


def _counted(count: int, what: str) -> str:
    """ "1 group", "1,260 groups"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _yes(condition: bool) -> str:
    return "yes" if condition else ""
