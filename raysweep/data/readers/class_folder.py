"""A folder of photographs by class: `[train|validation|test/]<expression>/**/*.png`, or `<expression>/[train/...]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.image_types import is_hidden, is_image_name
from raysweep.data.listing import FaceRecord, Listing

from .class_names import FORM, ClassNames
from .folders import FolderScan, ImageFolder, image_names, scan_folders, walk
from .reader import Reader, wrong_release
from .rows import Entry
from .values import Rejected, in_canonical_order, inside_folder, natural_order, quoted

LAYOUT = """\
[{train,validation,test}/]<expression>/**/<name>.{png,jpg,webp,gif,bmp,tif,pgm,...}
splits and expressions by their usual names (Training, dev, PrivateTest; Happy, joy, 1_happy); others: --option names=
folders around the expressions (<subject>/<expression>/, <expression>/<subject>/) are read through, or, with
subjects=folder, are subjects; hidden files, .ipynb_checkpoints/ and __MACOSX/ are never data"""
TITLE = "a folder by class"
SUBJECTS = ("none", "folder")


def read_folder_listing(root: Path, options: Mapping[str, str]) -> Listing:
    """The listing of a folder; images are listed lazily.

    Raises:
        UserError: no class folder with images is found, or the folders are ambiguous.
    """
    if not root.is_dir():
        raise wrong_release(root, TITLE, "a folder")
    names = ClassNames(options["names"])
    scan = scan_folders(root, names.is_expression)
    if not scan.folders:
        raise wrong_release(root, TITLE, "one folder an expression with images in it, perhaps below train/ and test/")
    counts = Counter[str]()
    for folder in scan.folders:
        counts[_text(folder.name)] += folder.count
    names.number(counts)
    try:
        notes = names.check(counts, root, "folder")
    except UserError as error:
        raise UserError(f"{error}{_list_beside(root)}") from None
    by_folder = options["subjects"] == "folder"
    return Listing(
        name=root.resolve().name,
        release="folder by class",
        root=root,
        classes=in_canonical_order(names(name) for name in counts),
        entries=_entries(root, scan, names, by_folder),
        files=(),
        options={key: value for key, value in options.items() if value not in ("", "none")},
        notes=tuple(notes),
        remarks=(*scan.unread, *_folders_around(scan, by_folder)),
        total=scan.count,
    )


def _list_beside(root: Path) -> str:
    """A hint at a CSV file that may have the labels."""
    lists = sorted(path.name for path in root.iterdir() if path.suffix.lower() == ".csv" and not is_hidden(path.name))
    return f"; or does {lists[0]} list them? Then give that file" if lists else ""


def _folders_around(scan: FolderScan, by_folder: bool) -> Iterator[str]:
    around = sorted(
        {_text(name) for folder in scan.folders for name in (*folder.above, *folder.below)}, key=natural_order
    )
    if around and not by_folder:
        some = ", ".join(f"{quoted(name)[1:-1]}/" for name in around[:3]) + (", ..." if len(around) > 3 else "")
        yield (
            f"folders around those of expressions ({some}) are read through; if they are subjects, --option "
            "subjects=folder keeps each on one side of every split"
        )


def _text(name: str) -> str:
    """A name on disk, with bytes that are not UTF-8 as question marks."""
    return name.encode("utf-8", "replace").decode()


def _entries(root: Path, scan: FolderScan, names: ClassNames, by_folder: bool) -> Iterator[Entry]:
    for folder in scan.folders:
        subject = next(map(_text, (*folder.below, *folder.above)), "") if by_folder else ""
        for name in image_names(folder.folder):
            yield _face(root, folder, name, names, subject)


def _face(root: Path, folder: ImageFolder, name: str, names: ClassNames, subject: str) -> Entry:
    try:
        where = inside_folder(folder.folder, root, name)
    except Rejected as fault:
        return fault.at(quoted(name))
    return FaceRecord(folder.folder / name, names(_text(folder.name)), where, subject=subject, split=folder.split)


def fits(root: Path) -> bool:
    """Whether any folder below `root` holds an image."""
    return root.is_dir() and any(folder != root and any(map(is_image_name, names)) for folder, names in walk(root))


READER = Reader(
    title="a folder of photographs by class, for anything else",
    layout=LAYOUT,
    read=read_folder_listing,
    fits=fits,
    options={"names": FORM, "subjects": SUBJECTS},
)
