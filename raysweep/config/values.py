"""Values of fields: as people type them, as an `Experiment` holds them, and as tables write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from raysweep.core.errors import UserError
from raysweep.core.parsing import parse_value

from .experiment import Experiment, check_path, field_choices, sentence
from .sections import Names

QUOTES = "\"'"


class Word(NamedTuple):
    """One of several values on a command line. `quoted`: it stood in quotes, so it is text and nothing else."""

    text: str
    quoted: bool = False


def split_values(option: str, text: str) -> list[Word]:
    """Values between commas; those in quotes may hold commas, and a list may stand in brackets.

    >>> [word.text for word in split_values("--axis", "0, 0.5,1")], split_values("--axis", "'a,b.csv',c.csv")
    (['0', '0.5', '1'], [Word(text='a,b.csv', quoted=True), Word(text='c.csv', quoted=False)])
    >>> [word.text for word in split_values("--axis", "[0,0.5,1]")]
    ['0', '0.5', '1']

    Raises:
        UserError: a value is missing, or a quote that is not closed.
    """
    rest = text.strip()
    if rest.startswith("[") and rest.endswith("]"):
        rest = rest[1:-1]
    parts: list[Word] = []
    while True:
        word, rest, more = _first(option, rest.strip(), text)
        parts.append(word)
        if not more:
            return parts


def _first(option: str, rest: str, text: str) -> tuple[Word, str, bool]:
    """The first value, what stands after its comma, and whether there was one."""
    if rest[:1] and rest[0] in QUOTES:
        inner, closed, after = rest[1:].partition(rest[0])
        if not closed or after.strip()[:1] not in ("", ","):
            raise UserError(f"{option}: a quote must close at the end of its value, but got {text!r}")
        return Word(inner, quoted=True), after.strip()[1:], bool(after.strip())
    word, comma, after = rest.partition(",")
    if not word.strip():
        raise UserError(f"{option}: a value is missing in {text!r}: write V,V,... with something in every place")
    return Word(word.strip()), after, bool(comma)


def read_value(path: str, word: Word) -> Any:
    """A typed word as the value of a field: text to a field of text, also where it looks like a number.

    >>> read_value("data.source", Word("2024")), read_value("train.epochs", Word("5.0")), read_value("labels.alpha", Word(".5"))
    ('2024', 5, 0.5)

    Raises:
        UserError: an unknown field (says the nearest), or a value that it cannot have.
    """  # noqa: E501
    check_path(path)
    text = word.text
    none = not word.quoted and text.lower() in ("none", "null")
    if _is_text(path) or path in _name_lists():
        return None if none and (_admits_none(path) or path in _name_lists()) else text
    if not word.quoted:
        value = parse_value(text)
        if isinstance(value, str):
            _refuse_range(path, text)
        return field_value(path, value)
    return field_value(path, text)


def field_value(path: str, value: Any) -> Any:
    """A value as an experiment holds it: 5.0 epochs are 5, None is "none" where that is a choice.

    Lists of names stay as they are: whether a + parts two of them depends on the files there.

    Raises:
        UserError: an unknown field (says the nearest), or a value that it cannot have (says the rule).
    """
    check_path(path)
    if path in _name_lists():
        return value
    value = "none" if value is None and "none" in field_choices(path) else value
    try:
        held = _adapter(path).validate_python(value)
    except ValidationError as error:
        raise UserError("; ".join(sentence(e, path) for e in error.errors())) from None
    return held + 0.0 if isinstance(held, float) else held  # no negative zero


def level_name(value: Any) -> str:
    """How a value is written in tables; no two different values of a field alike.

    >>> [level_name(v) for v in (0.30, 1.0, 0.1234567, 1000001, None, True, ("a", "b"), ("a+b",))]
    ['0.3', '1', '0.1234567', '1000001', 'none', 'true', 'a+b', '"a+b"']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "+".join(_quoted_part(str(part)) for part in value) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def level_names(path: str, values: Sequence[Any]) -> dict[str, Any]:
    """Name of a level to its value, for values of one field.

    Raises:
        UserError: two of them are the same value.
    """
    named: dict[str, Any] = {}
    for value in values:
        held = field_value(path, value)
        text = isinstance(held, str) and _is_text(path) and held.lower() in ("none", "null", "")
        name = json.dumps(held) if text else level_name(held)
        if name in named:
            raise UserError(f"{path}: the value {name} is named twice, so two arms would be the same: name it once")
        named[name] = held
    return named


def _quoted_part(text: str) -> str:
    plain = text and "+" not in text and '"' not in text and text.lower() != "none"
    return text if plain else json.dumps(text, ensure_ascii=False)


def _refuse_range(path: str, text: str) -> None:
    """Raises UserError for LOW:HIGH:STEP where numbers are expected, with the list to write instead."""
    ends = [parse_value(part) for part in text.split(":")]
    if len(ends) not in (2, 3) or not all(isinstance(end, (int, float)) for end in ends):
        return
    low, high, step = (*ends, 1)[:3]
    count = int((high - low) / step + 1e-9) + 1 if step > 0 and high >= low else 0
    written = ",".join(level_name(round(low + i * step, 12)) for i in range(count)) if 1 < count <= 50 else "V,V,..."
    raise UserError(f"{path}: expected values with commas between them, but got {text!r}: write {path}={written}")


@cache
def _adapter(path: str) -> TypeAdapter[Any]:
    section, field = path.split(".")
    owner = Experiment.model_fields[section].annotation
    assert owner is not None
    info = owner.model_fields[field]
    annotated: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(annotated, config=ConfigDict(allow_inf_nan=False))


def _types(path: str) -> tuple[Any, ...]:
    section, field = path.split(".")
    owner = Experiment.model_fields[section].annotation
    assert owner is not None
    annotation = owner.model_fields[field].annotation
    return get_args(annotation) or (annotation,)


def _is_text(path: str) -> bool:
    """Whether a field takes any text, such as a path; a choice among names does not."""
    return str in _types(path) and path not in _name_lists()


def _admits_none(path: str) -> bool:
    return type(None) in _types(path)


@cache
def _name_lists() -> frozenset[str]:
    """Fields that hold several names."""
    lists = get_args(Names)[0]
    return frozenset(
        f"{section}.{name}"
        for section, owner in Experiment.model_fields.items()
        for name, info in owner.annotation.model_fields.items()  # type: ignore[union-attr]
        if info.annotation == lists
    )
