"""Convolutions and the linear layer: the weighted layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from archspec.errors import LawError
from archspec.layers.layer import (
    Cost,
    Inner,
    Kernel,
    KernelPair,
    Layer,
    PaddingPair,
    Width,
    paddings,
    refuse_extras,
    same_by_default,
    slid,
)
from archspec.layers.shape import Shape

if TYPE_CHECKING:
    from archspec.layers.normalization import Defaults


class _Sliding(Layer):
    """Knobs that convolutions share; padding is 0 where kernel equals stride, else kernel//2.

    same: padded as TensorFlow's SAME, where no padding is stated and the spec's default says so.
    """

    kernel: KernelPair = (1, 1)
    stride: KernelPair = (1, 1)
    padding: PaddingPair | None = None
    dilation: Kernel = 1
    bias: bool = False
    same: bool = False

    @classmethod
    def complete(
        cls, knobs: dict[str, object], shape: Shape, defaults: Defaults
    ) -> Mapping[str, object]:
        return same_by_default(knobs, defaults)

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros added on each side, (vertical, horizontal), unless `same`."""
        return paddings(self.kernel, self.stride, self.padding)

    def _slid(self, shape: Shape) -> tuple[int, int]:
        if self.same and self.padding is not None:
            raise LawError("padding is either stated or same: true, but got both")
        return slid(shape, self.kernel, self.stride, self.pads, self.dilation, self.same)

    def reach(self, shape: Shape) -> tuple[float, float]:
        grow = max((self.kernel[0] - 1), (self.kernel[1] - 1)) * self.dilation
        return grow, max(self.stride)

    def _weighted(self, shape: Shape, out: Shape, fan_in: int) -> Cost:
        taps = fan_in * self.kernel[0] * self.kernel[1]
        params = out.channels * taps + (out.channels if self.bias else 0)
        elements = out.elements
        return Cost(params, elements * taps, elements, 0, 1)


class Conv(_Sliding):
    """Convolution over a map, `width` channels out; groups must divide both widths."""

    name: ClassVar[str] = "conv"
    primary: ClassVar[str | None] = "width"

    width: Width
    groups: Width = 1

    @classmethod
    def complete(
        cls, knobs: dict[str, object], shape: Shape, defaults: Defaults
    ) -> Mapping[str, object]:
        if "width" not in knobs:
            knobs["width"] = shape.channels
        return same_by_default(knobs, defaults)

    def out(self, shape: Shape) -> Shape:
        refuse_extras(shape, "a convolution")
        groups = self.groups
        if shape.channels % groups or self.width % groups:
            raise LawError(
                f"groups must divide the widths in and out, but got (groups={groups}, "
                f"in={shape.channels}, out={self.width})"
            )
        height, width = self._slid(shape)
        return Shape(self.width, height, width)

    def cost(self, shape: Shape, out: Shape, inner: Inner) -> Cost:
        return self._weighted(shape, out, shape.channels // self.groups)


class DwConv(_Sliding):
    """Depthwise convolution: one filter a channel, the width stays."""

    name: ClassVar[str] = "dwconv"
    primary: ClassVar[str | None] = "kernel"

    kernel: KernelPair = (3, 3)

    def out(self, shape: Shape) -> Shape:
        refuse_extras(shape, "a convolution")
        height, width = self._slid(shape)
        return Shape(shape.channels, height, width)

    def cost(self, shape: Shape, out: Shape, inner: Inner) -> Cost:
        return self._weighted(shape, out, 1)


class Linear(Layer):
    """Linear layer over channels, at each position of a map or token sequence alike."""

    name: ClassVar[str] = "linear"
    primary: ClassVar[str | None] = "width"

    width: Width
    bias: bool = True

    @classmethod
    def complete(
        cls, knobs: dict[str, object], shape: Shape, defaults: Defaults
    ) -> Mapping[str, object]:
        if "width" not in knobs:
            knobs["width"] = shape.channels
        return knobs

    def out(self, shape: Shape) -> Shape:
        return shape._replace(channels=self.width)

    def cost(self, shape: Shape, out: Shape, inner: Inner) -> Cost:
        params = self.width * (shape.channels + (1 if self.bias else 0))
        elements = out.elements
        return Cost(params, elements * shape.channels, elements, 0, 1)
