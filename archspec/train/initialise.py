"""How a network starts to be trained: one rule for all networks.

Convolutions He normal by fan-out (He et al., arXiv 1502.01852, section 2.2, as torchvision and timm
start ResNets and EfficientNets), linear layers normal of deviation 0.02 cut at two (as ViT, DeiT,
Swin and ConvNeXt do), biases 0. Norms, layer scales, position embeddings, tables and tokens keep
what their modules start with: 1 and 0, the spec's own value, and the same narrow normal.
"""

from __future__ import annotations

import math

from torch import nn


def start(model: nn.Module) -> None:
    """Draw the weights from torch's generator."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / (fan_out // module.groups)))
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
