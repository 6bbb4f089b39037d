"""Scan of photographs in folders by expression, with remarks on files that are not read.

A path below the root may have one part that names a split and one that names an expression, in either order, with
other folders above (`images/train/happy/`, `S010/happy/`) and below (`happy/S010/`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.image_types import is_hidden, is_image_name
from raysweep.data.listing import split_of

from .values import quoted

DOCUMENTS = (
    *(".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log", ".py", ".ipynb"),
    *(".doc", ".docx", ".xls", ".xlsx", ".rtf", ".db", ".mat", ".npy", ".npz", ".pkl"),
)
"""Types of files that are no photographs, and not worth a remark."""

MOST_NAMED = 5


def image_names(folder: Path) -> list[str]:
    """Names of the image files in `folder`, sorted, without hidden ones and files of operating systems."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image_name(entry.name))


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every visible folder from `root` down with the names of its visible files, both sorted.

    Symbolic links to folders are followed, but not into a folder that contains the link.
    """
    yield from _walk(root, frozenset())


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, list[str]]]:
    state = folder.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        visible = sorted((entry.name, entry.is_dir()) for entry in entries if not is_hidden(entry.name))
    yield folder, [name for name, is_folder in visible if not is_folder]
    for name, is_folder in visible:
        if is_folder:
            yield from _walk(folder / name, above | {here})


@dataclass(frozen=True)
class ImageFolder:
    """A folder with photographs of one class. `name` as on disk; `above`, `below`: names of the folders around it."""

    folder: Path
    name: str
    split: str
    count: int
    above: tuple[str, ...]
    below: tuple[str, ...]


@dataclass(frozen=True)
class FolderScan:
    """Every folder with photographs below a root, and sentences about what is not read."""

    folders: tuple[ImageFolder, ...]
    unread: tuple[str, ...]

    @property
    def count(self) -> int:
        return sum(folder.count for folder in self.folders)


def scan_folders(root: Path, is_expression: Callable[[str], bool]) -> FolderScan:
    """Scan all folders below `root` once.

    Raises:
        UserError: two splits in one path, expressions at different depths, or photographs of expressions both in
            folders of splits and beside them.
    """
    found = [_Folder(root, folder, names) for folder, names in walk(root)]
    with_images = [here for here in found if here.images]
    depth = _depth_of_classes(root, with_images, is_expression)
    split = any(here.split for here in with_images if len(here.parts) > depth)
    kept = [here for here in with_images if len(here.parts) > depth and (here.split or not split)]
    outside = [here for here in with_images if len(here.parts) > depth and split and not here.split]
    if stray := [here for here in outside if is_expression(here.parts[depth])]:
        raise UserError(
            f"{root}: {_counted(stray)} lie in no split, but others lie below {_splits(kept)}: "
            "move them into a folder train/, validation/ or test/, or away"
        )
    folders = tuple(here.of_class(depth) for here in kept)
    return FolderScan(folders, tuple(_unread(root, [here for here in with_images if here not in kept], found)))


class _Folder:
    """A folder and its files. `parts`: of its path below the root, without the split."""

    def __init__(self, root: Path, folder: Path, names: list[str]) -> None:
        self.root, self.folder = root, folder
        self.images = sum(map(is_image_name, names))
        self.others = Counter(
            ending or "without an ending"
            for name in names
            if (ending := os.path.splitext(name)[1].lower()) not in DOCUMENTS and not is_image_name(name)
        )
        parts = folder.relative_to(root).parts
        splits = [(part, split) for part in parts if (split := split_of(part))]
        if self.images and len(splits) > 1:
            both = " and ".join(f"{part}/" for part, _ in splits)
            raise UserError(f"{self.name}: two splits in one path ({both}): rename one of these folders")
        self.split = splits[0][1] if splits else ""
        self.split_folder = splits[0][0] if splits else ""
        self.parts = tuple(part for part in parts if not split_of(part))

    @property
    def name(self) -> str:
        return quoted(f"{self.folder.relative_to(self.root).as_posix()}/", 200)[1:-1]

    def of_class(self, depth: int) -> ImageFolder:
        above, name, below = self.parts[:depth], self.parts[depth], self.parts[depth + 1 :]
        return ImageFolder(self.folder, name, self.split, self.images, above, below)


def _depth_of_classes(root: Path, found: list[_Folder], is_expression: Callable[[str], bool]) -> int:
    """The number of folders above those of expressions, which must be the same for all; 0 where there are none."""
    depths: dict[int, _Folder] = {}
    for here in found:
        depth = next((i for i, part in enumerate(here.parts) if is_expression(part)), None)
        if depth is not None:
            depths.setdefault(depth, here)
    if len(depths) > 1:
        some = ", ".join(depths[depth].name for depth in sorted(depths))
        hint = _split_hint([depths[depth] for depth in sorted(depths)])
        raise UserError(f"{root}: folders of expressions must lie at one depth, but there are {some}: {hint}")
    return next(iter(depths), 0)


def _split_hint(found: Sequence[_Folder]) -> str:
    """Advice on folders at different depths: some are in splits, others may be meant as splits."""
    known = next((here.split_folder for here in found if here.split), "")
    other = next((here.parts[0] for here in found if not here.split and len(here.parts) > 1), "")
    if known and other:
        return (
            f"{quoted(known)[1:-1]}/ is read as a split; if {quoted(other)[1:-1]}/ is one, too, name it train/, "
            "validation/ or test/, else move it away"
        )
    return "move some away"


def _splits(found: list[_Folder]) -> str:
    return ", ".join(sorted({f"{here.split_folder}/" for here in found}))


def _counted(found: list[_Folder]) -> str:
    """ "12 images in happy/, 3 in sad/ and 9 in 2 other folders"."""
    some = [f"{here.images:,} image{'' if here.images == 1 else 's'} in {here.name}" for here in found[:MOST_NAMED]]
    rest = found[MOST_NAMED:]
    more = f" and {sum(here.images for here in rest):,} in {len(rest):,} other folders" if rest else ""
    return ", ".join(some) + more


def _unread(root: Path, passed_over: list[_Folder], found: list[_Folder]) -> Iterator[str]:
    if passed_over:
        yield f"not read, for no folder says their expression: {_counted(passed_over)}"
    kinds: Counter[str] = Counter()
    first: dict[str, str] = {}
    for here in found:
        for ending, count in here.others.items():
            kinds[ending] += count
            first.setdefault(ending, here.name)
    if kinds:
        some = [f"{count:,} {ending} (the first in {first[ending]})" for ending, count in kinds.most_common(MOST_NAMED)]
        yield f"files that are not read, for they are no images by their names: {', '.join(some)}"
