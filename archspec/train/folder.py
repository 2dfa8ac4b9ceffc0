"""The folder of one training: the only thing that it leaves.

RUN/train.json          what was asked, and what the network costs
RUN/spec.yaml           the network as trained, RUN/recipe.yaml: the recipe as used
RUN/history.jsonl       one line an epoch
RUN/checkpoint.pt       everything needed to go on; gone when it is finished
RUN/best.safetensors    of the best epoch; last: of the last one; ema: averaged weights
RUN/tensorboard/        the same curves for TensorBoard
RUN/result.json         what it came to, once it is finished or has failed
RUN/report.html         the page
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from archspec.errors import RunError
from archspec.runs import make_folder, read_record, versions_of, write_whole, written
from archspec.spec import NetworkSpec, read_spec
from archspec.train.recipe import Recipe, read_recipe
from archspec.train.results import Result

RECORD = "train.json"
CHECKPOINT = "checkpoint.pt"
#: whose versions decide whether two trainings can be the same
WATCHED = ("archspec-vision", "torch", "accelerate", "kornia", "numpy")


@dataclass(frozen=True)
class Asked:
    """What a training was asked to do, enough to go on with it, and what it trains.

    images: to train on; subset, test_subset: of a split that are drawn, null is all. params: with
    the spec's own head; params_trained: with one for the data's classes; flops: multiply-adds with
    the latter. device, precision: those that were found, not `auto`. fingerprint: of the images.
    keep_weights: whether best, last and averaged ones are left.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: str
    data: str
    recipe: str
    seed: int
    command: str
    classes: int
    params: int
    params_trained: int
    flops: int
    images: int
    test_images: int
    resolution: str
    epochs: int
    batch: int
    steps: int
    device: str | None = None
    precision: str = "auto"
    channels_last: bool | None = None
    compile: bool = False
    micro_batch: int | None = None
    devices: int = 1
    subset: int | None = None
    test_subset: int | None = None
    holdout: float | None = None
    weights: str | None = None
    keep_weights: bool = True
    fingerprint: str = ""
    versions: dict[str, str] = field(default_factory=lambda: versions_of(WATCHED))
    created: str = ""

    def differences(self, other: Asked) -> list[str]:
        """What two trainings were asked differently, such as `seed 0 -> 1`."""
        free = ("command", "created", "versions", "device", "devices", "micro_batch")
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{key} {mine[key]} -> {theirs[key]}"
            for key in mine
            if key not in free and mine[key] != theirs[key]
        ]


class TrainingFolder:
    """A training on disk."""

    def __init__(self, path: Path, asked: Asked) -> None:
        self.path, self.asked = path, asked

    @classmethod
    def create(cls, path: Path, asked: Asked, spec: NetworkSpec, recipe: Recipe) -> TrainingFolder:
        """A new training; refuses a folder that holds one already."""
        make_folder(path, RECORD)
        with written(path):
            write_whole(path / "spec.yaml", spec.dump())
            write_whole(path / "recipe.yaml", recipe.dump())
            write_whole(path / RECORD, json.dumps(asdict(asked), indent=1))
        return cls(path, asked)

    @classmethod
    def open(cls, path: Path) -> TrainingFolder:
        """A training that is there."""
        return cls(path, read_record(path, RECORD, Asked, "training folder"))

    @cached_property
    def spec(self) -> NetworkSpec:
        """The network as trained, with a head for the data's classes."""
        return read_spec(self.path / "spec.yaml")

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as used, scaled to the data."""
        return read_recipe(self.path / "recipe.yaml")

    @property
    def result(self) -> dict[str, Any] | None:
        """result.json, or None while the training is not finished."""
        try:
            held: dict[str, Any] = json.loads((self.path / "result.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            held = {}
        whole = {"reason"} if held.get("state") == "failed" else {*Result._fields, "reason"}
        if not held.keys() >= whole:
            raise RunError(f"{self.path / 'result.json'} is damaged; remove it to go on")
        return held

    def finish(self, result: dict[str, Any]) -> None:
        """Write what the training came to; nothing of it is left to do."""
        with written(self.path):
            write_whole(self.path / "result.json", json.dumps(result, indent=1))

    def go_on_with(
        self, device: str | None, devices: int, micro_batch: int | None
    ) -> TrainingFolder:
        """The same training on other devices from here on, which is recorded."""
        free = {"device": device, "devices": devices, "micro_batch": micro_batch}
        asked = replace(self.asked, **free)  # type: ignore[arg-type]
        if asked != self.asked:
            with written(self.path):
                write_whole(self.path / RECORD, json.dumps(asdict(asked), indent=1))
        return TrainingFolder(self.path, asked)
