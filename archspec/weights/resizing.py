"""What is bound to a resolution, taken to another one: position embeddings and attention biases.

Bicubic interpolation over the map, extra tokens kept: position embeddings as in DeiT
(facebookresearch/deit, main.py; arXiv 2012.12877, section 5), relative position tables as in Swin
(microsoft/Swin-Transformer, utils.py; arXiv 2103.14030, section 3.2), biases a query and key as
CMT says (arXiv 2107.06263, section 3.2), here over the map of the queries and that of the keys.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from archspec.build import Network
from archspec.layers import Shape
from archspec.modules.attention import Attention
from archspec.modules.tokens import Position


class Resized(NamedTuple):
    """A tensor at the size that the network needs, and what was done."""

    value: Tensor
    told: str


def resize(model: Network, name: str, value: Tensor) -> Resized | None:
    """A tensor of another resolution at the network's; None where nothing is known of it."""
    owner = _owner(model, name)
    if isinstance(owner, Position) and name.endswith(".weight"):
        return _position(owner.shape, value)
    if isinstance(owner, Attention) and owner.bias_kind in ("table", "offset"):
        return _table(owner, value)
    if isinstance(owner, Attention) and owner.bias_kind == "free":
        return _free(owner, value)
    return None


def _owner(model: Network, name: str) -> object:
    parameter = dict(model.named_parameters()).get(name)
    for path, module in model.named_modules():
        if isinstance(module, Position) and name == f"{path}.weight":
            return module
        if isinstance(module, Attention) and module.position_bias() is parameter is not None:
            return module
    return None


def _grid(count: int, like: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a map of so many positions, of the same aspect as another or square."""
    height, width = like
    for tall in (round((count * height / width) ** 0.5), round(count**0.5)):
        if tall and count % tall == 0 and tall * width == count // tall * height:
            return tall, count // tall
    tall = round(count**0.5)
    return (tall, tall) if tall * tall == count else None


def _bicubic(x_NCHW: Tensor, size: tuple[int, int]) -> Tensor:
    exact = x_NCHW.double()
    return F.interpolate(exact, size, mode="bicubic", align_corners=False).to(x_NCHW.dtype)


def _told(what: str, old: tuple[int, int], new: tuple[int, int]) -> str:
    return f"{what} {old[0]}x{old[1]} -> {new[0]}x{new[1]}"


def _position(shape: Shape, value: Tensor) -> Resized | None:
    new = (shape.height, shape.width)
    if value.dim() != 3 or value.shape[2] != shape.channels:
        return None
    old = _grid(value.shape[1] - shape.extras, new)
    if old is None:
        return None
    extras, map_NTC = value[:, : shape.extras], value[:, shape.extras :]
    # N T C -> N C H W
    resized = _bicubic(torch.unflatten(map_NTC.transpose(1, 2), 2, old), new)
    whole = extras.new_empty(1, shape.positions, shape.channels)
    whole[:, : shape.extras] = extras
    whole[:, shape.extras :] = resized.flatten(2).transpose(1, 2)
    return Resized(whole, _told("position embedding", old, new))


def _table(owner: Attention, value: Tensor) -> Resized | None:
    inside = owner.cut or owner.shape
    new = (inside.height, inside.width)
    if owner.bias_kind == "table":
        new = (2 * inside.height - 1, 2 * inside.width - 1)
    old = _grid(value.shape[0], new)
    if value.dim() != 2 or value.shape[1] != owner.heads or old is None:
        return None
    # (H W) L -> 1 L H W
    resized = _bicubic(torch.unflatten(value.T, 1, old)[None], new)
    return Resized(resized[0].flatten(1).T, _told("relative position table", old, new))


def _free(owner: Attention, value: Tensor) -> Resized | None:
    queries, keys = owner.queries, owner.keys
    if value.dim() != 3 or value.shape[0] != owner.heads or queries.extras or keys.extras:
        return None
    news = (queries.height, queries.width), (keys.height, keys.width)
    olds = _grid(value.shape[1], news[0]), _grid(value.shape[2], news[1])
    if olds[0] is None or olds[1] is None:
        return None
    # L Q K -> L Q H W of the keys -> L Q K' -> L K' H W of the queries -> L K' Q' -> L Q' K'
    along_keys = _bicubic(torch.unflatten(value, 2, olds[1]), news[1]).flatten(2)
    resized = _bicubic(torch.unflatten(along_keys.transpose(1, 2), 2, olds[0]), news[0]).flatten(2)
    return Resized(resized.transpose(1, 2), _told("position bias of queries", olds[0], news[0]))
