"""The optimizer of a network: its parameters in groups of one lr and one weight decay each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn
from torch.optim import SGD, AdamW
from torch.optim import Optimizer as TorchOptimizer

from archspec.build import Network
from archspec.modules.attention import Attention
from archspec.modules.channels import LayerScale
from archspec.modules.normalization import Affine, ResponseNorm, StarRelu
from archspec.modules.tokens import ClassToken, Position
from archspec.train.recipe import Optimizer, Spared

_NORMS = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, ResponseNorm, Affine)


class Group(NamedTuple):
    """Parameters that share depth and decay. depth: 0 the stem, the head last."""

    depth: int
    lr: float
    weight_decay: float
    names: tuple[str, ...]
    params: tuple[nn.Parameter, ...]


def make_optimizer(model: Network, settings: Optimizer) -> TorchOptimizer:
    """The optimizer of a recipe over all trainable parameters, the head's group last.

    `clip` is the trainer's. LAMB needs the library pytorch_optimizer.
    """
    groups: list[dict[str, Any]] = [
        {"params": list(group.params), "lr": group.lr, "weight_decay": group.weight_decay}
        for group in parameter_groups(model, settings)
    ]
    if settings.name == "sgd":
        return SGD(
            groups,
            lr=settings.lr,
            momentum=settings.momentum or 0.0,
            nesterov=settings.nesterov or False,
        )
    betas = settings.betas or (0.9, 0.999)
    if settings.name == "adamw":
        return AdamW(groups, lr=settings.lr, betas=betas, eps=settings.eps or 1e-8)
    return _lamb(groups, settings.lr, betas, settings.eps or 1e-6)


def _lamb(
    groups: list[dict[str, Any]], lr: float, betas: tuple[float, float], eps: float
) -> TorchOptimizer:
    """LAMB (You et al., arXiv 1904.00962, algorithm 2), as in timm and NVIDIA's apex.

    Moments are not corrected for their start, as in version 3 of the paper: the trust ratio undoes
    that factor for all that is decayed, but for eps and for the decay's share in the first steps.
    """
    from pytorch_optimizer import Lamb

    for group in groups:
        # what is not decayed takes Adam's step: a trust ratio would hold biases near their 0
        group["adam"] = group["weight_decay"] == 0
    optimizer = Lamb(
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        # the decay belongs into the step that the trust ratio measures
        weight_decouple=False,
        # the library divides lr by 1 - beta1^t otherwise, after the trust ratio: 10 lr at step 1
        adam_debias=True,
        # its clipping at a norm of 1 (used only with pre_norm) is the recipe's `clip`
        pre_norm=False,
        max_grad_norm=0.0,
    )
    # the library bounds a weight's norm by 10 in the trust ratio; the paper names no bound, timm
    # and NVIDIA have none, and a 3x3 convolution of 512 channels begins at a norm of 32
    optimizer.clamp = math.inf
    return optimizer


def parameter_groups(model: Network, settings: Optimizer) -> list[Group]:
    """Every trainable parameter in exactly one group, shared ones once; from stem to head.

    lr of depth i is lr * layer_decay^(last - i): the stem has depth 0, `layer_every` blocks share
    one, the head is last (Bao et al., arXiv 2106.08254, appendix). What takes a stage's stride, and
    what its blocks share, goes with its first block.
    """
    depths = _Depths(model, settings.layer_every)
    found: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter, kind in parameter_kinds(model):
        if parameter.requires_grad:
            key = depths.of(name), kind not in settings.spare
            found.setdefault(key, []).append((name, parameter))
    if settings.layer_decay is None:
        found = _without_depths(found, depths.last)
    groups = []
    # spared before decayed, so that the last group is the head's own
    for (depth, decayed), members in sorted(found.items(), key=lambda item: item[0]):
        factor = (settings.layer_decay or 1.0) ** (depths.last - depth)
        names, parameters = zip(*members, strict=True)
        decay = settings.weight_decay if decayed else 0.0
        groups.append(Group(depth, settings.lr * factor, decay, names, parameters))
    return groups


def _without_depths(
    found: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]], last: int
) -> dict[tuple[int, bool], list[tuple[str, nn.Parameter]]]:
    """The same parameters in two groups: fewer groups are fewer launches a step."""
    merged: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]] = {}
    for (_, decayed), members in found.items():
        merged.setdefault((last, decayed), []).extend(members)
    return merged


class _Depths:
    """The depth of a parameter by its name."""

    def __init__(self, model: Network, every: int) -> None:
        self.every = every
        self.first: list[int] = []
        blocks = 0
        for stage in model.stages:
            self.first.append(blocks)
            blocks += len(list(stage.blocks.children()))  # type: ignore[union-attr]
        self.last = 1 + math.ceil(blocks / every)

    def of(self, name: str) -> int:
        match name.split("."):
            case ["head", *_]:
                return self.last
            case ["stages", stage, "blocks", block, *_]:
                return 1 + (self.first[int(stage)] + int(block)) // self.every
            case ["stages", stage, *_]:
                return 1 + self.first[int(stage)] // self.every
        return 0


def parameter_kinds(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Spared | None]]:
    """Name, parameter, and what it is; None is a weight. A shared parameter comes once."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield f"{path}.{own}" if path else own, parameter, _kind(module, own)


def _kind(module: nn.Module, own: str) -> Spared | None:
    """What a parameter is, by the module that holds it and by its name there."""
    if isinstance(module, _NORMS):
        return "norm"
    if isinstance(module, nn.Conv2d | nn.Linear):
        return "bias" if own == "bias" else None
    if isinstance(module, LayerScale | nn.PReLU | StarRelu):
        return "bias" if own == "bias" else "scale"
    if isinstance(module, Position):
        return "position"
    if isinstance(module, ClassToken):
        return "token"
    # position biases that the attention layers of a stage share stand in its dictionary
    if isinstance(module, nn.ParameterDict):
        return "table"
    if isinstance(module, Attention):
        return "table" if own == "bias" else "scale"
    raise NotImplementedError(f"{type(module).__name__} has a parameter of no kind, {own}")
