"""Re-parameterisation: what branches of convolution and norm become when they are one.

RepVGG (arXiv 2101.03697, section 3.3), RepLKNet (arXiv 2203.06717, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from archspec.errors import LawError
from archspec.layers import Shape
from archspec.layers.convolution import Conv, DwConv
from archspec.layers.normalization import Norm
from archspec.plan import LayerPlan, SequencePlan


def branch_parts(branch: SequencePlan) -> tuple[Conv | DwConv | None, Norm | None]:
    """A branch's convolution and batch norm; an empty or norm-only branch is the identity."""
    convolution: Conv | DwConv | None = None
    norm: Norm | None = None
    for plan in flat(branch):
        layer = plan.layer
        if isinstance(layer, (Conv, DwConv)) and convolution is None and norm is None:
            convolution = layer
        elif isinstance(layer, Norm) and layer.kind == "batch" and norm is None:
            norm = layer
        elif not (isinstance(layer, Norm) and layer.kind == "none"):
            raise LawError(
                "a branch of merge is a convolution, a batch norm, or one after the other, but "
                f"it has {plan.name}"
            )
    return convolution, norm


def flat(plan: SequencePlan) -> list[LayerPlan]:
    """The layers of a sequence whose units hold nothing but layers."""
    layers: list[LayerPlan] = []
    for key, item in plan.items:
        if isinstance(item, LayerPlan):
            layers.append(item)
        elif isinstance(item, SequencePlan):
            layers.extend(flat(item))
        else:
            raise LawError(f"a branch of merge holds no {key}")
    return layers


def merged_convolution(branches: Sequence[SequencePlan], shape: Shape, out: Shape) -> Conv | DwConv:
    """The one convolution, with bias, that equals the sum of the branches.

    Its kernel is the largest; smaller ones are padded with zeros around their centre. Raises
    LawError where no such convolution exists.
    """
    layers = [layer for layer, _ in map(branch_parts, branches) if layer is not None]
    if not layers:
        raise LawError("merge needs at least one branch with a convolution")
    kernel = (max(layer.kernel[0] for layer in layers), max(layer.kernel[1] for layer in layers))
    stride = layers[0].stride
    for layer in layers:
        centred = all(
            k % 2 == 1 and p == k // 2 for k, p in zip(layer.kernel, layer.pads, strict=True)
        )
        # around stride 1 and an odd kernel SAME is kernel//2 on each side
        centred = centred and not (layer.same and layer.stride != (1, 1))
        if not centred or layer.dilation != 1:
            raise LawError(
                "branches of merge have odd kernels, padding kernel//2 and no dilation, but got "
                f"(kernel={layer.kernel}, padding={layer.pads}, dilation={layer.dilation})"
            )
        if layer.stride != stride or _groups(layer, shape) != _groups(layers[0], shape):
            raise LawError("branches of merge share one stride and one number of groups")
    if len(layers) < len(branches) and (stride != (1, 1) or shape != out):
        raise LawError("an identity branch of merge needs stride 1 and one shape in and out")
    groups = _groups(layers[0], shape)
    if groups == shape.channels == out.channels and isinstance(layers[0], DwConv):
        return DwConv(kernel=kernel, stride=stride, bias=True)
    return Conv(width=out.channels, kernel=kernel, stride=stride, groups=groups, bias=True)


def _groups(layer: Conv | DwConv, shape: Shape) -> int:
    return shape.channels if isinstance(layer, DwConv) else layer.groups
