"""A plan, and what a search is after, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.plan import SequencePlan, StagePlan
from search.metrics import FLOPS, OBJECTIVES


def block_words(block: SequencePlan) -> str:
    """The units of a block, such as `lpu + lmhsa + irffn`."""
    return " + ".join(key.partition("#")[0] for key, _ in block.items) or "identity"


def stage_words(stage: StagePlan) -> str:
    """Width, depth and blocks, such as `96x3 convnext`; blocks in turn are joined by a slash."""
    kinds = dict.fromkeys(block_words(block) for run in stage.runs for block in run.blocks)
    return f"{stage.out.channels}x{stage.depth} {' / '.join(kinds)}"


def ranked_by(objectives: Sequence[str]) -> tuple[str, ...]:
    """The objectives in the order in which a search's best are told: the score where it is one of
    them, then the others as they were asked. The first is what `best` means of a search."""
    return tuple(sorted(objectives, key=lambda key: key != "score"))


def objective_word(key: str) -> str:
    """An objective inside a sentence: `score`, `FLOPs`, `memory traffic`."""
    label = OBJECTIVES[key].label
    return label if label == FLOPS.label else label.lower()


def objective_words(objectives: Sequence[str]) -> str:
    """Objectives as a sentence names them: `score, FLOPs and params`."""
    *before, last = [objective_word(key) for key in objectives]
    return f"{', '.join(before)} and {last}" if before else last


def best_words(key: str) -> str:
    """What the best of an objective is called: `best score`, `lowest params`."""
    better = {"lower": "lowest", "higher": "highest"}[OBJECTIVES[key].better]
    return f"{'best' if key == 'score' else better} {objective_word(key)}"
