"""Sets of epochs as text: "1-8,11"."""

from __future__ import annotations

from collections.abc import Iterable


def spans(epochs: Iterable[int]) -> str:
    """Epoch numbers as text; "" for none.

    >>> spans([1, 2, 3, 5, 8, 7])
    '1-3,5,7-8'
    """
    runs: list[list[int]] = []
    for epoch in sorted(set(epochs)):
        if runs and runs[-1][-1] == epoch - 1:
            runs[-1][1:] = [epoch]
        else:
            runs.append([epoch])
    return ",".join("-".join(map(str, run)) for run in runs)


def epochs_in(text: str) -> set[int]:
    """The inverse of `spans`.

    >>> sorted(epochs_in("1-3,5"))
    [1, 2, 3, 5]
    """
    ends = [[int(number) for number in span.split("-")] for span in text.split(",") if span]
    return {epoch for span in ends for epoch in range(span[0], span[-1] + 1)}
