"""Scaling curves as archspec.scaling.curve tells them, made up: for the tests of their page.

Two rules over factors of 1, 2 and 4 in FLOPs: `steep`, whose activations grow as FLOPs, and `flat`,
whose activations grow as their square root.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

GROWN = {"steep": 1.0, "flat": 0.5}


def made_curves(timed: bool = True) -> tuple[dict[str, Any], pd.DataFrame]:
    """Info and frame of a page: base of 4 GFLOPs, 25 M params, 10 M activations, 0.4 GB, 100 ms."""
    rows = [made_row(rule, phi, power, timed) for rule, power in GROWN.items() for phi in (0, 1, 2)]
    info: dict[str, Any] = {
        "name": "made", "doc": "A base that is made up.", "created": "2026-11-23",
        "command": "archspec scale made --curve --rule steep --rule flat --to 16GFLOPs",
        "versions": {"torch": "2.13.0"}, "rules": [made_rule("steep", 2.0, 2.5, 1.0),
        made_rule("flat", 2.0, None, 0.5)], "skipped": {"lost": "made has 4 stages, but got 7"},
        "device": "cpu" if timed else None, "batch": 1 if timed else None,
        "precision": "fp32" if timed else None,
    }  # fmt: skip
    return info, pd.DataFrame(rows)


def made_row(rule: str, phi: int, power: float, timed: bool = True) -> dict[str, Any]:
    """A network; its latency grows as FLOPs to the power 0.75 for every rule."""
    grown = 2.0**phi
    time = 100 * grown**0.75
    return {
        "rule": rule, "phi": float(phi), "asked": grown, "name": f"made_{rule}_{phi}",
        "resolution": [224 + 32 * phi, 224 + 32 * phi], "blocks": 16 + phi,
        "widths": [64, 128, None], "params": round(25e6 * grown), "flops": round(4e9 * grown),
        "activations": round(10e6 * grown**power), "traffic": round(4e8 * grown**power),
        "depth": 50, "text": f"format: 1\nextends: made\nset: {{phi_of_{rule}: {phi}}}\n",
        "latency_ms": time if timed else None,
        "latency_spread": [0.9 * time, 1.1 * time] if timed else None, "latency_note": None,
    }  # fmt: skip


def made_rule(
    name: str, growth: float | None, printed: float | None, activations: float | None
) -> Mapping[str, Any]:
    """A rule as archspec.scaling.curve.rule_row tells it."""
    return {
        "name": name, "doc": f"Rule {name}.", "source": "made up", "law": "depth 2 a phi",
        "growth": growth, "printed": printed, "params_law": 1.0, "activations_law": activations,
    }  # fmt: skip
