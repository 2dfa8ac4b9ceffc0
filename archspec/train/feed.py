"""Batches of pixels on the device: picked there from a set that lies on it, or read by workers."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archspec.errors import DataError
from archspec.train.images import ImageSet, Split
from archspec.train.recipe import Crop

Sides = tuple[int, int]
#: of a GPU's free memory, what a whole set may take
GPU_SHARE = 0.25


def epoch_order(count: int, batch: int, repeats: int, seed: int, epoch: int) -> Tensor:
    """Places (steps, batch) of one epoch, shuffled by seed and epoch; a short batch is left out.

    With repeats an image stands so often in its batch, and an epoch sees so many fewer of them, as
    in DeiT's sampler (facebookresearch/deit, samplers.py), and is as long as without.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    places = torch.randperm(count, generator=generator)
    steps = count // batch
    return places.repeat_interleave(repeats)[: steps * batch].view(steps, batch)


class Feed:
    """The batches of one split for one process of several.

    crop: how workers cut images that do not lie on the device, and to which side; a batch of a
    resident set has all pixels of its images.
    """

    def __init__(
        self,
        images: ImageSet,
        split: Split,
        device: torch.device,
        side: Sides,
        *,
        crop: Crop | None = None,
        test_crop: float | None = None,
        process: int = 0,
        processes: int = 1,
        seed: int = 0,
    ) -> None:
        self.split, self.device = split, device
        self.process, self.processes = process, processes
        self.labels = torch.from_numpy(split.labels)
        self.pixels = split.pixels
        self.resident = split.pixels is not None
        if split.pixels is not None and _fits(split.pixels, device):
            self.pixels, self.labels = split.pixels.to(device), self.labels.to(device)
        self._reader = None
        if split.pixels is None:
            self._reader = _Reader(split, images.name, side, crop, test_crop, seed)

    def batches(self, order: Tensor, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels uint8 (n, 3, H, W) and labels (n,) of this process's part of each batch.

        order: places (steps, batch) of all processes together; start: the first step.
        """
        own = order[start:, self.process :: self.processes]
        if self._reader is not None:
            yield from self._read(own, start, order.shape[1])
            return
        assert self.pixels is not None
        there = self.pixels.device
        own = own.to(there)
        for places in own:
            pixels, labels = self.pixels[places], self.labels[places]
            yield pixels.to(self.device, non_blocking=True), labels.to(self.device)

    def whole(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in order, this process's part of each batch; the last may be short."""
        places = torch.arange(self.split.count)
        if self._reader is not None:
            parts = [part[self.process :: self.processes] for part in torch.split(places, batch)]
            yield from self._loaded([part.tolist() for part in parts if len(part)])
            return
        assert self.pixels is not None
        for part in torch.split(places, batch):
            own = part[self.process :: self.processes].to(self.pixels.device)
            if len(own):
                yield self.pixels[own].to(self.device), self.labels[own].to(self.device)

    def _read(self, own: Tensor, start: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        # the number of its place in the epoch, all processes together, gives each image its own
        # draw: those that are repeated lie side by side, in the batches of several processes
        columns = torch.arange(self.process, batch, self.processes)
        numbers = (start + torch.arange(len(own)))[:, None] * batch + columns
        keyed = [
            list(zip(row.tolist(), number.tolist(), strict=True))
            for row, number in zip(own, numbers, strict=True)
        ]
        yield from self._loaded(keyed)

    def _loaded(self, keys: Sequence[Sequence[Any]]) -> Iterator[tuple[Tensor, Tensor]]:
        assert self._reader is not None
        workers = min(16, max(1, (os.cpu_count() or 1) // self.processes))
        loader: DataLoader[Any] = DataLoader(
            self._reader,
            batch_sampler=keys,  # type: ignore[arg-type]
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            multiprocessing_context="spawn",
        )
        try:
            for pixels, labels in loader:
                yield (
                    pixels.to(self.device, non_blocking=True),
                    labels.to(self.device, non_blocking=True),
                )
        except DataError as error:
            # a worker's error comes with its traceback, whose last line says what is wrong
            last = str(error).strip().splitlines()[-1]
            raise DataError(last.removeprefix(f"{DataError.__module__}.DataError: ")) from None

    def epoch(self, epoch: int) -> None:
        """Name the epoch that is read next, for the draws of the crops."""
        if self._reader is not None:
            self._reader.epoch = epoch


def _fits(pixels: Tensor, device: torch.device) -> bool:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return pixels.numel() <= GPU_SHARE * free
    return device.type == "cpu"


class _Reader(Dataset[Any]):
    """Images of a table, each cut and resized to one side by the worker that reads it."""

    def __init__(
        self,
        split: Split,
        data: str,
        side: Sides,
        crop: Crop | None,
        test_crop: float | None,
        seed: int,
    ) -> None:
        self.split, self.data, self.side = split, data, side
        self.crop, self.test_crop, self.seed, self.epoch = crop, test_crop, seed, 0

    def __len__(self) -> int:
        return self.split.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int]:
        place, number = key if isinstance(key, tuple) else (key, 0)
        image = self.split.image(place, self.data)
        if self.crop is not None and self.crop.scale is not None:
            draw = np.random.default_rng((self.seed, self.epoch, number))
            box = drawn_box(self.crop, image.size[1], image.size[0], draw)
        else:
            box = centre_box(image.size[1], image.size[0], self.side, self.test_crop or 1.0)
        top, left, height, width = box
        part = image.resize(
            (self.side[1], self.side[0]), BICUBIC, box=(left, top, left + width, top + height)
        )
        pixels = np.asarray(part).transpose(2, 0, 1).copy()
        return torch.from_numpy(pixels), int(self.split.labels[place])


#: PIL's number of it, so that PIL is not imported where nothing is read
BICUBIC = 3


def drawn_box(
    crop: Crop, height: int, width: int, draw: np.random.Generator
) -> tuple[float, float, float, float]:
    """Top, left, height, width of a random part (Szegedy et al., arXiv 1409.4842, section 6).

    Its share of the area is uniform in crop.scale and the logarithm of its ratio (width to height)
    in that of crop.ratio; after ten draws that do not fit, the largest centred part is taken.
    """
    assert crop.scale is not None
    low, high = (math.log(end) for end in crop.ratio)
    for _ in range(10):
        area = height * width * draw.uniform(*crop.scale)
        ratio = math.exp(draw.uniform(low, high))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            top, left = draw.integers(0, height - h + 1), draw.integers(0, width - w + 1)
            return float(top), float(left), float(h), float(w)
    ratio = min(max(width / height, crop.ratio[0]), crop.ratio[1])
    w = round(min(width, height * ratio))
    h = round(min(height, width / ratio))
    return (height - h) / 2, (width - w) / 2, float(h), float(w)


def centre_box(
    height: int, width: int, side: Sides, crop: float
) -> tuple[float, float, float, float]:
    """Top, left, height, width of the centre that a test sees: `crop` of the shorter side, in the
    shape of `side`; the whole image where it is no larger than that."""
    if height <= side[0] and width <= side[1]:
        return 0.0, 0.0, float(height), float(width)
    scale = min(height / side[0], width / side[1]) * crop
    h, w = side[0] * scale, side[1] * scale
    return (height - h) / 2, (width - w) / 2, h, w
