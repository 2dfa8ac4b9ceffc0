"""The default sampler on spaces at the edge of what it was made for: small, tied, named, slow."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import FEW, FEW_FLOPS, finished_run

from archspec.cost import totals
from archspec.domains import Range
from archspec.planning import plan_network
from search.guided.encoding import Encoding
from search.guided.history import read_history
from search.guided.known import known_points
from search.guided.landscape import SpaceLandscape
from search.proposals import Proposals, suggest
from search.space import Space, drawn

#: 18 texts; on a budget a fit moves the width, so that 9 networks are left
FITTED = FEW.replace(
    "head: [",
    "stages: [{width: {choice: [16, 24]}, depth: 1, block: [basic]}]\n"
    "head: [{cna: {width: 16, kernel: 1, act: {choice: [relu, gelu, silu]}}}, ",
)
#: four stages of blocks that shipped networks are made of; widths and depths by name
NAMED = """\
name: named
input: {resolution: 64}
classes: 10
stem: [{cna: {width: 64, kernel: 3, stride: 2}}]
stages:
- {width: {choice: {small: 32, large: 64}}, depth: {choice: {few: 1, many: 3}}, BLOCKS}
- {width: {range: [32, 128], step: 8}, depth: {range: [1, 3]}, BLOCKS}
- {width: {range: [64, 256], step: 8}, depth: {range: [1, 3]}, BLOCKS}
- {width: {range: [64, 512], step: 8}, depth: {range: [1, 3]}, BLOCKS}
head: [norm, {pool: global}, {linear: classes}]
""".replace("BLOCKS", "stride: 2, block: {choice: {basic: [basic], bottleneck: [bottleneck]}}")
TIED = """\
name: tied
input: {resolution: 16}
classes: 10
stem: [{cna: {width: 16, kernel: 3}}]
stages:
- width: {range: [16, 64], step: 8}
  depth: 1
  block:
    choice:
      one: [{mbconv: {expansion: {range: [1.0, 4.0], tie: wide}}}]
      two: [{mbconv: {expansion: {range: [1.0, 4.0], tie: wide}}}, basic]
      none: [{convnext: {kernel: {choice: [3, 5, 7]}}}]
head: [{pool: global}, {linear: classes}]
"""


def test_a_fitted_space_that_is_seen_to_its_end_repeats(tmp_path: Path) -> None:
    space = Space.parse(FITTED, "few")
    widest = space.spec(lambda _, domain: domain.at_share(0.99))
    limit = 1.005 * totals(plan_network(widest)).flops
    run = finished_run(
        tmp_path / "run", FITTED, sampler="guided", iso=True, objectives=("score",), trials=10,
        random_trials=0, budgets={"flops": limit}, space="few",
    )  # fmt: skip
    states = [trial.user_attrs["state"] for trial in run.trials("search")]
    # each network once, before any again
    assert states[:9] == ["scored"] * 9
    assert set(states[9:]) == {"repeat"}


def test_widths_and_depths_by_name_are_compared_by_their_values(tmp_path: Path) -> None:
    space = Space.parse(NAMED, "named")
    points = known_points(space.parameters, 4)
    # such as ResNet-50, of 64 and 3 in its first stage as torchvision counts them, or wider
    assert points
    assert {point["stages.0.width"] for point in points} == {"large"}
    assert {point["stages.0.depth"] for point in points} <= {"few", "many"}
    run = finished_run(
        tmp_path / "run", NAMED, sampler="guided", trials=4, random_trials=0,
        budgets={"flops": 2e8}, space="named",
    )  # fmt: skip
    assert (run.frame()["state"] == "scored").sum() == 4


def test_a_knob_tied_below_options_is_no_part_of_points_without_it() -> None:
    space = Space.parse(TIED, "tied")
    assert "wide" in space.parameters
    points: list[dict[str, Any]] = []
    for seed in range(8):
        rng, point = random.Random(seed), dict[str, Any]()
        space.spec(lambda name, domain: point.setdefault(name, drawn(domain, rng)))  # noqa: B023
        points.append(point)
    assert len({"wide" in point for point in points}) == 2
    encoding = Encoding(space.parameters)
    codes = encoding.codes(points)
    assert encoding.weights(codes).sum(axis=1) == pytest.approx(np.ones(8))
    assert np.diag(encoding.likeness(codes, codes)) == pytest.approx(np.ones(8))


def test_a_network_that_broke_a_measured_limit_is_worth_the_worst_tenth() -> None:
    space = Space.parse(FEW, "few")
    landscape = SpaceLandscape(space, space.parameters, {"flops": FEW_FLOPS}, guess=True)
    proposals = Proposals("guided", (0, 0), ["score"], (), (), landscape.parameters, landscape)
    slow = proposals.ask()
    suggested = landscape.point(suggest(slow))
    slow.set_user_attr("state", "infeasible")
    proposals.tell(slow, None)
    history = read_history(proposals.study.get_trials(), 99, landscape, ("score",))
    assert history.points == [suggested]
    # a law's limit tells before a proposal, so what it refused is no observation
    strict = SpaceLandscape(space, space.parameters, {"flops": FEW_FLOPS})
    assert not read_history(proposals.study.get_trials(), 99, strict, ("score",)).points


def test_draws_by_chance_are_values_of_the_domain() -> None:
    rng = random.Random(0)
    tenths = Range(1.0, 2.0, 0.1)
    grid = [round(1 + 0.1 * place, 9) for place in range(11)]
    assert {drawn(tenths, rng) for _ in range(400)} == set(grid)
    # half of the draws lie below the geometric mean
    low = sum(drawn(Range(0.01, 100.0, log=True), rng) < 1 for _ in range(2000))
    assert 900 < low < 1100
