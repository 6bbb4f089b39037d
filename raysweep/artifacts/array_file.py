"""Named arrays that travel as one `.npz`: what predictions, adapted labels and attention maps have in common."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from raysweep.core.bounds import read_npz

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Each field of a subclass is an array of the file `FILE`, by the same name; one whose default is None may lack.

    Subclasses raise ValueError when they are made of arrays that do not belong together.
    """

    FILE: ClassVar[str]

    def arrays(self) -> dict[str, Array]:
        """Those that are there, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    def write(self, folder: Path) -> None:
        """`FILE` in `folder`."""
        np.savez_compressed(folder / self.FILE, **self.arrays())  # type: ignore[arg-type]

    @classmethod
    def read(cls, source: Path | bytes) -> Self:
        """The arrays of a file, or of its bytes. Those of other names are passed over.

        Raises:
            ValueError: it holds no arrays, is damaged, lacks one, or they do not belong together.
            OSError: the file cannot be read.
        """
        arrays = read_npz(source)
        if missing := {field.name for field in fields(cls) if field.default is MISSING} - arrays.keys():
            raise ValueError(f"{min(missing)} is missing")
        return cls(**{field.name: arrays[field.name] for field in fields(cls) if field.name in arrays})
