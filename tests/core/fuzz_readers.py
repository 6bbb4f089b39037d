"""Mutates files of a store, a journal and MLflow's artifacts, and reads them: only the agreed errors may come out.

python -m tests.core.fuzz_readers --seconds 600
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.core.errors import UserError
from raysweep.data.cache import load_packed, save_packed
from raysweep.data.prepare.manifest import parse_manifest
from raysweep.maintenance import collect, status
from raysweep.report.results.records import StudyRecord
from raysweep.store.store import Store
from raysweep.study.launch_records import write_record
from raysweep.tracking.journal import Journal, events_of_a_death
from tests.conftest import make_squares
from tests.core.test_bounds import adapted, attention, faces, predictions
from tests.study.small_plans import compute, small_plan

TOKENS = [
    b"\0",
    b"{}",
    b"[]",
    b"null",
    b'"',
    b"../",
    b"/dev/zero",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"\xff",
    b"true",
    b"\n",
    b"[" * 2000,
]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The same with bytes flipped, cut, repeated or replaced by odd words."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 5, 30])):
        at, kind = draw.randrange(len(data) + 1), draw.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at : at + draw.choice([1, 4, 100])] = b""
        elif kind == 2:
            data[at:at] = draw.choice(TOKENS)
        elif kind == 3:
            data[at : at + 8] = draw.choice(TOKENS)
        else:
            data = data[:at] if draw.random() < 0.2 else data + data[at : at + 50]
    return bytes(data)


class Readers:
    """Every reader with a whole input of its own; each takes bytes, and raises `UserError` or `ValueError` at most."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        plan = small_plan(self.store)
        self.keys = list(compute(self.store, plan))
        write_record(self.store, plan, "one")
        self.store.note_failure(self.keys[0], {"cause": "x", "time": 1.0})
        self.journal = folder / "journal" / "j.jsonl"
        with contextlib.closing(Journal(self.journal)) as journal:
            for name in ("launch", "start", "epoch"):
                cell = {"key": "k", "arm": "a", "replicate": 0}
                journal.append({"event": name, "time": 1, "study": "s", "launch": "l", "cell": cell})
        save_packed(make_squares(8), folder / "packed")
        record = next((folder / "store" / "studies").rglob("*.json.gz"))
        self.files = {
            "record": record,
            "product": folder / "store" / "stages" / self.keys[0] / "manifest.json",
            "failure": folder / "store" / "failed" / f"{self.keys[0]}.json",
            "version": folder / "store" / "raysweep.json",
            "holder": folder / "store" / "holders" / "x.json",
            "journal": self.journal,
            "decoded": folder / "packed" / "data.json",
        }
        self.files["holder"].parent.mkdir(exist_ok=True)
        self.files["holder"].write_text('{"process": "a-1-1", "owner": "launch x", "machine": "m", "since": 1.0}')
        self.whole = {name: file.read_bytes() for name, file in self.files.items()}
        self.arrays = {
            "attention": attention(), "faces": faces(), "labels": adapted(), "predictions": predictions(),
        }  # fmt: skip
        self.plan = json.dumps(plan.record("command").describe()).encode()
        self.manifest = (
            b'{"format": 1, "name": "x", "files": {"images.npy": {"bytes": 1, "sha256": "' + b"0" * 64 + b'"}}}'
        )

    def step(self, draw: random.Random) -> str:
        """Mutate one input and read it. Returns which, and what came of it."""
        name = draw.choice([*self.files, *self.arrays, "plan", "prepared"])
        try:
            if name in self.files:
                self._read_store(name, mutated(self.whole[name], draw))
            elif name in self.arrays:
                self._read_arrays(name, mutated(self.arrays[name], draw))
            elif name == "plan":
                self._read_plan(mutated(self.plan, draw))
            else:
                parse_manifest(mutated(self.manifest, draw), "x")
        except (UserError, ValueError, KeyError) as error:
            return f"{name}: {type(error).__name__}"
        return f"{name}: read"

    def _read_store(self, name: str, content: bytes) -> None:
        self.files[name].write_bytes(content)
        try:
            if name == "journal":
                with contextlib.closing(Journal(self.journal)) as journal:
                    events_of_a_death(journal.events())
                    journal.damaged()
            elif name == "decoded":
                load_packed(self.folder / "packed")
            else:
                store = Store(self.store.root)
                status(store)
                collect(store)
                store.get(self.keys[0]), store.failure(self.keys[0])
        finally:
            self.files[name].parent.mkdir(parents=True, exist_ok=True)
            self.files[name].write_bytes(self.whole[name])

    def _read_arrays(self, name: str, content: bytes) -> None:
        readers = {"attention": AttentionMaps, "faces": LabelledFaces, "labels": AdaptedLabels}
        readers.get(name, ImagePredictions).read(content)

    def _read_plan(self, content: bytes) -> None:
        with contextlib.suppress(TypeError, AttributeError, RecursionError):  # the report says these in a sentence
            StudyRecord.read(json.loads(content), "launch")


def fuzz(seconds: float = math.inf, seed: int = 0, steps: float = math.inf) -> Counter[str]:
    """What came of mutated inputs, counted, after so long or so many. Raises whatever escapes, with the number of the
    step."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        readers = Readers(Path(folder))
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until and number < steps:
            try:
                found[readers.step(random.Random(f"{seed} {number}"))] += 1
            except BaseException:
                print(f"seed {seed}, step {number}", file=sys.stdout)
                raise
            number += 1
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description="Fuzz every reader of small files that others can write.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    found = fuzz(asked.seconds, asked.seed)
    for name, count in sorted(found.items()):
        print(f"{count:8} {name}")
    print(f"{found.total():8} in all, nothing escaped")


if __name__ == "__main__":
    main()
