"""Gradients of the objective against finite differences."""

import torch

from raysweep.config.sections import Objective
from raysweep.training import loss_terms


def test_gradients_agree_with_finite_differences():
    # the objective works in float32, so the comparison is a central difference with a coarse step
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator, requires_grad=True)
    affect = torch.rand(6, 2, generator=generator, requires_grad=True)
    soft = torch.softmax(torch.randn(6, 5, generator=generator), 1)
    va, weights = torch.rand(6, 2, generator=generator), torch.rand(6, generator=generator) + 0.5

    def loss(logits, affect):
        return loss_terms(logits, affect, soft, va, weights, Objective(weight_va=0.7))["loss"]

    loss(logits, affect).backward()
    step = 1e-2
    for tensor in (logits, affect):
        for index in [(0, 0), (3, 1), (5, 1)]:
            shifted = [tensor.detach().clone() for _ in range(2)]
            shifted[0][index] += step
            shifted[1][index] -= step
            both = [(value, affect) if tensor is logits else (logits, value) for value in shifted]
            slope = float((loss(*both[0]) - loss(*both[1])).detach()) / (2 * step)
            assert abs(slope - float(tensor.grad[index])) < 5e-4
