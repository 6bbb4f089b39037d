"""Errors that a user can fix. Messages state the rule, the value received and the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from .masking import masked


class UserError(ValueError):
    """An error that the user can fix. Commands print its message, passwords masked, without a traceback and exit with
    2."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))


def unknown_name(kind: str, name: str, valid: Iterable[str], hint: str = "") -> UserError:
    """The error for a name that does not exist; suggests the nearest valid name, or lists all.

    >>> print(unknown_name("study", "ablation_alhpa", ["ablation_alpha", "weighted_l2"]))
    unknown study 'ablation_alhpa': did you mean 'ablation_alpha'?
    >>> print(unknown_name("preset", "zzz", ["demo", "smoke"]))
    unknown preset 'zzz': choose one of demo, smoke
    """
    choices = sorted(valid)
    near = get_close_matches(name, choices, n=1, cutoff=0.6)
    if not near:  # "alpha" for "labels.alpha", "ablation" for "ablation_alpha"
        near = [choice for choice in choices if name and name in choice][:1]
    advice = f"did you mean {near[0]!r}?" if near else "choose one of " + ", ".join(choices)
    return UserError(f"unknown {kind} {name!r}: {advice}{' ' + hint if hint else ''}")


def error_of_arms(faults: Mapping[str, str], arms: int) -> UserError:
    """One error for the faulty arms of a study: the first fault and the arms that have it, unnamed if all have it.

    Args:
        faults: what is wrong, by name of the arm; at least one.
        arms: how many arms the study has.

    >>> print(error_of_arms({"method=DCJT": "too few epochs", "method=SCN": "too few epochs"}, arms=7))
    method=DCJT and 1 more arm: too few epochs
    """
    fault = next(iter(faults.values()))
    first, *others = [name for name, other in faults.items() if other == fault]
    if not first or 1 + len(others) == arms > 1:
        return UserError(fault)
    more = f" and {len(others)} more arm{'s' if len(others) > 1 else ''}" if others else ""
    return UserError(f"{first}{more}: {fault}")


def describe(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message, passwords masked."""
    text = masked(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
