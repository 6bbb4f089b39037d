"""Sentences on differences that limit the comparison of printed numbers with ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from raysweep.report.formatting import listed
from raysweep.report.published.comparable import Differences, differences, printed, published_table
from raysweep.report.published.table import PublishedTable
from raysweep.report.results.aggregate import Summary

MOST_ARMS = 4


def comparable_words(summary: Summary) -> Iterator[str]:
    """One sentence per group of the paper's data sets whose numbers differ from ours in the same way."""
    table = published_table(summary.study)
    assert table is not None
    groups: list[tuple[dict[str, Differences], list[str]]] = []
    for dataset in table.settings:
        found = _by_arm(summary, table, dataset)
        same = next((names for known, names in groups if known == found), None)
        if same is not None:
            same.append(dataset)
        elif found:
            groups.append((found, [dataset]))
    for found, datasets in groups:
        yield _sentence(listed(datasets), found)


def _by_arm(summary: Summary, table: PublishedTable, dataset: str) -> dict[str, Differences]:
    """Differences for each arm that has a printed number; for other methods' numbers, for all arms."""
    arms = summary.arms
    if dataset in table.rows:
        arms = tuple(
            arm for arm in arms if any(printed(summary, dataset, arm.coordinates, s) for s in table.scores(dataset))
        )
    return {arm.name: differences(summary, dataset, arm.coordinates) for arm in arms}


def _sentence(datasets: str, found: Mapping[str, Differences]) -> str:
    unknown = next((d.unknown for d in found.values() if d.unknown), "")
    if unknown:
        return f"{datasets}: whether ours may be compared with these numbers is unknown: {unknown}."
    if all(d.none for d in found.values()):
        return (
            f"{datasets}: comparable with ours, which have the paper's data sets, encoder and recipe, no field of it "
            "changed."
        )
    values = {name: (*d.data, *d.recipe) for name, d in found.items()}
    common = [entry for entry in next(iter(values.values())) if all(entry in each for each in values.values())]
    rest: dict[tuple[str, ...], list[str]] = {}
    for name, each in values.items():
        rest.setdefault(tuple(entry for entry in each if entry not in common), []).append(name)
    return f"{datasets}: not comparable with ours{_parts(common, rest)}."


def _parts(common: Sequence[str], rest: Mapping[tuple[str, ...], Sequence[str]]) -> str:
    """Differences of all arms, then those of some."""
    parts = [", ".join(common)] if common else []
    for entries, names in rest.items():
        where = listed(list(names[:MOST_ARMS])) if len(names) <= MOST_ARMS else f"{len(names)} arms"
        if entries:
            parts.append(f"{'also, ' if common else ''}at {where}: {', '.join(entries)}")
        elif not common:
            parts.append(f"but comparable at {where}")
    return f" ({'; '.join(parts)})" if parts else ""


def held_out_words(summary: Summary) -> str:
    """States that the paper's models had all training images if ours leave some out; else ""."""
    study, table = summary.study, published_table(summary.study)
    assert table is not None
    if not table.trained_on_all or study.protocol != "validation" or study.data.counts[1]:
        return ""
    return (
        "The published numbers are of models trained on all training images; ours leave out those that are held out "
        "for validation (`selection.protocol=select_then_retrain` trains on all)."
    )


def va_only_words(summary: Summary) -> str:
    """States that the paper's RMSE and CCC are of more images than ours, on its data set; else ""."""
    study, table = summary.study, published_table(summary.study)
    assert table is not None
    keeps = dict(study.data.options).get("none") == "keep"
    if keeps or not any(s.va_only and s.data == study.data.kind for s in table.settings.values()):
        return ""
    return (
        "The published RMSE and CCC are also of images without an expression; ours are not, and not comparable with "
        "them: `python -m raysweep.data prepare affectnet ... --option none=keep` keeps those images."
    )
