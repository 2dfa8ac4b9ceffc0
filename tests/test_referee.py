from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archspec.build import build
from archspec.cost import totals
from archspec.errors import UncountedError
from archspec.planning import plan_network
from archspec.referee import by_module, referee
from archspec.shipped import shipped_networks
from archspec.spec import NetworkSpec, parse_spec, read_spec

EVERY_LAYER = Path(__file__).with_name("every_layer.yaml")


NETWORKS = [(name, "train") for name in shipped_networks()] + [("replknet_31b", "merged")]
#: a trace computes the network; large kernels take seconds at 224 pixels
QUICK = {"replknet_31b": "96", "cmt_s": "160"}


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


@pytest.mark.parametrize(("name", "form"), NETWORKS)
def test_the_laws_agree_with_fvcore(name: str, form: str) -> None:
    edits = [("input.resolution", QUICK[name])] if name in QUICK else []
    check(read_spec(name, [("form", form), *edits]))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["train", "merged"])
@pytest.mark.parametrize("name", QUICK)
def test_the_laws_agree_with_fvcore_at_full_size(name: str, form: str) -> None:
    check(read_spec(name, [("form", form)]))


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
