"""Batches as they are fed: orders and boxes by brute force, pixels against what went in."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from made_images import image_folder, number_of, png
from PIL import Image
from torch import Tensor

from archspec.errors import DataError
from archspec.train.feed import BICUBIC, Feed, centre_box, drawn_box, epoch_order
from archspec.train.images import ImageSet, open_images
from archspec.train.recipe import Crop

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path.with_suffix(".cache"))
    datasets.disable_progress_bars()


def image_set(folder: Path) -> ImageSet:
    """24 stamped images of 6x8, class a up to 11, in training; 6 more in the test split."""
    image_folder(folder / "train", {"a": range(12), "b": range(12, 24)})
    image_folder(folder / "test", {"a": range(24, 27), "b": range(27, 30)})
    return open_images(str(folder))


def as_read(images: ImageSet) -> ImageSet:
    """The same set, to be read by workers."""
    assert images.train.pixels is not None
    table = datasets.Dataset.from_list([{"image": file(item)} for item in images.train.pixels])
    return replace(images, train=replace(images.train, pixels=None, table=table))


def file(image: Tensor) -> dict[str, object]:
    return {"bytes": png(image.permute(1, 2, 0).numpy()), "path": None}


# Orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "batch"), [(24, 8), (25, 8), (7, 7), (100, 3)])
def test_an_epoch_sees_each_image_once(count: int, batch: int) -> None:
    order = epoch_order(count, batch, 1, 0, 0)
    assert order.shape == (count // batch, batch)
    seen = order.flatten().tolist()
    assert len(set(seen)) == len(seen) == count // batch * batch
    assert set(seen) <= set(range(count))


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_repeated_images_stand_together_and_an_epoch_is_as_long(repeats: int) -> None:
    order = epoch_order(120, 12, repeats, 0, 0)
    assert order.shape == (10, 12)
    for places in order:
        assert set(Counter(places.tolist()).values()) == {repeats}
    assert len(set(order.flatten().tolist())) == 120 // repeats


def test_orders_follow_seed_and_epoch() -> None:
    first = epoch_order(50, 5, 1, 3, 7)
    assert torch.equal(first, epoch_order(50, 5, 1, 3, 7))
    assert not torch.equal(first, epoch_order(50, 5, 1, 3, 8))
    assert not torch.equal(first, epoch_order(50, 5, 1, 4, 7))


def test_every_place_is_as_likely_everywhere() -> None:
    firsts = Counter(int(epoch_order(10, 10, 1, 0, epoch)[0, 0]) for epoch in range(2000))
    # 200 each, with a deviation of 13.4
    assert all(abs(firsts[place] - 200) < 5 * 13.4 for place in range(10))


# A set in memory ----------------------------------------------------------------------------------


def test_batches_are_the_images_of_the_order(tmp_path: Path) -> None:
    images = image_set(tmp_path)
    order = epoch_order(24, 6, 1, 0, 0)
    feed = Feed(images, images.train, CPU, (6, 8))
    assert feed.resident
    batches = list(feed.batches(order))
    assert len(batches) == 4
    for (pixels, labels), places in zip(batches, order, strict=True):
        assert pixels.dtype == torch.uint8
        assert [number_of(image) for image in pixels] == places.tolist()
        assert labels.tolist() == [int(place >= 12) for place in places.tolist()]
    later = list(feed.batches(order, start=2))
    assert [torch.equal(a[0], b[0]) for a, b in zip(later, batches[2:], strict=True)] == [True] * 2


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch(processes: int, tmp_path: Path) -> None:
    images = image_set(tmp_path)
    order = epoch_order(24, 6, 1, 0, 0)
    feeds = [
        Feed(images, images.train, CPU, (6, 8), process=process, processes=processes)
        for process in range(processes)
    ]
    for parts, places in zip(
        zip(*(feed.batches(order) for feed in feeds), strict=True), order, strict=True
    ):
        found = [number_of(image) for pixels, _ in parts for image in pixels]
        assert len(found) == 6
        assert sorted(found) == sorted(places.tolist())


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("batch", [2, 4, 6, 100])
def test_a_test_sees_all_images_once(batch: int, processes: int, tmp_path: Path) -> None:
    images = image_set(tmp_path)
    found: list[tuple[int, int]] = []
    for process in range(processes):
        feed = Feed(images, images.test, CPU, (6, 8), process=process, processes=processes)
        for pixels, labels in feed.whole(batch):
            assert 0 < len(pixels) <= batch
            found += zip(map(number_of, pixels), labels.tolist(), strict=True)
    assert sorted(found) == [(number, int(number >= 27)) for number in range(24, 30)]


# A set that is read -------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_read_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes, so one test for all that only they can show."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    images = image_set(tmp_path)
    order = epoch_order(24, 6, 1, 0, 0)
    resident = Feed(images, images.train, CPU, (6, 8))
    table = as_read(images)
    read = Feed(table, table.train, CPU, (6, 8))
    assert not read.resident
    for mine, theirs in zip(read.batches(order, 2), resident.batches(order, 2), strict=True):
        assert torch.equal(mine[0], theirs[0])
        assert mine[1].tolist() == theirs[1].tolist()
    # a damaged image stays one line
    rows = [*table.train.table][:-1] + [{"image": {"bytes": b"no image", "path": None}}]
    damaged = replace(table.train, table=datasets.Dataset.from_list(rows))
    with pytest.raises(DataError) as caught:
        list(Feed(table, damaged, CPU, (6, 8)).whole(24))
    data = images.name
    assert str(caught.value) == f"an image of {data} is damaged or missing: in its table"


@pytest.mark.slow
def test_readers_cut_as_the_boxes_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image of an epoch has its own draw, whatever the number of processes."""
    images = as_read(image_set(tmp_path))
    crop = Crop(scale=(0.2, 1.0))
    order = epoch_order(24, 6, 3, 0, 0)

    def loaded(feed: Feed, keys: list[list[tuple[int, int]]]) -> list[tuple[Tensor, list[int]]]:
        assert feed._reader is not None
        rows = [[feed._reader[key] for key in row] for row in keys]
        return [(torch.stack([p for p, _ in row]), [label for _, label in row]) for row in rows]

    # in this process, by the same reader
    monkeypatch.setattr(Feed, "_loaded", loaded)

    def batches(process: int, processes: int, epoch: int = 0, start: int = 0) -> list[Tensor]:
        feed = Feed(
            images, images.train, CPU, (6, 6), crop=crop, process=process, processes=processes
        )
        feed.epoch(epoch)
        return [pixels for pixels, _ in feed.batches(order, start)]

    whole = batches(0, 1)
    for step, places in enumerate(order.tolist()):
        for column, place in enumerate(places):
            draw = np.random.default_rng((0, 0, 6 * step + column))
            top, left, height, width = drawn_box(crop, 6, 8, draw)
            box = (left, top, left + width, top + height)
            cut = images.train.image(place, "x").resize((6, 6), Image.Resampling.BICUBIC, box)
            found = whole[step][column].permute(1, 2, 0).numpy()
            assert np.array_equal(found, np.asarray(cut))
    parts = [batches(process, 3) for process in range(3)]
    for step, pixels in enumerate(whole):
        again = torch.stack([part[step] for part in parts], 1).flatten(0, 1)
        assert torch.equal(again, pixels)
    # what is repeated is cut anew each time
    assert not torch.equal(whole[0][0], whole[0][1])
    assert all(torch.equal(a, b) for a, b in zip(batches(0, 1, start=2), whole[2:], strict=True))
    assert not torch.equal(batches(0, 1, epoch=1)[0], whole[0])


def test_bicubic_is_pils() -> None:
    assert Image.Resampling.BICUBIC == BICUBIC


# Boxes --------------------------------------------------------------------------------------------


def test_drawn_boxes_spread_as_the_crop_says() -> None:
    """On a large square every draw fits: shares are uniform, logarithms of ratios too."""
    crop, draw = Crop(scale=(0.1, 0.5), ratio=(0.5, 2.0)), np.random.default_rng(0)
    boxes = np.array([drawn_box(crop, 1000, 1000, draw) for _ in range(4000)])
    top, left, height, width = boxes.T
    assert min(top.min(), left.min()) >= 0
    assert max((top + height).max(), (left + width).max()) <= 1000
    shares, ratios = height * width / 1e6, np.log2(width / height)
    for values, low, high in ((shares, 0.1, 0.5), (ratios, -1, 1)):
        assert values.min() >= low - 0.01
        assert values.max() <= high + 0.01
        # Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed once in a thousand times
        even = (np.sort(values) - low) / (high - low)
        assert np.abs(even - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / math.sqrt(4000)
    # every place that a box can have is as likely
    for start, length in ((top, height), (left, width)):
        even = np.sort((start + 0.5) / (1000 - length + 1))
        assert np.abs(even - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / math.sqrt(4000)


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [
        # whole images in ratios from 3/4 to 4/3 do not fit into these: the largest centred one
        (100, 1000, (0, 433.5, 100, 133)),
        (1000, 100, (433.5, 0, 133, 100)),
        (1, 9, (0, 4, 1, 1)),
    ],
)
def test_where_no_draw_fits_the_largest_centred_box_is_taken(
    height: int, width: int, box: tuple[float, ...]
) -> None:
    crop = Crop(scale=(1.0, 1.0))
    assert drawn_box(crop, height, width, np.random.default_rng(0)) == box


@pytest.mark.parametrize(
    ("height", "width", "side", "crop", "box"),
    [
        # 256 / 224: the shorter side becomes 256, of whose middle 224 are seen
        (256, 256, (224, 224), 0.875, (16, 16, 224, 224)),
        (512, 1024, (224, 224), 0.875, (32, 288, 448, 448)),
        (1024, 512, (224, 224), 1.0, (256, 0, 512, 512)),
        # a wide side: as much of the image as has its shape
        (400, 400, (100, 200), 1.0, (100, 0, 200, 400)),
        (400, 400, (100, 200), 0.5, (150, 100, 100, 200)),
        # no larger than the side: whole, whatever the share
        (32, 32, (32, 32), 0.875, (0, 0, 32, 32)),
        (20, 30, (32, 32), 0.875, (0, 0, 20, 30)),
    ],
)
def test_centre_boxes_by_hand(
    height: int,
    width: int,
    side: tuple[int, int],
    crop: float,
    box: tuple[float, ...],
) -> None:
    assert centre_box(height, width, side, crop) == pytest.approx(box)
