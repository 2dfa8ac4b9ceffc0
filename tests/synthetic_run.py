"""A run as search leaves it, made up: for the tests of the page, and to look at the page.

The columns are those of `RunFolder.frame()`; the numbers are plausible, not costed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from search.budgets import Budget, law_limits

if TYPE_CHECKING:
    from search.folder import RunInfo
    from search.protocol import Protocol

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;{{7*7}}"
SPACE = """\
name: mixed
extends: cmt_s
set:
  stages.*.width: {range: [32, 640], step: 8}
  stages.*.depth: {range: [1, 16]}
  stages.*.block: {choice: {convnext: [convnext], cmt: [lpu, lmhsa, irffn], replk: [replk]}}
"""
SHIPPED = {
    "cmt_s": (4.04, 25.1, 22.0),
    "swin_tiny": (4.49, 28.3, 17.0),
    "convnext_tiny": (4.46, 28.6, 13.4),
    "deit_small": (4.61, 22.1, 11.9),
    "resnet50": (4.11, 25.6, 11.1),
    "cmt_ti": (0.64, 9.5, 6.0),
    "regnety_016": (1.63, 11.2, 8.0),
}


@dataclass(frozen=True)
class MadeInfo:
    """Stands in for `search.folder.RunInfo`: the same fields."""

    space: str = "mixed"
    space_text: str = SPACE
    command: str = "archspec search mixed --budget 4.5GFLOPs --trials 60 --seed 7 --out runs/mixed"
    budgets: tuple[Budget, ...] = (Budget("flops", 4.5e9),)
    iso: bool = False
    seed: int = 7
    score: str = "naswot"
    score_label: str = "NASWOT plus log depth"
    data: str = "64 images of CIFAR-10 (train, drawn with the seed)"
    device: str = "cpu"
    trials: int = 60
    random_trials: int = 20
    versions: tuple[tuple[str, str], ...] = ()
    created: str = "2026-01-31 14:05"
    training: Protocol | None = None
    scaling: None = None
    measuring: None = None
    ladder: tuple[()] = ()
    rungs: tuple[()] = ()

    def rung(self, kind: str) -> MadeInfo:
        """The run as trials of a kind see it; it has no ladder."""
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """The score, and unless all land there what the first budget bounds."""
        return ("score",) if self.iso else ("score", self.first)

    @property
    def limits(self) -> dict[str, float]:
        """Ceilings of what the text tells."""
        return law_limits(self.budgets)

    @property
    def first(self) -> str:
        """What the first budget bounds."""
        return self.budgets[0].quantity if self.budgets else "flops"

    @property
    def title(self) -> str:
        """What is searched."""
        return self.space


def made_info(**changes: object) -> RunInfo:
    """The facts of a made-up run, some changed."""
    versions = {"archspec": "0.1.0", "torch": "2.13.0", "optuna": "5.0.0", "python": "3.11.7"}
    values: dict[str, object] = {"versions": versions, **changes}
    return cast("RunInfo", MadeInfo(**values))  # type: ignore[arg-type]


def made_frame(
    search: int = 60, random: int = 20, hostile: bool = False, seed: int = 0
) -> pd.DataFrame:
    """A frame of search, random and shipped trials; some repeated, infeasible or failed."""
    draw = np.random.default_rng(seed)
    rows = [_trial(draw, number, "search", search) for number in range(search)]
    rows += [_trial(draw, number, "random", search) for number in range(random)]
    rows += [_shipped(draw, number, name) for number, name in enumerate(SHIPPED)]
    if hostile:
        for row in rows[:3]:
            row |= {"spec": f"name: '{HOSTILE}'\n{row['spec']}", "stages": f"{HOSTILE} | 64x3 cmt"}
        rows[3] |= _ended("failed", HOSTILE)
        rows[-1]["name"] = HOSTILE
    return pd.DataFrame(rows)


def _trial(draw: np.random.Generator, number: int, kind: str, search: int) -> dict[str, object]:
    learned = 0.5 * min(1.0, number / search) if kind == "search" else 0.0
    target = draw.uniform(1.2e9, 4.5e9)
    flops = target * draw.uniform(0.98, 1.0)
    depths = draw.integers(2, 14, 4)
    widths = np.sort(draw.integers(4, 64, 4)) * 8
    blocks = draw.choice(
        ["convnext", "cmt", "replk"], 4, p=[0.4, 0.3 + 0.2 * learned, 0.3 - 0.2 * learned]
    )
    activations = flops * draw.uniform(2.2, 5.5) / 1e3
    depth = int(depths.sum() * 3 + 8)
    score = 0.9 * np.log(activations / 1e6) + 0.5 * np.log(depth) + learned + draw.normal(0, 0.22)
    row = _row(number, kind, flops, activations, depth, float(score), draw)
    row |= {
        "target": target,
        "stages": " | ".join(
            f"{width}x{count} {block}"
            for width, count, block in zip(widths, depths, blocks, strict=True)
        ),
        "spec": _spec(f"trial_{number}", widths, depths, blocks),
    }
    for stage in range(4):
        row[f"knob.stages.{stage}.depth"] = int(depths[stage])
        row[f"knob.stages.{stage}.block"] = str(blocks[stage])
        row[f"knob.stages.{stage}.block=replk.kernel"] = 31 if blocks[stage] == "replk" else None
    fate = draw.uniform()
    if fate < 0.05:
        row |= _ended("repeat", None)
    elif fate < 0.12:
        least = draw.uniform(4.6, 5.2)
        row |= _ended("infeasible", f"at its smallest widths it needs {least:.2f} GFLOPs, over 4.5")
    elif fate < 0.15:
        row |= _ended("failed", "the score is undefined: activations overflow in stages.3")
    return row


def _shipped(draw: np.random.Generator, number: int, name: str) -> dict[str, object]:
    flops, params, activations = SHIPPED[name]
    score = 0.9 * np.log(activations) + 0.5 * np.log(40) + draw.normal(0, 0.15)
    row = _row(number, "shipped", flops * 1e9, activations * 1e6, 40, float(score), draw)
    return row | {"name": name, "params": int(params * 1e6), "spec": f"extends: {name}\n"}


def _row(
    number: int,
    kind: str,
    flops: float,
    activations: float,
    depth: int,
    score: float,
    draw: np.random.Generator,
) -> dict[str, object]:
    return {
        "number": number,
        "kind": kind,
        "state": "scored",
        "name": None,
        "params": int(flops / 1e9 * draw.uniform(4, 9) * 1e6),
        "flops": int(flops),
        "activations": int(activations),
        "depth": depth,
        "traffic": int(activations * draw.uniform(9, 13)),
        "resolution": "224x224",
        "score": score,
        "part.naswot": score * 100,
        "part.depth": depth,
        "target": None,
        "spec": "",
        "stages": "64x3 convnext | 128x3 convnext | 256x9 cmt | 512x3 cmt",
        "reason": None,
        "seconds": float(draw.uniform(0.4, 2.0)),
        "finished": datetime(2026, 1, 31, 14, 5) + timedelta(seconds=number),
    }


def _ended(state: str, reason: str | None) -> dict[str, object]:
    """What an unscored trial lacks."""
    row: dict[str, object] = {"state": state, "reason": reason}
    if state == "repeat":
        return row
    costs = dict.fromkeys(("params", "flops", "activations", "depth", "traffic"))
    return row | costs | {"score": None, "part.naswot": None, "part.depth": None}


def _spec(name: str, widths: np.ndarray, depths: np.ndarray, blocks: np.ndarray) -> str:
    lines = [
        "format: 1",
        f"name: {name}",
        "input: {channels: 3, resolution: 224}",
        "defaults: {norm: batch, act: gelu, eps: 1e-6}",
        "stem: [{conv: {width: 32, kernel: 3, stride: 2, bias: true}}, act, norm]",
        "each_stage: {stride: 2, down: [{conv: {width: w_out, kernel: 2, stride: 2}}, norm]}",
        "stages:",
    ]
    bodies = {
        "convnext": "[convnext]",
        "cmt": "[lpu, lmhsa, irffn]",
        "replk": "[{replk: {kernel: 31}}]",
    }
    for width, depth, block in zip(widths, depths, blocks, strict=True):
        lines.append(f"- {{width: {width}, depth: {depth}, block: {bodies[block]}}}")
    lines.append("head: [{pool: global}, {linear: classes}]  # the spec's own head")
    return "\n".join(lines) + "\n"
