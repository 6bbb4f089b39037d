"""`python -m raysweep.report STUDY`: tables, figures and an HTML page from MLflow runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.cli.arguments import address, data_folders, leave, silence_stdout
from raysweep.core.errors import UserError
from raysweep.core.masking import mask_streams, masking
from raysweep.store.unusable import is_unusable

if TYPE_CHECKING:  # mlflow and matplotlib take seconds to import; errors in the arguments are reported before that
    from raysweep.report import Results

EXAMPLES = """examples:
  python -m raysweep.report --list
  python -m raysweep.report ablation_alpha
  python -m raysweep.report ablation_alpha --tracking http://localhost:5000 --out paper/alpha
  python -m raysweep.report ablation_alpha --on affectnet morphset     # a report of each, and one table of all
  python -m raysweep.report --all                             # every study, and an index of all reports
  python -m raysweep.report ablation_alpha --check        # exit 1 when the files no longer match the runs

exit codes: 0 written (missing cells are marked in the table), 1 --check found a difference,
2 invalid arguments or input
"""


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m raysweep.report",
        description="Build a study's tables (Markdown, LaTeX, CSV), figures and page from its MLflow runs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("study", nargs="?", help="name of a study that was run (see --list), or the path of its file")
    add(
        "--out",
        metavar="FOLDER",
        help="output folder; default reports/STUDY, or reports/STUDY-DATA if that folder holds a report on other data",
    )
    add(
        "--tracking",
        metavar="URI",
        type=address,
        help="MLflow tracking store; default MLFLOW_TRACKING_URI or sqlite:///mlflow.db; @FILE: a file that holds it",
    )
    add("--launch", metavar="ID", help="which launch of the study: its name or run id; default the newest")
    add("--on", metavar="DATA", nargs="+", help="the newest launch on this data set; several: also one table for all")
    add("--no-faces", action="store_true", help="leave out the figures that show faces")
    add("--all", action="store_true", help="a report of every study of the tracking store, and an index of all reports")
    add("--list", action="store_true", help="list the studies that the tracking store holds")
    add(
        "--check",
        action="store_true",
        help="write nothing; exit 1 and name the files that do not match their launch's runs",
    )
    return arguments


@masking()
def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 --check found a difference, 2 invalid arguments or input."""
    asked = parser().parse_args(argv)
    try:
        if asked.list:
            return _list(asked.tracking)
        if asked.all:
            return _all(asked)
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
    except OSError as error:
        if not is_unusable(error):
            raise
        print(f"raysweep: the report cannot be written: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; an earlier report was left unchanged", file=sys.stderr)
        return 130


def _write(asked: argparse.Namespace) -> int:
    from raysweep.report import check_together, write_index, write_report, write_together  # mlflow takes seconds
    from raysweep.report.render.files import INDEX

    root, results = _results(asked)
    if len(results) > 1:
        check_together(list(results.values()))
    reports = [write_report(one, out, not asked.no_faces) for out, one in results.items()]
    paths = [path for report in reports for path in report.paths]
    for report in reports:
        print("\n".join([report.table_markdown, "", *report.reading, ""]))
    if any(report.incomplete for report in reports):
        print("The table is INCOMPLETE: some cells are missing, failed or still running; they are marked.\n")
    if len(reports) > 1:
        paths += write_together(list(results.values()), root, list(results), not asked.no_faces)
    paths += [write_index(folder) for folder in {out.parent for out in results} if (folder / INDEX).is_file()]
    print("Written:")
    for path in paths:
        print(f"  {path}")
    return 0


def _all(asked: argparse.Namespace) -> int:
    """Every study's report below one folder, then the index over all reports there. With --check: compare both."""
    from raysweep.report import index_text, list_results, write_index  # mlflow takes seconds to import
    from raysweep.report.folder import ROOT
    from raysweep.report.formatting import file_stem
    from raysweep.report.render.files import INDEX

    if asked.study or asked.on or asked.launch:
        raise UserError("--all is about every study: leave out STUDY, --on and --launch, or leave out --all")
    root = Path(asked.out or ROOT)
    code = 0
    for study in list_results(asked.tracking):
        own = str(root / file_stem(study.name)) if asked.out else None
        one = argparse.Namespace(**{**vars(asked), "study": study.name, "out": own})
        try:
            code = max(code, _check(one) if asked.check else _write(one))
        except UserError as error:  # the others are written
            print(f"raysweep: {error}", file=sys.stderr)
            code = 2
    if not asked.check:
        print(f"index: {write_index(root)}")
    elif not (root / INDEX).is_file() or (root / INDEX).read_bytes() != index_text(root).encode():
        print(f"{root / INDEX} does not match the reports: python -m raysweep.report --all")
        code = max(code, 1)
    return code


def _check(asked: argparse.Namespace) -> int:
    from raysweep.report import stale_files, stale_together
    from raysweep.report.formatting import plural

    root, results = _results(asked)
    stale = [out / name for out, one in results.items() for name in stale_files(one, out, not asked.no_faces)]
    if len(results) > 1:
        stale += [
            root / name for name in stale_together(list(results.values()), root, list(results), not asked.no_faces)
        ]
    for path in stale:
        print(path)
    wrong = sum(len(one.checks) for one in results.values())
    found = [f"{plural(len(stale), 'file')} out of date with the runs"] if stale else []
    found += [f"{plural(wrong, 'value')} in MLflow different from the files of the runs"] if wrong else []
    print(f"{root}: {', '.join(found) or 'matches the runs'}")
    return 1 if found else 0


def _results(asked: argparse.Namespace) -> tuple[Path, dict[Path, Results]]:
    """The root folder, and each report's folder to its results."""
    from raysweep.data.progress import progress_bar
    from raysweep.report import default_folder, load_results, subject_of

    sources = asked.on or [None]
    if len(sources) > 1 and asked.launch:
        raise UserError("--launch names one launch, and --on several data sets: leave one of them out")
    named = data_folders(sources) if len(sources) > 1 else {"": sources[0]}
    load = partial(load_results, asked.study, asked.tracking, again=asked.check, bar=progress_bar)
    newest = [load(launch=asked.launch, data=source) for source in named.values()]
    root = Path(asked.out) if asked.out else default_folder([subject_of(one.study) for one in newest])
    loaded = {root / name: one for name, one in zip(named, newest, strict=True)}
    if asked.check and not asked.launch:
        loaded = {out: _of_its_launch(one, out, load) for out, one in loaded.items()}
    for one, source in zip(loaded.values(), named.values(), strict=True):
        for remark in one.remarks:
            print(f"note: {f'{source}: ' if len(loaded) > 1 else ''}{remark}", file=sys.stderr)
        for message in one.checks:
            print(f"MLflow disagrees with a run's files: {message}", file=sys.stderr)
    return root, loaded


def _of_its_launch(newest: Results, out: Path, load: Callable[..., Results]) -> Results:
    """The results of the launch that the report in a folder is of; the newest launch's if there is no such launch."""
    from raysweep.report import noted_launch

    own = noted_launch(out)
    if own in ("", newest.study.launch):
        return newest
    try:
        found = load(launch=own)
    except UserError:
        remark = f"launch {own}, which {out} was made of, is not in this tracking store"
        return replace(newest, remarks=(*newest.remarks, f"{remark}: compared with {newest.study.launch}"))
    remark = f"{newest.study.launch} is newer than {own}, which {out} was made of: without --check it would replace it"
    return replace(found, remarks=(*found.remarks, remark))


def _list(tracking: str | None) -> int:
    from raysweep.report import list_results

    studies = list_results(tracking)
    if not studies:
        raise UserError("the tracking store has no study yet; run: python -m raysweep.run ablation_alpha")
    from raysweep.core.formatting import plural

    for study in studies:
        launches = plural(study.launches, "launch", "launches")
        cells = f"{study.complete:5} of {plural(study.cells, 'cell')} complete"
        print(f"{study.name:28} {cells}   {launches}, newest {study.newest}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    mask_streams()
    leave(main())
