"""Keeping Ray from placing processes on certain nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray import tune

NODE_ID = "ray.io/node-id"
"""Label that Ray gives to every node."""


def elsewhere(left_out: Sequence[str]) -> dict[str, str]:
    """A label selector for all nodes but those with these ids."""
    return {NODE_ID: f"!in({','.join(left_out)})"}


def placed(resources: Mapping[str, float], left_out: Sequence[str]) -> dict[str, float] | tune.PlacementGroupFactory:
    """What Tune reserves for a trial's process, on any node but those."""
    if not left_out:
        return dict(resources)
    return tune.PlacementGroupFactory([dict(resources)], bundle_label_selector=[elsewhere(left_out)])
