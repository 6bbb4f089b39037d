"""Counts and moments of a prepared data set as lines of text, beside the published ones."""

from __future__ import annotations

from pathlib import Path

from raysweep.core.formatting import plural
from raysweep.core.formatting import size as format_bytes

from .manifest import Manifest, VaMoments
from .va_moments import VA_ONLY

_SPLITS = ("train", "validation", "test")


def describe_manifest(manifest: Manifest, place: str) -> list[str]:
    """A description of a prepared data set, as lines of text."""
    options = ", ".join(f"{name}={value}" for name, value in manifest.options.items())
    store = Path(place).parent.name or manifest.name
    title = store if store == manifest.name else f"{store} ({manifest.name})"
    lines = [
        f"{title}: {plural(manifest.images, 'image')}, {plural(len(manifest.classes), 'expression')}, "
        f"{manifest.size} px, {format_bytes(manifest.stored_bytes)} in {place}",
        f"release: {manifest.release}{' (' + options + ')' if options else ''}",
        f"faces: {manifest.cropped}",
    ]
    lines += ["", *_count_lines(manifest)]
    lines += ["", *_moment_lines(manifest)] if manifest.va else ["", "valence and arousal: none"]
    lines += ["", f"left out: {manifest.left_out:,} rows"] if manifest.left_out else []
    lines += [f"  {kind}: {count:,}" for kind, count in sorted(manifest.problems.items(), key=lambda kc: -kc[1])]
    lines += [f"note: {note}" for note in manifest.notes] + [f"remark: {remark}" for remark in manifest.remarks]
    return [*lines, f"fingerprint: {manifest.fingerprint}"]


def _count_lines(manifest: Manifest) -> list[str]:
    published = manifest.published_counts
    lines = [f"{'images':14}" + "".join(f"{head:>12}" for head in (*_SPLITS, *(["published"] if published else [])))]
    totals = [0] * len(_SPLITS)
    for name in (*manifest.classes, *([VA_ONLY] if manifest.va_only else [])):
        counts = [manifest.counts.get(split, {}).get(name, 0) for split in _SPLITS]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        line = f"{name or '(VA alone)':14}" + "".join(f"{count:>12,}" for count in counts)
        lines.append(line + _published_count(published.get(name), counts[0], bool(published)))
    total = f"{'all':14}" + "".join(f"{count:>12,}" for count in totals)
    return [*lines, total + (f"{sum(published.values()):>12,}" if published else "")]


def _published_count(theirs: int | None, ours: int, column: bool) -> str:
    if theirs is None:
        return f"{'-':>12}" if column else ""
    return f"{theirs:>12,}" + (f"   {ours - theirs:+,}" if ours != theirs else "")


def _moment_lines(manifest: Manifest) -> list[str]:
    """Moments of the training images, or, where these have no VA, of the first split that has."""
    split = next(split for split in _SPLITS if split in manifest.va)
    published = manifest.published_means
    heads = ["annotated", "mean V", "mean A", "std V", "std A", "cov", *(["publ. V", "publ. A"] if published else [])]
    lines = [f"{'VA, ' + split:14}" + "".join(f"{head:>10}" for head in heads)]
    for name in (*manifest.classes, VA_ONLY):
        spread = manifest.va[split].get(name)
        if spread is not None:
            theirs = published.get(name)
            lines.append(f"{name or '(VA alone)':14}" + _moments(spread) + _published_mean(theirs, bool(published)))
    return lines


def _moments(spread: VaMoments) -> str:
    numbers = (*spread.mean, *spread.std, spread.covariance)
    return f"{spread.count:>10,}" + "".join(f"{number:>10.3f}" for number in numbers)


def _published_mean(theirs: tuple[float, float] | None, column: bool) -> str:
    if theirs is None:
        return f"{'-':>10}{'-':>10}" if column else ""
    return "".join(f"{number:>10.3f}" for number in theirs)
