"""Small maps, modules with drawn weights, and what a test computes from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archspec.layers import Shape

SHAPE = Shape(6, 3, 5)


def maps(shape: Shape = SHAPE, count: int = 2) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(count, *shape[:3], dtype=torch.float64)


def as_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def drawn(module: nn.Module) -> nn.Module:
    module = module.double().eval().requires_grad_(False)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)
