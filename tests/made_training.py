"""Trainings with known curves, in microseconds: for the tests of training as a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_runs import made_run

from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from archspec.train.images import ImageSet
from archspec.train.recipe import Recipe
from archspec.train.results import Epoch, Result
from search.folder import RunFolder
from search.protocol import Protocol, make_protocol
from search.run import Search, Watcher
from search.scores import TRAIN
from search.scores.training import Training


@dataclass
class Fake:
    """Stands for `archspec.train.attempts.train`.

    Accuracy of a network of first width w in its last epoch is end(w), and before it in proportion
    to the epochs; seed s adds s points. ends: the same by a word of the spec, in place of end.
    raises: errors by first width.
    """

    end: Callable[[int], float] = lambda width: 10 + 0.8 * (7 * width % 100)
    ends: Mapping[str, float] = field(default_factory=dict)
    raises: Mapping[int, Exception] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(
        self,
        spec: NetworkSpec,
        plan: NetworkPlan,
        recipe: Recipe,
        images: ImageSet,
        seed: int,
        *,
        device: str | None,
        watch: Callable[[Epoch], bool],
        slowest: float | None,
    ) -> Result:
        """Epochs without any training."""
        call = {"spec": spec, "plan": plan, "recipe": recipe, "images": images, "seed": seed}
        self.calls.append({**call, "slowest": slowest, "device": device})
        width = (plan.stages[0] if plan.stages else plan.stem).out.channels
        if width in self.raises:
            raise self.raises[width]
        words = [word for word in self.ends if f"act: {word}" in spec.dump()]
        end = self.ends[words[-1]] if words else self.end(width)
        for epoch in range(1, recipe.epochs + 1):
            top1 = accuracy(end, epoch, recipe.epochs, seed)
            goes_on = watch(Epoch(epoch, epoch, 1.0, 0.1, top1, 1.0, None, None, 1.0, 1.0))
            if not goes_on:
                break
        stopped = epoch < recipe.epochs
        return Result(top1, top1, None, top1, epoch, 1.0, epoch, epoch, 1.0, 1.0, 32, stopped)


def accuracy(end: float, epoch: int, epochs: int, seed: int = 0) -> float:
    """What the fake reaches after an epoch."""
    return end * epoch / epochs + seed


def trained_run(path: Path, space_text: str | None = None, **changes: Any) -> RunFolder:
    """A new run folder of a search that trains; `training` changes its protocol."""
    protocol = make_protocol(**{"epochs": 9, **changes.pop("training", {})})
    return made_run(
        path, space_text, score=TRAIN, score_label=protocol.label, training=protocol, **changes
    )


def fake_training(protocol: Protocol | None, fake: Fake, pace: float = 1.0) -> Training:
    """A Training whose networks the fake trains, at `pace` seconds an epoch."""
    assert protocol is not None
    return Training(protocol, "digits", "cpu", fake, lambda spec, plan, recipe, images: pace)


def go(folder: RunFolder, fake: Fake, watch: Watcher = lambda event: None) -> RunFolder:
    """Go on with a run to its end, by the fake."""
    Search(folder, watch, training=fake_training(folder.info.training, fake)).go()
    return folder
