"""Resources of every launch: a name, a store with leases, a journal, MLflow, a console."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from raysweep.config.acting_fields import plain
from raysweep.config.experiment import Experiment
from raysweep.core.console import PlainConsole
from raysweep.core.hashing import canonical_json
from raysweep.core.masking import masked, with_controls
from raysweep.core.version import code_version
from raysweep.engine.cluster import ClusterOptions
from raysweep.store.lease_holders import Watch
from raysweep.store.leases import PRESENCE, Leases
from raysweep.store.store import Store
from raysweep.study import Study
from raysweep.study.identity import SetIdentity
from raysweep.tracking import schema
from raysweep.tracking.deferred import Deferred
from raysweep.tracking.journal import Journal
from raysweep.tracking.publish_lock import PublishLock
from raysweep.tracking.publisher import Publisher, adopt_journals
from raysweep.tracking.recovery import adopt_runs
from raysweep.tracking.server import tracking_uri
from raysweep.tracking.writer import Writer

from .options import LaunchOptions


@dataclass(frozen=True)
class Launch:
    """An open launch. `uri`: its MLflow tracking store, without a password."""

    name: str
    engine: ClusterOptions
    options: LaunchOptions
    console: Console
    uri: str
    journal: Journal
    publisher: Publisher | Deferred
    leases: Leases

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def console_for(as_json: bool) -> Console:
    """A console on stdout, or on stderr when stdout carries JSON."""
    return PlainConsole(file=with_controls(sys.stderr if as_json else sys.stdout), highlight=False)


def run_tags(preset: str, study: Study, experiment: Experiment, used: Sequence[SetIdentity]) -> Mapping[str, str]:
    """Tags of every run of a launch.

    Args:
        experiment: of any cell; all cells of a launch read the scored data set the same way.
        used: the launch's data sets, the scored one first.
    """
    data, *extras = used
    fields = {name: plain(value) for name, value in experiment.data if name != "source"}
    tags = {
        schema.PRESET: preset,
        schema.DATA: data.name,
        schema.DATA_FINGERPRINT: data.fingerprint,
        schema.DATA_SOURCE: data.source,
        schema.DATA_FIELDS: canonical_json(fields),
        schema.EXTRAS: _extras_tag(extras),
        schema.STUDY_CONTENT: study.origin.content,
        schema.STUDY_FILE: study.origin.file,
        schema.CODE_VERSION: code_version(),
    }
    return {name: value for name, value in tags.items() if value}


def _extras_tag(extras: Sequence[SetIdentity]) -> str:
    """The other data sets as JSON; their count and a digest if that is too long for a tag."""
    text = canonical_json([own.describe() for own in extras])
    if len(text) <= schema.MAX_EXTRAS_LENGTH:
        return text
    return canonical_json({"count": len(extras), "digest": hashlib.sha256(text.encode()).hexdigest()})


def alive_on(store: Store) -> Callable[[str], bool]:
    """A function that tells whether the launch of a name is alive: it holds leases on this store."""
    watch = Watch(store)
    return lambda launch: any(holder.owner == _owner(launch) for holder in watch.holders())


@contextmanager
def opened(
    writer: Writer | None, study: str, engine: ClusterOptions, options: LaunchOptions, console: Console
) -> Iterator[Launch]:
    """Open a launch, after publishing the journals of dead launches and closing their runs.

    Args:
        writer: None: nothing is published now.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    folder, uri = engine.store.local / "journal", masked(tracking_uri(options.tracking))
    leases = Leases(engine.store, _owner(name))
    lock = PublishLock(engine.store, leases, name).held
    say = partial(console.print, markup=False, soft_wrap=True)
    with contextlib.closing(leases):
        leases.take([PRESENCE + name])  # marks the launch as alive until it ends
        marks = options.database.marks if options.database else None
        if writer is not None:
            for trouble in adopt_journals(folder, writer, uri, lock, marks):
                say(trouble)
            adopt_runs(writer.client, study, alive_on(engine.store), say)
        with contextlib.closing(Journal(folder / f"{name}.jsonl", marks)) as journal:
            publisher = Deferred(journal) if writer is None else Publisher(journal, writer, lock)
            if isinstance(publisher, Publisher):
                publisher.start()
            yield Launch(name, engine, options, console, uri, journal, publisher, leases)


def _owner(launch: str) -> str:
    return f"launch {launch}"
