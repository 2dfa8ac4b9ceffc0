"""A plan in a few words."""

from __future__ import annotations

from archspec.plan import SequencePlan, StagePlan


def block_words(block: SequencePlan) -> str:
    """The units of a block, such as `lpu + lmhsa + irffn`."""
    return " + ".join(key.partition("#")[0] for key, _ in block.items) or "identity"


def stage_words(stage: StagePlan) -> str:
    """Width, depth and blocks, such as `96x3 convnext`; blocks in turn are joined by a slash."""
    kinds = dict.fromkeys(block_words(block) for run in stage.runs for block in run.blocks)
    return f"{stage.out.channels}x{stage.depth} {' / '.join(kinds)}"
