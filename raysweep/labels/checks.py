"""Checks of tensor arguments, shared by the functions of this package."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def check_va(va: Tensor) -> None:
    """Valence and arousal: (N, 2), float32 or float64, finite or NaN (= not annotated)."""
    if va.ndim != 2 or va.shape[1] != 2:
        raise ValueError(f"va must have shape (N, 2), but got {tuple(va.shape)}")
    if va.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"va must be float32 or float64, but got {va.dtype}")
    rows = torch.nonzero(torch.isinf(va).any(1))
    if len(rows):
        row = int(rows[0])
        raise ValueError(f"va must be finite, or NaN where missing, but row {row} is {va[row].tolist()}")


def check_num_classes(num_classes: int, at_least: int = 1) -> None:
    if num_classes < at_least:
        raise ValueError(f"`num_classes >= {at_least}` must hold, but got {num_classes}")


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Hard labels: (N,) int64 in [0, num_classes)."""
    check_num_classes(num_classes)
    if labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64, but got {labels.dtype}")
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (N,), but got {tuple(labels.shape)}")
    rows = torch.nonzero((labels < 0) | (labels >= num_classes))
    if len(rows):
        row = int(rows[0])
        raise ValueError(
            f"`0 <= label < {num_classes}` must hold, but row {row} has {int(labels[row])} "
            f"({len(rows)} such rows of {len(labels)})"
        )


def check_shape(name: str, tensor: Tensor, expected: tuple[int, ...], because: str) -> None:
    """`because` names the tensor that fixed the expected shape, with its own shape."""
    if tuple(tensor.shape) != expected:
        raise ValueError(f"{name} must have shape {expected} to match {because}, but got {tuple(tensor.shape)}")


def check_same_length(va: Tensor, labels: Tensor) -> None:
    if len(va) != len(labels):
        raise ValueError(
            "va and labels must have the same number of rows, "
            f"but got shapes {tuple(va.shape)} and {tuple(labels.shape)}"
        )


def check_distributions(name: str, rows: Tensor) -> None:
    """A (N, K) floating-point tensor; sums of rows are not checked."""
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(
            f"{name} must be a floating-point tensor of shape (N, K), but got {rows.dtype} of shape {tuple(rows.shape)}"
        )


def check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # also refuses NaN
        raise ValueError(f"`0 <= {name} <= 1` must hold, but got {value}")


def check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{name} > 0` must hold, but got {value}")
