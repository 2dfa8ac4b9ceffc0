"""Modules about tokens: adding, placing and picking them.

Shape suffixes: N images, C channels, H height, W width, T tokens: extras first, then the map row
by row. A tensor is (N, C, H, W) while there are no extras and (N, T, C) otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archspec.layers import Shape
from archspec.modules.resolution import check_resolution


def as_tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) or (N, T, C) to (N, T, C)."""
    # N C H W -> N C T -> N T C
    return x if x.dim() == 3 else x.flatten(2).transpose(1, 2)


def as_map(x_NTC: Tensor, height: int, width: int) -> Tensor:
    """(N, height * width, C) to (N, C, height, width)."""
    # N T C -> N C T -> N C H W
    return torch.unflatten(x_NTC.transpose(1, 2), 2, (height, width))


class ClassToken(nn.Module):
    """One more trainable token after the extras that are there; out (N, T + 1, C)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.extras = shape.extras
        self.weight = nn.Parameter(torch.empty(1, 1, shape.channels))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x_NTC = as_tokens(x)
        token = self.weight.to(x.dtype).expand(x.shape[0], -1, -1)
        return torch.cat([x_NTC[:, : self.extras], token, x_NTC[:, self.extras :]], dim=1)

    def extra_repr(self) -> str:
        return str(self.weight.shape[2])


class Position(nn.Module):
    """x + weight, a trainable vector a position; (N, C, H, W) or (N, T, C) alike."""

    def __init__(self, shape: Shape, path: str) -> None:
        super().__init__()
        self.shape, self.path = shape, path
        self.weight = nn.Parameter(torch.empty(1, shape.positions, shape.channels))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        check_resolution(x, self.shape, self.path)
        if x.dim() == 3:
            return x + self.weight
        return x + as_map(self.weight, self.shape.height, self.shape.width)

    def extra_repr(self) -> str:
        return str(self.shape)


class TakeToken(nn.Module):
    """One extra token as a map of one position; (N, T, C) to (N, C, 1, 1)."""

    def __init__(self, token: int) -> None:
        super().__init__()
        self.token = token

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.token, :, None, None]

    def extra_repr(self) -> str:
        return str(self.token)


class TakeMap(nn.Module):
    """The map without the extras; (N, T, C) to (N, C, H, W)."""

    def __init__(self, shape: Shape, path: str) -> None:
        super().__init__()
        self.shape, self.path = shape, path

    def forward(self, x: Tensor) -> Tensor:
        if self.shape.extras == 0:
            return x
        check_resolution(x, self.shape, self.path)
        return as_map(x[:, self.shape.extras :], self.shape.height, self.shape.width)

    def extra_repr(self) -> str:
        return str(self.shape)


class Flatten(nn.Module):
    """The map as channels of one position; (N, C, H, W) to (N, C * H * W, 1, 1)."""

    def __init__(self, shape: Shape, path: str) -> None:
        super().__init__()
        self.shape, self.path = shape, path

    def forward(self, x: Tensor) -> Tensor:
        check_resolution(x, self.shape, self.path)
        return x.flatten(1)[:, :, None, None]

    def extra_repr(self) -> str:
        return str(self.shape)
