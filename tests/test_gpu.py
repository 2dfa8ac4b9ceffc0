from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archspec.build import build
from archspec.planning import plan_network
from archspec.spec import read_spec
from search.folder import Budget, RunFolder, RunInfo
from search.run import Search
from search.scores import Scorer
from search.space import Space

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.mark.parametrize("name", ["resnet50", "swin_tiny", "cmt_s", "deit_small", "replknet_31b"])
def test_logits_on_cuda_are_those_on_cpu(name: str) -> None:
    torch.manual_seed(0)
    spec = read_spec(name)
    model = build(spec).eval().double()
    shape = spec.input.shape
    images = torch.randn(2, shape.channels, shape.height, shape.width, dtype=torch.float64)
    with torch.inference_mode():
        here = model(images)
        there = model.cuda()(images.cuda()).cpu()
    assert torch.allclose(here, there, atol=1e-8)


def test_naswot_on_cuda_is_near_that_on_cpu() -> None:
    # a bit is the sign of a sum: where that is nearly 0, the order of summation decides it
    spec = read_spec("cmt_s")
    plan = plan_network(spec)
    here = Scorer("naswot", batch=8, device="cpu")(spec, plan).value
    there = Scorer("naswot", batch=8, device="cuda")(spec, plan).value
    assert there == pytest.approx(here, rel=1e-3)


def test_a_search_on_cuda_is_repeatable(tmp_path: Path) -> None:
    space = Space.read("hybrid")
    frames = []
    for run in ("a", "b"):
        info = RunInfo(
            space=space.name, space_text=space.dump(), command="", budgets=(Budget("flops", 1e9),),
            iso=False, seed=0, sampler="tpe", score="naswot+depth", score_label="", data="digits",
            batch=8, device="cuda", trials=6, random_trials=2, shipped=False,
        )  # fmt: skip
        folder = RunFolder.create(tmp_path / run, info)
        Search(folder).go()
        frames.append(folder.frame())
    assert list(frames[0]["spec"]) == list(frames[1]["spec"])
    assert list(frames[0]["score"]) == list(frames[1]["score"])
