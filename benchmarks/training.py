"""What a training spends on loading and augmentation, and what compile, layout, precision and batch
are worth, for networks of each family in their small-image form.

    python benchmarks/training.py [--data D] [--networks A,B] [--steps 30] [--json FILE]

Images a second, as shares of the same network fed one batch that never changes, all measured in
one run. On a GPU the share of time in which its kernels run is measured, too. Without --data, the
embedded digits.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.small import small_images
from archspec.spec import read_spec
from archspec.train.devices import Setting, checked_device
from archspec.train.head import for_classes
from archspec.train.images import ImageSet, open_images
from archspec.train.recipe import Augment, Recipe, read_recipe
from archspec.train.trainer import Trainer

NETWORKS = ("resnet18", "convnext_tiny", "cmt_ti", "replknet_31b", "deit_tiny_patch16_224")
#: of these the settings are compared; a CPU has neither fp16 nor much use for the rest
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels-last off": {"channels_last": False},
    "channels-last on": {"channels_last": True},
    "compile": {"compile": True},
    "fp32": {"precision": "fp32"},
    "fp16": {"precision": "fp16"},
    "bf16": {"precision": "bf16"},
}
NOTHING = Augment(flip=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--networks", default=None, help="names, joined by commas")
    parser.add_argument("--side", type=int, default=None, help="default: the data's")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=None, help="default: 512 on a GPU, else 32")
    parser.add_argument("--device", default=None)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    device = checked_device(asked.device)
    on_gpu = device.type == "cuda"
    batch = asked.batch or (512 if on_gpu else 32)
    images = open_images(asked.data)
    side = asked.side or (images.side or (32, 32))[0]
    names = asked.networks.split(",") if asked.networks else NETWORKS[: 5 if on_gpu else 2]
    told = torch.cuda.get_device_name(device) if on_gpu else platform.processor() or "CPU"
    print(f"{told}, torch {torch.__version__}, {images.name} at {side}x{side}, batch {batch}")
    rows: list[dict[str, Any]] = []
    for name in names:
        bench = Bench(name, images, side, asked.steps, asked.repeats, str(device))
        rows.append(bench.pipeline(batch))
        print(".", end="", flush=True)
        for word, setting in SETTINGS.items():
            if (word == "fp16" and not on_gpu) or (word == "compile" and asked.no_compile):
                continue
            rows.append(bench.setting(word, setting, batch))
            print(".", end="", flush=True)
        for size in (batch // 4, batch * 4) if on_gpu else (batch // 2, batch * 2):
            if size <= images.train_count:
                rows.append(bench.setting(f"batch {size}", {}, size))
    print()
    show(rows, on_gpu)
    if asked.json is not None:
        asked.json.write_text(json.dumps({"device": told, "rows": rows}, indent=1))


class Bench:
    """Rates of one network."""

    def __init__(
        self, name: str, images: ImageSet, side: int, steps: int, repeats: int, device: str
    ) -> None:
        spec, self.plan = for_classes(small_images(read_spec(name), side), images)
        self.spec, self.name, self.images, self.device = spec, name, images, device
        self.steps, self.repeats = steps, repeats

    def _trainer(self, recipe: Recipe, batch: int, **setting: Any) -> Trainer:
        wanted = Setting(**{"device": self.device, **setting})
        used = recipe.model_copy(update={"batch": batch})
        return Trainer(self.spec, self.plan, used, self.images, 0, wanted)

    def pipeline(self, batch: int) -> dict[str, Any]:
        """Loading alone, and with two kinds of augmentation, against one batch that stays."""
        quick, modern = read_recipe("quick"), read_recipe("convnext")
        still = quick.model_copy(update={"augment": NOTHING})
        made = {
            "loading": self._trainer(still, batch),
            "quick": self._trainer(quick, batch),
            "convnext": self._trainer(modern.model_copy(update={"ema": None}), batch),
        }
        fixed = self._trainer(still, batch)
        images, targets = fixed.seen(*next(fed(fixed)))
        feeds = {word: fed(trainer) for word, trainer in made.items()}
        steps: dict[str, Callable[[], Tensor]] = {"fixed": lambda: fixed.learn(images, targets)}
        for word, trainer in made.items():
            steps[word] = lambda t=trainer, f=feeds[word]: t.one_step(*next(f))  # type: ignore[misc]
        # in turns, so that what else the machine does hits all alike
        rates: dict[str, list[float]] = {word: [] for word in steps}
        for _ in range(self.repeats):
            for word, step in steps.items():
                rates[word].append(self.rate(step, batch))
        best = {word: max(found) for word, found in rates.items()}
        row: dict[str, Any] = {"network": self.name, "what": "pipeline", "rate": best["fixed"]}
        row |= {word: best[word] / best["fixed"] for word in made}
        if self.device.startswith("cuda"):
            row["busy"] = busy(steps["loading"], self.steps)
        return row

    def setting(self, word: str, setting: dict[str, Any], batch: int) -> dict[str, Any]:
        """Images a second of one fixed batch under a setting."""
        still = read_recipe("quick").model_copy(update={"augment": NOTHING})
        try:
            trainer = self._trainer(still, batch, **setting)
            images, targets = trainer.seen(*next(fed(trainer)))
            rates = [
                self.rate(lambda: trainer.learn(images, targets), batch)
                for _ in range(self.repeats)
            ]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return {"network": self.name, "what": word, "rate": None}
        return {"network": self.name, "what": word, "rate": max(rates)}

    def rate(self, step: Callable[[], Tensor], batch: int) -> float:
        """Images a second, after steps that warm up."""
        for _ in range(5):
            last = step()
        last.item()
        began = time.perf_counter()
        for _ in range(self.steps):
            last = step()
        # what a GPU still has to do is waited for
        last.item()
        return self.steps * batch / (time.perf_counter() - began)


def fed(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end; the schedule is long over, which a rate does not mind."""
    trainer.steps = 10**9
    for epoch in cycle(range(1_000)):
        yield from trainer.feed.batches(trainer.order(epoch))


def busy(step: Callable[[], Tensor], steps: int) -> float:
    """The share of time in which a kernel runs on the GPU."""
    from torch.profiler import ProfilerActivity, profile

    step().item()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        for _ in range(steps):
            last = step()
        last.item()
        wall = time.perf_counter() - began
    kernels = sum(event.self_device_time_total for event in profiler.key_averages())
    return float(kernels) / 1e6 / wall


def show(rows: list[dict[str, Any]], on_gpu: bool) -> None:
    """Two tables: the pipeline, and what settings are worth."""
    words = ["loading", "quick", "convnext"] + (["busy"] if on_gpu else [])
    lines = [
        [row["network"], f"{row['rate']:,.0f}", *(f"{row[word]:.3f}" for word in words)]
        for row in rows
        if row["what"] == "pipeline"
    ]
    print_table(Table([Column("network"), *numbers("images/s, fixed batch", *words)], lines))
    plain = {row["network"]: row["rate"] for row in rows if row["what"] == "plain"}
    kinds = list(dict.fromkeys(row["what"] for row in rows if row["what"] != "pipeline"))
    lines = []
    for name, base in plain.items():
        found = {row["what"]: row["rate"] for row in rows if row["network"] == name}
        shares = [found.get(kind) for kind in kinds[1:]]
        lines.append(
            [name, f"{base:,.0f}", *("-" if s is None else f"{s / base:.2f}" for s in shares)]
        )
    print_table(Table([Column("network"), *numbers("images/s", *kinds[1:])], lines))


if __name__ == "__main__":
    main()
