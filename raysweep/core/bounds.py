"""Reading what others wrote without letting a small file ask for all memory."""

from __future__ import annotations

import zlib


def unzipped(content: bytes, most: int) -> bytes:
    """What a gzip file holds.

    Raises:
        ValueError: it would be longer than `most` bytes, or is cut off.
        zlib.error: it is no gzip file.
    """
    stream = zlib.decompressobj(wbits=31)
    found = stream.decompress(content, most)
    if stream.unconsumed_tail or (not stream.eof and len(found) == most):
        raise ValueError(f"it would be longer than {most:,} bytes")
    if not stream.eof:
        raise ValueError("it is cut off")
    return found
