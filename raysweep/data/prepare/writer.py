"""`prepare_listing`: read, crop and store a data set, with several processes; resumes after an interruption.

The result does not depend on the number of processes and of interruptions, bit for bit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import PIL

import raysweep
from raysweep.core.errors import UserError
from raysweep.core.hashing import file_checksum
from raysweep.data.listing import Listing
from raysweep.data.progress import OnProgress, ignore_progress
from raysweep.store.unusable import writing

from .chunks import CHUNK, Chunk, cut, files_checksum
from .crop import Crop
from .finalize import borrowed, finish, write_all_problems
from .manifest import FORMAT, MANIFEST, PROBLEMS, Manifest, read_manifest
from .parquet_rows import as_text, problem_rows, relative
from .staging import Draft
from .worker import Made, PrepareTask, flush_files, make_chunk, start_worker

MAX_BAD = 0.05
"""A set with a larger share of fatal problems, other than those by design, is refused."""

LONGEST_DETAIL = 500
"""Characters of a problem in a message: a path alone can have thousands."""


def prepare_listing(
    listing: Listing,
    target: Path,
    crop: Crop,
    workers: int = 1,
    max_bad: float = MAX_BAD,
    progress: OnProgress = ignore_progress,
    chunk_size: int = CHUNK,
    min_classes: int = 2,
) -> Manifest:
    """Store a data set in the folder `target`, which appears at the end. A set that is prepared already is not changed.

    Raises:
        UserError: too many problems (only `problems.csv` stays), no images, or of fewer classes; another set
            is in `target`, or another process prepares it.
        StoreUnusable: the disk is full; the same call resumes later.
    """
    lists = {relative(path, listing.root): file_checksum(path) for path in listing.files}
    there = read_manifest(target)
    if there is not None:
        return _same_set(there, listing, crop, lists, target)
    with writing(target):
        draft = Draft(target, _plan(listing, crop, lists, chunk_size), crop.size)
        with contextlib.closing(draft):
            _fill(draft, listing, crop, workers, max_bad, progress, chunk_size)
            _check_share(draft, listing, max_bad)
            manifest = finish(draft, listing, crop, lists)
            _check_classes(draft, manifest, listing, min_classes)
            (draft.store / MANIFEST).write_bytes(manifest.content())
            flush_files(draft.store)
            (target / PROBLEMS).unlink(missing_ok=True)  # of a refused set
            os.replace(draft.store, target)
            draft.discard()
    return manifest


def _plan(listing: Listing, crop: Crop, lists: dict[str, str], chunk_size: int) -> dict[str, Any]:
    """All that the result depends on; a draft with another plan starts over."""
    return {
        "format": FORMAT.version,
        "name": listing.name,
        "release": listing.release,
        "root": as_text(str(listing.root)),
        "classes": list(listing.classes),
        "lists": lists,
        "options": dict(listing.options),
        "gaussians": borrowed(listing),
        "crop": asdict(crop),
        "chunk": chunk_size,
        "raysweep": raysweep.__version__,
        "pillow": PIL.__version__,
    }


def _same_set(there: Manifest, listing: Listing, crop: Crop, lists: dict[str, str], target: Path) -> Manifest:
    same = {
        "name": (there.name, listing.name),
        "release": (there.release, listing.release),
        "options": (there.options, dict(sorted(listing.options.items()))),
        "classes": (there.classes, listing.classes),
        "lists": (there.lists, lists),
        "Gaussians": (there.gaussians and there.gaussians.model_dump(), borrowed(listing)),
        "margin": (there.margin, crop.margin),
        "detector": (there.detector, crop.detector),
    }
    for what, (theirs, ours) in same.items():
        if theirs != ours:
            raise UserError(
                f"{target} holds {there.name} with other {what} "
                f"({_shortened(theirs, ours)}, not {_shortened(ours, theirs)}): choose --as, or remove that folder"
            )
    if there.photographs and there.photographs != f"{files_checksum(listing.entries, listing.root):016x}":
        raise UserError(
            f"{target} holds {there.name} as it was before files in {listing.root} were added, removed or changed in "
            "size: choose --as, or remove that folder"
        )
    return there


def _shortened(value: object, other: object) -> str:
    """A value as text; of a dictionary the entries that differ from the other's."""
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    if isinstance(value, dict) and isinstance(other, dict):
        differing = (f"{name}={value[name]}" for name in value if value[name] != other.get(name))
        text = ", ".join(differing) or "none"
    return text if len(text) <= 80 else text[:77] + "..."


def _fill(
    draft: Draft,
    listing: Listing,
    crop: Crop,
    workers: int,
    max_bad: float,
    progress: OnProgress,
    chunk_size: int,
) -> None:
    """Make the chunks that are not appended yet, a few ahead of the next one to append."""
    task = PrepareTask(draft.chunks, listing.root, listing.classes, crop)
    waiting: deque[tuple[Chunk, Future[Made]]] = deque()
    done = number = 0

    def append_first() -> None:
        nonlocal done
        chunk, future = waiting.popleft()
        draft.append(future.result())
        done += len(chunk.entries)
        progress(done, listing.total)
        if listing.total is not None and draft.bad.total() > max_bad * listing.total:
            raise _refusal(draft, listing, max_bad)  # the rest cannot make up for it

    with _pool(workers) as submit:
        for chunk in cut(listing.entries, chunk_size):
            number = chunk.number + 1
            if not waiting and draft.has(chunk):
                done += len(chunk.entries)
                progress(done, listing.total)
                continue
            made = draft.made(chunk)
            waiting.append((chunk, submit(make_chunk, task, chunk) if made is None else _finished(made)))
            if len(waiting) > 2 * workers:
                append_first()
        while waiting:
            append_first()
    draft.keep(number)


def _check_share(draft: Draft, listing: Listing, max_bad: float) -> None:
    """Raises UserError for a set without images, or with too many problems."""
    bad, images = draft.bad.total(), draft.faces + draft.va_only
    if not images or bad > max_bad * (images + bad):
        raise _refusal(draft, listing, max_bad)


def _check_classes(draft: Draft, manifest: Manifest, listing: Listing, least: int) -> None:
    """Raises UserError: images of one expression alone, from which nothing can be learnt."""
    present = {name for counts in manifest.counts.values() for name, count in counts.items() if name and count}
    if 0 < len(present) < least:
        draft.discard()
        raise UserError(
            f"{_origin(listing)}: at least two expressions are needed, but all {draft.faces:,} photographs are "
            f"{present.pop()!r}"
        )


def _origin(listing: Listing) -> str:
    return str(listing.root if listing.root.name == listing.name else f"{listing.root} ({listing.name})")


def _refusal(draft: Draft, listing: Listing, max_bad: float) -> UserError:
    """Keep only `problems.csv` in the target; returns an error with the most frequent reasons."""
    bad = draft.bad.total()
    rows = draft.faces + draft.va_only + bad
    draft.target.mkdir(exist_ok=True)
    listed = draft.target / PROBLEMS
    write_all_problems(draft, listed)
    draft.discard()
    if not bad:
        return UserError(f"{_origin(listing)}: the data set has no images; what was left out by design: {listed}")
    first = next(row for row in problem_rows(listed) if row["kind"] in draft.bad)
    reasons = ", ".join(f"{kind} ({count:,})" for kind, count in draft.bad.most_common(3))
    detail = ": ".join(dict.fromkeys(text for text in (first["where"], first["path"], first["detail"]) if text))
    return UserError(
        f"{_origin(listing)}: at most {max_bad * 100:g}% of the rows may be bad (--max-bad), but {bad:,} of the "
        f"{rows:,} that were read are: {reasons}\n"
        f"the first: {_short(detail)}; all are in {listed}"
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}..."


def _finished(made: Made) -> Future[Made]:
    future: Future[Made] = Future()
    future.set_result(made)
    return future


Submit = Callable[[Callable[[PrepareTask, Chunk], Made], PrepareTask, Chunk], "Future[Made]"]


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Submit]:
    """A function that runs tasks in this process (one worker) or in others."""
    if workers == 1:
        yield lambda make, task, chunk: _finished(make(task, chunk))
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker)
    try:
        yield pool.submit
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for lack of memory: the same command resumes; try fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
