"""Sentences on training with extra data sets (DCJT): the sets, their schedule, and changes of their labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from raysweep.artifacts.study_record import ExtraRecord
from raysweep.config.methods import method_of
from raysweep.report.formatting import listed, one_line, plural
from raysweep.report.results.aggregate import Summary

MOST_NOTES = 8

_DRAWS = {"plain": "each of its images once", "balanced": "its classes drawn evenly, as in the authors' code"}
_SHARE_DRAWS = {
    "anew": "drawn anew in every replicate, a smaller share within a larger one",
    "once": "the same images in every replicate",
}
_PASSES = {"epoch": "as a pass after A's", "batch": "batch by batch with A"}
_REDUCTIONS = {"sum": "squared errors of V and A summed", "mean": "squared errors of V and A averaged"}


def extra_words(extras: Sequence[ExtraRecord]) -> str:
    """The end of the data sentence: "; extra data: faces-b (2,000 images)"; "" without extra sets.

    If fine-tuning continues on another set, the target is named first, as such.
    """
    text = ""
    for role, name in (("target", "trained before on the target"), ("extra", "extra data:")):
        found = dict.fromkeys(f"{e.name} ({plural(e.count, 'training image')})" for e in extras if e.role == role)
        text += f"; {name} {listed(list(found))}" if found else ""
    return text


def extra_notes(extras: Sequence[ExtraRecord]) -> list[str]:
    """Distinct notes on the extra sets, each with the sets that have it."""
    about: dict[str, list[str]] = {}
    for extra in extras:
        for note in extra.notes:
            about.setdefault(one_line(note, 600).rstrip("."), []).append(extra.name)
    return [f"Note on {listed(list(dict.fromkeys(names)))}: {note}." for note, names in about.items()]


def joint_recipe(configs: Iterable[Mapping[str, str]]) -> list[str]:
    """The joint training of A and B, as far as all DCJT cells agree; empty without such a cell."""
    dcjt = [config for config in configs if method_of(config).adapts]
    if not dcjt:
        return []
    joint = [c for c in dcjt if c.get("joint.schedule") == "joint" and c.get("joint.extra_part") != "none"]
    parts = [_lambda(_shared(dcjt, "objective.weight_va"), _shared(dcjt, "objective.va_reduction"))]
    parts += _schedule(joint) if joint else []
    if any(config.get("selection.protocol") == "select_then_retrain" for config in dcjt):
        parts.append("retrained on all images in its last step alone, with the pseudo labels and mapping it had")
    pieces = [part for part in parts if part]
    return [f"Joint training (DCJT): {', '.join(pieces)}."] if pieces else []


def extra_weights(configs: Iterable[Mapping[str, str]]) -> list[str]:
    """Weight of extra images in the loss, if all cells that train on them agree and it is not 1."""
    joint = [config for config in configs if method_of(config).on_extra]
    weights = _shared(joint, "joint.extra_weight") if joint else ""
    if not weights or all(float(weight) == 1 for weight in weights.split("+")):
        return []
    return [f"In the loss, images of the extra data weigh {', '.join(f'{float(w):g}' for w in weights.split('+'))}."]


def extra_shares(configs: Iterable[Mapping[str, str]]) -> list[str]:
    """Shares of the extra sets that are trained on, and how they were drawn; empty if all images are."""
    joint = [config for config in configs if method_of(config).on_extra]
    parts = [config for config in joint if any(float(s) < 1 for s in config.get("joint.extra_share", "1").split("+"))]
    shares = [" + ".join(f"{100 * float(s):g} %" for s in config["joint.extra_share"].split("+")) for config in parts]
    draws = {config.get("joint.extra_draw", "once") for config in parts}  # older runs drew once
    sentences = []
    if shares:
        some = "" if len(parts) == len(joint) else ", in these arms alone"
        sentences.append(
            f"Of the extra data {listed(list(dict.fromkeys(shares)), 'or')} of each class is trained on{some}, "
            f"{listed([text for draw, text in _SHARE_DRAWS.items() if draw in draws], 'or')}; the paper does not say "
            "how it drew them."
        )
    return sentences


def label_notes(summary: Summary) -> list[str]:
    """Notes on labels, each with its arms. Notes that differ only in numbers are merged."""
    found: dict[str, tuple[str, set[str], list[str]]] = {}
    for arm in summary.arms:
        for cell in arm.cells:
            for note in cell.label_notes:
                _, texts, arms = found.setdefault(re.sub(r"\d+( sample)?s?", r"#\1", note), (note, set(), []))
                texts.add(note)
                arms.append(arm.name)
    notes = [_note(*entry, len(summary.arms)) for entry in found.values()]
    hidden = len(notes) - MOST_NOTES
    return notes[:MOST_NOTES] + (
        [f"{plural(hidden, 'more note')} on labels: see the tags of the runs"] if hidden > 0 else []
    )


def _note(first: str, texts: set[str], arms: list[str], all_arms: int) -> str:
    names = list(dict.fromkeys(arms))
    where = "every arm" if len(names) == all_arms > 1 else "; ".join(names[:4])
    where += f" and {plural(len(names) - 4, 'more arm')}" if where != "every arm" and len(names) > 4 else ""
    vary = ", numbers vary with the cell" if len(texts) > 1 else ""
    return f"Labels: {one_line(first, 400).rstrip('.')} ({where}{vary})"


def _shared(configs: Sequence[Mapping[str, str]], path: str) -> str:
    """The value that all configurations share, else ""."""
    values = {config.get(path, "") for config in configs}
    return values.pop() if len(values) == 1 else ""


def _lambda(weight: str, reduction: str) -> str:
    if not weight:
        return ""
    how = f" ({_REDUCTIONS[reduction]})" if reduction in _REDUCTIONS and float(weight) else ""
    return f"lambda = {float(weight):g}{how}"


def _schedule(joint: Sequence[Mapping[str, str]]) -> list[str]:
    warm_up, frequency, unit, draw = (
        _shared(joint, f"joint.{name}") for name in ("warm_up", "frequency", "unit", "draw")
    )
    parts = [f"warm-up on A alone for {_epochs(warm_up)}"] if warm_up and float(warm_up) else []
    if frequency == "none":
        return [*parts, "B never joins"]
    if frequency:
        parts.append(f"then B joins every {_epochs(frequency)}" if parts else f"B joins every {_epochs(frequency)}")
    parts += [f"{'' if frequency else 'B joins '}{_PASSES[unit]}"] if unit in _PASSES else []
    return [*parts, *([_DRAWS[draw]] if draw in _DRAWS else [])]


def _epochs(value: str) -> str:
    """A schedule value below 1 is a share of all epochs.

    >>> _epochs("10.0"), _epochs("0.25"), _epochs("1")
    ('10 epochs', '25 % of the epochs', '1 epoch')
    """
    number = float(value)
    if number < 1:
        return f"{100 * number:g} % of the epochs"
    return "1 epoch" if number == 1 else f"{number:g} epochs"
