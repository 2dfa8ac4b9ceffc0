"""One of our tensors from theirs, and back: joined, viewed, with rows and axes in another order."""

from __future__ import annotations

import torch
from torch import Tensor

from archspec.errors import WeightsError
from archspec.weights.naming import Pair

#: what torch says of shapes that do not go together
_UNFIT = (RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError)


def to_ours(pair: Pair, parts: list[Tensor], own: Tensor) -> Tensor:
    """Their tensors as one of ours, with our axes wherever the numbers are the same.

    What is of another size keeps its own, so that it can be resized or told.
    """
    try:
        return _ours(pair, parts, own)
    except _UNFIT:
        return parts[0].flatten()  # of no shape that the layout is written for


def _ours(pair: Pair, parts: list[Tensor], own: Tensor) -> Tensor:
    value = torch.cat(parts) if len(parts) > 1 and own.dim() else parts[0]
    form = pair.form
    if form.flip:
        value = value.flip(*range(1, value.dim()))
    if form.transpose:
        value = value.movedim(0, -1)
        if value.dim() > own.dim() > 1:
            value = value.flatten(0, value.dim() - own.dim())
    if form.order is not None and value.numel() == own.numel():
        value = _reordered(value, _rows(form.rows, len(value)), form.order)
    same = [size for size in value.shape if size > 1] == [size for size in own.shape if size > 1]
    # a linear layer over a whole map is a convolution of the map's size
    flat = value.numel() == own.numel() and value.shape[:1] == own.shape[:1]
    fits = same or (flat and min(value.dim(), own.dim()) == 2)
    return value.reshape(own.shape) if fits else value


def to_theirs(pair: Pair, own: Tensor) -> dict[str, Tensor]:
    """One of our tensors as theirs, by name: what `to_ours` does, undone. Raises WeightsError."""
    form = pair.form
    try:
        if form.order is not None:
            rows = _rows(form.rows, len(own))
            back = [form.order.index(axis) for axis in range(len(form.order))]
            own = _reordered(own, [rows[axis] for axis in form.order], back)
        if form.transpose:
            own = own.movedim(-1, 0)
        whole = {pair.names[0]: own} if len(pair.names) == 1 else _parted(pair, own)
        if form.view is not None:
            whole = {name: _viewed(part, form.view) for name, part in whole.items()}
        if form.flip:
            whole = {name: part.flip(*range(1, part.dim())) for name, part in whole.items()}
    except _UNFIT:
        raise WeightsError(
            f"{pair.ours} of shape {'x'.join(map(str, own.shape))} has no place in the layout, "
            "which is written for another shape; --layout archspec keeps our own"
        ) from None
    return whole


def _rows(rows: tuple[int | str, ...] | None, length: int) -> list[int]:
    """Sizes with what follows of the whole filled in."""
    sizes = [int(size) for size in rows or ()]
    known = 1
    for size in sizes:
        known *= abs(size)
    return [length // known if size == -1 else size for size in sizes]


def _reordered(value: Tensor, rows: list[int], order: tuple[int, ...] | list[int]) -> Tensor:
    apart = torch.unflatten(value, 0, rows)
    rest = range(len(rows), apart.dim())
    return apart.permute(*order, *rest).flatten(0, len(rows) - 1)


def _parted(pair: Pair, own: Tensor) -> dict[str, Tensor]:
    if own.dim() == 0:
        return dict.fromkeys(pair.names, own)
    if len(own) % len(pair.theirs):
        raise ValueError("parts are equal")
    whole: dict[str, Tensor] = {}
    for name, part in zip(pair.theirs, own.chunk(len(pair.theirs)), strict=True):
        whole[name] = torch.cat([whole[name], part]) if name in whole else part
    return whole


def _viewed(part: Tensor, view: tuple[int, ...]) -> Tensor:
    return part.reshape([part.shape[axis] if size == 0 else size for axis, size in enumerate(view)])
