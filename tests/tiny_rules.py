"""Searches of scaling rules small enough for a test: a 48x48 base, scored from its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_runs import made_info

from search.folder import RunFolder, Scaling
from search.rule_space import RuleSpace

#: three stages, 964 MFLOPs
BASE = """\
name: small
input: {resolution: 48}
classes: 10
defaults: {norm: batch, act: relu}
stem: [{cna: {width: 32, kernel: 3}}]
stages:
- {width: 40, depth: 4, block: [basic]}
- {width: 80, depth: 5, stride: 2, block: [basic]}
- {width: 160, depth: 6, stride: 2, block: [basic]}
head: [{pool: global}, {linear: classes}]
"""
BUDGET = 1.93e9


def tiny_base(folder: Path) -> Path:
    """The base as a file."""
    path = folder / "small.yaml"
    path.write_text(BASE, encoding="utf-8")
    return path


def made_rules(
    path: Path, rules: str | Path = "compound", larger: int = 5, **changes: Any
) -> RunFolder:
    """A new run folder of a search of rules with nothing done yet."""
    space = RuleSpace.read(tiny_base(path.parent), rules)
    info = made_info(
        space.dump(),
        space=space.name,
        **{
            "budgets": {"flops": BUDGET},
            "iso": True,
            "score": "concave_activations",
            "shipped": True,
            "scaling": Scaling(space.base.name, space.rules.name, "small.yaml", larger),
            **changes,
        },
    )
    return RunFolder.create(path, info)
