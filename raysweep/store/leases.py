"""`Leases`: which launch computes what just now, so that two launches on one store share the work.

A holder is one `Leases` object of one process. It has a file `holders/<token>.json`, which its heartbeat thread
rewrites with the next number every few seconds. A lease is a file `leases/<key>/<token>`. To take a key, a holder
writes its file and then looks: it has the key if nobody else who lives is there; otherwise it removes its file again.
Of two that try at once, whoever looks last sees the other, so never both have it; this needs no more of the
place than that what was written is seen, which holds for a folder as for an object store.

Whoever takes over from a dead holder first writes `holders/<token>.dead`: if that one was only frozen, it finds out
with its next heartbeat. Leases save work. Correctness is the store's: a lost lease costs time.
"""

from __future__ import annotations

import contextlib
import json
import platform
import random
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import sleep, time
from typing import Any

from .formats import HOLDER
from .lease_holders import TTL_SECONDS, Holder, Watch
from .process import Process
from .store import Store

BEAT_SECONDS = 5.0

PRESENCE = "launch-"
"""A launch takes the key `launch-<its name>` first of all, and keeps it as long as it lives."""


class Leases:
    """Leases of one launch. Nothing is written and no thread started before the first `take`.

    Args:
        store: whose keys they are.
        owner: text for people that names the launch.
        beat, ttl: seconds between heartbeats; without one for this long, seen by the observer's own clock, a holder
            counts as dead. A holder of this machine counts as dead as soon as its process is gone.
        process: who holds them, when it is not this process (tests).
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        beat: float = BEAT_SECONDS,
        ttl: float = TTL_SECONDS,
        process: Process | None = None,
    ) -> None:
        self.store, self.beat = store, beat
        self.watch = Watch(store, ttl)
        self._holder = Holder("", owner, platform.node(), process or Process.this(), 0.0)
        self._held: set[str] = set()
        self._beats = 0
        self._lost = False
        self._guard = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether another launch has ever declared this one dead, and may compute the same products."""
        return self._lost

    def take(self, keys: Iterable[str]) -> str | None:
        """Take all of the keys, or none. None if taken, else the description of a holder of one of them.

        Raises:
            StoreUnusable, OSError: the store cannot be written; none is taken.
        """
        wanted = list(dict.fromkeys(keys))
        with self._guard:
            self._begin()
            new = [key for key in wanted if key not in self._held]
            other = self._try(new)
            for _ in range(3):
                if other is None or other.settled:
                    break
                sleep(random.uniform(0.01, 0.05))  # both tried at once and withdrew
                other = self._try(new)
            if other is None:
                self._held.update(new)
            return None if other is None else other.description

    def release(self, keys: Iterable[str]) -> None:
        """Release those of the keys that are ours."""
        with self._guard:
            for key in self._held.intersection(keys):
                self._held.discard(key)
                self.store.files.remove(_lease(key, self._holder.token))

    def close(self) -> None:
        """Release all keys and stop the heartbeat."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self.beat)  # with a limit: it may hang in an unreachable store
        with self._guard:
            self._leave()
            self._thread = None

    def _leave(self) -> None:
        """Remove all files of this holder."""
        self.release(set(self._held))
        if self._holder.token:
            for ending in ("json", "dead"):
                self.store.files.remove(f"holders/{self._holder.token}.{ending}")
        self._holder = replace(self._holder, token="")

    def _try(self, keys: list[str]) -> _Other | None:
        """Write our files, then look for others; withdraw if there are any."""
        before = self._others(keys)
        if before is not None:
            return _Other(before.description, settled=True)
        written: list[str] = []
        try:
            for key in keys:
                written.append(key)
                self.store.files.write(_lease(key, self._holder.token), b"")
            after = self._others(keys)
        except BaseException:
            self._step_back(written)
            raise
        if after is None:
            return None
        self._step_back(written)
        return _Other(after.description, settled=False)

    def _step_back(self, keys: list[str]) -> None:
        for key in keys:
            self.store.files.remove(_lease(key, self._holder.token))

    def _others(self, keys: list[str]) -> Holder | None:
        """Another living holder of one of the keys. Leases of dead holders are removed."""
        for key, tokens in self.watch.claims(keys).items():
            for token in tokens - {self._holder.token}:
                living = self.watch.living(token)
                if living is not None:
                    return living
                self.watch.bury(token)
                self.store.files.remove(_lease(key, token))
        return None

    def _begin(self) -> None:
        """Write the holder's file before its first lease, and a new one after others declared us dead."""
        if self._holder.token and not self._buried():
            return
        self.store.mark()
        self._leave()
        self._holder = replace(self._holder, token=secrets.token_hex(8), since=time())
        self._write_beat()
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._keep_beating, name="leases", daemon=True)
            self._thread.start()

    def _buried(self) -> bool:
        """Whether another holder declared us dead."""
        if self.store.files.read(f"holders/{self._holder.token}.dead") is None:
            return False
        self._lost = True
        return True

    def _write_beat(self) -> None:
        self._beats += 1
        self.store.files.write(f"holders/{self._holder.token}.json", _as_json(self._holder, self._beats))

    def _keep_beating(self) -> None:
        while not self._stop.wait(self.beat):
            with contextlib.suppress(Exception):  # any error of an unreachable store; retried at the next beat
                if not self._buried():
                    self._write_beat()


@dataclass(frozen=True)
class _Other:
    """Another holder has a key; `settled`: it had it before we tried."""

    description: str
    settled: bool


def _as_json(holder: Holder, beats: int) -> bytes:
    values: dict[str, Any] = {
        "owner": holder.owner,
        "machine": holder.machine,
        "process": holder.process.word,
        "since": holder.since,
        "beat": beats,
    }
    return json.dumps(HOLDER.stamped(values)).encode()


def _lease(key: str, token: str) -> str:
    return f"leases/{key}/{token}"
