"""Run folders and studies as training leaves them, made up: for the tests of their pages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archspec.study.frame import MEASURED, TRAINED, summary
from archspec.study.text import parse_study

RECIPE = "format: 1\nname: quick\nepochs: 15\nbatch: 128\noptimizer: {name: adamw, lr: 0.001}\n"


def made_training(
    run: Path, epochs: int = 4, ema: bool = True, asked: Mapping[str, object] | None = None
) -> Path:
    """A training that is not finished: top-1 of 50, 60, 70, ... and averaged 5 points above."""
    run.mkdir(parents=True)
    told: dict[str, object] = {
        "name": "convnext_nano", "data": "cifar10", "recipe": "quick", "seed": 7,
        "command": "archspec train convnext_nano --data cifar10", "created": "2026-11-23",
        "versions": {"torch": "2.9.0"}, "classes": 10, "params": 28_589_128,
        "params_trained": 27_827_818, "flops": 557_000_000, "images": 50_000,
        "test_images": 10_000, "resolution": "32x48", "device": "cuda", "precision": "bf16",
        "epochs": 15, "batch": 128, "steps": 5850,
    }  # fmt: skip
    (run / "train.json").write_text(json.dumps(told | dict(asked or {})), encoding="utf-8")
    (run / "spec.yaml").write_text("format: 1\nname: convnext_nano\n", encoding="utf-8")
    (run / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    lines = [json.dumps(made_epoch(epoch, ema)) for epoch in range(1, epochs + 1)]
    (run / "history.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return run


def made_epoch(epoch: int, ema: bool = True) -> dict[str, object]:
    """A line of history.jsonl."""
    top = 40.0 + 10 * epoch
    return {
        "epoch": epoch, "step": 390 * epoch, "loss": 2.0 / epoch, "lr": 0.001 / epoch,
        "top1": top, "test_loss": 1.5 / epoch, "ema_top1": top + 5 if ema else None,
        "ema_test_loss": 1.4 / epoch if ema else None, "seconds": 60.0,
        "images_per_second": 833.0,
    }  # fmt: skip


def finish(run: Path, told: Mapping[str, object] | None = None) -> Path:
    """Write result.json: done unless told otherwise."""
    result: dict[str, object] = {
        "top1": 85.25, "last_top1": 80.5, "ema_top1": 85.25, "best_top1": 86.75, "best_epoch": 3,
        "test_loss": 0.35, "epochs": 4, "steps": 1560, "seconds": 12_240.0,
        "images_per_second": 4321.0, "micro_batch": 128, "stopped": False, "state": "done",
        "reason": None,
    }  # fmt: skip
    told = dict(told or {})
    written = told if told.get("state") == "failed" else result | told
    (run / "result.json").write_text(json.dumps(written), encoding="utf-8")
    return run


Made = tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]


def made_study(
    tops: Mapping[str, Sequence[float | str | None]],
    text: str = "",
    arms: Mapping[str, str] | None = None,
    flops: Sequence[float] = (5e8, 1e9, 2e9),
) -> Made:
    """Info, frame and summary of a study that trains: by arm its seeds' top-1, the reason of a
    failure as a text, None for what was not run. text: more lines of the study; arms: more keys of
    an arm in flow style."""
    listed = [f"- {{name: {name!r}, spec: resnet18{(arms or {}).get(name, '')}}}" for name in tops]
    study = parse_study("\n".join(["format: 1", "name: made", text, "arms:", *listed]) + "\n")
    rows = []
    for place, (arm, seeds) in enumerate(zip(study.arms, tops.values(), strict=True)):
        for seed, top in enumerate(seeds):
            state = "missing" if top is None else "failed" if isinstance(top, str) else "done"
            reached = top if isinstance(top, float) else math.nan
            rows.append(
                {
                    "arm": arm.name, "group": arm.group, "seed": seed, "state": state,
                    "top1": reached, "last_top1": reached, "best_top1": reached,
                    "params": 11_000_000, "flops": flops[place % len(flops)],
                    "activations": 9_800_000, "traffic": 8e7, "seconds": 3600.0,
                    "images_per_second": 5000.0, "reason": top if state == "failed" else "",
                    "paper_top1": math.nan if arm.paper.top1 is None else arm.paper.top1,
                    "note": arm.note,
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(TRAINED))
    info = study.model_dump(mode="json", exclude={"arms"}) | {
        "data": "cifar10", "train_count": 50_000, "classes": 10, "side": 32, "epochs": 15,
        "device": "cuda", "command": "archspec study made --data cifar10", "created": "2026-11-23",
        "versions": {"torch": "2.9.0"}, "recipes": dict.fromkeys(study.names, RECIPE),
    }  # fmt: skip
    return info, frame, summary(frame, study)


def made_measures(times: Mapping[str, Mapping[str, float | None]]) -> Made:
    """Info, frame and summary of a study that measures: by arm and resolution its milliseconds."""
    sizes = ", ".join(f"[{size.replace('x', ', ')}]" for size in next(iter(times.values())))
    listed = [f"- {{name: {name!r}, spec: resnet18}}" for name in times]
    head = ["format: 1", "name: made", f"measure: {{resolutions: [{sizes}]}}", "arms:"]
    study = parse_study("\n".join([*head, *listed]) + "\n")
    rows = [
        {
            "arm": arm, "group": None, "resolution": size,
            "state": "failed" if time is None else "done", "params": 11_000_000,
            "flops": 1e9 * (1 + place), "activations": 1e7, "traffic": 2e8,
            "latency_ms": time or math.nan, "latency_low": 0.9 * (time or math.nan),
            "latency_high": 1.2 * (time or math.nan), "memory_mb": 512.0, "device": "H100",
            "reason": "needs more than 80 GB" if time is None else "", "note": "",
        }
        for place, (arm, by_size) in enumerate(times.items())
        for size, time in by_size.items()
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(MEASURED))
    info = study.model_dump(mode="json", exclude={"arms"}) | {
        "data": None, "device": "cuda", "command": "archspec study made", "created": "2026-11-23",
        "versions": {}, "recipes": dict.fromkeys(study.names),
    }  # fmt: skip
    return info, frame, summary(frame, study)
