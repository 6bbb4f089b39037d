"""`python -m raysweep.report STUDY`: tables, figures and a page from what MLflow holds."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.words import silence_stdout

EXAMPLES = """examples:
  python -m raysweep.report --list
  python -m raysweep.report ablation_alpha
  python -m raysweep.report ablation_alpha --tracking http://localhost:5000 --out paper/alpha
  python -m raysweep.report ablation_alpha --check        # exit 1 when the files no longer match the runs

exit codes: 0 written (also when cells are missing: the table marks them), 1 --check found a difference,
2 a mistake in what was asked
"""


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="python -m raysweep.report",
        description="Build a study's tables (Markdown, LaTeX, CSV), figures and page from its MLflow runs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = words.add_argument
    add("study", nargs="?", help="name of a study that was run (see --list)")
    add("--out", metavar="FOLDER", help="where the report goes; default reports/STUDY")
    add("--tracking", metavar="URI", help="MLflow tracking store; default MLFLOW_TRACKING_URI or sqlite:///mlflow.db")
    add("--launch", metavar="ID", help="which launch of the study: its name or run id; default the newest")
    add("--list", action="store_true", help="list the studies that the tracking store holds")
    add("--check", action="store_true", help="write nothing; exit 1 and name the files that no longer match the runs")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 --check found a difference, 2 a mistake in what was asked."""
    asked = parser().parse_args(argv)
    try:
        if asked.list:
            return _list(asked.tracking)
        if not asked.study:
            parser().print_usage(sys.stderr)
            raise UserError("name a study, for example ablation_alpha (`--list` shows those that were run)")
        return _check(asked) if asked.check else _write(asked)
    except UserError as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # files are written before anything is printed
        silence_stdout()
        return 0
    except KeyboardInterrupt:
        print("\nstopped; files of an earlier report are as they were", file=sys.stderr)
        return 130


def _write(asked: argparse.Namespace) -> int:
    from raysweep.report import build_report  # mlflow takes seconds to import; mistakes above should not wait

    report = build_report(asked.study, _out(asked), asked.tracking, asked.launch)
    print("\n".join([report.table_markdown, "", *report.reading, ""]))
    if report.incomplete:
        print("The table is INCOMPLETE: some cells are missing, failed or still running; they are marked.\n")
    print("Written:")
    for path in report.paths:
        print(f"  {path}")
    return 0


def _check(asked: argparse.Namespace) -> int:
    from raysweep.report import load_results, stale_files
    from raysweep.report.words import plural

    out = _out(asked)
    stale = stale_files(load_results(asked.study, asked.tracking, asked.launch), out)
    for name in stale:
        print(f"{out / name}")
    print(f"{out}: {plural(len(stale), 'file')} not as the runs say" if stale else f"{out}: matches the runs")
    return 1 if stale else 0


def _list(tracking: str | None) -> int:
    from raysweep.report import list_results

    studies = list_results(tracking)
    if not studies:
        raise UserError("the tracking store has no study yet; run: python -m raysweep.run ablation_alpha")
    for study in studies:
        launches = f"{study.launches} launch{'es' if study.launches > 1 else ''}"
        print(f"{study.name:28} {study.complete:5} of {study.cells} cells complete   {launches}, newest {study.newest}")
    return 0


def _out(asked: argparse.Namespace) -> Path:
    from raysweep.report.words import file_stem

    return Path(asked.out) if asked.out else Path("reports") / file_stem(asked.study)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
