"""Mistakes of a user, and how they are worded: the rule, the value received, the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from .masking import masked


class UserError(ValueError):
    """Something the user can mend. Command lines print its message, which holds no password, without a traceback and
    exit with 2."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))


def unknown_name(kind: str, name: str, valid: Iterable[str], hint: str = "") -> UserError:
    """The error for a name that does not exist: says the nearest valid ones, or all of them.

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
    """One error for what is wrong with arms of a study: the first fault, and whose it is.

    A fault that all arms share is named without one.

    Args:
        faults: name of an arm to what is wrong with it; at least one.
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
    """One line for an exception: its type and the first line of what it says, without passwords."""
    text = masked(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
