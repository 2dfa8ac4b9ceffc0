"""The loop, against a training written out by hand, and what it does when a training goes wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tiny_training import NORMED, PLAIN, digits, network, recipe
from torch import Tensor, nn
from torch.nn import functional as F

from archspec.build import build
from archspec.errors import Diverged, OutOfMemory, TooSlow, TrainError
from archspec.spec import parse_spec
from archspec.train.attempts import in_memory, pace, train
from archspec.train.devices import Setting, accelerator, checked_device
from archspec.train.feed import epoch_order
from archspec.train.head import for_classes, set_dropout
from archspec.train.images import ImageSet
from archspec.train.initialise import start
from archspec.train.recipe import Optimizer, Resolution
from archspec.train.results import Epoch
from archspec.train.trainer import Pacing, Trainer, step_seed

CPU = Setting("cpu", "fp32")
#: whole digits, not moved and not mirrored: nothing about a step is random
STILL = recipe(augment=recipe().augment.model_copy(update={"flip": 0.0}))


def trainer(text: str = PLAIN, images: ImageSet | None = None, **changes: Any) -> Trainer:
    held = images or digits()
    spec, plan = for_classes(network(text), held)
    return Trainer(spec, plan, STILL.model_copy(update=changes), held, 0, CPU)


def finished(made: Trainer) -> Trainer:
    while not made.done:
        for _ in made.run_epoch():
            pass
        made.close_epoch()
    return made


# A training by hand ------------------------------------------------------------------------------


def test_it_is_the_training_that_one_would_write_by_hand() -> None:
    images = digits()
    made = finished(trainer(images=images))

    spec, plan = for_classes(network(), images)
    torch.manual_seed(0)
    model = build(spec, plan)
    start(model)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    spared = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 1e-3}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    assert images.train.pixels is not None
    mean = torch.tensor(images.mean).view(3, 1, 1)
    std = torch.tensor(images.std).view(3, 1, 1)
    inputs = (images.train.pixels / 255 - mean) / std
    labels = torch.from_numpy(images.train.labels)
    for epoch in range(2):
        for index, places in enumerate(epoch_order(256, 32, 1, 0, epoch)):
            # half a cosine over all 16 steps
            done = (epoch * 8 + index) / 16
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * (1 + math.cos(math.pi * done)) / 2
            loss = F.cross_entropy(model(inputs[places]), labels[places])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    for mine, theirs in zip(made.raw.parameters(), model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    assert images.test.pixels is not None
    model.eval()
    with torch.no_grad():
        logits = model((images.test.pixels / 255 - mean) / std)
    truth = torch.from_numpy(images.test.labels)
    right = (logits.argmax(1) == truth).float().mean()
    assert made.history[-1].top1 == pytest.approx(100 * float(right), abs=0.6)
    assert made.history[-1].test_loss == pytest.approx(float(F.cross_entropy(logits, truth)), 1e-3)


def test_micro_batches_change_nothing_but_memory() -> None:
    whole = finished(trainer())
    made = trainer()
    made.micro = 5
    parted = finished(made)
    for mine, theirs in zip(parted.raw.parameters(), whole.raw.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    assert parted.history[-1].loss == pytest.approx(whole.history[-1].loss, rel=1e-4)


def test_averaged_weights_are_the_moving_average() -> None:
    made = trainer(NORMED, ema=0.9)
    expected: dict[str, Tensor] = {}
    for _ in made.run_epoch():
        for name, value in made.raw.state_dict().items():
            if name not in expected or not value.is_floating_point():
                expected[name] = value.clone()
            else:
                expected[name] = 0.9 * expected[name] + 0.1 * value
    assert made.averaged is not None
    held = made.averaged.module.state_dict()
    assert held.keys() == expected.keys()
    # batch norms' running statistics are averaged, too
    for name, value in expected.items():
        if value.is_floating_point():
            assert torch.allclose(held[name], value, atol=1e-5), name
    noted = made.close_epoch()
    assert noted.ema_top1 is not None
    assert noted.chosen == noted.ema_top1


def test_averaged_weights_keep_indices_whole() -> None:
    """Tables of position biases are read by whole numbers, which an average would cut."""
    block = "[{swin: {window: 4, norm: layer}}, {mlp: {norm: layer}}]"
    text = PLAIN.replace("[{residual: [{conv: {kernel: 3}}, norm, act]}]", block)
    made = trainer(text, ema=0.9992)
    for _ in made.run_epoch():
        pass
    assert made.averaged is not None
    whole = [
        (mine, theirs)
        for mine, theirs in zip(made.averaged.module.buffers(), made.raw.buffers(), strict=True)
        if not theirs.is_floating_point()
    ]
    assert whole
    assert all(torch.equal(mine, theirs) for mine, theirs in whole)


def test_a_clipped_gradient_is_no_longer_than_it_may() -> None:
    made = trainer(optimizer=Optimizer(name="sgd", lr=0.1, clip=1e-3))
    before = [p.detach().clone() for p in made.raw.parameters()]
    next(made.run_epoch())
    moved = [p.detach() - q for p, q in zip(made.raw.parameters(), before, strict=True)]
    length = torch.cat([part.flatten() for part in moved]).norm()
    assert float(length) == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_the_same_seed_trains_the_same_network_and_another_one_another() -> None:
    images = digits()
    spec, plan = for_classes(network(NORMED), images)
    noisy = recipe(drop_path=0.2, ema=0.9)
    results = [
        train(spec, plan, noisy, images, seed, device="cpu", precision="fp32") for seed in (0, 0, 1)
    ]
    timed = ("seconds", "images_per_second")
    first, again, other = ({**r._asdict(), **dict.fromkeys(timed)} for r in results)
    assert first == again
    assert first["test_loss"] != other["test_loss"]


def test_steps_have_seeds_of_their_own() -> None:
    seeds = {step_seed(a, b, c) for a in range(5) for b in range(50) for c in range(4)}
    assert len(seeds) == 5 * 50 * 4
    assert all(0 <= seed < 2**63 for seed in seeds)


# Tests at another resolution ----------------------------------------------------------------------


def test_a_test_at_another_resolution_resizes_what_depends_on_it() -> None:
    text = PLAIN.replace("norm]\nstages", "norm, position]\nstages")
    made = trainer(text, resolution=Resolution(test=16))
    assert made.test.other is not None
    next(made.run_epoch())
    assert math.isfinite(made.test(made.raw).loss)
    assert made.test.side == (16, 16)


# What goes wrong ----------------------------------------------------------------------------------


def test_a_training_that_diverges_says_where() -> None:
    with pytest.raises(Diverged, match=r"the loss is (nan|inf) at step \d+ of 16; a lower optim"):
        finished(trainer(optimizer=Optimizer(name="sgd", lr=1e30)))


def test_a_training_that_would_take_too_long_is_not_begun() -> None:
    images = digits(1024)
    spec, plan = for_classes(network(), images)
    with pytest.raises(TooSlow, match=r"ms a step, 64 steps take .* s, and 1e-06 s are allowed"):
        train(spec, plan, STILL, images, 0, device="cpu", slowest=1e-6)


def _hungry(limit: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Linear layers that run out of memory above `limit` images; the sizes that they saw."""
    seen: list[int] = []
    real = nn.Linear.forward

    def forward(self: nn.Linear, x: Tensor) -> Tensor:
        if self.training:
            seen.append(len(x))
            if len(x) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, x)

    monkeypatch.setattr(nn.Linear, "forward", forward)
    return seen


def test_out_of_memory_is_tried_again_with_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits()
    spec, plan = for_classes(network(), images)
    whole = train(spec, plan, STILL, images, 0, device="cpu")
    seen = _hungry(10, monkeypatch)
    pieces = train(spec, plan, STILL, images, 0, device="cpu")
    assert pieces.micro_batch == 8
    assert seen[:3] == [32, 16, 8]
    assert pieces.steps == whole.steps
    assert pieces.test_loss == pytest.approx(whole.test_loss, rel=1e-3)


def test_out_of_memory_in_a_test_takes_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    whole = made.test(made.raw)
    real = nn.Linear.forward

    def forward(self: nn.Linear, x: Tensor) -> Tensor:
        if len(x) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, x)

    monkeypatch.setattr(nn.Linear, "forward", forward)
    pieces = made.test(made.raw)
    assert pieces.top1 == whole.top1
    assert made.test.batch == 64


def test_out_of_memory_with_one_image_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits()
    spec, plan = for_classes(network(), images)
    _hungry(0, monkeypatch)
    with pytest.raises(OutOfMemory, match="even with one image at a time: .*CUDA out of memory"):
        train(spec, plan, STILL, images, 0, device="cpu")


def test_other_errors_of_torch_are_told_in_one_line() -> None:
    def attempt(setting: Setting) -> Any:
        raise RuntimeError("shapes do not fit\nand more")

    with pytest.raises(TrainError, match="torch refused: shapes do not fit$"):
        in_memory(attempt, CPU, STILL)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (Setting("gpu"), "no device is called 'gpu': .*legal: cuda, mps, cpu"),
        (Setting("cpu", "fp8"), "no precision is called 'fp8': .*bf16"),  # type: ignore[arg-type]
        (Setting("cpu", "fp16"), "fp16 needs a GPU"),
    ],
)
def test_settings_that_cannot_be(setting: Setting, words: str) -> None:
    with pytest.raises(TrainError, match=words):
        accelerator(setting)


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(TrainError, match="no device 'cuda' here"):
        checked_device("cuda")


def test_one_process_may_change_its_precision() -> None:
    assert accelerator(CPU).mixed_precision == "no"
    assert accelerator(Setting("cpu", "bf16")).mixed_precision == "bf16"
    assert accelerator(CPU).mixed_precision == "no"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PLAIN.replace("{pool: global}, ", ""), "does not end in 10 classes but in"),
        (PLAIN.replace("resolution: 8", "channels: 4, resolution: 8"), "plain takes 4"),
    ],
)
def test_networks_that_cannot_be_trained(text: str, words: str) -> None:
    with pytest.raises(TrainError, match=words):
        for_classes(parse_spec(text), digits())


def test_a_batch_larger_than_the_data() -> None:
    with pytest.raises(TrainError, match=r"got \(batch=512, images=256\); scale the recipe"):
        trainer(batch=512)


# Small things -------------------------------------------------------------------------------------


def test_a_grey_network_sees_grey_images() -> None:
    text = PLAIN.replace("resolution: 8", "channels: 1, resolution: 8")
    assert finished(trainer(text)).history[-1].test_loss < 2.3


def test_dropout_stands_before_the_classifier() -> None:
    model = build(network()).eval()
    images = torch.randn(4, 3, 8, 8)
    before = model(images)
    names = list(model.state_dict())
    set_dropout(model, 0.5)
    assert torch.equal(model(images), before)
    assert list(model.state_dict()) == names
    seen: list[Tensor] = []
    linear = next(m for m in model.head.modules() if isinstance(m, nn.Linear))
    linear.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    model.train()(images)
    dropped = float((seen[0] == 0).float().mean())
    assert dropped > 0.2


def test_dropout_of_the_text_is_set() -> None:
    text = PLAIN.replace("{linear: classes}", "{dropout: 0.1}, {linear: classes}")
    model = build(network(text))
    set_dropout(model, 0.4)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.4]


def test_a_watcher_may_stop_early() -> None:
    images = digits()
    spec, plan = for_classes(network(), images)
    seen: list[Epoch] = []

    def watch(epoch: Epoch) -> bool:
        seen.append(epoch)
        return False

    result = train(spec, plan, STILL, images, 0, device="cpu", watch=watch)
    assert (result.stopped, result.epochs, result.steps) == (True, 1, 8)
    assert [epoch.epoch for epoch in seen] == [1]


def test_the_pace_is_that_of_an_epoch() -> None:
    images = digits(1024)
    spec, plan = for_classes(network(), images)
    assert 0 < pace(spec, plan, STILL, images, CPU) < 600


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, 7.0), (4, 2.0), (5, 2.0), (12, 2.0), (100, 2.0)]
)
def test_a_pace_leaves_the_steps_that_warm_up_out(
    monkeypatch: pytest.MonkeyPatch, steps: int, expected: float
) -> None:
    """The first step takes 7 seconds, every other one 2."""
    clock = 0.0
    monkeypatch.setattr("archspec.train.trainer.time.perf_counter", lambda: clock)
    pacing = Pacing(steps, lambda: None)
    found = []
    for done in range(1, steps + 1):
        clock += 7.0 if done == 1 else 2.0
        found.append(pacing.after(done))
    assert [pace for pace in found if pace is not None] == [expected]
