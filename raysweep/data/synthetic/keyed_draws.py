"""Named draws for a batch of samples. N samples; every draw is a pure function of (seed, name, id)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, normal, uniform


@dataclass(frozen=True)
class Draws:
    """Random numbers of one family ("identity", "scene", ...) for the samples `ids_N`."""

    seed: int
    family: str
    ids_N: Tensor

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Uniform in (low, high). Shape (N,) float32."""
        return (low + (high - low) * uniform(self._key(name), self.ids_N)).float()

    def bell(self, name: str, mean: float, std: float, limit: float = 2.0) -> Tensor:
        """Normal, clipped at `limit` standard deviations. Shape (N,) float32."""
        return (mean + std * normal(self._key(name), self.ids_N).clamp(-limit, limit)).float()

    def chance(self, name: str, probability: float | Tensor) -> Tensor:
        """1 with the given probability, else 0. Shape (N,) float32."""
        return (uniform(self._key(name), self.ids_N) < probability).float()

    def _key(self, name: str) -> int:
        return derive_key(self.seed, "faces", self.family, name)


@dataclass(frozen=True)
class ParameterTable:
    """Base of tables of parameters: every field is a tensor whose first axis is the sample."""

    def rows(self, where: slice | Tensor) -> Self:
        """The same table for some of the samples."""
        return replace(self, **{field.name: getattr(self, field.name)[where] for field in fields(self)})

    def planes(self) -> Self:
        """Numbers (N,) become (N, 1, 1) and colours (N, 3) become (N, 3, 1, 1), to broadcast over pixels."""
        return replace(self, **{field.name: _plane(getattr(self, field.name)) for field in fields(self)})


def _plane(value: Tensor) -> Tensor:
    return value.reshape(*value.shape, 1, 1)


def mix_palette(palette: Tensor, position_N: Tensor) -> Tensor:
    """Colours along a palette. `palette` (P, 3), `position_N` in [0, 1]; result (N, 3)."""
    place = position_N.clamp(0, 1) * (len(palette) - 1)
    low = place.floor().long().clamp(max=len(palette) - 2)
    return torch.lerp(palette[low], palette[low + 1], (place - low)[:, None])


def hex_colours(*codes: str) -> Tensor:
    """sRGB colours in [0, 1] from "rrggbb" strings. Shape (P, 3) float32."""
    return torch.tensor([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes])
