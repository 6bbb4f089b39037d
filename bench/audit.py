"""Whether a version in constraints.txt has a known vulnerability: what `make check` asks pip-audit, and says of it.

    python -m bench.audit .venv-audit/bin/pip-audit

Exit code 1 when one has. Where pip-audit, or the list of vulnerabilities, cannot be reached, a sentence says what was
not looked at, and the exit code is 0: a check without a network goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"
QUIET = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")


def audit(program: str, pins: Path = PINS) -> tuple[int, list[str]]:
    """Exit code, and what to print."""
    try:
        done = subprocess.run(
            [program, *QUIET, "--requirement", str(pins)], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0, ["audit skipped: pip-audit could not be installed; `make audit` tries again where there is a network"]
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        cause = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        return 0, [f"audit skipped: pip-audit could not look anything up ({cause})"]
    return _told(found)


def _told(found: list[dict[str, Any]]) -> tuple[int, list[str]]:
    unknown = sorted(one["name"] for one in found if "skip_reason" in one)
    lines = [
        f"{one['name']} {one['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'none yet'}"
        for one in found
        for known in one.get("vulns", ())
    ]
    code = 1 if lines else 0
    if found and len(unknown) == len(found):
        return 0, ["audit skipped: the package index in use here knows nothing of vulnerabilities"]
    if unknown:
        lines.append(f"not audited, since the index does not know them: {', '.join(unknown)}")
    return code, [
        *lines,
        f"audit: {len(found) - len(unknown)} versions looked up, {'see above' if code else 'no known vulnerability'}",
    ]


if __name__ == "__main__":
    exit_code, words = audit(sys.argv[1])
    print("\n".join(words))
    sys.exit(exit_code)
