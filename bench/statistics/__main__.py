"""How often a report is wrong, in simulated studies through its own code.

    python -m bench.statistics
    python -m bench.statistics --only coverage --studies 2000

claims: tables in which nothing differs and that claim a difference, at most 5 %. best: tables that exclude an arm that
is as good as the best, at most 5 %. coverage: intervals with replicates and images random that hold the true score,
94 to 96 %, beside Hillis's own degrees of freedom and the t-interval over replicates. Three shapes of tables or worlds,
5 and 10 replicates. Prints one JSON line; exits with 1 when the upper 95 % limit of a share of wrong tables is above
5.5 %, or a coverage is outside 94 to 96 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import product

from raysweep.report.results.statistics import exact_interval

from .best import wrongly_excluded
from .coverage import WORLDS, Held, count_held
from .tables import SHAPES, Count, false_claims

LIMIT = 0.055
COVERAGE = (0.94, 0.96)
REPLICATES = (5, 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("claims", "best", "coverage"), help="one of them")
    parser.add_argument("--tables", type=int, default=20_000, metavar="N", help="of each shape; default 20,000")
    parser.add_argument("--studies", type=int, default=5_000, metavar="N", help="of each world; default 5,000")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes; default 2")
    asked = parser.parse_args()
    start, found, good = time.monotonic(), {}, []
    with ProcessPoolExecutor(asked.jobs) as pool:
        for name, count in (("claims", false_claims), ("best", wrongly_excluded)):
            if asked.only in (None, name):
                found[name] = _wrong(pool, count, asked.tables, asked.jobs)
                good.append(all(rate["high"] <= LIMIT for rate in found[name].values()))
        if asked.only in (None, "coverage"):
            found["coverage"] = _coverage(pool, asked.studies, asked.jobs)
            shares = [rate["both"] for rate in found["coverage"].values()]
            good.append(all(COVERAGE[0] <= share <= COVERAGE[1] for share in shares))
    sizes = {"tables": asked.tables, "studies": asked.studies, "seconds": round(time.monotonic() - start, 1)}
    print(json.dumps({"bench": "statistics", **sizes, **found}))
    return 0 if all(good) else 1


def _wrong(
    pool: Executor, count: Callable[[str, int, int, int], Count], tables: int, jobs: int
) -> dict[str, dict[str, float]]:
    """By shape and replicates the share of wrong tables, with its exact 95 % interval."""
    found = {}
    for shape, n in product(SHAPES, REPLICATES):
        work = [pool.submit(count, shape, n, part, seed) for seed, part in enumerate(_parts(tables, jobs))]
        wrong = sum(one.result().claims for one in work)
        low, high = exact_interval(wrong, tables)
        found[f"{shape}, n = {n}"] = {"share": wrong / tables, "low": low, "high": high}
    return found


def _coverage(pool: Executor, studies: int, jobs: int) -> dict[str, dict[str, float]]:
    """By world, replicates and score the share of intervals that hold the truth."""
    found = {}
    for world, n in product(WORLDS, REPLICATES):
        work = [
            pool.submit(count_held, WORLDS[world], n, part, seed) for seed, part in enumerate(_parts(studies, jobs))
        ]
        parts: list[dict[str, Held]] = [one.result() for one in work]
        for what in parts[0]:
            found[f"{world}, n = {n}, {what}"] = {
                field: sum(getattr(part[what], field) for part in parts) / studies
                for field in ("both", "hillis", "replicates")
            }
    return found


def _parts(whole: int, jobs: int) -> list[int]:
    return [len(range(job, whole, jobs)) for job in range(jobs)]


if __name__ == "__main__":
    sys.exit(main())
