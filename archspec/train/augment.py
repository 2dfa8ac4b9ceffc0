"""What a network sees of images: random in training, fixed in tests; in batches, on their device.

The order is that of timm's training transform (timm/data/transforms_factory.py): crop, resize,
flip, colors, RandAugment, normalise, erase. What is drawn for an image (boxes, factors, whether)
comes from torch's CPU generator, the noise of erased boxes from that of the images' device. Nothing
here loops over images or waits for a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from kornia.augmentation import ColorJitter, RandomErasing, RandomHorizontalFlip
from kornia.augmentation.random_generator import ResizedCropGenerator
from torch import Tensor, nn
from torch.nn import functional as F

from archspec.train.rand_augment import rand_augment
from archspec.train.recipe import Augment

#: an erased box's share of the image, and its height over its width: kornia's, which round those
#: of timm (timm/data/random_erasing.py: 1/50 to 1/3, 0.3 to 1/0.3)
ERASED = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)


class _Drawn(NamedTuple):
    """What kornia draws for each image, where a recipe asks for it.

    A tuple, so that `Augmentation.to(device)` doesn't reach it: kornia's modules, once moved, draw
    on the GPU, and wait there for what was drawn.
    """

    box: ResizedCropGenerator | None
    flip: RandomHorizontalFlip | None
    #: torchvision's factors and formulas; kornia's ColorJiggle has others
    jitter: ColorJitter | None
    erased: RandomErasing | None


class Augmentation(nn.Module):
    """pixels (N, 3, H, W), uint8 -> images (N, 3, *side), float32, augmented and normalised.

    mirrored: whether a mirrored image keeps its label; flips are left out else. mean, std: of each
    channel, for pixels in [0, 1]. cropped: the loader took the random crop already.
    """

    def __init__(
        self,
        augment: Augment,
        side: tuple[int, int],
        mirrored: bool,
        mean: Sequence[float],
        std: Sequence[float],
        cropped: bool = False,
    ) -> None:
        super().__init__()
        self.augment, self.side = augment, side
        self.mean, self.std = tuple(mean), tuple(std)
        self.crop = None if cropped else augment.crop
        jitter = None if augment.rand_augment else augment.color_jitter
        self._drawn = _Drawn(
            ResizedCropGenerator(side, self.crop.scale, self.crop.ratio)
            if self.crop and self.crop.scale
            else None,
            RandomHorizontalFlip(p=augment.flip) if mirrored and augment.flip else None,
            ColorJitter(jitter, jitter, jitter) if jitter else None,
            RandomErasing(ERASED, ERASED_RATIO, p=augment.erasing) if augment.erasing else None,
        )

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        drawn = self._drawn
        if self.crop and self.crop.padding:
            pixels = _moved(pixels, self.crop.padding)
        images = pixels.float().div_(255)
        images = self._part(drawn.box, images) if drawn.box else _resized(images, self.side)
        if drawn.flip:
            images = drawn.flip(images)
        if drawn.jitter:
            images = drawn.jitter(images)
        if self.augment.rand_augment:
            images = rand_augment(images, self.augment.rand_augment, self.mean)
        images = _normalised(images, self.mean, self.std)
        if drawn.erased:
            # kornia fills a box with one value, the recipes with noise: it is asked for the boxes
            kept = drawn.erased(images.new_ones(len(images), 1, *self.side))
            images = torch.where(kept > 0, images, torch.randn_like(images))
        return images

    def _part(self, box: ResizedCropGenerator, images: Tensor) -> Tensor:
        """A random box of each, resized to the side: kornia's boxes, which are torchvision's.

        Its resampling isn't used: it has no antialias, so that fine texture turns into noise where
        an image is larger than the side; cut by box it also loops over images.
        """
        corners = box(images.shape)["src"]  # (N, 4, 2): x, y, the last pixel included
        first, last = corners[:, 0], corners[:, 2]
        starts = first.to(images.device, non_blocking=True)
        lengths = (last - first + 1).to(images.device, non_blocking=True)
        height, width = images.shape[2:]
        rows = _resampling(starts[:, 1], lengths[:, 1], height, self.side[0])
        columns = _resampling(starts[:, 0], lengths[:, 0], width, self.side[1])
        return (rows[:, None] @ images @ columns[:, None].mT).clamp_(0, 1)


@torch.no_grad()
def test_view(
    pixels: Tensor,
    side: tuple[int, int],
    crop: float,
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """pixels (N, 3, H, W), uint8 -> images (N, 3, *side), float32, as a test sees them, normalised.

    An image no larger than the side is seen whole. Of a larger one the centre: it is resized, its
    proportions kept, until it just covers the side over `crop`; then the middle is cut out, as
    timm and torchvision do it.
    """
    height, width = pixels.shape[2:]
    images = pixels.float().div_(255)
    if height > side[0] or width > side[1]:
        tall, wide = round(side[0] / crop), round(side[1] / crop)
        covered = (
            (tall, width * tall // height)
            if tall * width >= wide * height
            else (height * wide // width, wide)
        )
        images = _resized(images, covered)
        top, left = round((covered[0] - side[0]) / 2), round((covered[1] - side[1]) / 2)
        images = images[:, :, top : top + side[0], left : left + side[1]]
    return _normalised(_resized(images, side), mean, std)


def _normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    scale = torch.tensor([[*mean], [*std]]).to(images.device, non_blocking=True).view(2, 3, 1, 1)
    return (images - scale[0]) / scale[1]


def _resized(images: Tensor, side: tuple[int, int]) -> Tensor:
    """Bicubic with antialias, as PIL does it, in [0, 1]; the same images where they fit."""
    if tuple(images.shape[2:]) == side:
        return images
    return F.interpolate(images, side, mode="bicubic", antialias=True).clamp_(0, 1)


def _moved(pixels: Tensor, padding: float) -> Tensor:
    """A random window of an image's own size, the image having `padding` of its side in zeros
    around it (He et al., arXiv 1512.03385, section 4.2).

    kornia's RandomCrop cuts image by image: 1.9 ms for 128 images of 32x32 on one CPU core, and as
    many kernels as images on a GPU; this takes 0.5 ms, and one kernel.
    """
    count, _, height, width = pixels.shape
    down, right = round(padding * height), round(padding * width)
    padded = F.pad(pixels, (right, right, down, down))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # every one, as a view
    tops, lefts = torch.randint(2 * down + 1, (count,)), torch.randint(2 * right + 1, (count,))
    places = (torch.arange(count), tops, lefts)
    image, top, left = torch.stack(places).to(pixels.device, non_blocking=True)
    return windows[image, :, top, left]


def _resampling(starts: Tensor, lengths: Tensor, pixels: int, points: int) -> Tensor:
    """Weights (N, points, pixels) that resize [start, start + length) of each row to `points`.

    Each point is a mean of the pixels about it by Keys's cubic with a = -1/2, which widens with the
    box where that shrinks; pixels outside the box do not count. PIL's crop and bicubic resize
    (libImaging/Resample.c) do the same.
    """
    step = (lengths / points)[:, None, None]
    first = starts[:, None, None]
    point = first + (torch.arange(points, device=starts.device)[:, None] + 0.5) * step
    pixel = torch.arange(pixels, device=starts.device) + 0.5
    far = ((pixel - point).abs() / step.clamp(min=1)).clamp_(max=2)
    near = (1.5 * far - 2.5) * far * far + 1
    beyond = ((2.5 - 0.5 * far) * far - 4) * far + 2
    inside = (pixel > first) & (pixel < first + lengths[:, None, None])
    weights = torch.where(far < 1, near, beyond) * inside
    return weights / weights.sum(-1, keepdim=True)
