"""What NumPy's reader makes of bytes that are no `.npy` file: it evaluates the header as a Python literal."""

from __future__ import annotations

import tokenize

NO_ARRAY: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, EOFError, SyntaxError, OverflowError)
NO_ARRAY += (MemoryError, KeyError, IndexError, RecursionError, tokenize.TokenError)
"""To be caught together around `numpy.load` and its kin."""
