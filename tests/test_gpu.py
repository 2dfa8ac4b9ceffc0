from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from scipy.stats import kendalltau
from tiny_training import NORMED, network, recipe, tensors

from archspec.build import build
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.small import small_images
from archspec.spec import NetworkSpec, read_spec
from archspec.train.attempts import train
from archspec.train.devices import Precision, Setting
from archspec.train.folder import TrainingFolder
from archspec.train.head import for_classes
from archspec.train.images import open_images
from archspec.train.prepare import prepare
from archspec.train.recipe import Augment, Recipe, read_recipe
from archspec.train.results import Tick
from archspec.train.run import run_training
from search.budgets import Budget
from search.calibration.sample import sample
from search.folder import RunFolder, RunInfo
from search.run import Search
from search.scores import SCORES, Scorer
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


@pytest.mark.parametrize("name", ["naswot", "concave_naswot"])
def test_naswot_on_cuda_is_near_that_on_cpu(name: str) -> None:
    # a bit is the sign of a sum: where that is nearly 0, the order of summation decides it
    spec = read_spec("cmt_s")
    plan = plan_network(spec)
    here = Scorer(name, batch=8, device="cpu")(spec, plan).value
    there = Scorer(name, batch=8, device="cuda", half=False)(spec, plan).value
    assert there == pytest.approx(here, rel=1e-3)


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.builds])
@pytest.mark.parametrize("network", ["resnet18", "cmt_ti"])
def test_every_score_on_cuda_is_near_that_on_cpu(
    network: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    spec = small_images(read_spec(network), 32)
    plan = plan_network(spec)
    here = Scorer(name, batch=8, device="cpu").each(spec, plan)
    there = Scorer(name, batch=8, device="cuda", half=False).each(spec, plan)
    assert there.reasons == here.reasons
    assert there.values == pytest.approx(here.values, rel=0.02, abs=0.02)


def random_networks(count: int) -> list[tuple[NetworkSpec, NetworkPlan]]:
    """Networks of one budget, all kinds of mixers among them."""
    drawn = sample(Space.read("hybrid_small"), (Budget("flops", 60e6),), count, 0).candidates
    return [(one.spec, one.plan) for one in drawn]


@pytest.mark.parametrize("name", ["naswot", "concave_naswot"])
def test_half_precision_ranks_as_single(name: str) -> None:
    """Two seeds of one network differ by more than its two precisions."""
    networks = random_networks(24)
    found = [
        [
            each.values[name]
            for each in Scorer(name, seed=seed, device="cuda", half=half).many(networks)
        ]
        for seed, half in ((0, False), (0, True), (1, False))
    ]
    single, half, other = found
    tau = kendalltau(half, single)[0]
    assert tau > 0.95
    assert tau >= kendalltau(other, single)[0]


def test_networks_that_are_built_ahead_score_as_one_by_one() -> None:
    networks = random_networks(12)
    scorer = Scorer("concave_naswot+naswot+grad_norm", device="cuda")
    assert scorer.conditions.builders > 1
    for ahead, (spec, plan) in zip(scorer.many(networks), networks, strict=True):
        assert ahead.reasons == {}
        alone = scorer.each(spec, plan)
        assert ahead.values == pytest.approx(alone.values, rel=1e-3)


def test_scoring_on_cuda_keeps_no_network() -> None:
    """What a network took of the GPU is free for the next one."""
    networks = random_networks(6)
    scorer = Scorer("concave_naswot+grad_norm", device="cuda")
    taken = []
    for _ in range(2):
        for _each in scorer.many(networks):
            pass
        taken.append(torch.cuda.memory_allocated())
    assert taken[1] <= taken[0]


def test_a_network_too_large_for_the_gpu_has_a_reason_and_the_next_one_a_score() -> None:
    large, little = read_spec("resnet152"), small_images(read_spec("resnet18"), 32)
    scorer = Scorer("grad_norm", batch=256, device="cuda")
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((2 << 30) / whole)
    try:
        first, second = (scorer.each(spec, plan_network(spec)) for spec in (large, little))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert first.reasons["grad_norm"].startswith("out of memory on cuda")
    assert list(second.values) == ["grad_norm"]


def test_a_search_on_cuda_is_repeatable(tmp_path: Path) -> None:
    space = Space.read("hybrid")
    frames = []
    for run in ("a", "b"):
        info = RunInfo(
            space=space.name, space_text=space.dump(), command="", budgets=(Budget("flops", 1e9),),
            iso=False, seed=0, sampler="tpe", score="concave_naswot", score_label="", data="digits",
            batch=8, device="cuda", trials=6, random_trials=2, shipped=False,
        )  # fmt: skip
        folder = RunFolder.create(tmp_path / run, info)
        Search(folder).go()
        frames.append(folder.frame())
    assert list(frames[0]["spec"]) == list(frames[1]["spec"])
    assert list(frames[0]["score"]) == list(frames[1]["score"])


# Training -----------------------------------------------------------------------------------------


def training(path: Path, setting: Setting, used: Recipe) -> TrainingFolder:
    found = prepare(network(NORMED), used, "digits", as_written=True, subset=256, setting=setting)
    return TrainingFolder.create(path, found.asked, found.spec, found.recipe)


def test_a_training_on_cuda_is_that_on_cpu(tmp_path: Path) -> None:
    """Nothing random: the same sums, in another order."""
    still = recipe(augment=Augment(flip=0.0))
    for name in ("cuda", "cpu"):
        run_training(training(tmp_path / name, Setting(name, "fp32"), still))
    there, here = (tensors(tmp_path / name / "last.safetensors") for name in ("cuda", "cpu"))
    for name, value in here.items():
        assert torch.allclose(there[name], value, atol=1e-3), name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_well(tmp_path: Path, precision: Precision) -> None:
    longer = read_recipe("quick").model_copy(update={"epochs": 10, "batch": 32})
    found = []
    for word in ("fp32", precision):
        folder = training(tmp_path / word, Setting("cuda", word), longer)
        run_training(folder)
        assert folder.result is not None
        found.append(folder.result["top1"])
    assert found[1] > found[0] - 10


def test_a_training_on_cuda_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    noisy = recipe(ema=0.9, drop_path=0.2, augment=Augment(mixup=0.8, erasing=0.25))
    whole = training(tmp_path / "whole", Setting("cuda", "fp32"), noisy)
    run_training(whole)
    folder = training(tmp_path / "stopped", Setting("cuda", "fp32"), noisy)

    def look(tick: Tick) -> None:
        if tick.step == 11:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(folder, look)
    run_training(TrainingFolder.open(folder.path))
    mine, theirs = (tensors(path / "ema.safetensors") for path in (folder.path, whole.path))
    for name, value in theirs.items():
        assert torch.allclose(mine[name], value, atol=1e-4), name


def test_cuda_out_of_memory_is_tried_again_with_smaller_pieces() -> None:
    """A network whose maps need more than is left of the GPU for the whole batch."""
    images = open_images("digits")
    spec, plan = for_classes(small_images(read_spec("resnet50"), 64), images)
    used = recipe(batch=512, epochs=1)
    limit = 4 << 30
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(limit / whole)
    try:
        result = train(spec, plan, used, images, 0, device="cuda", precision="fp32")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert result.micro_batch < 512
    assert result.steps == 2


def test_compiled_and_channels_last_train_the_same(tmp_path: Path) -> None:
    still = recipe(augment=Augment(flip=0.0))
    losses: list[float] = []
    for setting in (
        Setting("cuda", "fp32", channels_last=False),
        Setting("cuda", "fp32", channels_last=True),
        Setting("cuda", "fp32", compile=True),
    ):
        folder = training(tmp_path / str(len(losses)), setting, still)
        run_training(folder)
        assert folder.result is not None
        losses.append(folder.result["test_loss"])
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-2)
