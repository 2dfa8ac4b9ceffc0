"""Modules that scale or rearrange channels.

Shape suffixes: N images, C channels, H height, W width, T tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """weight * x, a trainable factor a channel; (N, C, H, W) or (N, T, C) alike."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight if x.dim() == 3 else self.weight.view(-1, 1, 1))

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, init={self.init}"


class Scale(nn.Module):
    """value * x."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value

    def extra_repr(self) -> str:
        return str(self.value)


class Slice(nn.Module):
    """Channels start to stop; (N, C, H, W) or (N, T, C) alike."""

    def __init__(self, start: int, stop: int | None) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        channels = slice(self.start, self.stop)
        return x[..., channels] if x.dim() == 3 else x[:, channels]

    def extra_repr(self) -> str:
        return f"{self.start}, {self.stop}"


class Softmax(nn.Module):
    """softmax across the parts of the channels; (N, C, H, W) or (N, T, C) alike."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        channels = 2 if x.dim() == 3 else 1
        # C -> parts C/parts
        apart = torch.unflatten(x, channels, (self.parts, -1))
        return apart.softmax(channels).flatten(channels, channels + 1)

    def extra_repr(self) -> str:
        return str(self.parts)


class Shuffle(nn.Module):
    """Channels of g groups interleaved: g C/g -> C/g g; (N, C, H, W) or (N, T, C) alike."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        channels = -1 if x.dim() == 3 else 1
        # N (g C/g) H W -> N g C/g H W -> N C/g g H W -> N C H W
        split = torch.unflatten(x, channels, (self.groups, -1))
        if x.dim() == 3:
            return split.transpose(2, 3).flatten(2)
        return split.transpose(1, 2).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class SpaceToDepth(nn.Module):
    """Squares of s x s positions as channels, read column by column; (N, C, H, W)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        size = self.size
        # N C (H s) (W s) -> N C H s W s
        squares = torch.unflatten(torch.unflatten(x, 3, (-1, size)), 2, (-1, size))
        # N C H row W column -> N column row C H W -> N (column row C) H W
        return squares.permute(0, 5, 3, 1, 2, 4).flatten(1, 3)

    def extra_repr(self) -> str:
        return f"size={self.size}"
