"""Methods that train once: on the target, on extra sets, on both as one set."""

from __future__ import annotations

from .ground import Built, Ground


def target_only(ground: Ground) -> Built:
    """The target alone, as DDAF trains: noise, fusion, weights."""
    return Built(
        ground.fit("target", [ground.targets_a]), {"labels": ground.labels_a}, lambda: ([ground.whole.targets_a], [])
    )


def extra_only(ground: Ground) -> Built:
    """The extra sets alone, scored on the target (DCJT, Figure 1)."""
    return Built(ground.fit("extra", ground.targets_b), {})


def combination(ground: Ground) -> Built:
    """Target and extra sets as one set with the labels they have ("combination straightly", Tables 3 and 4).

    Class weights and means, where they are used, are each set's own.
    """
    theirs = ground.targets_b
    model = ground.fit("combination", [ground.targets_a, *theirs])
    return Built(model, {}, lambda: ([ground.whole.targets_a, *theirs], []))
