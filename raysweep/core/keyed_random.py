"""Random numbers keyed by name and sample id, not drawn in sequence.

A draw is a pure function of (key, sample id): resuming, sharing, another batch order or another
number of workers cannot change it, and CPU and GPU give the same bits. The generator is
splitmix64 (Steele, Lea and Flood, OOPSLA 2014), a bijective mix of 64-bit counters that passes BigCrush.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # as a signed 64-bit integer
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def derive_key(*parts: int | str) -> int:
    """A signed 64-bit key from a sequence of names and numbers, for example (seed, "flip", epoch)."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def random_bits(key: int, ids: Tensor) -> Tensor:
    """Uniform 64-bit integers, one for each id.

    Args:
        key: from `derive_key`.
        ids: (...) int64, any values.

    Returns:
        (...) int64, on the device of `ids`.
    """
    z = ids.to(torch.int64) * _GOLDEN + key
    z = (z ^ _shift_right(z, 30)) * _MIX_1
    z = (z ^ _shift_right(z, 27)) * _MIX_2
    return z ^ _shift_right(z, 31)


def uniform(key: int, ids: Tensor) -> Tensor:
    """Uniform float64 in the open interval (0, 1), one for each id. Shape of `ids`."""
    below_one = 1.0 - 2.0**-53  # the largest draw would round up to 1
    return ((_shift_right(random_bits(key, ids), 11).to(torch.float64) + 0.5) * 2.0**-53).clamp_max(below_one)


def normal(key: int, ids: Tensor) -> Tensor:
    """Standard normal float64, one for each id, by Box-Muller. Shape of `ids`."""
    radius = torch.sqrt(-2.0 * torch.log(uniform(derive_key(key, "radius"), ids)))
    return radius * torch.cos(2.0 * math.pi * uniform(derive_key(key, "angle"), ids))


def permutation(key: int, ids: Tensor) -> Tensor:
    """Positions that put `ids` in a random order. (N,) int64; ties cannot occur for distinct ids."""
    return torch.argsort(random_bits(key, ids), stable=True)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's >> on int64 copies the sign bit."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
