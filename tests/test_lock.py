"""constraints.txt and hashes.txt say the same, and the audit of them never takes silence for health."""

import json
import re
from pathlib import Path

import pytest

from bench.audit import audit

ROOT = Path(__file__).parents[1]
BY_INDEX = re.compile(re.search(r"^BY_INDEX := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1])


def test_every_version_has_checksums_but_those_that_differ_by_index():
    pins = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    hashed = re.findall(
        r"^(\S+==\S+).*((?:\\\n +--hash=sha256:[0-9a-f]{64}\s)+)", (ROOT / "hashes.txt").read_text(), re.M
    )
    assert [name for name, _ in hashed] == [pin for pin in pins if not BY_INDEX.match(pin)]
    assert {pin.partition("==")[0] for pin in pins if BY_INDEX.match(pin)} >= {"torch", "torchvision"}
    assert "torchmetrics" in {name.partition("==")[0] for name, _ in hashed}


def program(folder, prints, code):
    path = folder / "pip-audit"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\necho 'no route to host' >&2\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


HEALTHY = {"name": "ray", "version": "2.60.0", "vulns": []}
ILL = {"name": "torch", "version": "2.15.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.16"]}]}
UNKNOWN = {"name": "timm", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([HEALTHY], 0, "audit: 1 versions looked up, no known vulnerability"),
        ([HEALTHY, ILL], 1, "torch 2.15.0: CVE-1, fixed in 2.16"),
        ([HEALTHY, UNKNOWN], 0, "not audited, since the index does not have them: timm"),
        ([UNKNOWN], 0, "audit skipped: the package index in use here has no data on vulnerabilities"),
    ],
)
def test_what_an_audit_says(tmp_path, found, code, said):
    told = audit(program(tmp_path, json.dumps({"dependencies": found}), code))
    assert told[0] == code
    assert said in "\n".join(told[1])


def test_no_network_is_said():
    code, (said,) = audit("/no/such/pip-audit")
    assert (code, said[:13]) == (0, "audit skipped")


def test_no_answer_is_said(tmp_path):
    assert audit(program(tmp_path, "", 1)) == (
        0,
        ["audit skipped: pip-audit could not look anything up (no route to host)"],
    )
