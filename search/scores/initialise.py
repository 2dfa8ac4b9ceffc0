"""The one rule of initialisation under which all networks are scored.

He normal by fan-in (He et al., arXiv 1502.01852, section 2.2), norms 1 and 0, layer scale 1, bias
tables, position embeddings and tokens 0. A layer scale of 1e-6 or a zeroed last norm would hide
every branch from a score.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from archspec.modules.channels import LayerScale


def initialise(model: nn.Module, seed: int) -> None:
    """Set all parameters, in the order of their names; the same seed gives the same numbers on
    every device."""
    generator = torch.Generator().manual_seed(seed)
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    ones = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, (*norms, LayerScale)) and module.weight is not None
    }
    weighted = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) in weighted:
                fan_in = parameter[0].numel()
                values = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(values * math.sqrt(2.0 / fan_in))
            elif id(parameter) in ones:
                parameter.fill_(1.0)
            else:
                parameter.zero_()
