"""Versions of the libraries that results depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn")
"""Distributions whose version can change a score."""


@cache
def library_versions() -> dict[str, str]:
    """Name to version of Python and of `LIBRARIES`, as installed where this runs; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
