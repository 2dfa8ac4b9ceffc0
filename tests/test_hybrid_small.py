"""The hybrid space for small images: its laws against fvcore and the built modules, and its fit."""

from __future__ import annotations

import pytest
from random_picks import RandomPicks

from archspec.build import build
from archspec.cost import leaves, totals
from archspec.domains import Choice
from archspec.layers.attention import Attention
from archspec.planning import plan_network
from archspec.referee import referee
from search.space import Space

#: maps of the four stages
SIDES = (32, 16, 8, 4)


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.read("hybrid_small")


@pytest.mark.parametrize(
    "first", [pytest.param(first, marks=pytest.mark.slow) for first in range(0, 24, 8)]
)
def test_the_cost_law_equals_fvcore_and_the_built_module(space: Space, first: int) -> None:
    for seed in range(first, first + 8):
        spec = space.spec(RandomPicks(seed))
        plan = plan_network(spec)
        assert [(stage.out.height, stage.out.width) for stage in plan.stages] == [
            (side, side) for side in SIDES
        ]
        total, model = totals(plan), build(spec, plan)
        counted = referee(model, spec.input.shape)
        assert sum(part.numel() for part in model.parameters()) == total.params
        assert (counted.flops, counted.activations) == (total.flops, total.activations)


def test_every_kind_of_block_is_there_and_kernels_fit_the_maps(space: Space) -> None:
    kinds = {"convnext", "cmt", "swin", "attention", "mbconv", "bottleneck", "replk"}
    found: set[str] = set()
    for index, side in enumerate(SIDES):
        blocks = space.parameters[f"stages.{index}.blocks"]
        assert isinstance(blocks, Choice)
        found |= {str(tag) for tag in blocks.tags}
        for name, domain in space.parameters.items():
            if name.startswith(f"stages.{index}.") and name.endswith("kernel"):
                assert isinstance(domain, Choice)
                assert max(int(str(value)) for value in domain.values) <= side
    assert found == kinds


@pytest.mark.parametrize("limit", [30e6, 60e6, 100e6])
def test_candidates_land_within_2_percent_under_30_to_100_mflops(
    space: Space, limit: float
) -> None:
    for seed in range(40):
        fitted = space.onto_budget(space.spec(RandomPicks(seed)), {"flops": limit})
        assert 0.98 * limit <= totals(fitted.plan).flops <= limit


def test_windows_need_no_padding_and_are_shifted_by_half(space: Space) -> None:
    cuts = [
        leaf.layer
        for seed in range(20)
        for _, part in plan_network(space.spec(RandomPicks(seed))).parts()
        for _, _, leaf in leaves(part)
        if isinstance(leaf.layer, Attention) and leaf.layer.window is not None
    ]
    assert {(layer.window, layer.pad) for layer in cuts} == {((4, 4), False)}
    assert {layer.shift for layer in cuts} == {0, 2}
