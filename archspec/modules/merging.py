"""Weights of merged branches: what `form: merged` loads from a trained network.

RepVGG (arXiv 2101.03697, section 3.3), RepLKNet (arXiv 2203.06717, section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspec.modules.joins import Merge


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the same network with `form: merged`, equal to model in eval mode."""
    state: dict[str, Tensor] = dict(model.state_dict())
    for path, join in model.named_modules():
        if isinstance(join, Merge):
            weight, bias = one_convolution(join)
            state = {name: at for name, at in state.items() if not name.startswith(f"{path}.")}
            state[f"{path}.weight"], state[f"{path}.bias"] = weight, bias
    return state


@torch.no_grad()
def one_convolution(join: Merge) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that equals the sum of the branches."""
    parts = [_parts(branch) for branch in join]
    weights = [convolution.weight for convolution, _ in parts if convolution is not None]
    # the kernel of the sum is the largest on each axis: [3, 1] and [1, 5] make [3, 5]
    kernel = [max(weight.shape[axis] for weight in weights) for axis in (2, 3)]
    whole = weights[0].new_zeros(*weights[0].shape[:2], *kernel, dtype=torch.float64)
    bias = torch.zeros(whole.shape[0], dtype=torch.float64, device=whole.device)
    for convolution, norm in parts:
        weight, shift = _folded(convolution, norm, whole)
        rows, columns = (whole.shape[axis] - weight.shape[axis] for axis in (2, 3))
        # smaller kernels stand in the centre
        whole += F.pad(weight, (columns // 2, columns // 2, rows // 2, rows // 2))
        bias += shift
    return whole.to(weights[0].dtype), bias.to(weights[0].dtype)


def _parts(branch: nn.Module) -> tuple[nn.Conv2d | None, nn.BatchNorm2d | None]:
    convolution, norm = None, None
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, nn.BatchNorm2d):
            norm = module
    return convolution, norm


def _folded(
    convolution: nn.Conv2d | None, norm: nn.BatchNorm2d | None, like: Tensor
) -> tuple[Tensor, Tensor]:
    """A branch as weight and bias in double precision; without convolution it is the identity."""
    shift = like.new_zeros(like.shape[0])
    if convolution is None:
        weight = like.new_zeros(*like.shape[:2], 1, 1)
        channels = torch.arange(like.shape[0], device=like.device)
        weight[channels, channels % like.shape[1]] = 1
    else:
        weight = convolution.weight.double()
        if convolution.bias is not None:
            shift = convolution.bias.double()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.affine:
            factor = factor * norm.weight.double()
        weight, shift = weight * factor[:, None, None, None], (shift - norm.running_mean) * factor
        if norm.affine:
            shift = shift + norm.bias.double()
    return weight, shift
