"""Modules of the joins: how branches meet.

Shape suffixes: N images, C channels, H height, W width, T tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archspec.layers import Shape
from archspec.modules.resolution import check_resolution
from archspec.modules.tokens import as_map, as_tokens


class DropPath(nn.Module):
    """0 with probability p an image, else x / (1 - p); x itself in eval mode.

    Stochastic depth, arXiv 1603.09382. p is 0 until `set_drop_path` spreads a rate.
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0 or not self.training:
            return x
        keep = 1 - self.p
        kept = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(keep)
        return x * (kept / keep)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


class Residual(nn.Module):
    """shortcut(x) + drop_path(do(x)); without `adds` just do(x)."""

    def __init__(
        self, do: nn.Module, shortcut: nn.Module | None, adds: bool, drop_path: bool
    ) -> None:
        super().__init__()
        self.do = do
        self.adds = adds
        self.shortcut = shortcut if adds else None
        self.drop_path = DropPath() if adds and drop_path else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.do(x)
        if not self.adds:
            return y
        if self.drop_path is not None:
            y = self.drop_path(y)
        return y + (x if self.shortcut is None else self.shortcut(x))


class Join(nn.ModuleList):
    """Branches that start together; subclasses say how they meet."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__(branches)

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What each branch makes of x."""
        return [branch(x) for branch in self]


class Add(Join):
    """f(x) + g(x) + ..."""

    def forward(self, x: Tensor) -> Tensor:
        y, *others = self.outputs(x)
        for other in others:
            y = y + other
        return y


class Merge(Add):
    """f(x) + g(x) + ..., a sum that `form: merged` turns into one convolution."""


class Concat(Join):
    """The channels of f(x), g(x), ... one after the other; (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.outputs(x), dim=1)


class Mul(Join):
    """f(x) * g(x) * ..., where 1x1 maps are gates."""

    def forward(self, x: Tensor) -> Tensor:
        y, *others = self.outputs(x)
        for other in others:
            y = y * other
        return y


class Attach(Join):
    """The positions of f(x), g(x), ... as extra tokens before those of the last; out (N, T, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([as_tokens(y) for y in self.outputs(x)], dim=1)


JOINS: dict[str, type[Join]] = {
    "add": Add,
    "concat": Concat,
    "mul": Mul,
    "attach": Attach,
    "merge": Merge,
}


class TokenMix(nn.Sequential):
    """Nodes that see a map with tokens as channels, C high and 1 wide."""

    def __init__(self, parts: OrderedDict[str, nn.Module], shape: Shape, path: str) -> None:
        super().__init__(parts)
        self.shape, self.path = shape, path

    def forward(self, x: Tensor) -> Tensor:
        check_resolution(x, self.shape, self.path)
        # N T C -> N T C 1
        y = as_tokens(x)[..., None]
        for part in self:
            y = part(y)
        y_NTC = y[..., 0]
        if x.dim() == 3:
            return y_NTC
        return as_map(y_NTC, self.shape.height, self.shape.width)
