"""Dropping, renaming and merging of a data set's classes; those of an extra set in the target's order.

All fields by class change with them: labels, raters' votes (merged, then renormalised) and true probabilities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import torch
from torch import Tensor

from raysweep.config.class_changes import names_of, pairs_of
from raysweep.core.errors import UserError, unknown_name

from .borrowed import BorrowedGaussians
from .dataset import TRAIN, DatasetInfo, FaceData
from .expressions import EXPRESSIONS, canonical_expression

ALIKE = 0.75
"""Similarity (`difflib`) from which a name counts as a misspelling of another."""


@dataclass(frozen=True)
class ClassChanges:
    """Changes of classes: first `mapped`, then `dropped`; with `number`, all but the 7 or 8 expressions are refused.

    `strict`: names that must be classes of the set; others may be missing (they were given for several sets).
    `section`: of the experiment, for errors.
    """

    number: int | None = None
    dropped: tuple[str, ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()
    strict: frozenset[str] = frozenset()
    section: str = "data"

    @classmethod
    def of(cls, section: str, number: int | None, drop: str | None, pairs: str | None, strict: bool) -> ClassChanges:
        """From an experiment's fields."""
        dropped = tuple(canonical_expression(name) for name in names_of(drop))
        mapped = {canonical_expression(old): canonical_expression(new) for old, new in pairs_of(pairs).items()}
        both = [name for name in dropped if name in mapped]
        if both:
            raise UserError(f"{section}.drop and {section}.map both name {both[0]}: take it out of one")
        required = frozenset({*dropped, *mapped}) if strict else frozenset()
        return cls(number, dropped, tuple(mapped.items()), required, section)

    @property
    def old_names(self) -> tuple[str, ...]:
        """Classes that are mapped to others."""
        return tuple(old for old, _ in self.mapped)

    def or_those_of(self, other: ClassChanges) -> ClassChanges:
        """These changes, completed by the other ones, whose names need not be classes of the set."""
        dropped = tuple(name for name in other.dropped if name not in self.old_names)
        mapped = tuple((old, new) for old, new in other.mapped if old not in {*self.dropped, *self.old_names})
        return replace(
            self,
            number=other.number if self.number is None else self.number,
            dropped=tuple(dict.fromkeys((*self.dropped, *dropped))),
            mapped=(*mapped, *self.mapped),
        )

    def __bool__(self) -> bool:
        return bool(self.number or self.dropped or self.mapped)


def changed_classes(data: FaceData, changes: ClassChanges) -> FaceData:
    """The data set with its classes changed, with notes about it and another fingerprint.

    Images of dropped classes are left out, without a copy. A label becomes the new name of its class, also where merged
    votes have another majority.

    Raises:
        UserError: a name that is no class of the set, a new name that looks mistyped, or fewer than two classes left.
    """
    if not changes:
        return data
    becomes = _becomes(data, changes)
    if all(old == new for old, new in becomes.items()):
        return data
    classes = canonical_order(new for new in becomes.values() if new is not None)
    if len(classes) < 2:
        left = ", ".join(classes) or "none"
        raise UserError(f"{data.name}: at least two classes are needed, but {changes.section}.* leaves {left}")
    notes = _notes(data, becomes)
    places = torch.tensor([classes.index(new) if new is not None else -1 for new in becomes.values()])
    labels = _moved(data, places)
    gaussians = data.gaussians and data.gaussians.moved(places.tolist(), len(classes))
    text = ";".join(f"{old}>{new or ''}" for old, new in becomes.items())
    made = replace(
        data,
        labels=labels,
        classes=classes,
        votes=_merged_votes(data.votes, places, len(classes)),
        info=replace(_merged_info(data, places, len(classes)), came_with=data.classes),
        notes=(*data.notes, *notes, *_fitted_anew(data, gaussians)),
        gaussians=gaussians,
        fingerprint=f"{data.fingerprint} with other classes ({hashlib.sha256(text.encode()).hexdigest()[:16]})",
    )
    kept = torch.nonzero((labels >= 0) | data.va_only).flatten()
    return made if len(kept) == len(labels) else made.take(kept)


def in_order_of(data: FaceData, classes: Sequence[str], target: str) -> FaceData:
    """An extra set with its classes in the target's order, and a note on those of which it has no training image.

    A set with a class that the target lacks is not changed: `pipeline.datasets.check_sets` refuses it.
    """
    if not set(data.classes) <= set(classes):
        return data
    made = data
    if tuple(data.classes) != tuple(classes):
        places = torch.tensor([classes.index(name) for name in data.classes])
        order = hashlib.sha256("|".join(classes).encode()).hexdigest()[:16]
        made = replace(
            data,
            labels=_moved(data, places),
            classes=tuple(classes),
            votes=_merged_votes(data.votes, places, len(classes)),
            info=_merged_info(data, places, len(classes)),
            gaussians=data.gaussians and data.gaussians.moved(places.tolist(), len(classes)),
            fingerprint=f"{data.fingerprint} in other order ({order})",
        )
    counts = torch.bincount(made.labels[made.rows(TRAIN)], minlength=len(classes))
    lacking = [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]
    if not lacking:
        return made
    note = f"it has no training image of {', '.join(lacking)}, which {target} has"
    return replace(made, notes=(*made.notes, note))


def canonical_order(names: Iterable[str]) -> tuple[str, ...]:
    """The eight expressions in their order, then other names alphabetically, each once."""
    present = set(names)
    return (*(name for name in EXPRESSIONS if name in present), *sorted(present - set(EXPRESSIONS)))


def _becomes(data: FaceData, changes: ClassChanges) -> dict[str, str | None]:
    """New name of every class of the set, None for a dropped one."""
    section, classes = changes.section, data.classes
    for what, names in (("drop", changes.dropped), ("map", changes.old_names)):
        for name in names:
            if name in changes.strict and name not in classes:
                raise unknown_name(f"class in {section}.{what}:", name, classes, f"({data.name})")
    mapped = dict(changes.mapped)
    for new in mapped.values():
        known = {*classes, *EXPRESSIONS}
        near = get_close_matches(new, sorted(known), n=1, cutoff=ALIKE) if new not in known else []
        if near:
            raise UserError(f"unknown class in {section}.map: {new!r}: did you mean {near[0]!r}?")
    becomes: dict[str, str | None] = {name: mapped.get(name, name) for name in classes}
    becomes |= {name: None for name in changes.dropped if name in becomes}
    if changes.number is None:
        return becomes
    allowed = EXPRESSIONS[: changes.number]
    becomes = {old: None if new == EXPRESSIONS[7] and changes.number == 7 else new for old, new in becomes.items()}
    other = [new for new in becomes.values() if new is not None and new not in allowed]
    if other:
        raise UserError(
            f"{section}.classes={changes.number} allows {', '.join(allowed)}, but {data.name} has {other[0]!r}: "
            f"{section}.map={other[0]}:NAME or {section}.drop={other[0]}"
        )
    return becomes


def _notes(data: FaceData, becomes: Mapping[str, str | None]) -> list[str]:
    """Sentences about dropped and renamed classes, with their numbers of images."""
    counts = dict(zip(data.classes, _class_counts(data), strict=True))
    gone = [f"{old} ({counts[old]:,})" for old, new in becomes.items() if new is None]
    renamed = [f"{old} ({counts[old]:,}) as {new}" for old, new in becomes.items() if new not in (None, old)]
    notes = [f"images of classes that were dropped: {', '.join(gone)}"] if gone else []
    return [*notes, *([f"images of classes that count as others: {', '.join(renamed)}"] if renamed else [])]


def _moved(data: FaceData, places: Tensor) -> Tensor:
    """Labels as indices of the new classes; -1 stays."""
    return torch.where(data.va_only, -1, places[data.labels.clamp_min(0)])


def _class_counts(data: FaceData) -> list[int]:
    counts: list[int] = torch.bincount(data.labels[~data.va_only], minlength=data.num_classes).tolist()
    return counts


def _fitted_anew(data: FaceData, gaussians: BorrowedGaussians | None) -> list[str]:
    """A note where classes of a set with another set's Gaussians were merged."""
    lost = data.gaussians is not None and gaussians is None
    return ["classes were merged, so Gaussian labels are fitted to these images, not borrowed"] if lost else []


def _merged_votes(votes_NK: Tensor, places_K: Tensor, count: int) -> Tensor:
    """Votes of merged classes added, those of dropped ones left out, the rest to sum 1; NaN where none are left."""
    known = torch.nan_to_num(votes_NK, nan=0.0)
    merged = _merged(known, places_K, count)
    total = merged.sum(1, keepdim=True)
    return torch.where(total > 0, merged / total, torch.nan)


def _merged(values_NK: Tensor, places_K: Tensor, count: int) -> Tensor:
    kept = places_K >= 0
    merged = values_NK.new_zeros((len(values_NK), count))
    return merged.index_add_(1, places_K[kept], values_NK[:, kept])


def _merged_info(data: FaceData, places_K: Tensor, count: int) -> DatasetInfo:
    """Probabilities over the classes follow; everything else stays."""
    probs = {name: array for name, array in data.info.arrays.items() if name in ("rater_probs", "target_probs")}
    return data.info.with_arrays({name: _merged_votes(value, places_K, count) for name, value in probs.items()})
