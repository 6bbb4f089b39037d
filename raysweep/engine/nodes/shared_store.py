"""Whether this machine has the launch's store, and may write into it. Needs neither Ray nor torch."""

from __future__ import annotations

import time

from raysweep.core.errors import UserError, describe
from raysweep.store.store import Store, StoreUnusable

PROBE_SECONDS = 5
"""Within which a shared folder must show a file that the driver has written before."""

_seen_probes: set[str] = set()
"""Of this process."""


def check_shared(store: Store, probe: str, seconds: float = PROBE_SECONDS) -> None:
    """Raises UserError unless a file that the driver wrote into the store is there. Looks once a process."""
    until = time.monotonic() + seconds
    while probe and probe not in _seen_probes:
        if store.sees(probe):
            _seen_probes.add(probe)
        elif time.monotonic() > until:
            raise UserError(
                f"its store {store.url} is not the launch's: --store must be a folder that all machines share, or a URL"
            )
        else:
            time.sleep(0.25)


def reason_of(error: BaseException) -> str:
    """Why this machine cannot work: raysweep's own sentences as they are."""
    return str(error) if isinstance(error, UserError | StoreUnusable) else describe(error)
