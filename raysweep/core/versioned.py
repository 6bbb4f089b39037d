"""`RecordFormat`: the version of small files that another version of raysweep may have written, and how older ones are
read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UserError

Values = dict[str, Any]


class NewerRecord(UserError):
    """A record of a version that this raysweep does not know. Its file is left as it is."""


def json_object(content: bytes) -> Values:
    """A JSON object. Raises ValueError for anything else, such as half of one."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def unchanged(values: Values) -> Values:
    """A migration to a version that says the same."""
    return values


@dataclass(frozen=True)
class RecordFormat:
    """A kind of record, as JSON: `migrations[n]` makes of the values of version n those of version n + 1.

    `field` holds the version. A record without it is of version 0: written before records of its kind had one.

    >>> lengths = RecordFormat((unchanged, lambda values: {"metres": values["feet"] * 0.3048}))
    >>> lengths.stamped({"metres": 3.048})
    {'version': 2, 'metres': 3.048}
    >>> lengths.current({"version": 1, "feet": 10})
    {'metres': 3.048}
    """

    migrations: Sequence[Callable[[Values], Values]] = (unchanged,)
    field: str = "version"

    @property
    def version(self) -> int:
        """That is written."""
        return len(self.migrations)

    def stamped(self, values: Mapping[str, Any]) -> Values:
        """Values with their version, to be written."""
        return {self.field: self.version, **values}

    def read(self, content: bytes) -> Values:
        """`current` of a file's content.

        Raises:
            NewerRecord: the version is newer.
            ValueError: it is no JSON object, or its version is none.
        """
        return self.current(json_object(content))

    def is_newer(self, content: bytes) -> bool:
        """Whether a file's content is a record that this raysweep does not know."""
        try:
            self.read(content)
        except ValueError as error:  # damaged, else
            return isinstance(error, NewerRecord)
        return False

    def current(self, values: Mapping[str, Any]) -> Values:
        """Values that any version up to this one wrote, as this one writes them, without the version.

        Raises:
            NewerRecord: the version is newer.
            ValueError: it is none.
        """
        found = values.get(self.field, 0)
        if not isinstance(found, int) or found < 0:
            raise ValueError(f"its {self.field} is {str(found)[:40]!r}")
        if found > self.version:
            raise NewerRecord(
                f"written by a newer raysweep ({self.field} {str(found)[:40]}, this one reads up to {self.version}); "
                "update"
            )
        older = {name: value for name, value in values.items() if name != self.field}
        for migrate in self.migrations[found:]:
            older = migrate(older)
        return older
