"""In place of a publisher, for a launch that leaves its events in the journal."""

from __future__ import annotations

from dataclasses import dataclass

from .journal import Journal


@dataclass(frozen=True)
class Deferred:
    """Publishes nothing: a later launch on this store does."""

    journal: Journal
    trouble: None = None

    def wake(self) -> None:
        """Does nothing."""

    def close(self, timeout: float, patient: bool = False) -> bool:
        """Does nothing. True: no event is overdue."""
        return True
