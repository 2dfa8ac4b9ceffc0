"""What a run leaves for people: the best specs as files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from archspec.scaling.rule import parse_rule
from search.folder import RunFolder
from search.metrics import ACTIVATIONS, PARAMS, Metric


def write_front(folder: RunFolder, best: pd.DataFrame, flops: Metric) -> dict[int, Path]:
    """The rows of `best`, best first, as files front/RANK-trialN.yaml; returns files by number.
    flops: in the unit of the run's table."""
    specs, numbers = [], []
    for rank, (_, row) in enumerate(best.iterrows(), 1):
        specs.append(
            (f"{rank:02d}-trial{int(row['number'])}", _head(folder, row, flops) + str(row["spec"]))
        )
        numbers.append(int(row["number"]))
    return dict(zip(numbers, folder.write_front(specs), strict=True))


def write_rules(folder: RunFolder, best: pd.DataFrame, flops: Metric) -> dict[int, Path]:
    """The rules of `best`, best first, as files rules/RANK-trialN.yaml, for `archspec scale
    --rule`; returns files by number. None where networks were searched. flops: in the unit of the
    table."""
    if folder.info.scaling is None:
        return {}
    texts, numbers = [], []
    for rank, (_, row) in enumerate(best.iterrows(), 1):
        number = int(row["number"])
        rule = parse_rule(str(row["rule"]))
        told = rule.model_copy(
            update={
                "name": f"{rule.name}_trial{number}",
                "doc": f"Found for {folder.info.scaling.base} at phi {row['phi']:.3g}, where it "
                f"scored {row['score']:.4f} ({folder.info.score}). FLOPs double a phi by the law.",
                "source": f"archspec search: trial {number} of {folder.info.title} under "
                f"{' and '.join(map(str, folder.info.budgets))}, seed {folder.info.seed}",
            }
        )
        texts.append((f"{rank:02d}-trial{number}", _head(folder, row, flops) + told.dump()))
        numbers.append(number)
    return dict(zip(numbers, folder.write_rules(texts), strict=True))


def _head(folder: RunFolder, row: pd.Series, flops: Metric) -> str:
    info = folder.info.rung(str(row["kind"]))
    return (
        f"# Trial {int(row['number'])} of a search of {info.title} under "
        f"{' and '.join(map(str, info.budgets))}, seed {info.seed}.\n"
        f"# {flops.shown(row['flops'])} {flops.unit}, {PARAMS.shown(row['params'])} Mparams, "
        f"{ACTIVATIONS.shown(row['activations'])} M activations; "
        f"score {row['score']:.4f} ({info.score}).\n"
    )
