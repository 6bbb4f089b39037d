"""Readers of untrusted gzip, `.npy` and `.npz` files, with limits on the memory that a small file can ask for."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unzipped(content: bytes, most: int) -> bytes:
    """The decompressed content of a gzip file.

    Raises:
        ValueError: longer than `most` bytes, or truncated.
        zlib.error: not a gzip file.
    """
    stream = zlib.decompressobj(wbits=31)
    found = stream.decompress(content, most)
    if stream.unconsumed_tail or (not stream.eof and len(found) == most):
        raise ValueError(f"it would be longer than {most:,} bytes")
    if not stream.eof:
        raise ValueError("it is cut off")
    return found


NO_ARRAY: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, EOFError, SyntaxError, OverflowError)
NO_ARRAY += (MemoryError, KeyError, IndexError, RecursionError, tokenize.TokenError)
"""All that NumPy's readers raise for bytes that are not an `.npy` file."""


def map_array(path: Path) -> np.memmap[Any, Any]:
    """The array of an `.npy` file, memory-mapped read-only; never unpickles. Raises one of `NO_ARRAY`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged header can look like one of Python 2, or name old types
        return np.lib.format.open_memmap(path, mode="r")


_NO_ARCHIVE: tuple[type[Exception], ...] = (*NO_ARRAY, zipfile.BadZipFile, zlib.error, struct.error)
_NO_ARCHIVE += (lzma.LZMAError, NotImplementedError, RuntimeError)

MOST_ARRAYS = 2_000_000_000
"""Largest total size of the arrays of one archive, in bytes, unpacked."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(source: Path | bytes, most: int = MOST_ARRAYS) -> dict[str, NDArray[np.generic]]:
    """The arrays of an `.npz` by name; never unpickles, and allocates no more than its members really hold.

    Raises:
        ValueError: not an `.npz`, damaged, or larger than `most` bytes.
        FileNotFoundError: no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            members = archive.infolist()
            if (total := sum(member.file_size for member in members)) > most:
                raise ValueError(f"its arrays have {total:,} bytes, more than {most:,}")
            return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}
    except FileNotFoundError:
        raise
    except _NO_ARCHIVE as error:
        lines = str(error).strip().splitlines()
        raise ValueError(f"no archive of arrays ({lines[0][:200] if lines else type(error).__name__})") from None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(member) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged header can look like one of Python 2
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename}: version {version} of the format")
        shape, fortran, kind = _HEADERS[version](stream)
        size = math.prod(shape) * kind.itemsize
        if kind.hasobject or stream.tell() + size != member.file_size:
            raise ValueError(f"{member.filename}: {kind} {shape} does not have {member.file_size:,} bytes")
        array = np.frombuffer(stream.read(size), kind).reshape(shape, order="F" if fortran else "C")
    return array.copy()
