"""What a launch changed of its study, as sentences for captions and as a tag for labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.presets import PRESETS
from raysweep.core.hashing import canonical_json
from raysweep.core.masking import masked
from raysweep.core.parsing import join_names, split_names
from raysweep.report.formatting import listed, plural
from raysweep.report.results.records import target_kind
from raysweep.study.cells import PATHS
from raysweep.study.overrides import field_texts

DEFAULT_PRESET = "demo"
"""The preset of a launch that names none."""


def override_words(study: StudyRecord) -> list[str]:
    """One sentence on everything that the user changed; empty if nothing was."""
    parts = list(_parts(study))
    if not parts:
        return []
    if study.overrides is None:
        start = f"What this launch overrides was not recorded; its first arm differs from preset `{study.preset}` in"
        return [f"{start} {listed(parts)}."]
    return [f"This launch overrides {listed(parts)}."]


def label_tag(studies: Sequence[StudyRecord]) -> str:
    """Suffix of a LaTeX label: "" for launches without options, else the preset and a digest of the overrides,
    independent of the paths of data."""
    presets = list(dict.fromkeys(study.preset for study in studies if study.preset != DEFAULT_PRESET))
    parts = [[*_parts(study), *_data(study)] for study in studies]
    tag = "".join(f"-{''.join(c for c in preset if c.isalnum())}" for preset in presets)
    if not any(map(list, map(_parts, studies))):
        return tag
    return f"{tag}-{hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:8]}"


def _parts(study: StudyRecord) -> Iterator[str]:
    if study.overrides is None:
        yield from (f"`{path}={_shown(path, value)}`" for path, value in _beside_preset(study).items())
        return
    for path, (own, now) in study.overrides.get("fields", {}).items():
        yield f"`{path}={_shown(path, now)}` (else {_shown(path, own)})"
    for name, levels in study.overrides.get("axes", {}).items():
        yield _axis_words(name, levels["own"], levels["now"], levels.get("given", {}))
    replicates = study.overrides.get("replicates", [])
    if replicates:
        yield replicate_words(replicates)
    if study.overrides.get("budget"):
        own, now = study.overrides["budget"]
        yield f"the search's budget: {now} (else {own})"


def _axis_words(name: str, own: Sequence[str], now: Sequence[str], given: Mapping[str, Mapping[str, str]]) -> str:
    if not own:
        return f"the axes by {name}: {listed(list(now))}"
    gone = [level for level in own if level not in now]
    more = [f"{level}{_given_words(given.get(level, {}))}" for level in now if level not in own]
    parts = [f"without {listed(gone)}"] if gone else []
    parts += [f"with {listed(more)}"] if more else []
    return f"the levels of {name}: {' and '.join(parts) or f'in the order {listed(list(now))}'}"


def _given_words(values: Mapping[str, str]) -> str:
    parts = [f"`{path}={_shown(path, value)}`" for path, value in values.items()]
    return f" ({listed(parts)})" if parts else ""


def replicate_words(numbers: Sequence[int]) -> str:
    """For example "replicates 100 to 104", "replicate 7".

    >>> replicate_words([3]), replicate_words([0, 1]), replicate_words([1, 2, 3]), replicate_words([1, 5])
    ('replicate 3', 'replicates 0 and 1', 'replicates 1 to 3', 'replicates 1 and 5')
    """
    ordered = sorted(numbers)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"replicates {ordered[0]} to {ordered[-1]}"
    return f"{plural(len(ordered), 'replicate').split(' ')[1]} {listed([str(number) for number in ordered])}"


def _data(study: StudyRecord) -> list[str]:
    """Fingerprints of data that the user named, in place of their paths."""
    changed = study.overrides.get("fields", {}) if study.overrides else {}
    if not set(changed) & {*PATHS, "data.options"}:
        return []
    return [study.data.fingerprint, *(extra.fingerprint for extra in study.data.extras)]


def _beside_preset(study: StudyRecord) -> Mapping[str, str]:
    """For a launch without recorded overrides: fields that differ from those of its preset today."""
    preset = PRESETS.get(study.preset)
    changes = preset.fields(study.paper, target_kind(study)) if preset else {}
    own = field_texts(changes)
    return {path: value for path, value in study.recipe.items() if path in own and own[path] != value}


def _shown(path: str, value: str) -> str:
    """A value on one line, without passwords; the end of an absolute path."""
    text = " ".join(masked(value).replace("`", "'").split())
    if path not in PATHS:
        return text
    names = split_names(text) if path == "joint.extra" else [text]
    ends = ["/".join(PurePath(name).parts[-2:]) if PurePath(name).is_absolute() else name for name in names]
    return join_names(ends) if path == "joint.extra" else ends[0]
