from __future__ import annotations

from pathlib import Path

import pytest
import torch
from smallest import smallest
from torch import Tensor, nn

from archspec.build import build
from archspec.cost import totals
from archspec.errors import UncountedError
from archspec.planning import plan_network
from archspec.referee import by_module, referee
from archspec.shipped import shipped_networks
from archspec.spec import NetworkSpec, parse_spec, read_spec

EVERY_LAYER = Path(__file__).with_name("every_layer.yaml")


#: a trace computes the network: larger ones, by multiply-adds, wait for the slow tests
SMALL = 0.6e9
#: and the largest are traced at their smallest resolution
LARGE = 8e9
FLOPS = {name: totals(plan_network(read_spec(name))).flops for name in shipped_networks()}
NETWORKS = [
    pytest.param(name, marks=marks)
    for name, flops in FLOPS.items()
    for marks in [() if flops < SMALL else (pytest.mark.slow,)]
]


def check(spec: NetworkSpec) -> None:
    """Laws and referee agree to the last unit, in all and in each part."""
    plan = plan_network(spec)
    model = build(spec, plan)
    counts = by_module(model, spec.input.shape)
    whole = totals(plan)
    assert counts[""][:3] == (whole.flops, whole.other_flops, whole.activations)
    assert counts[""].fvcore_total == whole.fvcore_total
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == whole.params
    for path, part in plan.parts():
        law = totals(part)
        assert counts[path][:3] == (law.flops, law.other_flops, law.activations), path


@pytest.mark.parametrize("name", NETWORKS)
def test_the_laws_agree_with_fvcore(name: str) -> None:
    check(read_spec(name) if FLOPS[name] < LARGE else smallest(name))


@pytest.mark.parametrize("form", ["train", "merged"])
@pytest.mark.parametrize("name", ["replknet_31b", "mobilenetv2_100_k9_small3", "repvgg_a0"])
def test_the_laws_agree_with_fvcore_in_both_forms(name: str, form: str) -> None:
    check(read_spec(name, [("form", form), ("input.resolution", "96")]))


@pytest.mark.parametrize("form", ["train", "merged"])
def test_the_laws_of_every_layer_agree_with_fvcore(form: str) -> None:
    check(parse_spec(EVERY_LAYER.read_text() + f"form: {form}\n"))


def test_what_was_not_counted_is_told() -> None:
    spec = read_spec("resnet50", [("input.resolution", "64")])
    model = build(spec)
    model.stages[0].eval()
    count = referee(model, (3, 64, 64))
    assert count.uncounted == {"aten::max_pool2d": 1, "aten::add": 16}
    # counting in eval mode left no trace
    assert model.training
    assert not model.stages[0].training


class Cosine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x)


def test_an_operator_that_nobody_counts_is_an_error() -> None:
    with pytest.raises(UncountedError, match="aten::cos"):
        referee(Cosine(), (3, 8, 8))
