"""Known vulnerabilities of the versions in constraints.txt, by pip-audit; a part of `make check`.

    python -m bench.audit .venv-audit/bin/pip-audit

Exit code 1 when there are any. Where pip-audit or its list of vulnerabilities cannot be reached, a sentence says what
was not checked, and the exit code is 0, so that `make check` works offline.
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
    """Exit code, and lines to print."""
    try:
        done = subprocess.run(
            [program, *QUIET, "--requirement", str(pins)], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0, ["audit skipped: pip-audit could not be installed; `make audit` tries again where there is a network"]
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        cause = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
        return 0, [f"audit skipped: pip-audit could not look anything up ({cause})"]
    return _summary(found)


def _summary(found: list[dict[str, Any]]) -> tuple[int, list[str]]:
    unknown = sorted(one["name"] for one in found if "skip_reason" in one)
    lines = [
        f"{one['name']} {one['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'none yet'}"
        for one in found
        for known in one.get("vulns", ())
    ]
    code = 1 if lines else 0
    if found and len(unknown) == len(found):
        return 0, ["audit skipped: the package index in use here has no data on vulnerabilities"]
    if unknown:
        lines.append(f"not audited, since the index does not have them: {', '.join(unknown)}")
    return code, [
        *lines,
        f"audit: {len(found) - len(unknown)} versions looked up, {'see above' if code else 'no known vulnerability'}",
    ]


if __name__ == "__main__":
    exit_code, lines = audit(sys.argv[1])
    print("\n".join(lines))
    sys.exit(exit_code)
