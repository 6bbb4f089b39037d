"""`.npy` files that may be damaged. NumPy evaluates their header as a Python literal, and never unpickles here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from raysweep.core.bounds import NO_ARRAY as NO_ARRAY


def map_array(path: Path, mode: Literal["r", "c"]) -> np.memmap[Any, Any]:
    """The array in a file, memory-mapped: read-only, or copied on write. Raises one of `NO_ARRAY`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers of Python 2 and old names of types, which damage can look like
        return np.lib.format.open_memmap(path, mode=mode)
