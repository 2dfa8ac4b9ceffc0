from __future__ import annotations

from math import exp, log

import pytest
import torch

from archspec.train.losses import make_loss
from archspec.train.recipe import Optimizer, Recipe

LOGITS = [[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]
TARGETS = [[0.7, 0.1, 0.2], [0.0, 1.0, 0.0]]


def recipe(loss: str) -> Recipe:
    optimizer = Optimizer(name="sgd", lr=0.1)
    return Recipe.model_validate(
        {"name": "of a test", "epochs": 1, "batch": 2, "optimizer": optimizer, "loss": loss}
    )


def test_softmax_is_the_cross_entropy_with_soft_targets() -> None:
    rows = []
    for logits, targets in zip(LOGITS, TARGETS, strict=True):
        total = sum(exp(logit) for logit in logits)
        rows.append(-sum(t * log(exp(z) / total) for z, t in zip(logits, targets, strict=True)))
    value = make_loss(recipe("softmax"))(torch.tensor(LOGITS), torch.tensor(TARGETS))
    assert float(value) == pytest.approx(sum(rows) / 2, abs=1e-6)


def test_binary_is_the_mean_over_images_and_classes() -> None:
    terms = []
    for logits, targets in zip(LOGITS, TARGETS, strict=True):
        for logit, target in zip(logits, targets, strict=True):
            yes = 1 / (1 + exp(-logit))
            terms.append(-target * log(yes) - (1 - target) * log(1 - yes))
    value = make_loss(recipe("binary"))(torch.tensor(LOGITS), torch.tensor(TARGETS))
    assert float(value) == pytest.approx(sum(terms) / 6, abs=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "binary"])
def test_its_gradient_is_that_of_probability_minus_target(loss: str) -> None:
    logits, targets = torch.tensor(LOGITS, requires_grad=True), torch.tensor(TARGETS)
    make_loss(recipe(loss))(logits, targets).backward()
    assert logits.grad is not None
    if loss == "softmax":
        expected = (logits.detach().exp() / logits.detach().exp().sum(1, keepdim=True)) - targets
        assert torch.allclose(logits.grad, expected / 2, atol=1e-6)
    else:
        expected = 1 / (1 + (-logits.detach()).exp()) - targets
        assert torch.allclose(logits.grad, expected / 6, atol=1e-6)
