"""Our arms beside the methods that a paper compares itself with (DDAF, Tables 1-2; DCJT, Tables 5-6)."""

from __future__ import annotations

from raysweep.report.formatting import DASH, title
from raysweep.report.published.comparable import published_table
from raysweep.report.results.aggregate import ArmSummary, ScoreSummary, Summary
from raysweep.report.text.caption import caption, label_of, notes
from raysweep.report.text.overrides import label_tag

from .table import Column, Entry, ReportTable

PEERS = "peers"
"""The table's file is `<study>_peers.tex`."""


def peers_table(summary: Summary) -> ReportTable | None:
    """One row a published method, by data set in the paper's order, then one row an arm; None without such methods.

    Columns are those of our scores that any of the methods has.
    """
    published = published_table(summary.study)
    if published is None or not published.peers:
        return None
    printed = {name for peers in published.peers.values() for peer in peers for name in peer.scores}
    scores = [score for score in summary.columns if score in printed]
    rows: list[tuple[Entry, ...]] = []
    rules: set[int] = set()
    for dataset, peers in published.peers.items():
        rules.add(len(rows))
        rows += [
            (Entry(dataset), Entry(peer.name), *(Entry(peer.scores.get(score, DASH)) for score in scores))
            for peer in peers
        ]
    rules.add(len(rows))
    for arm in summary.arms:
        rows.append(
            (
                Entry(f"ours, {summary.study.data.name}"),
                Entry(", ".join(arm.coordinates.values())),
                *(_score(arm, arm.scores[score]) for score in scores),
            )
        )
    columns = (Column("data", left=True), Column("method", left=True), *(Column(title(s, arrow=True)) for s in scores))
    head, *rest = caption(summary)
    above = (f"Published methods, as printed, and our arms: {head}", *rest)
    return ReportTable(f"{label_of(summary.study)}_{PEERS}", columns, tuple(rows), above, notes(summary),
                 frozenset(rules - {0}), label_tag([summary.study]))  # fmt: skip


def _score(arm: ArmSummary, score: ScoreSummary) -> Entry:
    """A mean, with its n where fewer cells have the score than are complete."""
    if score.spread is None:
        return Entry(DASH)
    count = None if score.spread.n == arm.complete else score.spread.n
    return Entry(value=score.spread.mean, std=score.spread.std, runs=score.runs, count=count)
