"""What is bound to a resolution, taken to another one: position embeddings and attention biases.

Bicubic interpolation over the map, extra tokens kept: position embeddings as in DeiT
(facebookresearch/deit, main.py; arXiv 2012.12877, section 5), relative position tables as in Swin
(microsoft/Swin-Transformer, utils.py; arXiv 2103.14030, section 3.2), biases a query and key as
CMT says (arXiv 2107.06263, section 3.2), here over the map of the queries and that of the keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from archspec.build import Network
from archspec.layers import Shape
from archspec.modules.attention import Attention
from archspec.modules.tokens import Position

#: height and width of a map, or their ratio
Size = tuple[int, int]


class Resized(NamedTuple):
    """A tensor at the size that the network needs, and what was done."""

    value: Tensor
    told: str


def bound_tensors(model: Network) -> dict[str, Position | Attention]:
    """The module of each parameter that is about positions, by the parameter's name."""
    owners: dict[int, Position | Attention] = {}
    for module in model.modules():
        if isinstance(module, Position):
            owners[id(module.weight)] = module
        elif isinstance(module, Attention) and module.position_bias() is not None:
            owners[id(module.position_bias())] = module
    named = model.named_parameters()
    return {name: owners[id(parameter)] for name, parameter in named if id(parameter) in owners}


def resize(owner: Position | Attention, value: Tensor, aspect: Size | None) -> Resized | None:
    """A tensor of another resolution at its module's; None where it is of this one, or unknown.

    aspect: of the images that it was trained on; None where it is as here.
    """
    if isinstance(owner, Position):
        return _position(owner.shape, value, aspect)
    if owner.bias_kind == "free":
        return _free(owner, value, aspect)
    return _table(owner, value, aspect)


def _grid(count: int, aspects: Sequence[tuple[int, int] | None], twice: int = 1) -> Size | None:
    """Height and width of a map of so many positions, by the first aspect that has such a map.

    twice: 2 where the sides are 2n-1 for the n that has the aspect, as in a table of offsets.
    """
    for aspect in filter(None, aspects):
        for tall in range(1, count + 1):
            wide = count // tall
            sides = (tall + twice - 1, wide + twice - 1)
            if tall * wide == count and sides[0] * aspect[1] == sides[1] * aspect[0]:
                return tall, wide
    return None


def _bicubic(x_NCHW: Tensor, size: Size) -> Tensor:
    exact = x_NCHW.double()
    return F.interpolate(exact, size, mode="bicubic", align_corners=False).to(x_NCHW.dtype)


def _told(what: str, old: Size, new: Size) -> str:
    return f"{what} {old[0]}x{old[1]} -> {new[0]}x{new[1]}"


def _position(shape: Shape, value: Tensor, aspect: Size | None) -> Resized | None:
    new = (shape.height, shape.width)
    if value.dim() != 3 or value.shape[2] != shape.channels:
        return None
    old = _grid(value.shape[1] - shape.extras, (aspect, new, (1, 1)))
    if old is None or old == new:
        return None
    extras, map_NTC = value[:, : shape.extras], value[:, shape.extras :]
    # N T C -> N C H W
    resized = _bicubic(torch.unflatten(map_NTC.transpose(1, 2), 2, old), new)
    whole = extras.new_empty(1, shape.positions, shape.channels)
    whole[:, : shape.extras] = extras
    whole[:, shape.extras :] = resized.flatten(2).transpose(1, 2)
    return Resized(whole, _told("position embedding", old, new))


def _table(owner: Attention, value: Tensor, aspect: Size | None) -> Resized | None:
    inside = owner.cut or owner.shape
    new, twice = (inside.height, inside.width), 1
    if owner.bias_kind == "table":
        new, twice = (2 * inside.height - 1, 2 * inside.width - 1), 2
    if value.dim() != 2 or value.shape[1] != owner.heads:
        return None
    # windows keep their own aspect, whatever that of the images
    here = (inside.height, inside.width)
    old = _grid(value.shape[0], (here, (1, 1)) if owner.cut else (aspect, here, (1, 1)), twice)
    if old is None or old == new:
        return None
    # (H W) L -> 1 L H W
    resized = _bicubic(torch.unflatten(value.T, 1, old)[None], new)
    return Resized(resized[0].flatten(1).T, _told("relative position table", old, new))


def _free(owner: Attention, value: Tensor, aspect: Size | None) -> Resized | None:
    queries, keys = owner.queries, owner.keys
    if value.dim() != 3 or value.shape[0] != owner.heads or queries.extras or keys.extras:
        return None
    news = (queries.height, queries.width), (keys.height, keys.width)
    old, old_keys = (
        _grid(count, (aspect, new, (1, 1)))
        for count, new in zip(value.shape[1:], news, strict=True)
    )
    if old is None or old_keys is None or (old, old_keys) == news:
        return None
    # L Q K -> L Q H W of the keys -> L Q K' -> L K' H W of the queries -> L K' Q' -> L Q' K'
    along_keys = _bicubic(torch.unflatten(value, 2, old_keys), news[1]).flatten(2)
    along = _bicubic(torch.unflatten(along_keys.transpose(1, 2), 2, old), news[0]).flatten(2)
    return Resized(along.transpose(1, 2), _told("position bias of queries", old, news[0]))
