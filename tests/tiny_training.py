"""A network and recipes that train in a second, for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from archspec.spec import NetworkSpec, parse_spec
from archspec.train.images import ImageSet, open_images
from archspec.train.recipe import Recipe, parse_recipe

#: no batch norm and nothing random: what it computes for an image depends on that image alone
PLAIN = """
name: plain
input: {resolution: 8}
classes: 10
defaults: {norm: layer, act: relu}
stem: [{conv: {width: 8, kernel: 3, bias: true}}, norm]
stages: [{width: 8, depth: 2, block: [{residual: [{conv: {kernel: 3}}, norm, act]}]}]
head: [{pool: global}, {linear: classes}]
"""
#: with batch norms, and a residual that drop path may leave out
NORMED = PLAIN.replace("norm: layer", "norm: batch").replace("name: plain", "name: normed")
RECIPE = """
images: 256
epochs: 2
batch: 32
optimizer: {name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 1e-3}
"""


def network(text: str = PLAIN) -> NetworkSpec:
    return parse_spec(text)


def recipe(text: str = RECIPE, **changes: Any) -> Recipe:
    return parse_recipe(text).model_copy(update=changes)


def digits(count: int = 256) -> ImageSet:
    return open_images("digits", images=count)


def tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)
