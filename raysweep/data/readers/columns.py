"""Columns of a user's CSV file: their roles (path, expression, ...), and the file's separator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from raysweep.core.errors import UserError

from .rows import CsvFile, cells, read_head, read_lines
from .values import Rejected, quoted

REQUIRED = ("path", "expression")
ROLES = (*REQUIRED, "valence", "arousal", "subject", "split")

ALIASES = {
    "path": "path image file filename filepath imagepath imagefile imagename imgpath imgname imgfile img pth picture "
    "photo subdirectoryfilepath",
    "expression": "expression label emotion class expr category labels emotionlabel expressionlabel labelname "
    "classname target",
    "valence": "valence v val valencevalue",
    "arousal": "arousal a aro arousalvalue",
    "subject": "subject subjectid subj person personid identity actor participant",
    "split": "split usage subset partition set phase",
}
"""Usual names of the columns, as letters and digits in lower case."""

_ROLE_OF = {alias: role for role, aliases in ALIASES.items() for alias in aliases.split()}

DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}

IGNORE = "ignore"
SEPARATOR = "MARK|tab"
FORMS = dict.fromkeys(ROLES, "COLUMN") | {IGNORE: "COLUMN,COLUMN,...", "separator": SEPARATOR}
"""Options for the roles of columns."""

_MOST = 12
"""Most columns that one line names."""


@dataclass(frozen=True)
class Header:
    """Roles by column ("" for one that is not used), and sentences about them."""

    roles: tuple[str, ...]
    remarks: tuple[str, ...]


def open_user_table(
    file: Path, root: Path, options: Mapping[str, str], required: Sequence[str] = REQUIRED
) -> tuple[CsvFile, tuple[str, ...]]:
    """The CSV file at `file` with its columns by role, and sentences about the columns; `options` as `FORMS`.

    Raises:
        UserError: no rows, no text in UTF-8, an ambiguous separator or column, or a missing column.
    """
    name = file.relative_to(root).as_posix()
    number, text, notes = read_head(file, name, f"{','.join(required)}[,...]")
    asked = {"tab": "\t"}.get(options.get("separator", ""), options.get("separator", ""))
    if len(asked) > 1:
        raise UserError(f"`separator` must be one mark, or tab, but got {quoted(asked)}")
    if text.lower().startswith("sep=") and len(text) == 5:  # as Excel writes it
        asked = asked or text[4]
        number, text = _line_after(file, name, number)
    delimiter = asked or _delimiter(file, text)
    header = _header(file, text, delimiter, options, required, notes)
    return CsvFile(file, name, header.roles, number, delimiter, notes), header.remarks


def _line_after(file: Path, name: str, number: int) -> tuple[int, str]:
    for k, (_, text) in enumerate(read_lines(file, name), 1):
        if k > number and isinstance(text, str) and text.strip():
            return k, text
    raise UserError(f"{file}: the file has no rows after `sep=`")


def _delimiter(file: Path, text: str) -> str:
    """The mark by which the first row has most roles. Raises UserError: two give equally many, or none gives two."""
    roles = {
        mark: len({_role(name) for name in _names(file, text, mark)} - {""}) for mark in DELIMITERS if mark in text
    }
    if len(roles) < 2:
        return next(iter(roles), ",")
    best = max(roles.values())
    if best < 2 or list(roles.values()).count(best) > 1:
        which = " or ".join(DELIMITERS[mark] for mark in roles)
        raise UserError(
            f"{file}: are the columns separated by {which}? The first row must name them, such as "
            f"{','.join(REQUIRED)}, but is {quoted(text, 200)}; --option separator={SEPARATOR} says what separates them"
        )
    return max(roles, key=lambda mark: roles[mark])


def _names(file: Path, text: str, delimiter: str) -> list[str]:
    try:
        return cells(text, delimiter)
    except Rejected as fault:
        raise UserError(f"{file}: the first row is no row of a CSV file: {fault}") from None


def _role(name: str) -> str:
    return _ROLE_OF.get("".join(c for c in name.casefold() if c.isalnum()), "")


def _header(
    file: Path, text: str, delimiter: str, options: Mapping[str, str], required: Sequence[str], notes: Sequence[str]
) -> Header:
    names = _names(file, text, delimiter)
    ignored = [name.strip() for name in options.get(IGNORE, "").split(",") if name.strip()]
    for name in ignored:
        _index(file, names, name, IGNORE)
    chosen: dict[str, int] = {}
    for role in ROLES:
        if asked := options.get(role, ""):
            chosen[role] = _index(file, names, asked, role)
        else:
            found = _guess(file, names, role, ignored)
            chosen |= {} if found is None else {role: found}
    _check_once(file, names, chosen)
    _check_complete(file, names, chosen, ignored, required, notes)
    roles = {index: role for role, index in chosen.items()}
    return Header(tuple(roles.get(i, "") for i in range(len(names))), tuple(_remarks(file, names, chosen)))


def _index(file: Path, names: Sequence[str], name: str, option: str) -> int:
    """Raises UserError: no such column."""
    found = [i for i, other in enumerate(names) if other.casefold() == name.casefold()]
    if len(found) != 1:
        some = quoted(", ".join(names), 300)
        raise UserError(f"{file}: --option {option}={name}: {len(found) or 'no'} columns have that name, of {some}")
    return found[0]


def _guess(file: Path, names: Sequence[str], role: str, ignored: Sequence[str]) -> int | None:
    """The column of a role: the one with its name, else the only one with an alias."""
    found = [i for i, name in enumerate(names) if _role(name) == role and name not in ignored]
    exact = [i for i in found if names[i].casefold() == role]
    if len(exact or found) > 1:
        which = ", ".join(quoted(names[i]) for i in exact or found)
        raise UserError(
            f"{file}: {role} may be any of the columns {which}: choose one with --option {role}=COLUMN"
            + (", or rename the others" if exact else "")
        )
    return next(iter(exact or found), None)


def _check_once(file: Path, names: Sequence[str], chosen: Mapping[str, int]) -> None:
    for role, index in chosen.items():
        for other, same in chosen.items():
            if role < other and index == same:
                raise UserError(f"{file}: column {quoted(names[index])} cannot be both {role} and {other}")


def _check_complete(
    file: Path,
    names: Sequence[str],
    chosen: Mapping[str, int],
    ignored: Sequence[str],
    required: Sequence[str],
    notes: Sequence[str],
) -> None:
    free = [name for i, name in enumerate(names) if i not in chosen.values() and name and name not in ignored]
    for role in required:
        if role not in chosen:
            raise UserError(_missing(file, names, free, role, notes))
    for name in free:  # a misspelt optional column
        near = _near(name, [role for role in ROLES if role not in chosen])
        if near:
            raise UserError(
                f"{file}: unknown column {quoted(name)}: did you mean {near!r}? Rename it, or give "
                f"--option {near}={name} or --option {IGNORE}={name}"
            )
    if ("valence" in chosen) != ("arousal" in chosen):
        lone = "valence" if "valence" in chosen else "arousal"
        raise UserError(f"{file}: valence and arousal are needed together, but only {lone} is there")


def _near(name: str, roles: Sequence[str], shortest: int = 5) -> str:
    """The role of which a column's name may be a misspelling; aliases shorter than `shortest` are too ambiguous."""
    values = {alias: role for role in roles for alias in ALIASES[role].split() if len(alias) >= shortest}
    plain = "".join(c for c in name.casefold() if c.isalpha())
    found = get_close_matches(plain, values, n=1, cutoff=0.8)
    return values[found[0]] if found else ""


def _missing(file: Path, names: Sequence[str], free: Sequence[str], role: str, notes: Sequence[str]) -> str:
    likely = next((name for name in free if _near(name, [role], 4)), "")
    hint = f"did you mean {role}={likely}? Rename it, or give --option {role}={likely}" if likely else ""
    if not hint and any({_role(part) for part in note.split(",")} >= set(REQUIRED) for note in notes):
        hint = "a line that starts with # looks like the header: remove the #"
    hint = hint or f"the first row must name the columns, or --option {role}=COLUMN says which it is"
    return f"{file}: column {role!r} is missing; the header is {quoted(', '.join(names), 300)}: {hint}"


def _remarks(file: Path, names: Sequence[str], chosen: Mapping[str, int]) -> list[str]:
    other = [f"{role} from {quoted(names[i])}" for role, i in chosen.items() if names[i].casefold() != role]
    unused = [
        quoted(name) if name else "one without a name" for i, name in enumerate(names) if i not in chosen.values()
    ]
    unused = [*unused[:_MOST], "..."] if len(unused) > _MOST else unused
    lines = [f"columns of {file.name}: {', '.join(other)}"] if other else []
    return lines + ([f"columns of {file.name} that are not used: {', '.join(unused)}"] if unused else [])
