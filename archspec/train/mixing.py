"""Mixed images with mixed labels: mixup (Zhang et al., arXiv 1710.09412) and cutmix (Yun et al.,
arXiv 1905.04899), one share a batch, as timm's `Mixup` in its batch mode (timm/data/mixup.py).

kornia's mixup and cutmix draw their shares otherwise, uniformly or one for each image, and leave
the mixing of labels to the loss.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from archspec.train.recipe import Augment


class _Drawn(NamedTuple):
    #: cutmix, else mixup
    cuts: bool
    #: of the image itself; its partner has the rest
    share: float


class Mixing:
    """(images (N, 3, h, w), labels (N,) int64) -> (images, targets (N, classes) float32).

    The batch's partner is itself in reverse. `mixed`: how likely a batch is mixed; `switch`: how
    often by cutmix where the recipe has both. A target's sum is 1, smoothed or not, mixed or not:
    smoothing / classes each, and 1 - smoothing more for the labels, which share it.
    """

    def __init__(self, augment: Augment, classes: int, smoothing: float) -> None:
        self.augment, self.classes, self.smoothing = augment, classes, smoothing

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A mixed copy and its targets; the images given stay as they are."""
        share = 1.0
        drawn = self._drawn()
        if drawn and drawn.cuts:
            top, bottom, left, right = _box(drawn.share, *images.shape[2:])
            # the box is cut at the border: labels share what pixels do
            share = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
            pasted = images.flip(0)[:, :, top:bottom, left:right]
            images = images.clone()
            images[:, :, top:bottom, left:right] = pasted
        elif drawn:
            share = drawn.share
            images = torch.lerp(images.flip(0), images, share)
        targets = self._targets(labels)
        if share < 1:
            targets = torch.lerp(targets.flip(0), targets, share)
        return images, targets

    def _drawn(self) -> _Drawn | None:
        """What is done to a batch; None is nothing."""
        mixup, cutmix = self.augment.mixup, self.augment.cutmix
        if not (mixup or cutmix) or _uniform() >= self.augment.mixed:
            return None
        cuts = not mixup or (cutmix is not None and _uniform() < self.augment.switch)
        alpha = torch.tensor(cutmix if cuts else mixup, dtype=torch.float64)
        return _Drawn(cuts, float(torch.distributions.Beta(alpha, alpha).sample()))

    def _targets(self, labels: Tensor) -> Tensor:
        low = self.smoothing / self.classes
        targets = torch.full((len(labels), self.classes), low, device=labels.device)
        return targets.scatter_(1, labels[:, None], 1 - self.smoothing + low)


def _uniform() -> float:
    """From torch's CPU generator, as every draw here: no step waits for another device."""
    return float(torch.rand(()))


def _box(share: float, height: int, width: int) -> tuple[int, int, int, int]:
    """top, bottom, left, right of a box of 1 - share of the area about a random pixel, cut at the
    border; ends excluded."""
    ratio = sqrt(1 - share)
    half_height, half_width = int(height * ratio) // 2, int(width * ratio) // 2
    row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
    return (
        max(row - half_height, 0),
        min(row + half_height, height),
        max(column - half_width, 0),
        min(column + half_width, width),
    )
