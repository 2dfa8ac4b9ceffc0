"""What a module that works at one map size says when it is fed another."""

from __future__ import annotations

from torch import Tensor

from archspec.errors import ResolutionError
from archspec.layers import Shape


def check_resolution(x: Tensor, shape: Shape, path: str) -> None:
    """Raise ResolutionError unless x, (N, C, H, W) or (N, T, C), has the size of shape."""
    if x.dim() == 3:
        if x.shape[1] != shape.positions:
            raise ResolutionError(
                f"{path} is built for {shape.positions} tokens (a map of {shape.height}x"
                f"{shape.width}), but got {x.shape[1]} tokens; set input.resolution and build again"
            )
    elif x.shape[2] != shape.height or x.shape[3] != shape.width:
        raise ResolutionError(
            f"{path} is built for a map of {shape.height}x{shape.width}, but got "
            f"{x.shape[2]}x{x.shape[3]}; set input.resolution and build again"
        )
