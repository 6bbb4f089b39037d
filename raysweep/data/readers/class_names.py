"""Names of classes in folders and lists, and the expressions that they mean (option `names`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.expressions import EXPRESSIONS, canonical_expression, likely_expression, plain_name

from . import fer2013, rafdb
from .values import in_canonical_order, natural_order, quoted

NUMBERINGS = {"affectnet": dict(enumerate(EXPRESSIONS)), "rafdb": rafdb.CODES, "fer2013": fer2013.CODES}
"""Well-known numberings of expressions."""

KEEP = "keep"
FORM = "keep|" + "|".join(NUMBERINGS) + "|NAME,NAME,...|OLD:NEW,..."

_NUMBER = re.compile(r"\d+")
_MOST = 6


class ClassNames:
    """The meaning of class names: by the option, else by `canonical_expression`.

    `option`: "" (expressions, and a few other names); `keep` (any names, unchanged); a name in `NUMBERINGS`;
    names in the order of the classes' numbers; or `old:new` for some of them.

    Raises:
        UserError: an option of another form, or one that names a misspelt expression.
    """

    def __init__(self, option: str = "") -> None:
        self.option = option
        self._listed: list[str] = []
        self._given: dict[str, str] = {}
        if option in NUMBERINGS:
            self._given = {str(number): name for number, name in NUMBERINGS[option].items()}
        elif option and option != KEEP:
            self._read(option)

    def _read(self, option: str) -> None:
        parts = [part.strip() for part in option.split(",")]
        pairs = [part.rpartition(":") for part in parts]
        if not all(parts) or len({bool(colon) for _, colon, _ in pairs}) > 1:
            raise UserError(f"`names` must be {FORM}, but got {quoted(option)}")
        new = [_asked_name(name) for _, _, name in pairs]
        if pairs[0][1]:
            self._given = {plain_name(old): name for (old, _, _), name in zip(pairs, new, strict=True)}
        else:
            self._listed = new

    def number(self, names: Iterable[str]) -> None:
        """Assign the option's names to the numbers among `names`, in their order.

        Raises:
            UserError: there are more or fewer numbers than names.
        """
        if not self._listed:
            return
        numbers = sorted({int(plain) for name in names if _NUMBER.fullmatch(plain := plain_name(name))})
        if len(numbers) != len(self._listed):
            there = ", ".join(map(str, numbers)) or "none"
            listed, found = (
                plural(len(self._listed), "name"),
                plural(len(numbers), "numbered class", "numbered classes"),
            )
            raise UserError(
                f"`names` lists {listed}, but there are {found} ({there}): "
                "list a name for each, or give names=NUMBER:NAME,..."
            )
        self._given = {str(number): name for number, name in zip(numbers, self._listed, strict=True)}

    def __call__(self, name: str) -> str:
        """The class that a name means."""
        return self._given.get(plain_name(name)) or canonical_expression(name)

    def is_expression(self, name: str) -> bool:
        """Whether a name means a known class: one of the eight, or one of the option."""
        plain = plain_name(name)
        is_listed = bool(self._listed) and _NUMBER.fullmatch(plain) is not None
        return plain in self._given or is_listed or canonical_expression(name) in EXPRESSIONS

    def check(self, names: Mapping[str, int], origin: Path, what: str) -> list[str]:
        """Sentences about classes that are no expressions, and about names that mean the same.

        Args:
            names: all names, and how many images each has; `origin`: their folder or file; `what` they are, for
                messages ("folder", "label").

        Raises:
            UserError: a misspelt expression, or no name that is an expression.
        """
        unknown = [name for name in sorted(names, key=natural_order) if not self.is_expression(name)]
        if self.option != KEEP:
            _check_known(names, unknown, origin, what)
        merged: dict[str, list[str]] = {}
        for name in sorted({" ".join(name.split()).casefold() for name in names}):
            merged.setdefault(self(name), []).append(name)
        notes = [
            f"{_and(spellings)} are read as {quoted(one)[1:-1]}"
            for one, spellings in merged.items()
            if len({plain_name(name) for name in spellings}) > 1
        ]
        own = in_canonical_order({self(name) for name in unknown})
        if own and len(own) < len({self(name) for name in names}):
            notes.append(f"besides expressions, there are the classes {_and(list(own))}")
        return notes


def _check_known(names: Mapping[str, int], unknown: list[str], origin: Path, what: str) -> None:
    for name in unknown:
        if likely := likely_expression(name):
            raise UserError(
                f"{origin}: {what} {quoted(name)} ({names[name]:,} images) is no expression: did you mean {likely}? "
                f"Rename it, or give --option names={plain_name(name)}:{likely}; names={KEEP} keeps it as a class"
            )
    if names and len(unknown) == len(names):
        raise UserError(f"{origin}: {_none_known(unknown, what)}")


def _asked_name(name: str) -> str:
    """A name in the option. Raises UserError: it is a misspelt expression."""
    known = canonical_expression(name)
    likely = None if known in EXPRESSIONS else likely_expression(name)
    if likely:
        raise UserError(f"`names`: {quoted(name.strip())} is no expression: did you mean {likely}?")
    return known


def _none_known(names: list[str], what: str) -> str:
    some = ", ".join(quoted(name)[1:-1] for name in names[:_MOST]) + (", ..." if len(names) > _MOST else "")
    numbers = all(_NUMBER.fullmatch(plain_name(name)) for name in names)
    if numbers:
        known = "; ".join(
            f"names={name} for {', '.join(f'{number} {meaning}' for number, meaning in list(table.items())[:2])}, ..."
            for name, table in NUMBERINGS.items()
        )
        return f"every {what} is a number ({some}): say what they mean with --option, {known}; or names=NAME,NAME,..."
    return (
        f"no {what} names one of the eight expressions ({', '.join(EXPRESSIONS)}), but the {what}s are {some}: "
        f"are they subjects, or parts of the set? --option names=OLD:NEW,... gives names, names={KEEP} keeps them all"
    )


def _and(names: list[str]) -> str:
    names = [quoted(name)[1:-1] for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
