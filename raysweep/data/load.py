"""Loading of a data set: a name in `SOURCES`, a prepared set by name, a class folder, or a CSV file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from raysweep.config.sections import Data
from raysweep.core.errors import UserError, unknown_name
from raysweep.store.files import LocalFiles

from .cache import load_packed, save_packed
from .classes import ClassChanges, changed_classes
from .dataset import TEST, TRAIN, FaceData
from .digests import CacheFolder, ImageCaches
from .image_subset import Drawn
from .names import check_size_prepared, not_prepared
from .prepare.location import Home, home, home_place, is_name
from .readers import READERS
from .splits import named_gaps, subset, with_test_split
from .synthetic import FACES_VERSION, SITES, SITES_VERSION, build_faces, build_site
from .unprepared import read_unprepared

FACES_TRAIN, FACES_TEST = 20_000, 1_600
"""Default numbers of built-in faces."""


def load_data(config: Data, cache: Path | None = None, hold_out: bool = True) -> FaceData:
    """The data set of an experiment, with a test split (`hold_out` False: only its own).

    Decoded images are stored below `cache` (when given) and memory-mapped from there the next time.

    Raises:
        UserError: an unknown name, a path that is not there, or data that cannot be used.
    """
    return _load(config, cache, hold_out, home_place())


def load_fresh(config: Data, cache: Path | None = None) -> FaceData:
    """As `load_data`, but read again: `load_data` remembers what this process has loaded."""
    return _load.__wrapped__(config, cache, True, home_place())


def load_whole(
    config: Data, cache: Path | None = None, hold_out: bool = True, changes: ClassChanges | None = None
) -> FaceData:
    """As `load_data`, without limits on the number of images; of a built-in set as many as are drawn.

    Args:
        changes: of its classes; default those of `config`.

    Raises:
        UserError: as `load_data`.
    """
    update: dict[str, Any] = {"train_images": None, "test_images": None} if config.source not in SOURCES else {}
    changes = class_changes(config) if changes is None else changes
    update |= {"classes": None, "drop": None, "map": None}
    return _load_whole(config.model_copy(update=update), cache, hold_out, home_place(), changes)


def class_changes(config: Data) -> ClassChanges:
    """An experiment's changes of the target's classes."""
    return ClassChanges.of("data", config.classes, config.drop, config.map, strict=True)


@lru_cache(maxsize=8)
def _load(config: Data, cache: Path | None, hold_out: bool, place: str) -> FaceData:
    data = _whole(config, cache, hold_out, place, class_changes(config))
    return named_gaps(subset(subset(data, TRAIN, config.train_images), TEST, config.test_images), hold_out)


@lru_cache(maxsize=8)
def _load_whole(config: Data, cache: Path | None, hold_out: bool, place: str, changes: ClassChanges) -> FaceData:
    return _whole(config, cache, hold_out, place, changes)


def _whole(config: Data, cache: Path | None, hold_out: bool, place: str, changes: ClassChanges) -> FaceData:
    folder = _prepared(config, place)
    if folder is None:
        data = _decoded(config, cache)
    else:
        from .prepare.reader import read_prepared  # needs pyarrow, which training on other data does not

        data = read_prepared(folder, config.source)
    data = changed_classes(data, changes)
    data = with_test_split(data) if hold_out else data
    if config.leave_out not in ("twins", "near_twins"):
        return data
    from .exclusions import leave_out  # imports scipy and matplotlib, which are slow

    return leave_out(data, config.leave_out, twin_threshold(config.source), image_caches(config, cache))


def image_caches(config: Data, cache: Path | None = None) -> ImageCaches:
    """Caches of results about a data set's images: in the data home, which all machines of a cluster share, else in
    the local cache."""
    place = home_place()
    folder = _prepared(config, place)
    places = [CacheFolder(LocalFiles(cache), "")] if cache else []
    if folder is not None:
        places.insert(0, CacheFolder(Home(place).files, f"{config.source}/{config.image_size}px"))
    return ImageCaches(folder, tuple(places))


def twin_threshold(source: str) -> float:
    """Least likeness of near twins."""
    from .audit.near_duplicates import DRAWN_THRESHOLD, THRESHOLD

    return DRAWN_THRESHOLD if source in SOURCES else THRESHOLD


def _prepared(config: Data, where: str) -> Path | None:
    """The folder of a prepared set; None where the source is something else.

    Raises:
        UserError: a reader's name that is not prepared, or a set that is not prepared at this size.
    """
    name, size = config.source, config.image_size
    if name in SOURCES or not is_name(name):
        return None
    place = Home(where)
    folder = place.open(name, size)
    if folder is not None:
        _check_no_options(config, "is prepared: give them to `prepare`")
        return folder
    check_size_prepared(place, name, size)
    if name in READERS and not Path(name).exists():
        raise not_prepared(place, name, size)
    return None


def _decoded(config: Data, cache: Path | None) -> FaceData:
    """A built-in set, or photographs that are prepared now; either is stored below `cache` when given."""
    if config.source not in SOURCES:
        return read_unprepared(_path(config.source), config.image_size, read_options(config.options), cache)
    _check_no_options(config, "is a built-in set")
    name, build = SOURCES[config.source](config)
    folder = cache / name if cache else None
    data = load_packed(folder) if folder else None
    return _drawn_later(build(), folder) if data is None else data


def _drawn_later(data: FaceData, folder: Path | None) -> FaceData:
    """A built-in set that is drawn at the first access to pixels, then written to `folder`."""

    def draw() -> Tensor:
        pixels = data.images[:]
        if folder:
            save_packed(replace(data, images=pixels), folder)
        return pixels

    return replace(data, images=Drawn((len(data), *data.images.shape[1:]), draw))


def _check_no_options(config: Data, why: str) -> None:
    if config.options:
        raise UserError(
            f"data.options={','.join(config.options)} is for folders and lists that are named by their path, but "
            f"{config.source} {why}"
        )


def read_options(pairs: Sequence[str]) -> dict[str, str]:
    """Options of a reader by name. Raises UserError: not K=V, or one of them twice."""
    options: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not name or not value:
            raise UserError(f"--option expects K=V, but got {pair!r}")
        if options.get(name, value) != value:
            raise UserError(f"--option {name} is given twice, as {options[name]} and as {value}")
        options[name] = value
    return options


def _path(source: str) -> Path:
    """The folder or file that a source names. Raises UserError: there is none."""
    path = Path(source).expanduser()
    if path.exists():
        return path
    if os.sep in source or path.suffix:
        raise UserError(f"{path}: no such file or folder")
    known = [*SOURCES, *READERS, *home().names()]
    raise unknown_name("data set", source, known, "(or give a path to a class folder or a CSV file)")


def _faces(config: Data) -> tuple[str, Callable[[], FaceData]]:
    size = config.image_size
    train, test = config.train_images or FACES_TRAIN, config.test_images or FACES_TEST

    def build() -> FaceData:
        # no validation split: the split seed of a replicate holds validation subjects out
        return build_faces(size=size, train=train, validation=0, test=test, seed=0, at_once=False)

    return f"faces-v{FACES_VERSION}-{size}px-{train}-{test}", build


def _site(config: Data) -> tuple[str, Callable[[], FaceData]]:
    site, size = SITES[config.source], config.image_size
    train, test = config.train_images or site.train, config.test_images or site.test
    cache_name = f"{site.name}-v{FACES_VERSION}.{SITES_VERSION}-{size}px-{train}-{test}"
    return cache_name, lambda: build_site(site, size=size, train=train, validation=0, test=test, at_once=False)


SOURCES: dict[str, Callable[[Data], tuple[str, Callable[[], FaceData]]]] = {
    "faces": _faces,
    "faces-a": _site,
    "faces-b-none": _site,
    "faces-b-moderate": _site,
    "faces-b-strong": _site,
    "faces-c": _site,
    "faces-d": _site,
}
"""Data sets by name."""
