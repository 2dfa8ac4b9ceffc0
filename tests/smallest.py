"""Shipped networks at the smallest of the usual resolutions at which they are legal."""

from __future__ import annotations

from pathlib import Path

from archspec.errors import SpecError
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, read_spec

SIDES = (64, 96, 112, 128, 160, 192, 224, 299, 320, 384)


def smallest(source: str | Path) -> NetworkSpec:
    """The network with nothing changed but its resolution: every layer, at its full width."""
    for side in SIDES:
        spec = read_spec(source, [("input.resolution", str(side))])
        try:
            plan_network(spec)
        except SpecError:
            continue
        return spec
    return read_spec(source)
