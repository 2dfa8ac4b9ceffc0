"""Roadmaps as a plan and its training leave them, made up: for the tests of their page.

Names, top-1, its deviation and the paper's FLOPs are those of the ConvNeXt paper (Liu et al.,
arXiv 2201.03545v2, appendix C, tables 10 and 11); multiply-adds are those that its convolutions and
linear layers have. Parameters, activations, changes and every trained number are synthetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from archspec.study.frame import interval

# name, top-1, its deviation, the paper's GFLOPs, GFLOPs (multiply-adds)
CONVNEXT_T = (
    ("ResNet-50", 76.13, None, 4.09, 4.0892),
    ("enhanced recipe", 78.82, 0.07, 4.09, 4.0892),
    ("stage ratio", 79.36, 0.07, 4.53, 4.5259),
    ("patchify stem", 79.51, 0.18, 4.42, 4.4175),
    ("depthwise conv", 78.28, 0.08, 2.35, 2.3495),
    ("increase width", 80.5, 0.02, 5.27, 5.268),
    ("inverting dimensions", 80.64, 0.03, 4.64, 4.6444),
    ("move up depthwise conv", 79.92, 0.08, 4.07, 4.0651),
    ("kernel size 5", 80.35, 0.08, 4.1, 4.0973),
    ("kernel size 7", 80.57, 0.14, 4.15, 4.1456),
    ("kernel size 9", 80.57, 0.06, 4.21, 4.21),
    ("kernel size 11", 80.47, 0.11, 4.29, 4.2906),
    ("ReLU to GELU", 80.62, 0.14, 4.15, 4.1456),
    ("fewer activations", 81.27, 0.06, 4.15, 4.1456),
    ("fewer norms", 81.41, 0.09, 4.15, 4.1456),
    ("BN to LN", 81.47, 0.09, 4.46, 4.1456),
    ("separate downsampling conv (ConvNeXt-T)", 81.97, 0.06, 4.49, 4.4555),
    ("Swin-T", 81.3, None, 4.5, 4.4935),
)
CONVNEXT_B = (
    ("ResNet-200", 78.2, None, 15.01, 15.0075),
    ("enhanced recipe", 81.14, None, 15.01, 15.0075),
    ("stage ratio and increase width", 81.33, None, 14.52, 14.5184),
    ("patchify stem", 81.59, None, 14.38, 14.3762),
    ("depthwise conv", 80.54, None, 7.23, 7.2344),
    ("increase width", 81.85, None, 16.76, 16.7639),
    ("inverting dimensions", 82.64, None, 15.68, 15.6794),
    ("move up depthwise conv", 82.04, None, 14.63, 14.627),
    ("kernel size 5", 82.32, None, 14.7, 14.699),
    ("kernel size 7", 82.3, None, 14.81, 14.807),
    ("kernel size 9", 82.27, None, 14.95, 14.95),
    ("kernel size 11", 82.18, None, 15.13, 15.13),
    ("ReLU to GELU", 82.19, None, 14.81, 14.807),
    ("fewer activations", 82.71, None, 14.81, 14.807),
    ("fewer norms", 83.17, None, 14.81, 14.807),
    ("BN to LN", 83.35, None, 14.81, 14.807),
    ("separate downsampling conv (ConvNeXt-B)", 83.6, None, 15.35, 15.3547),
    ("Swin-B", 83.5, None, 15.43, 15.43),
)
UNREPRODUCED = "paper FLOPs not reproduced by conv+linear MACs of the described structure"
Told = tuple[str, float | None, float | None, float | None, float]


def made_roadmap(
    told: Sequence[Told] = CONVNEXT_T, rejected: Sequence[int] = (10, 11), references: int = 1
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Info and steps of a roadmap whose second row edits the recipe and all later ones the network.

    rejected: numbers of the steps that were not adopted. references: how many rows at the end are.
    """
    rows: list[dict[str, Any]] = []
    last = told[0][0]
    for number, (name, top1, std, paper, flops) in enumerate(told):
        kind = "reference" if number >= len(told) - references else "step" if number else "start"
        adopted = kind != "reference" and number not in rejected
        rows.append(
            {
                "number": number, "name": name, "kind": kind, "adopted": adopted,
                "from": last if kind == "step" else None,
                "changes": _changes(number) if kind == "step" and number != 1 else [],
                "recipe_changes": RECIPE if kind == "step" and number == 1 else [],
                "params": round(25.557e6 * (flops / told[0][4]) ** 1.1),
                "flops": round(flops * 1e9),
                "activations": round(11.11e6 * (1 + 0.06 * max(0, number - 1))),
                "traffic": 180_000_000, "depth": 50, "resolution": 224,
                "paper_top1": top1, "paper_top1_std": std, "paper_params": None,
                "paper_flops": None if paper is None else paper * 1e9,
                "paper_source": "", "recipe": "convnext" if number else "resnet_classic",
                "note": UNREPRODUCED if paper and abs(paper / flops - 1) > 0.005 else "",
                "spec": f"format: 1\nname: made_{max(number, 1)}\ninput: 224\nstages: [...]\n",
            }
        )  # fmt: skip
        last = name if adopted else last
    info = {
        "name": "resnet50_to_convnext_tiny",
        "doc": "From ResNet-50 to ConvNeXt-T, one change at a time. Parameters, activations and "
        "changes on this page are synthetic.",
        "source": "Liu et al., arXiv 2201.03545, appendix C, table 10",
        "command": "archspec roadmap resnet50_to_convnext_tiny",
        "created": "2026-11-23", "versions": {"archspec": "0.1.0"},
    }  # fmt: skip
    return info, pd.DataFrame(rows)


def made_trained(
    info: Mapping[str, Any],
    steps: pd.DataFrame,
    tops: Mapping[int, Sequence[float] | str],
    seeds: int = 3,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Info and trained of a roadmap: by number of the step its seeds' top-1, or why it failed."""
    names = dict(zip(steps["number"], steps["name"], strict=True))
    rows = []
    for number, told in tops.items():
        reached = [] if isinstance(told, str) else list(told)
        mean, std, _, low, high = interval(reached)
        rows.append(
            {
                "number": number, "name": names[number], "accuracies": reached, "mean": mean,
                "std": std, "low": low, "high": high, "epochs": 30, "flops": 1_301_000_000,
                "params": 23_528_522, "reason": told if isinstance(told, str) else "",
            }
        )  # fmt: skip
    asked = {
        "data": "cifar10", "train_count": 50_000, "classes": 10, "side": 32, "epochs": 30,
        "seeds": seeds, "device": "cuda",
        "doc": f"{info['doc']} Trained numbers are synthetic, too.",
        "command": f"{info['command']} --train --data cifar10 --seeds {seeds} --epochs 30",
    }  # fmt: skip
    return dict(info) | asked, pd.DataFrame(rows)


def made_tops(count: int = 17, seeds: int = 3) -> dict[int, list[float] | str]:
    """Synthetic top-1 of every step; the fourth has failed, the last of the others lack a seed."""
    generator = np.random.default_rng(6)
    means = 91 + 2.6 * (1 - math.e ** (-np.arange(count) / 6)) + generator.normal(0, 0.25, count)
    found: dict[int, list[float] | str] = {
        number: np.round(mean + generator.normal(0, 0.18, seeds), 2).tolist()
        for number, mean in enumerate(means)
    }
    found[4] = "the loss was not finite at step 812; a lower rate may help (--set optimizer.lr=...)"
    found[count - 3] = list(found[count - 3])[:-1]  # type: ignore[assignment]
    return found


RECIPE = [
    {"path": "epochs", "before": "90", "after": "300"},
    {"path": "optimizer.name", "before": "sgd", "after": "adamw"},
    {"path": "optimizer.lr", "before": "0.1", "after": "0.004"},
    {"path": "augment.mixup", "before": "0", "after": "0.8"},
    {"path": "augment.cutmix", "before": "0", "after": "1.0"},
]


def _changes(number: int) -> list[dict[str, str | None]]:
    """A few that are alike in all stages, one that is long, and one that adds."""
    if number == 3:
        stem = "[{conv: {kernel: 7, stride: 2}}, norm, act, {pool: {kernel: 3, stride: 2}}]"
        return [
            {"path": "stem", "before": stem, "after": "[{conv: {kernel: 4, stride: 4}}, norm]",
             "kind": "changed"}
        ]  # fmt: skip
    if number in (5, 6):
        widths = (64, 128, 256, 512)
        return [
            {"path": f"stages.{place}.{key}", "before": str(width),
             "after": str(width * 3 // 2), "kind": "changed"}
            for place, width in enumerate(widths) for key in ("width", "block.bottleneck.inner")
        ]  # fmt: skip
    if number == 16:
        return [
            {"path": f"stages.{place}.down.norm", "before": None, "after": "layernorm2d",
             "kind": "added"} for place in (1, 2, 3)
        ]  # fmt: skip
    return [
        {"path": f"stages.{place}.block.bottleneck.kernel", "before": "3", "after": str(number),
         "kind": "changed"} for place in range(4)
    ]  # fmt: skip
