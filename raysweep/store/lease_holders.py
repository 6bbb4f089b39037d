"""`Holder` and `Watch`: holders of leases in a store, and which of them are alive for one observer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep, time

from raysweep.core.notices import passed_over
from raysweep.core.versioned import NewerRecord

from .formats import HOLDER
from .process import Process, host_id
from .store import Store

TTL_SECONDS = 30.0
"""A holder without a heartbeat for this long counts as dead."""


LATEST = 1e11
"""Later times, in seconds since 1970, are invalid."""


@dataclass(frozen=True)
class Holder:
    """A holder of leases: `owner` (text for people), its process, and its start (seconds since 1970)."""

    token: str
    owner: str
    machine: str
    process: Process
    since: float

    @property
    def description(self) -> str:
        return f"{self.owner} (process {self.process.pid} on {self.machine})"


class Watch:
    """Liveness of the holders of a store, observed over time."""

    def __init__(self, store: Store, ttl: float = TTL_SECONDS) -> None:
        self.store, self.ttl = store, ttl
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._known: dict[str, Holder] = {}

    def claims(self, keys: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """Tokens that claim each of the keys; unclaimed keys are left out."""
        if self.store.is_local:
            found = {key: frozenset(self.store.files.names(f"leases/{key}")) for key in keys}
        else:
            wanted, everything = set(keys), self.all_claims()
            found = {key: everything[key] for key in wanted & everything.keys()}
        return {key: tokens for key, tokens in found.items() if tokens}

    def all_claims(self) -> dict[str, frozenset[str]]:
        """Tokens that claim a key, for every key."""
        found: dict[str, set[str]] = {}
        for name in self.store.files.sizes("leases"):
            key, _, token = name.partition("/")
            found.setdefault(key, set()).add(token)
        return {key: frozenset(tokens) for key, tokens in found.items()}

    def living(self, token: str) -> Holder | None:
        """The holder of this token, or None when it is dead."""
        files = self.store.files
        content = files.read(f"holders/{token}.json")
        if content is None or files.read(f"holders/{token}.dead") is not None:
            return None  # closed, or declared dead by another observer
        holder = parse_holder(token, content) or self._known.get(token)
        if holder is not None:
            self._known[token] = holder
        if (holder is not None and holder.process.gone()) or self._silent(token, content):
            return None
        if holder is None:
            passed_over(
                f"{self.store.url}/holders/{token}.json",
                f"it names no launch: whatever it holds is left alone until it has not changed for {self.ttl:g} s",
            )
        return holder or Holder(token, "a launch without a readable record", "unknown", Process("", 0, 0), time())

    def bury(self, token: str) -> None:
        """Fence a holder presumed dead."""
        if self.store.files.read(f"holders/{token}.json") is not None:
            self.store.files.write(f"holders/{token}.dead", b"")

    def holders(self) -> list[Holder]:
        """Every living holder, oldest first."""
        names = self.store.files.names("holders")
        found = (self.living(name.removesuffix(".json")) for name in names if name.endswith(".json"))
        return sorted((holder for holder in found if holder is not None), key=lambda holder: holder.since)

    def surely_living(self) -> list[Holder]:
        """`holders`, after waiting (up to `ttl`) for a heartbeat of each whose process cannot be seen from here."""
        first = {holder.token: holder for holder in self.holders()}
        waiting = {token for token, holder in first.items() if holder.process.host != host_id()}
        start = {token: self.store.files.read(f"holders/{token}.json") for token in waiting}
        until = monotonic() + self.ttl
        while waiting and monotonic() < until:
            sleep(min(1.0, self.ttl / 10))
            waiting = {token for token in waiting if self.store.files.read(f"holders/{token}.json") == start[token]}
        return [holder for holder in self.holders() if holder.token not in waiting]

    def _silent(self, token: str, content: bytes) -> bool:
        """Whether the heartbeat has not changed for `ttl` by the local clock."""
        before = self._seen.get(token)
        if before is None or before[0] != content:
            self._seen[token] = (content, monotonic())
            return False
        return monotonic() - before[1] >= self.ttl


def parse_holder(token: str, content: bytes) -> Holder | None:
    """A holder from its file; None if the file is no holder, for example half-written in a store at a URL."""
    try:
        values = HOLDER.read(content)
    except NewerRecord as error:
        passed_over(f"holders/{token}.json", str(error))
        return None
    except ValueError:
        return None
    owner, machine, since = (values.get(name) for name in ("owner", "machine", "since"))
    process = Process.parse(str(values.get("process")))
    if process is None or not isinstance(owner, str) or not isinstance(machine, str):
        return None
    if not isinstance(since, int | float) or not 0 <= since < LATEST:
        return None
    return Holder(token, owner, machine, process, float(since))
