"""Our tensors beside theirs: a layout applied to a built network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import nn

from archspec.build import Network, Stage
from archspec.errors import WeightsError
from archspec.modules.attention import Attention
from archspec.modules.joins import DropPath
from archspec.weights.layouts import Form, Layout

#: modules without modules below them that are no layer: a list may be empty
_NO_LAYERS = (DropPath, nn.ParameterDict, nn.Sequential, nn.ModuleList)
_BLOCK = re.compile(r"stages\.(\d+)\.blocks\.(\d+)\.")


class Pair(NamedTuple):
    """One of our tensors and what it is there; without names it is nothing there."""

    ours: str
    theirs: tuple[str, ...]
    form: Form = Form()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, each once."""
        return tuple(dict.fromkeys(self.theirs))


def pair_names(model: Network, layout: Layout) -> list[Pair]:
    """Every tensor of the network's state dict beside its names in a layout, in order.

    Raises WeightsError where the layout gives two of our tensors one name.
    """
    modules = dict(model.named_modules())
    layers = dict(_layers(model))
    before = _blocks_before(model)
    pairs: list[Pair] = []
    owners: dict[str, str] = {}
    for ours in model.state_dict():
        match = _BLOCK.match(ours)
        counters = {
            "layer": layers.get(ours.rpartition(".")[0], 0),
            "block": before[int(match[1])] + int(match[2]) if match else 0,
        }
        found = layout.find(ours, counters)
        pair = _sized(Pair(ours, *(found or ((), Form()))), modules)
        pairs.append(pair)
        for name in pair.names:
            if name in owners:
                raise WeightsError(
                    f"layout {layout.family}/{layout.name} calls both {owners[name]} and {ours} "
                    f"{name}"
                )
            owners[name] = ours
    return pairs


def _sized(pair: Pair, modules: Mapping[str, nn.Module]) -> Pair:
    """The pair with the words of its form replaced by the numbers of its module."""
    rows = pair.form.rows
    if rows is None or "head_dim" not in rows:
        return pair
    owner = modules.get(pair.ours.rpartition(".")[0].rpartition(".")[0])
    if not isinstance(owner, Attention):
        raise WeightsError(f"{pair.ours} belongs to no attention: its layout has rows of head_dim")
    width = owner.widths[0] // owner.heads
    form = pair.form._replace(rows=tuple(width if row == "head_dim" else row for row in rows))
    return pair._replace(form=form)


def _layers(model: Network) -> Iterator[tuple[str, int]]:
    """Each layer with the number of layers before it, in stem and stages, or in the head."""
    counts = {True: 0, False: 0}
    for path, module in model.named_modules():
        if isinstance(module, _NO_LAYERS) or next(module.children(), None) is not None:
            continue
        in_head = path.startswith("head.")
        yield path, counts[in_head]
        counts[in_head] += 1


def _blocks_before(model: Network) -> list[int]:
    """For each stage, how many blocks come before it."""
    before = [0]
    for stage in model.stages:
        assert isinstance(stage, Stage)
        before.append(before[-1] + len(stage.blocks))
    return before
