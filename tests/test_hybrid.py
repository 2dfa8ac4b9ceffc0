"""The hybrid space: its cost law against fvcore and the built modules, to the last unit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from random_picks import RandomPicks

from archspec.build import build
from archspec.cost import totals
from archspec.domains import Choice, Range
from archspec.fit import Lever
from archspec.planning import plan_network
from archspec.referee import referee
from archspec.spec import NetworkSpec
from search.space import Space

Drawn = list[tuple[NetworkSpec, dict[str, object]]]

#: maps of 8 to 1 positions a side: windows of 7 are padded, shifted, and shrink to the map
SIDE = 32
CANDIDATES = 200
#: a trace computes the network and walks over every operator: narrow and shallow is quick
NARROW = (
    ("input.resolution", str(SIDE)),
    *((f"stages.{index}.width", "{range: [16, 96], step: 8}") for index in range(4)),
    *((f"stages.{index}.depth", "{range: [1, 2]}") for index in range(4)),
)


def draw(space: Space, count: int) -> Drawn:
    found = []
    for seed in range(count):
        picks = RandomPicks(seed)
        found.append((space.spec(picks), picks.taken))
    return found


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.read("hybrid", NARROW)


@pytest.fixture(scope="module")
def drawn(space: Space) -> Drawn:
    return draw(space, CANDIDATES)


def check(drawn: Drawn) -> None:
    """Laws, fvcore and modules agree to the last unit."""
    for spec, taken in drawn:
        plan = plan_network(spec)
        total = totals(plan)
        model = build(spec, plan)
        assert sum(part.numel() for part in model.parameters()) == total.params, taken
        counted = referee(model, spec.input.shape)
        assert counted.flops == total.flops, taken
        assert counted.activations == total.activations, taken
        assert counted.other_flops == total.other_flops, taken


def stages_of(space: Space) -> Iterator[tuple[str, Choice]]:
    for index in range(4):
        name = f"stages.{index}.blocks"
        domain = space.parameters[name]
        assert isinstance(domain, Choice)
        yield name, domain


def test_every_kind_of_block_is_drawn_in_every_stage(space: Space, drawn: Drawn) -> None:
    for name, domain in stages_of(space):
        assert {taken[name] for _, taken in drawn} == set(domain.tags)


def test_the_space_mixes_the_fields_blocks(space: Space) -> None:
    everywhere = {"convnext", "cmt", "swin", "mbconv", "bottleneck", "replk"}
    for index, (_, domain) in enumerate(stages_of(space)):
        assert set(domain.tags) == everywhere | ({"attention"} if index > 1 else set())


def test_type_depth_width_kernel_and_resolution_are_searched() -> None:
    whole = Space.read("hybrid")
    parameters = whole.parameters
    for index in range(4):
        assert isinstance(parameters[f"stages.{index}.width"], Range)
        assert isinstance(parameters[f"stages.{index}.depth"], Range)
        assert f"stages.{index}.blocks=convnext.0.convnext.kernel" in parameters
    assert "input.resolution" in parameters
    assert all(isinstance(lever, Lever) for lever in whole.room.widths)
    assert len(whole.room.widths) == len(whole.room.depths) == 4


@pytest.mark.parametrize("first", range(0, CANDIDATES, 20))
def test_the_cost_law_equals_fvcore_and_the_built_module(drawn: Drawn, first: int) -> None:
    check(drawn[first : first + 20])


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 192])
def test_the_cost_law_equals_fvcore_at_full_width_and_depth(side: int) -> None:
    check(draw(Space.read("hybrid", (("input.resolution", str(side)),)), 20))
