"""RandAugment: a few random operations an image (Cubuk et al., arXiv 1909.13719), in batches.

Operations, their ranges, and the chance that a drawn one is done are those of timm's
`rand-m9-mstd0.5-inc1` (timm/data/auto_augment.py, `_RAND_INCREASING_TRANSFORMS`), in which a larger
magnitude is always a stronger change.

kornia's own `RandAugment` isn't used: it draws one sequence of operations for a whole batch, shears
by up to 54 degrees where the paper's 0.3 is 17, weakens colors at small magnitudes and strengthens
them at large ones, and fills with black. Here each image draws its own operations, and those that
drew the same one are done together, by kornia's functions where they are PIL's. On one CPU core two
layers for 128 images of 32x32 take 7 ms; kornia's take 4 ms once for the whole batch, and 20 ms in
groups of 8 images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import radians

import torch
from kornia import enhance
from torch import Tensor
from torch.nn import functional as F

from archspec.train.recipe import RandAugment

#: magnitudes are of this (timm, `_LEVEL_DENOM`)
FULL = 10.0
#: how likely a drawn operation is done (timm, `AugmentOp`; the paper always does it)
LIKELY = 0.5


def rand_augment(images: Tensor, settings: RandAugment, fill: Sequence[float]) -> Tensor:
    """Images (N, 3, H, W) in [0, 1], each after `settings.layers` operations of its own, in [0, 1].

    fill: a color in [0, 1] for what moves in from outside, timm's being the mean of the data.
    Which operations are done is drawn on the CPU, so that no step waits for another device.
    """
    places = torch.arange(len(images))
    for _ in range(settings.layers):
        kinds = torch.randint(len(OPERATIONS), (len(images),))
        kinds[torch.rand(len(images)) >= LIKELY] = len(OPERATIONS)
        # images that drew the same operation are brought side by side; the last ones have none
        order = kinds.argsort()
        groups = torch.bincount(kinds, minlength=len(OPERATIONS) + 1).tolist()
        strengths = _strengths(settings, len(images)).to(images.device, non_blocking=True)
        images = _whole_levels(images[order.to(images.device, non_blocking=True)])
        parts = list(torch.split(images, groups))
        for index, (name, own) in enumerate(
            zip(OPERATIONS, torch.split(strengths, groups), strict=False)
        ):
            if groups[index]:
                parts[index] = operate(name, parts[index], own, fill)
        images, places = torch.cat(parts), places[order]
    return images[places.argsort().to(images.device, non_blocking=True)]


def operate(name: str, images: Tensor, strengths: Tensor, fill: Sequence[float]) -> Tensor:
    """One of OPERATIONS on all images (N, 3, H, W), by each one's own strength (N,).

    strengths: the magnitude over FULL, its sign a direction where there are two. fill: a color in
    [0, 1] for what moves in from outside.
    """
    if name in _COLORS:
        return _COLORS[name](images, strengths)
    height, width = images.shape[2:]
    # PIL's way: where a pixel comes from, coordinates counted from the middle, a half side being 1
    source = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    if name == "rotate":
        angle = strengths * radians(30)
        source[:, 0, 0] = source[:, 1, 1] = angle.cos()
        source[:, 0, 1] = angle.sin() * (-height / width)
        source[:, 1, 0] = angle.sin() * (width / height)
    elif name == "shear_x":  # about the first row, which stays
        source[:, 0, 1] = source[:, 0, 2] = strengths * (0.3 * height / width)
    elif name == "shear_y":
        source[:, 1, 0] = source[:, 1, 2] = strengths * (0.3 * width / height)
    else:
        source[:, 0 if name == "translate_x" else 1, 2] = strengths * (2 * 0.45)
    # not kornia's `warp_affine`: it wants the other direction, and inverts it again
    grid = F.affine_grid(source, list(images.shape), align_corners=False)
    outside = torch.tensor(fill).to(images.device, non_blocking=True).view(1, 3, 1, 1)
    moved = F.grid_sample(images - outside, grid, align_corners=False) + outside
    return moved.clamp_(0, 1)


def _whole_levels(images: Tensor) -> Tensor:
    """To the nearest of 256 levels: what cuts bits or counts levels, PIL does to whole ones."""
    return (images * 255).round_().div_(255)


def _strengths(settings: RandAugment, count: int) -> Tensor:
    """Magnitudes over FULL with random signs (count,); beyond FULL only where the recipe is."""
    drawn = torch.normal(settings.magnitude, settings.deviation, (count,))
    level = drawn.clamp(0, max(FULL, settings.magnitude)) / FULL
    return torch.where(torch.rand(count) < 0.5, level, -level)


def _factor(strengths: Tensor) -> Tensor:
    """What a property is multiplied by: 1 +- 0.9, at least 0.1."""
    return (1 + 0.9 * strengths).clamp(min=0.1)


def _steps(strengths: Tensor, most: int) -> Tensor:
    """A share of `most` in whole numbers, rounded down."""
    return (strengths.abs() * most).floor()


def _auto_contrast(images: Tensor, strengths: Tensor) -> Tensor:
    # kornia's turns a channel of one value black, PIL leaves it
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (images - low) / spread.clamp(min=1e-6), images)


def _posterize(images: Tensor, strengths: Tensor) -> Tensor:
    bits = (4 - _steps(strengths, 4)).clamp(min=0)
    return enhance.posterize(images, bits.to(torch.int32))


def _solarize(images: Tensor, strengths: Tensor) -> Tensor:
    return enhance.solarize(images, (256 - _steps(strengths, 256)).clamp(min=0) / 255)


def _solarize_add(images: Tensor, strengths: Tensor) -> Tensor:
    # kornia's `additions` are added to bright pixels too, which are then inverted
    more = _steps(strengths, 110).view(-1, 1, 1, 1) / 255
    return torch.where(images < 128 / 255, (images + more).clamp(max=1), images)


_COLORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "auto_contrast": _auto_contrast,
    "equalize": lambda images, _: enhance.equalize(images),
    "invert": lambda images, _: enhance.invert(images),
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "color": lambda images, by: enhance.adjust_saturation_with_gray_subtraction(
        images, _factor(by)
    ),
    "contrast": lambda images, by: enhance.adjust_contrast_with_mean_subtraction(
        images, _factor(by)
    ),
    "brightness": lambda images, by: enhance.adjust_brightness_accumulative(images, _factor(by)),
    "sharpness": lambda images, by: enhance.sharpness(images, _factor(by)),
}


#: what may be drawn, each as likely as the others (timm, `_RAND_INCREASING_TRANSFORMS`)
OPERATIONS = (*_COLORS, "rotate", "shear_x", "shear_y", "translate_x", "translate_y")
