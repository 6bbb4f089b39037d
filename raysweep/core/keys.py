"""Keys: what a cell or a stage is called in the store. Equal keys mean equal numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

NUMERICS = {"ddaf": 1}
"""Hand-bumped when the numbers of a kind of work move. Not the git commit: a change of docs must not
retrain anything. `tests/test_golden.py` fails when numbers move without a bump."""


def canonical_json(value: Any) -> str:
    """One spelling for equal plain values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def cell_key(kind: str, params: dict[str, Any], inputs: dict[str, str]) -> str:
    """SHA-256 (64 hex digits) over the kind of work, its numerics version, parameters and inputs' keys."""
    content = {"kind": kind, "numerics": NUMERICS[kind], "params": params, "inputs": inputs}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
