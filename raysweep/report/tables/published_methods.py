"""Our arms beside the methods that a paper compares itself with (DDAF, Tables 1-2; DCJT, Tables 5-6)."""

from __future__ import annotations

from raysweep.report.formatting import DASH, title
from raysweep.report.published.comparable import published_table
from raysweep.report.results.aggregate import Summary
from raysweep.report.text.caption import caption, label_of, notes
from raysweep.report.text.overrides import label_tag

from .table import Column, Entry, Table

PEERS = "peers"
"""The table's file is `<study>_peers.tex`."""


def peers_table(summary: Summary) -> Table | None:
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
        spreads = [(arm.scores[score].spread, arm.scores[score].runs) for score in scores]
        rows.append(
            (
                Entry(f"ours, {summary.study.data.name}"),
                Entry(", ".join(arm.coordinates.values())),
                *(Entry(value=s.mean, std=s.std, runs=runs) if s else Entry(DASH) for s, runs in spreads),
            )
        )
    columns = (Column("data", left=True), Column("method", left=True), *(Column(title(s, arrow=True)) for s in scores))
    head, *rest = caption(summary)
    above = (f"Published methods, as printed, and our arms: {head}", *rest)
    return Table(f"{label_of(summary.study)}_{PEERS}", columns, tuple(rows), above, notes(summary),
                 frozenset(rules - {0}), label_tag([summary.study]))  # fmt: skip
