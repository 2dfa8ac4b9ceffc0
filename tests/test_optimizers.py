"""Parameter groups against counts by hand, and single steps against the papers' formulas."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec.build import Network, build
from archspec.spec import parse_spec, read_spec
from archspec.train.optimizers import make_optimizer, parameter_groups, parameter_kinds
from archspec.train.recipe import Optimizer, read_recipe

TINY = """\
name: tiny
input: {channels: 3, resolution: 8}
classes: 2
stem: [{conv: {width: 4, kernel: 1}}]
stages:
- {width: 4, depth: 3, block: [{dwconv: 3}, norm]}
- width: 4
  stride: 2
  depth: 2
  down: [{conv: {width: 4, kernel: 2, stride: 2}}]
  block: [{dwconv: 3}, norm]
head: [{pool: global}, {linear: classes}]
"""


def tiny() -> Network:
    torch.manual_seed(0)
    return build(parse_spec(TINY))


def settings(**knobs: Any) -> Optimizer:
    return Optimizer.model_validate({"name": "adamw", "lr": 0.01, "weight_decay": 0.1} | knobs)


#: by the names of the layers: weights of convolutions and linear layers, norms' weights and biases,
#: other biases, and what else there is
KINDS = {
    # 1 + 16 + 3 convolutions without bias, each with a norm, and the classifier
    "resnet18": {None: 21, "norm": 40, "bias": 1},
    # stem, 18 blocks of 3 layers and a norm, 3 convolutions with a norm between the stages, head
    "convnext_tiny": {None: 59, "norm": 46, "bias": 59, "scale": 18},
    # 12 blocks of 4 layers and 2 norms; the 3 mergings are linear without bias, with a norm
    "swin_tiny_patch4_window7_224": {None: 53, "norm": 58, "bias": 50, "table": 12},
    "deit_tiny_patch16_224": {None: 50, "norm": 50, "bias": 50, "token": 1, "position": 1},
    # 3 in the stem, 4 patch embeddings, 2 in the head; 16 blocks of lpu, proj and 3 in the irffn;
    # q, kv and their convolution in 14, one qkv in the last 2; a bias table a stage
    "cmt_ti": {None: 133, "norm": 204, "bias": 133, "table": 4},
}


@pytest.mark.parametrize("name", KINDS)
def test_what_parameters_are(name: str) -> None:
    model = build(read_spec(name))
    assert Counter(kind for _, _, kind in parameter_kinds(model)) == KINDS[name]
    for own, parameter, kind in parameter_kinds(model):
        # what is written in the spec's words agrees
        assert (kind == "table") is ("shared.free" in own or own.endswith("attention.bias"))
        assert (kind == "norm") is (".norm" in own)
        if kind is None:
            assert parameter.dim() >= 2


#: recipe: the network, and how many tensors it spares
SPARED = {
    "swin": ("swin_tiny_patch4_window7_224", 58 + 50 + 12),
    "cmt": ("cmt_ti", 204 + 133),
    "deit": ("deit_tiny_patch16_224", 50 + 50 + 2),
    "convnext": ("convnext_tiny", 46 + 59 + 18),
    "resnet_rs": ("resnet18", 40),
    "resnet_classic": ("resnet18", 0),
}


@pytest.mark.parametrize("recipe", SPARED)
def test_what_recipes_spare(recipe: str) -> None:
    network, spared = SPARED[recipe]
    model = build(read_spec(network))
    wanted = read_recipe(recipe, network=network).optimizer
    groups = parameter_groups(model, wanted)
    assert sum(len(group.names) for group in groups if group.weight_decay == 0) == spared
    assert {group.weight_decay for group in groups} <= {0.0, wanted.weight_decay}
    assert {group.lr for group in groups} == {wanted.lr}
    assert len(groups) == (1 if spared == 0 else 2)


@pytest.mark.parametrize("decay", [None, 0.8])
def test_every_parameter_is_in_one_group(decay: float | None) -> None:
    model = build(read_spec(str(Path(__file__).with_name("every_layer.yaml"))))
    groups = parameter_groups(model, settings(layer_decay=decay))
    names = [name for group in groups for name in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    grouped = [id(parameter) for group in groups for parameter in group.params]
    assert sorted(grouped) == sorted(map(id, model.parameters()))


def test_a_frozen_parameter_is_left_out() -> None:
    model = tiny()
    for parameter in model.stem.parameters():
        parameter.requires_grad = False
    names = [name for group in parameter_groups(model, settings()) for name in group.names]
    assert names
    assert not any(name.startswith("stem") for name in names)


def test_lr_falls_from_the_head_to_the_stem() -> None:
    # blocks 0 to 4 in pairs: 0 1 | 2 3 | 4; the second stage begins with block 3
    groups = parameter_groups(tiny(), settings(layer_decay=0.5, layer_every=2))
    by_name = {name: group for group in groups for name in group.names}

    def depth(start: str) -> set[int]:
        return {group.depth for name, group in by_name.items() if name.startswith(start)}

    assert depth("stem.") == {0}
    assert depth("stages.0.blocks.0.") == depth("stages.0.blocks.1.") == {1}
    assert depth("stages.0.blocks.2.") == {2}
    assert depth("stages.1.down.") == depth("stages.1.blocks.0.") == {2}
    assert depth("stages.1.blocks.1.") == {3}
    assert depth("head.") == {4}
    for group in groups:
        assert group.lr == pytest.approx(
            0.01 * {0: 1 / 16, 1: 1 / 8, 2: 1 / 4, 3: 1 / 2, 4: 1}[group.depth]
        )
    assert [group.depth for group in groups] == sorted(group.depth for group in groups)


def test_the_depths_of_convnext() -> None:
    # TRAINING.md of ConvNeXt decays by groups of 3 blocks: 18 are 6, the stem and the head 2 more
    model = build(read_spec("convnext_tiny"))
    groups = parameter_groups(model, settings(layer_decay=0.8, layer_every=3))
    assert sorted({group.depth for group in groups}) == list(range(8))
    stem = next(group for group in groups if "stem.conv.weight" in group.names)
    assert stem.lr == pytest.approx(0.01 * 0.8**7)
    optimizer = make_optimizer(model, settings(layer_decay=0.8, layer_every=3))
    assert optimizer.param_groups[-1]["lr"] == 0.01


def test_biases_that_a_stage_shares_go_with_its_first_block() -> None:
    groups = parameter_groups(build(read_spec("cmt_ti")), settings(layer_decay=0.9))
    depths = {name: group.depth for group in groups for name in group.names}
    shared = [depth for name, depth in sorted(depths.items()) if ".shared." in name]
    # stages of 2, 2, 10 and 2 blocks
    assert shared == [1, 3, 5, 15]


# Steps ---------------------------------------------------------------------------------------


def gradients(model: Network, step: int) -> dict[str, Tensor]:
    """Gradients for one step, put into the model, and copies in double precision."""
    torch.manual_seed(100 + step)
    found = {}
    for name, parameter in model.named_parameters():
        parameter.grad = torch.randn_like(parameter)
        found[name] = parameter.grad.double()
    return found


def values(model: Network) -> dict[str, Tensor]:
    return {name: parameter.detach().double() for name, parameter in model.named_parameters()}


def decayed(name: str) -> bool:
    """In the tiny network: all weights but those of norms."""
    return name.endswith(".weight") and ".norm" not in name


def test_sgd_with_momentum_by_hand() -> None:
    model = tiny()
    wanted = settings(name="sgd", momentum=0.9)
    optimizer = make_optimizer(model, wanted)
    x, velocity = values(model), {name: 0 * value for name, value in values(model).items()}
    for step in range(3):
        for name, gradient in gradients(model, step).items():
            pull = gradient + (0.1 * x[name] if decayed(name) else 0)
            velocity[name] = 0.9 * velocity[name] + pull
            x[name] = x[name] - 0.01 * velocity[name]
        optimizer.step()
    for name, value in values(model).items():
        torch.testing.assert_close(value, x[name], rtol=1e-5, atol=1e-6)


def test_adamw_by_hand() -> None:
    # Loshchilov and Hutter, arXiv 1711.05101, algorithm 2, its decay times lr
    model = tiny()
    optimizer = make_optimizer(model, settings(betas=[0.8, 0.95], eps=1e-3))
    x = values(model)
    m, v = ({name: 0 * value for name, value in x.items()} for _ in range(2))
    for t in range(1, 4):
        for name, g in gradients(model, t).items():
            m[name], v[name] = 0.8 * m[name] + 0.2 * g, 0.95 * v[name] + 0.05 * g**2
            step = (m[name] / (1 - 0.8**t)) / ((v[name] / (1 - 0.95**t)).sqrt() + 1e-3)
            x[name] = x[name] - 0.01 * (step + (0.1 * x[name] if decayed(name) else 0))
        optimizer.step()
    for name, value in values(model).items():
        torch.testing.assert_close(value, x[name], rtol=1e-5, atol=1e-6)


def test_lamb_by_hand() -> None:
    """You et al., arXiv 1904.00962v3, algorithm 2, without correction of the moments.

    What is not decayed takes no trust ratio, as in timm (timm/optim/lamb.py, `always_adapt`).
    """
    model = tiny()
    with torch.no_grad():
        # a norm of 80: a trust ratio bounded by 10 would show
        for part in model.stem.parameters():
            part.fill_(80 / math.sqrt(part.numel()))
    optimizer = make_optimizer(model, settings(name="lamb", betas=[0.9, 0.99], eps=1e-6))
    x = values(model)
    m, v = ({name: 0 * value for name, value in x.items()} for _ in range(2))
    for t in range(1, 4):
        for name, g in gradients(model, t).items():
            m[name], v[name] = 0.9 * m[name] + 0.1 * g, 0.99 * v[name] + 0.01 * g**2
            step, trust = m[name] / (v[name].sqrt() + 1e-6), 1.0
            if decayed(name):
                step = step + 0.1 * x[name]
                trust = float(x[name].norm() / step.norm())
            x[name] = x[name] - 0.01 * trust * step
        optimizer.step()
    for name, value in values(model).items():
        torch.testing.assert_close(value, x[name], rtol=1e-4, atol=1e-5)


def test_lamb_moves_a_weight_by_lr_times_its_norm_and_does_not_clip() -> None:
    model = tiny()
    optimizer = make_optimizer(model, settings(name="lamb"))
    before = values(model)["head.linear.weight"]
    for gradient in gradients(model, 0):
        parameter = model.get_parameter(gradient)
        assert parameter.grad is not None
        parameter.grad *= 1000
    optimizer.step()
    moved = values(model)["head.linear.weight"] - before
    assert float(moved.norm()) == pytest.approx(0.01 * float(before.norm()), rel=1e-4)


def test_an_absent_knob_is_the_library_s_default() -> None:
    sgd = make_optimizer(tiny(), settings(name="sgd")).param_groups[0]
    assert (sgd["momentum"], sgd["nesterov"]) == (0.0, False)
    adamw = make_optimizer(tiny(), settings()).param_groups[0]
    assert (adamw["betas"], adamw["eps"]) == ((0.9, 0.999), 1e-8)
