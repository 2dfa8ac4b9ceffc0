from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from archspec.domains import Choice, Domain, Range
from archspec.template import Pick
from search.guided.acquisition import expected_hypervolume, log_expected_improvement
from search.guided.encoding import Encoding
from search.guided.history import read_history
from search.guided.known import known_points
from search.guided.landscape import COSTS, Costed, SpaceLandscape
from search.guided.surrogate import Surrogate, Told
from search.hypervolume import hypervolume
from search.proposals import Proposals, suggest
from search.run import TARGETS
from search.space import TARGET, Space, drawn

MACRO = "nas_bench_macro"


class Ledges:
    """Six knobs of four options: each option has a cost, and is worth its place in a hidden order.
    Costs of one point in three are beyond the limit; `twin` makes pairs compute the same."""

    cheap = True

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.parameters: Mapping[str, Domain] = {
            f"places.{place}": Choice(("a", "b", "c", "d"), (0, 1, 2, 3)) for place in range(6)
        }
        self.worth = rng.normal(size=(6, 4)) + rng.normal(size=4)
        self.price = rng.uniform(1, 5, size=(6, 4))
        self.asked = 0

    def point(self, pick: Pick) -> dict[str, Any]:
        return {name: pick(name, domain) for name, domain in self.parameters.items()}

    def cost(self, point: Mapping[str, Any]) -> Costed | None:
        self.asked += 1
        flops = self._sum(self.price, point)
        return (
            Costed("".join(point.values()), (flops,) * len(COSTS), flops / 20)
            if (flops <= 20)
            else None
        )

    def finished(self, point: Mapping[str, Any], attrs: Mapping[str, Any]) -> Costed | None:
        if "key" not in attrs:
            return None
        return Costed(attrs["key"], tuple(attrs[name] for name in COSTS), 1.0)

    def known(self) -> list[dict[str, Any]]:
        return []

    def value(self, point: Mapping[str, Any]) -> float:
        return self._sum(self.worth, point)

    def best(self) -> float:
        grids = np.stack(np.meshgrid(*[np.arange(4)] * 6, indexing="ij"), -1).reshape(-1, 6)
        price, worth = (
            sum(table[place][grids[:, place]] for place in range(6))
            for table in (self.price, self.worth)
        )
        return float(np.max(worth[price <= 20]))

    def _sum(self, table: np.ndarray, point: Mapping[str, Any]) -> float:
        return float(sum(table[i]["abcd".index(tag)] for i, tag in enumerate(point.values())))


def searched(
    landscape: Ledges,
    sampler: str,
    trials: int,
    seed: int = 0,
    objectives: Sequence[str] = ("score",),
    proposals: Proposals | None = None,
) -> list[dict[str, Any]]:
    asked = proposals or Proposals(
        sampler, (seed, 0), objectives, (), (), landscape.parameters, landscape
    )
    points = []
    for _ in range(trials):
        trial = asked.ask()
        point = landscape.point(suggest(trial))
        points.append(point)
        costed = landscape.cost(point)
        if costed is None:
            asked.tell(trial, None)
            continue
        for key, value in zip(COSTS, costed.costs, strict=True):
            trial.set_user_attr(key, value)
        trial.set_user_attr("key", costed.key)
        told = {"score": landscape.value(point), "flops": costed.costs[0]}
        asked.tell(trial, [told[key] for key in objectives])
    return points


def test_it_finds_the_best_of_4096_points_within_30_where_chance_does_not() -> None:
    for seed in range(2):
        landscape = Ledges(seed)
        found = max(landscape.value(point) for point in searched(landscape, "guided", 30))
        chance = [
            landscape.value(point)
            for point in searched(landscape, "random", 30)
            if landscape.cost(point) is not None
        ]
        assert found > max(chance)
        assert found > 0.97 * landscape.best()


def test_no_point_is_proposed_twice_and_none_beyond_the_limit() -> None:
    landscape = Ledges()
    points = searched(landscape, "guided", 25)
    assert len({tuple(point.values()) for point in points}) == 25
    assert all(landscape.cost(point) is not None for point in points)


def test_a_small_space_is_searched_to_its_end_and_then_repeats() -> None:
    class Small(Ledges):
        def __init__(self) -> None:
            super().__init__()
            self.parameters = dict(list(self.parameters.items())[:2])

    points = searched(Small(), "guided", 18)
    assert len({tuple(point.values()) for point in points[:16]}) == 16
    assert len(points) == 18


def test_the_same_trials_and_seed_give_the_same_point() -> None:
    whole = searched(Ledges(), "guided", 14, seed=3)
    landscape = Ledges()
    first = Proposals("guided", (3, 0), ["score"], (), (), landscape.parameters, landscape)
    searched(landscape, "guided", 9, proposals=first)
    # killed, and gone on with by a fresh process that remembers nothing
    finished = first.study.get_trials()
    landscape = Ledges()
    second = Proposals("guided", (3, 0), ["score"], finished, (), landscape.parameters, landscape)
    assert searched(landscape, "guided", 5, proposals=second) == whole[9:]


def test_what_is_being_evaluated_is_not_proposed_beside_it() -> None:
    landscape = Ledges()
    proposals = Proposals("guided", (0, 0), ["score"], (), (), landscape.parameters, landscape)
    searched(landscape, "guided", 10, proposals=proposals)
    beside = [tuple(landscape.point(suggest(proposals.ask())).values()) for _ in range(6)]
    assert len(set(beside)) == 6


def test_proposals_before_the_first_trial_ends_keep_to_the_limit() -> None:
    # as many workers ask for them at once; a third of the points by chance are beyond the limit
    for seed in range(3):
        landscape = Ledges(seed)
        proposals = Proposals(
            "guided", (seed, 0), ["score"], (), (), landscape.parameters, landscape
        )
        points = [landscape.point(suggest(proposals.ask())) for _ in range(12)]
        assert len({tuple(point.values()) for point in points}) == 12
        assert all(landscape.cost(point) is not None for point in points)


class Trained(Ledges):
    """Ledges whose value is reached in three epochs, and whose trainings are stopped after the
    first, save for the first three."""

    def curve(self, point: Mapping[str, Any]) -> list[float]:
        value = self.value(point)
        return [value - 20, value - 5, value]


@pytest.mark.parametrize("seed", [1, 2])
def test_trainings_that_were_stopped_are_told_apart(seed: int) -> None:
    landscape = Trained(seed)
    proposals = Proposals("guided", (seed, 0), ["score"], (), (), landscape.parameters, landscape)
    points = []
    for number in range(40):
        trial = proposals.ask()
        points.append(landscape.point(suggest(trial)))
        costed, curve = landscape.cost(points[-1]), landscape.curve(points[-1])
        assert costed is not None
        told = dict(zip(COSTS, costed.costs, strict=True)) | {"key": costed.key, "epochs": 3}
        if whole := number < 3:
            told |= {"state": "scored", "rungs": [curve], "score": curve[-1]}
        else:
            told |= {"state": "pruned", "rungs": [curve[:1]]}
        for key, value in told.items():
            trial.set_user_attr(key, value)
        proposals.tell(trial, curve[-1:] if whole else None)
    # the best is found though only a first epoch tells of it
    assert max(map(landscape.value, points)) > 0.95 * landscape.best()


def ended(state: str, rungs: list[float], epochs: int, **told: float) -> FrozenTrial:
    attrs: dict[str, Any] = {"state": state, "key": f"{rungs}", "epochs": epochs, "rungs": [rungs]}
    attrs |= {**dict.fromkeys(COSTS, 1.0), **told}
    values = [told["score"], attrs["flops"]] if state == "scored" else None
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if values else TrialState.PRUNED,
        params={"a": len(rungs)},
        distributions={"a": optuna.distributions.IntDistribution(0, 99)},
        values=values,
        user_attrs=attrs,
    )


def test_a_stopped_training_is_worth_what_it_reached_and_what_others_gained_from_there() -> None:
    trials = [
        ended("scored", [10, 24, 30], 3, score=30, flops=5),
        ended("scored", [14, 26, 38], 3, score=38, flops=7),
        # after a third the others gained 20 and 24, after two thirds 6 and 12
        ended("pruned", [9], 3, flops=4),
        ended("pruned", [8, 20], 3, flops=3),
        # of networks trained for equal time a third may be two epochs
        ended("pruned", [7, 7.5], 6, flops=2),
        ended("failed", [], 3, flops=1),
    ]
    history = read_history(trials, 99, Trained(), ("score", "flops"))
    # and nothing is worth more than what was ahead of it
    assert history.values[:5].tolist() == [[-30, 5], [-38, 7], [-30, 4], [-29, 3], [-29.5, 2]]
    # one that failed is worth the worst tenth of those that did not; its costs are known
    worst = np.quantile([-30, -38, -30, -29, -29.5], 0.9)
    assert history.values[5] == pytest.approx([worst, 1])


def test_of_two_objectives_it_spreads_over_the_front() -> None:
    def volume(sampler: str, seed: int) -> float:
        landscape = Ledges(seed)
        points = searched(landscape, sampler, 30, objectives=("score", "flops"))
        costed = [(point, landscape.cost(point)) for point in points]
        found = [[-landscape.value(p), c.costs[0]] for p, c in costed if c is not None]
        return hypervolume(np.array(found), np.array([0.0, 20.0]))

    assert volume("guided", 0) > volume("random", 0)


# The parts ------------------------------------------------------------------------------------


def test_a_surrogate_of_one_linear_kernel_is_ridge_regression() -> None:
    # with weight w, noise s and a constant of variance c: k (K + s I)^-1 y is the mean that
    # Bayesian linear regression has, Rasmussen and Williams, equation 2.11
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(40, 3)), rng.normal(size=(5, 3))
    y = x @ np.array([1.0, -0.5, 0.0])
    y = (y - y.mean()) / y.std()
    surrogate = Surrogate((x @ x.T)[None], y)
    told = surrogate((x @ new.T)[None], (new**2).sum(axis=1)[None])
    plain = np.linalg.lstsq(np.c_[x, np.ones(40)], y, rcond=None)[0]
    assert told.mean == pytest.approx(np.c_[new, np.ones(5)] @ plain, abs=0.02)


def test_what_is_believed_of_a_point_changes_no_mean_and_leaves_little_to_hope_near_it() -> None:
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(12, 2)), rng.normal(size=(6, 2))
    waiting = new[:2]
    y = rng.normal(size=12)

    def gram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-((a[:, None] - b[None]) ** 2).sum(-1))[None])

    own, all_x = np.ones((1, 6)), np.concatenate([x, waiting])
    plain = Surrogate(gram(x, x), y)
    told = plain(gram(x, new), own)
    believing = Surrogate(gram(all_x, all_x), y)
    after = believing(gram(all_x, new), own)
    assert believing.believed == pytest.approx(told.mean[:2])
    assert after.mean == pytest.approx(told.mean, abs=1e-4)
    assert (after.deviation <= told.deviation + 1e-9).all()
    assert (after.deviation[:2] < 0.8 * told.deviation[:2]).all()


def test_expected_improvement_equals_its_integral() -> None:
    told = Told(np.array([0.3, -1.0, -9.0]), np.array([0.5, 1.2, 1.0]))
    draws = np.random.default_rng(0).normal(size=(1, 400_000))
    by_chance = np.maximum(told.mean[:, None] + told.deviation[:, None] * draws - 0.2, 0).mean(1)
    found = log_expected_improvement(told, 0.2)
    assert np.exp(found[:2]) == pytest.approx(by_chance[:2], rel=0.01)
    # far below the best points are still told apart
    assert np.isfinite(found[2])
    assert found[2] < -30


@pytest.mark.parametrize("deviation", [1e-9, 0.7])
def test_expected_hypervolume_equals_its_integral(deviation: float) -> None:
    points = np.array([[0.1, 0.8], [0.4, 0.5], [0.6, 0.6], [0.9, 0.05]])
    reference = np.array([1.0, 1.0])
    first = Told(np.array([0.3, 0.05, 1.4]), np.array([0.2, 0.6, 0.3]))
    second = Told(np.array([0.4, 0.9, 0.2]), np.full(3, deviation))
    draws = np.random.default_rng(1).normal(size=(2_000, 2))
    before = hypervolume(points, reference)
    for place, gain in enumerate(expected_hypervolume((first, second), points, reference)):
        middle = np.array([first.mean[place], second.mean[place]])
        spread = np.array([first.deviation[place], second.deviation[place]])
        gains = [
            hypervolume(np.vstack([points, middle + spread * draw]), reference) - before
            for draw in draws
        ]
        error = 4 * np.std(gains) / np.sqrt(len(gains)) + 1e-9
        assert gain == pytest.approx(np.mean(gains), abs=error)


def test_knobs_below_a_block_count_only_where_both_points_have_it() -> None:
    kernel, width = Choice(("3", "x"), (3, "x")), Range(8, 64, 8)
    encoding = Encoding({
        "width": width,
        "block": Choice(("conv", "mix"), ("conv", "mix")),
        "block=conv.kernel": kernel,
        "block=conv.norm": Choice(("yes", "no"), (1, 0)),
    })  # fmt: skip
    conv = {"width": 8, "block": "conv", "block=conv.kernel": "3", "block=conv.norm": "yes"}
    other = {**conv, "block=conv.kernel": "x"}
    mix = {"width": 8, "block": "mix"}
    alike = encoding.likeness(*[encoding.codes([conv, other, mix])] * 2)
    # two roots of a half each; of the block's, half is its own and half its two knobs'
    assert np.diag(alike) == pytest.approx(1.0)
    assert alike[0, 1] == pytest.approx(1 - 1 / 8)
    assert alike[0, 2] == alike[1, 2] == pytest.approx(1 / 2)


def test_likeness_of_a_real_space_is_a_covariance() -> None:
    space, rng = Space.read("hybrid"), random.Random(0)
    landscape = SpaceLandscape(space, space.parameters, {"flops": 4.5e9})
    points = [landscape.point(lambda _, domain: drawn(domain, rng)) for _ in range(60)]
    encoding = Encoding(space.parameters)
    codes = encoding.codes(points)
    alike = encoding.likeness(codes, codes)
    assert np.diag(alike) == pytest.approx(1.0)
    assert np.linalg.eigvalsh(alike).min() > -1e-9


# The landscape --------------------------------------------------------------------------------


def test_texts_that_compute_the_same_have_one_key() -> None:
    space = Space.read(MACRO)
    landscape = SpaceLandscape(space, space.parameters, {"flops": 1e9})

    def key(tags: str) -> str | None:
        point = dict(zip(space.parameters, tags, strict=True))
        costed = landscape.cost(point)
        return None if costed is None else costed.key

    # the table's column `unique_group` (Su et al., CVPR 2021) says of each pair whether it is one
    assert key("11110111") == key("11101111")
    assert key("11102111") == key("11120111")
    assert key("11112111") != key("11121111")
    assert key("01111111") != key("10111111")


def test_what_is_too_large_is_told_without_a_fit_and_targets_are_landed_on() -> None:
    space = Space.read(MACRO)
    small = SpaceLandscape(space, space.parameters, {"flops": 1e7})
    assert small.cheap
    assert small.cost(dict.fromkeys(space.parameters, "2")) is None
    hybrid, rng = Space.read("hybrid_small"), random.Random(0)
    parameters = {TARGET: TARGETS, **hybrid.parameters}
    landscape = SpaceLandscape(hybrid, parameters, {"flops": 6e7}, aim="flops")
    assert not landscape.cheap
    point = landscape.point(lambda _, domain: drawn(domain, rng))
    costed = landscape.cost({**point, TARGET: 0.5})
    assert costed is not None
    assert 0.49 * 6e7 <= costed.costs[COSTS.index("flops")] <= 0.5 * 6e7
    # a share of a time leaves the laws' limits as they are
    timed = SpaceLandscape(hybrid, parameters, {"flops": 6e7})
    whole = timed.cost({**point, TARGET: 0.5})
    assert whole is not None
    assert 0.98 * 6e7 <= whole.costs[COSTS.index("flops")] <= 6e7


def test_near_a_guess_a_coarse_space_has_networks_too() -> None:
    coarse = Space(
        {
            "name": "coarse",
            "input": {"resolution": 32},
            "classes": 10,
            "stem": [{"cna": {"width": 16, "kernel": 3}}],
            "stages": [{"width": {"choice": [16, 64]}, "block": ["basic"], "depth": 1}],
            "head": [{"pool": "global"}, {"linear": "classes"}],
        },
        "coarse",
    )
    point = {"stages.0.width": 16}
    # a 3x3 convolution of 3 and two of 16 to 16 channels at 32 x 32, and a classifier
    flops = 9 * 16 * (3 + 16 + 16) * 32**2 + 160
    assert SpaceLandscape(coarse, coarse.parameters, {"flops": 1.2 * flops}).cost(point) is None
    guess = SpaceLandscape(coarse, coarse.parameters, {"flops": 1.2 * flops}, guess=True)
    costed = guess.cost(point)
    assert costed is not None
    assert costed.costs[COSTS.index("flops")] == flops


def test_shipped_networks_in_the_terms_of_the_hybrid_space() -> None:
    points = known_points(Space.read("hybrid").parameters, 4)
    blocks = {tuple(point[f"stages.{stage}.blocks"] for stage in range(4)) for point in points}
    assert {(name,) * 4 for name in ("convnext", "cmt", "swin", "replk", "bottleneck")} == blocks
    convnext = next(point for point in points if point["stages.0.blocks"] == "convnext")
    # Liu et al., arXiv 2201.03545: kernel 7, expansion 4
    assert convnext["stages.0.blocks=convnext.0.convnext.kernel"] == 7
    assert convnext["stages.0.blocks=convnext.0.convnext.expansion"] == 4
    # Ding et al., arXiv 2203.06717, table 5: kernels 31, 29, 27, 13 and 2, 2, 18, 2 blocks
    replk = next(point for point in points if point["stages.0.blocks"] == "replk")
    names = [f"stages.{stage}.blocks=replk.0.replk.kernel" for stage in range(4)]
    assert [replk[name] for name in names] == [31, 29, 27, 13]
    assert [replk[f"stages.{stage}.depth"] for stage in range(4)] == [2, 2, 18, 2]
