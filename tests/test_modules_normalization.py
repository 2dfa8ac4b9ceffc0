from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest
import torch
from small_tensors import SHAPE, as_tokens, drawn, maps, mean
from torch import nn

from archspec.layers import Shape
from archspec.layers.normalization import Act, ActKind, Norm
from archspec.modules.normalization import act, norm

EPS = 0.01


def values(module: nn.Module, name: str, count: int, other: float) -> list[float]:
    """A parameter's numbers; `other` where there is none."""
    parameter = getattr(module, name, None)
    return [other] * count if parameter is None else parameter.tolist()


# Norms


def standardised(numbers: list[float]) -> list[float]:
    middle = mean(numbers)
    spread = math.sqrt(mean([(number - middle) ** 2 for number in numbers]) + EPS)
    return [(number - middle) / spread for number in numbers]


def by_root_mean_square(numbers: list[float]) -> list[float]:
    length = math.sqrt(mean([number**2 for number in numbers]) + EPS)
    return [number / length for number in numbers]


@pytest.mark.parametrize(
    ("knobs", "rule"),
    [
        ({"kind": "layer"}, standardised),
        ({"kind": "layer", "bias": False}, standardised),
        ({"kind": "layer", "affine": False}, standardised),
        ({"kind": "rms"}, by_root_mean_square),
        ({"kind": "rms", "affine": False}, by_root_mean_square),
        ({"kind": "affine"}, list),
        ({"kind": "affine", "bias": False}, list),
        ({"kind": "none"}, list),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_norms_over_channels(
    knobs: dict[str, object], rule: Callable[[list[float]], list[float]]
) -> None:
    module = drawn(norm(Norm.model_validate({"eps": EPS, **knobs}), SHAPE))
    x = maps()
    weight, bias = values(module, "weight", 6, 1.0), values(module, "bias", 6, 0.0)
    expected = torch.empty_like(x)
    for image, row, column in product(range(2), range(3), range(5)):
        for channel, y in enumerate(rule(x[image, :, row, column].tolist())):
            expected[image, channel, row, column] = y * weight[channel] + bias[channel]
    torch.testing.assert_close(module(x), expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(module(as_tokens(x)), as_tokens(expected), atol=1e-10, rtol=0)


@pytest.mark.parametrize("affine", [True, False])
def test_a_group_norm_is_over_the_positions_and_channels_of_a_group(affine: bool) -> None:
    layer = Norm(kind="group", groups=2, eps=EPS, affine=affine)
    module, x = drawn(norm(layer, SHAPE)), maps()
    weight, bias = values(module, "weight", 6, 1.0), values(module, "bias", 6, 0.0)
    expected = torch.empty_like(x)
    for image, group in product(range(2), range(2)):
        channels = slice(3 * group, 3 * group + 3)
        y = standardised(x[image, channels].flatten().tolist())
        expected[image, channels] = torch.tensor(y, dtype=x.dtype).view(3, 3, 5)
    for channel in range(6):
        expected[:, channel] = expected[:, channel] * weight[channel] + bias[channel]
    torch.testing.assert_close(module(x), expected, atol=1e-10, rtol=0)


def test_a_response_norm_is_a_share_of_the_responses_and_starts_as_nothing() -> None:
    module, x = norm(Norm(kind="response", eps=EPS), SHAPE).double(), maps()
    assert torch.equal(module(x), x)
    module = drawn(module)
    weight, bias = values(module, "weight", 6, 1.0), values(module, "bias", 6, 0.0)
    expected = torch.empty_like(x)
    for image in range(2):
        responses = [math.sqrt(sum(v**2 for v in x[image, c].flatten().tolist())) for c in range(6)]
        for c, response in enumerate(responses):
            share = response / (mean(responses) + EPS)
            expected[image, c] = x[image, c] * (1 + weight[c] * share) + bias[c]
    torch.testing.assert_close(module(x), expected, atol=1e-10, rtol=0)


# Activations


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


ACTS: dict[str, Callable[[float], float]] = {
    "none": lambda x: x,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "silu": lambda x: x * sigmoid(x),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "squared_relu": lambda x: max(x, 0) ** 2,
    "star_relu": lambda x: 0.8944 * max(x, 0) ** 2 - 0.4472,
    "prelu": lambda x: x if x > 0 else 0.25 * x,
}


def test_every_activation_has_its_formula() -> None:
    assert set(ACTS) == set(get_args(ActKind))


@pytest.mark.parametrize("kind", ACTS)
def test_activations_are_their_formulas(kind: str) -> None:
    x = torch.tensor([[-8, -3.5, -1, -0.3, 0, 0.2, 1, 2.5, 7]], dtype=torch.float64)
    x = x.view(1, 3, 1, 3)
    module = act(Act.model_validate({"kind": kind}), Shape(3, 1, 3)).double()
    expected = [ACTS[kind](number) for number in x.flatten().tolist()]
    assert module(x).flatten().tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    torch.testing.assert_close(module(as_tokens(x)), as_tokens(module(x)), atol=1e-12, rtol=0)


def test_trained_activations() -> None:
    x = maps()
    prelu = drawn(act(Act(kind="prelu"), SHAPE))
    slopes = values(prelu, "weight", 6, 0.0)
    for c in range(6):
        expected = [v if v > 0 else slopes[c] * v for v in x[:, c].flatten().tolist()]
        assert prelu(x)[:, c].flatten().tolist() == pytest.approx(expected)
    assert torch.equal(prelu(as_tokens(x)), as_tokens(prelu(x)))
    star = drawn(act(Act(kind="star_relu"), SHAPE))
    (scale,), (bias,) = values(star, "scale", 1, 0.0), values(star, "bias", 1, 0.0)
    expected = [scale * max(v, 0) ** 2 + bias for v in x.flatten().tolist()]
    assert star(x).flatten().tolist() == pytest.approx(expected)
    leaky = act(Act(kind="leaky_relu", slope=0.3), SHAPE)
    assert leaky(torch.tensor([-2.0, 2.0])).tolist() == pytest.approx([-0.6, 2.0])
