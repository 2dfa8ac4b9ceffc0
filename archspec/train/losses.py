"""What training makes small."""

from __future__ import annotations

from torch import nn

from archspec.train.recipe import Recipe


def make_loss(recipe: Recipe) -> nn.Module:
    """(logits, soft targets), both (N, classes) -> a scalar; the targets are those of `Mixing`.

    softmax: cross-entropy, the mean over images; against soft targets it is the mixed loss of
    mixup and cutmix. binary: each class is a question of its own (Wightman et al., arXiv
    2110.00476), the mean over images and classes, as in timm's `BinaryCrossEntropy`
    (timm/loss/binary_cross_entropy.py), without its option to round targets up from a threshold.
    """
    return nn.CrossEntropyLoss() if recipe.loss == "softmax" else nn.BCEWithLogitsLoss()
