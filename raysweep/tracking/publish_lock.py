"""Launches on one store publish in turn: none writes to a run while another does."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from raysweep.store.leases import Leases
from raysweep.store.store import Store

TURN = "publishing"
LAST = "publisher"
"""File of the store that says who published last."""


class PublishLock:
    """A launch's place in the queue. MLflow has no way to create a run or a point of a curve once and only once; two
    launches that finish the same cells would write them twice.

    Args:
        leases: of the launch.
        launch: its name.
    """

    def __init__(self, store: Store, leases: Leases, launch: str) -> None:
        self.store, self.leases, self.launch = store, leases, launch.encode()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for the turn and hold it. Yields whether another launch has published since the last one of ours.

        Raises:
            StoreUnusable, OSError: the store cannot be written.
        """
        while self.leases.take([TURN]) is not None:
            time.sleep(random.uniform(0.02, 0.05))
        try:
            changed = self.store.files.read(LAST) != self.launch
            if changed:
                self.store.files.write(LAST, self.launch)
            yield changed
        finally:
            self.leases.release([TURN])


@contextmanager
def always() -> Iterator[bool]:
    """The turn of a launch that shares its store with nobody."""
    yield False
