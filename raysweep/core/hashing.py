"""Keys: what a stage is called in the store. Equal keys mean equal numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

NUMERICS = {
    "data": 2,  # 2: one image of a class is never held out
    "labels": 1,
    "select": 1,
    "pseudo_va": 1,
    "adapt": 1,
    "targets": 1,
    "start": 1,
    "step": 3,  # 2: every field not excluded by name; 3: contrast about mean luma, ECE in 15 bins, CCC over N, defaults
    "fit": 1,
    "evaluate": 5,  # 2: moments of VA; 3: attention maps; 4: macro-F1 over the classes among the labels; 5: as `step` 3
    "retrain": 5,
    "validate": 3,  # 2, 3: as `evaluate` 4, 5
}
"""Kinds of stages. A number is hand-bumped when the numbers of its kind move. Not the git commit:
a change of docs must not retrain anything. Bumped, too, when a kind's product holds more than before: the old
one would be found and lack it, while evaluating again costs no training (`retrain` alone trains again).
`tests/test_golden.py` fails when numbers move without a bump."""


def canonical_json(value: Any) -> str:
    """One spelling for equal plain values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def stage_key(kind: str, params: dict[str, Any], inputs: dict[str, str]) -> str:
    """SHA-256 (64 hex digits) over the kind of stage, its numerics version, parameters and inputs' keys."""
    content = {"kind": kind, "numerics": NUMERICS[kind], "params": params, "inputs": inputs}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
