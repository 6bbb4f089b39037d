"""A lock under which launches on one store publish, so that no two write to MLflow at once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from raysweep.store.leases import Leases
from raysweep.store.store import Store

LEASE = "publishing"
LAST = "publisher"
"""File in the store with the name of the launch that published last."""


class PublishLock:
    """The lock as one launch uses it. Without it, two launches that finish the same cells would write them twice, since
    MLflow cannot create a run or a point of a curve exactly once.

    Args:
        leases: of the launch.
        launch: name of the launch.
    """

    def __init__(self, store: Store, leases: Leases, launch: str) -> None:
        self.store, self.leases, self.launch = store, leases, launch.encode()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Wait for the lock and hold it. Yields whether another launch has published since this one last did.

        Raises:
            StoreUnusable, OSError: the store cannot be written.
        """
        while self.leases.take([LEASE]) is not None:
            time.sleep(random.uniform(0.02, 0.05))
        try:
            changed = self.store.files.read(LAST) != self.launch
            if changed:
                self.store.files.write(LAST, self.launch)
            yield changed
        finally:
            self.leases.release([LEASE])


@contextmanager
def unlocked() -> Iterator[bool]:
    """In place of `PublishLock.held` where no other launch uses the store."""
    yield False
