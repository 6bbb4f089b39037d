"""Numbers, names and lists as readable text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def arm_name(coordinates: Mapping[str, str]) -> str:
    """An arm in one line; commas within a name are escaped, so that different arms have different names.

    >>> arm_name({"noise": "0.3", "extra": "a,b.csv"})
    'noise=0.3, extra=a\\\\,b.csv'
    """
    return ", ".join(f"{_escaped(axis)}={_escaped(level)}" for axis, level in coordinates.items())


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(",", "\\,") if "," in name or "\\" in name else name


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(0, "cell"), plural(1, "cell"), plural(2000, "image"), plural(2, "search", "searches")
    ('0 cells', '1 cell', '2,000 images', '2 searches')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """Items joined as in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a", "b"], "or"), listed(["a"]), listed([])
    ('a, b and c', 'a or b', 'a', 'none')
    """
    if len(items) < 2:
        return items[0] if items else "none"
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def duration(seconds: float) -> str:
    """A duration given in seconds, as text.

    >>> [duration(s) for s in (0.4, 59, 61, 3600, 90000)]
    ['0 s', '59 s', '1 min 01 s', '1 h 00 min', '25 h 00 min']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """A size given in bytes, as text.

    >>> [size(n) for n in (12, 34_000, 5_600_000, 7.8e9)]
    ['12 B', '34 kB', '5.6 MB', '7.8 GB']
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.2g} {unit}" if 0 < count < 10 and unit != "B" else f"{count:.0f} {unit}"
