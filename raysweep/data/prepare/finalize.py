"""The end of a preparation: labels, problems and manifest from the chunks' files, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import raysweep
from raysweep.core.formatting import plural
from raysweep.core.hashing import file_checksum
from raysweep.data.listing import Listing

from .chunks import CHECKSUM_LIMIT
from .crop import Crop
from .detect import NO_FACE
from .manifest import IMAGES, LABELS, PROBLEMS, File, Manifest
from .parquet_rows import PROBLEM_COLUMNS, SCHEMA, problem_rows, read_rows, va_of
from .staging import Draft
from .va_moments import Moments
from .worker import PROBLEMS as CHUNK_PROBLEMS
from .worker import ROWS

GROUP = 1 << 15
"""Fewest rows of a row group."""

FEW = 1 << 10
"""Rows converted to Python objects at a time."""


def write_labels(draft: Draft, classes: tuple[str, ...], path: Path) -> tuple[Moments, str]:
    """Write `labels.parquet` in the order of the images; returns its moments, and SHA-256 of all its rows."""
    moments, digest = Moments(classes), hashlib.sha256()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for table in _groups(draft):
            split, expression = table["split"].to_numpy(), table["expression"].to_numpy()
            moments.add(split, expression, va_of(table))
            for some in table.drop_columns(["where"]).to_batches(max_chunksize=FEW):
                for row in some.to_pylist():
                    digest.update(repr(tuple(row.values())).encode())
            writer.write_table(table)
    return moments, digest.hexdigest()


def _groups(draft: Draft) -> Iterator[pa.Table]:
    """Rows of faces with an expression, then those with VA alone, in groups."""
    held: list[pa.Table] = []
    for va_only in (False, True):
        for made in draft.journal:
            if made.rest if va_only else made.faces:
                table = read_rows(draft.chunks / made.name / ROWS)
                held.append(table.filter(pc.equal(pc.equal(table["expression"], -1), va_only)))
            if sum(map(len, held)) >= GROUP:
                yield pa.concat_tables(held).combine_chunks()
                held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def write_all_problems(draft: Draft, path: Path) -> Counter[str]:
    """Write `problems.csv` in the order of the lists; returns how many there are of each kind."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(PROBLEM_COLUMNS) + "\n")
        for made in draft.journal:
            with (draft.chunks / made.name / CHUNK_PROBLEMS).open(encoding="utf-8", newline="") as some:
                shutil.copyfileobj(some, stream)
    kinds: Counter[str] = Counter()
    for row in problem_rows(path):
        kinds[row["kind"]] += 1
        kinds["fatal"] += row["fatal"] == "yes"
    return kinds


def finish(draft: Draft, listing: Listing, crop: Crop, lists: dict[str, str]) -> Manifest:
    """Write all files but the manifest into the draft's `store`; returns the manifest."""
    draft.join_pixels()
    kinds = write_all_problems(draft, draft.store / PROBLEMS)
    left_out = kinds.pop("fatal", 0)
    moments, rows = write_labels(draft, listing.classes, draft.store / LABELS)
    content: dict[str, Any] = {
        "classes": listing.classes,
        "lists": lists,
        "options": dict(sorted(listing.options.items())),
        "size": crop.size,
        "margin": crop.margin,
        **({"detector": crop.detector} if crop.detector else {}),
        **({"gaussians": borrowed(listing)} if listing.gaussians else {}),
    }
    read = lists if listing.names_lists else sorted(lists.values())
    identity = {**content, "lists": read, "rows": rows}
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Manifest(
        name=listing.name,
        release=listing.release,
        reader=listing.reader,
        source=str(listing.root),
        photographs=f"{sum(made.seen for made in draft.journal) % CHECKSUM_LIMIT:016x}",
        cropped=crop.description,
        images=draft.faces + draft.va_only,
        va_only=draft.va_only,
        notes=(*listing.notes, *_detection_note(crop, kinds[NO_FACE])),
        remarks=listing.remarks,
        counts=moments.counts(),
        va=moments.spreads(),
        problems=dict(sorted(kinds.items())),
        bad=dict(sorted(draft.bad.items())),
        left_out=left_out,
        published_counts=dict(listing.counts),
        published_means=dict(listing.means),
        fingerprint=fingerprint,
        raysweep=raysweep.__version__,
        pillow=PIL.__version__,
        files={name: _file(draft.store / name) for name in (IMAGES, LABELS, PROBLEMS)},
        **content,
    )


def borrowed(listing: Listing) -> dict[str, Any] | None:
    """The Gaussians that classes were derived from, as in a manifest."""
    if listing.gaussians is None:
        return None
    found = listing.gaussians
    return {"origin": found.origin, "numbers": found.numbers(), "reader": found.reader}


def _detection_note(crop: Crop, without: int) -> list[str]:
    """A sentence for captions, where a detector was used."""
    are = "is" if without == 1 else "are"
    left_out = f"; {plural(without, 'image')} in which it finds none {are} left out" if without else ""
    return [f"faces that came without a box were found by {crop.detector}{left_out}"] if crop.detector else []


def _file(path: Path) -> File:
    return File(bytes=path.stat().st_size, sha256=file_checksum(path))
