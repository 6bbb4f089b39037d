"""What a process on a node finds out for the driver: can it use the store, has it the data, is there room.

Imports neither Ray nor torch, which take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raysweep.core.errors import UserError
from raysweep.core.formatting import size
from raysweep.data.prepare.location import use_home
from raysweep.data.set_content import SetContent
from raysweep.engine.storage_access import use_storage_access
from raysweep.store.store import Store, StoreUnusable
from raysweep.store.unusable import free_bytes

from .shared_store import check_shared, reason_of

LEAST_ROOM, LITTLE_ROOM = 50_000_000, 2_000_000_000
"""Free bytes with which a machine cannot work, and with which it may not finish."""


@dataclass(frozen=True)
class Needs:
    """What a launch needs on every node. May hold passwords.

    `store`, `local`: of `Store`; `probe`: a file that the driver wrote into it; `data`: the data home; `access`: from
    `storage_access`; `sets`: the data sets.
    """

    store: str
    local: str
    probe: str
    data: str
    access: str
    sets: Sequence[SetContent]

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Needs:
        values = json.loads(text)
        return cls(**{**values, "sets": [SetContent(**one) for one in values["sets"]]})


def look(text: str) -> dict[str, Any]:
    """Faults, warnings and free bytes of this machine, for `Needs` as text."""
    needs, faults = Needs.parse(text), []
    use_storage_access(needs.access)
    use_home(needs.data)
    faults += _fault(lambda: _try_store(needs))
    for one in needs.sets:
        faults += _fault(one.check_here)
    free = free_bytes(Path(needs.local))
    room, warnings = room_of(Path(needs.local), free)
    return {"faults": [*faults, *room], "warnings": warnings, "free": free}


def _try_store(needs: Needs) -> None:
    store = Store(needs.store, needs.local)
    check_shared(store, needs.probe)
    store.try_out()


def room_of(folder: Path, free: int) -> tuple[list[str], list[str]]:
    """Faults and warnings on the free bytes of a folder's disk."""
    text = f"{size(free)} free at {folder}: make room"
    if free < LEAST_ROOM:
        return [f"its disk is full, {text}"], []
    return [], [f"its disk is nearly full, {text}"] if free < LITTLE_ROOM else []


def _fault(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except (UserError, StoreUnusable, OSError) as error:
        return [reason_of(error)]
    return []
