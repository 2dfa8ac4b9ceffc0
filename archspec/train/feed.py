"""Batches of pixels on the device: picked there from a set that lies on it, or read by workers."""

from __future__ import annotations

import atexit
import math
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import resource_tracker
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archspec.errors import DataError
from archspec.train.devices import cores
from archspec.train.images import ImageSet, Split
from archspec.train.recipe import Crop

Sides = tuple[int, int]
#: an image to read: its place in the split, the epoch, and the number of its place in that epoch
Key = tuple[int, int, int]
#: of a GPU's free memory, what a whole set may take
GPU_SHARE = 0.25
#: processes that read for one Feed, at most
MOST_WORKERS = 16


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

    crop: how workers cut images that are not in memory, to `side`; a batch of a resident set has
    all pixels of its images. Workers start with the first batch that is read, serve one iteration
    at a time, and end with the Feed.

    cropped: whether workers take the random crop of crop.scale; padding is never theirs.
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
        self.cropped = self._reader is not None and crop is not None and crop.scale is not None
        self._epoch = 0
        self._keys = _Keys()
        self._loader: DataLoader[Any] | None = None
        #: of the iteration that goes on; here alone, so that workers end with `close`, though the
        #: generator that reads from it waits
        self._loading: Iterator[tuple[Tensor, Tensor]] | None = None

    def batches(self, order: Tensor, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels uint8 (n, 3, H, W) and labels (n,) of this process's part of each batch.

        order: places (steps, batch) of all processes together; start: the first step.
        """
        own = order[start:, self.process :: self.processes]
        if self._reader is not None:
            keys = self._numbered(own, start, order.shape[1])
            yield from self._loaded(keys, len(order))
            return
        assert self.pixels is not None
        # all at once: each copy to a GPU waits for it
        yield from self._picked(own.to(self.pixels.device))

    def whole(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in order, this process's part of each batch; the last may be short."""
        whole = torch.split(torch.arange(self.split.count), batch)
        parts = [part[self.process :: self.processes] for part in whole]
        parts = [part for part in parts if len(part)]
        if self._reader is not None:
            keys = ([(place, 0, 0) for place in part.tolist()] for part in parts)
            yield from self._loaded(keys, len(parts))
            return
        yield from self._picked(parts)

    def epoch(self, epoch: int) -> None:
        """Name the epoch that is read next, for the draws of the crops."""
        self._epoch = epoch

    def close(self) -> None:
        """End the workers and the iteration; what is read after it starts others."""
        self._loading = self._loader = None

    def _picked(self, rows: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        assert self.pixels is not None
        if self.pixels.device.type == self.device.type:
            for places in rows:
                there = places.to(self.pixels.device)
                yield self.pixels[there], self.labels[there]
            return
        pinned = self.device.type == "cuda"
        for pixels, labels in picked_ahead((self.pixels, self.labels), rows, pinned):
            yield (
                pixels.to(self.device, non_blocking=pinned),
                labels.to(self.device, non_blocking=pinned),
            )

    def _numbered(self, own: Tensor, start: int, batch: int) -> Iterator[list[Key]]:
        # the number of its place in the epoch, all processes together, gives each image its own
        # draw: those that are repeated lie side by side, in the batches of several processes
        epoch = self._epoch
        for step, row in enumerate(own.tolist(), start):
            first = step * batch + self.process
            yield [
                (place, epoch, first + column * self.processes) for column, place in enumerate(row)
            ]

    def _loaded(
        self, keys: Iterable[Sequence[Key]], batches: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        assert self._reader is not None
        starts = self._loader is None
        if self._loader is None:
            self._loader = DataLoader(
                self._reader,
                batch_sampler=self._keys,  # type: ignore[arg-type]
                num_workers=max(1, min(MOST_WORKERS, cores() // self.processes, batches)),
                pin_memory=self.device.type == "cuda",
                multiprocessing_context="spawn",
                persistent_workers=True,
                worker_init_fn=_ignore_interrupts,
            )
            _READING.add(self)
        self._keys.batches = keys
        try:
            with _interrupts_held() if starts else nullcontext():
                self._loading = iter(self._loader)
            while (batch := next(self._loading, None)) is not None:
                pixels, labels = batch
                yield (
                    pixels.to(self.device, non_blocking=True),
                    labels.to(self.device, non_blocking=True),
                )
                if self._loading is None:
                    raise RuntimeError("the Feed was closed while it was read")
                if self._keys.batches is not keys:
                    raise RuntimeError("a Feed's workers serve one iteration at a time")
        except DataError as error:
            # a worker's error comes with its traceback, whose last line says what is wrong
            last = str(error).strip().splitlines()[-1]
            raise DataError(last.removeprefix(f"{DataError.__module__}.DataError: ")) from None
        except RuntimeError:
            # a worker that was killed is not replaced: whoever tries again gets new ones
            self.close()
            raise


#: Feeds that have workers
_READING: WeakSet[Feed] = WeakSet()


# registered after torch's and multiprocessing's own, so that it runs before them: workers are asked
# to end while they can still be spoken to, not killed
@atexit.register
def _close_all() -> None:
    for feed in list(_READING):
        feed.close()


class _Keys:
    """A batch sampler whose batches are set before each iteration, since workers outlive one."""

    def __init__(self) -> None:
        self.batches: Iterable[Sequence[Key]] = ()

    def __iter__(self) -> Iterator[Sequence[Key]]:
        return iter(self.batches)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes that start in here are deaf to Ctrl-C from their first moment.

    A terminal sends it to them too, but it is for their parent to end them, once its step is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # it starts with the first process, and lets signals through again when it has
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts(worker: int) -> None:
    # for systems on which signals cannot be held back
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def picked_ahead(
    tensors: Sequence[Tensor], rows: Iterable[Tensor], pinned: bool
) -> Iterator[tuple[Tensor, ...]]:
    """The rows (n,) of tensors in memory, picked by a thread one batch ahead.

    For a set too large to lie on the GPU: while that works at a batch, the next is gathered, and
    from pinned memory it is copied without waiting. Torch uses a pinned piece of memory again only
    after the copies out of it are done.
    """

    def begin(places: Tensor) -> list[Future[Tensor]]:
        # rooms are made here: a thread would make them by the first GPU, and outside of
        # inference mode, where it may not write into those made inside
        with torch.inference_mode(False):
            rooms = [
                torch.empty((len(places), *one.shape[1:]), dtype=one.dtype, pin_memory=pinned)
                for one in tensors
            ]
        return [
            thread.submit(torch.index_select, one, 0, places, out=room)
            for one, room in zip(tensors, rooms, strict=True)
        ]

    with ThreadPoolExecutor(1) as thread:
        waiting: list[Future[Tensor]] = []
        for places in rows:
            picked, waiting = waiting, begin(places)
            if picked:
                yield tuple(one.result() for one in picked)
        if waiting:
            yield tuple(one.result() for one in waiting)


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
        self.crop, self.test_crop, self.seed = crop, test_crop, seed

    def __len__(self) -> int:
        return self.split.count

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        place, epoch, number = key
        image = self.split.image(place, self.data)
        if self.crop is not None and self.crop.scale is not None:
            draw = np.random.default_rng((self.seed, epoch, number))
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
