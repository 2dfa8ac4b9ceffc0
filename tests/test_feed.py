"""Batches as they are fed: orders and boxes by brute force, pixels against what went in."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from made_images import image_folder, number_of, png
from PIL import Image
from tiny_training import network, tensors
from torch import Tensor

from archspec.errors import DataError
from archspec.train import feed as feeding
from archspec.train.devices import Setting, cores
from archspec.train.feed import BICUBIC, Feed, Key, centre_box, drawn_box, epoch_order, picked_ahead
from archspec.train.folder import TrainingFolder
from archspec.train.images import ImageSet, open_images
from archspec.train.prepare import prepare
from archspec.train.recipe import Crop, parse_recipe

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


@pytest.mark.parametrize("inference", [False, True])
def test_what_is_picked_ahead_is_what_was_asked_for(inference: bool) -> None:
    """As for a set beside a GPU, but for the pinned memory."""
    pixels = torch.randint(256, (20, 3, 4, 5), dtype=torch.uint8)
    labels = torch.arange(20)
    rows = [torch.tensor(places, dtype=torch.int64) for places in ([3, 3, 19], [0, 7], [], [11])]
    for some in (rows, rows[:1], []):
        with torch.inference_mode(inference):
            found = list(picked_ahead((pixels, labels), some, pinned=False))
        assert [tuple(one.tolist() for one in batch) for batch in found] == [
            (pixels.numpy()[places.numpy()].tolist(), places.tolist()) for places in some
        ]


@pytest.mark.gpu
def test_a_set_beside_the_gpu_is_fed_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "GPU_SHARE", 0.0)
    images = image_set(tmp_path)
    feed = Feed(images, images.train, torch.device("cuda"), (6, 8))
    assert feed.pixels is not None
    assert feed.pixels.device == CPU
    order = epoch_order(24, 6, 1, 0, 0)
    for (pixels, labels), places in zip(feed.batches(order), order, strict=True):
        assert pixels.device.type == labels.device.type == "cuda"
        assert [number_of(image) for image in pixels.cpu()] == places.tolist()
        assert labels.tolist() == [int(place >= 12) for place in places.tolist()]


# A set that is read -------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_read_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes, so one test for all that only they can show."""
    monkeypatch.setattr(feeding, "MOST_WORKERS", 1)
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

    def loaded(
        feed: Feed, keys: Iterable[list[Key]], batches: int
    ) -> list[tuple[Tensor, list[int]]]:
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


@pytest.mark.parametrize(
    ("crop", "resident", "cropped"),
    [
        (Crop(scale=(0.2, 1.0)), False, True),
        (Crop(scale=(0.2, 1.0)), True, False),
        (Crop(padding=0.125), False, False),
        (None, False, False),
    ],
)
def test_a_feed_says_whether_it_cropped(
    crop: Crop | None, resident: bool, cropped: bool, tmp_path: Path
) -> None:
    """What workers leave, the augmentation does: padding is never theirs."""
    images = image_set(tmp_path)
    images = images if resident else as_read(images)
    feed = Feed(images, images.train, CPU, (6, 8), crop=crop)
    assert feed.cropped is cropped
    if feed._reader is None:
        return
    # the same image in two epochs is cut twice, or whole
    first, second = (feed._reader[5, epoch, 0][0] for epoch in (0, 1))
    assert torch.equal(first, second) is not cropped
    assert torch.equal(first, image_set(tmp_path).train.pixels[5]) is not cropped  # type: ignore[index]


@pytest.mark.slow
def test_workers_stay_for_all_epochs_and_go_with_their_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "MOST_WORKERS", 2)
    images = as_read(image_set(tmp_path))
    crop = Crop(scale=(0.2, 1.0))
    feed = Feed(images, images.train, CPU, (6, 6), crop=crop)
    order = epoch_order(24, 6, 1, 0, 0)
    before = set(multiprocessing.active_children())
    seen: list[set[BaseProcess]] = []
    # the second is left after a step, the third starts late
    for epoch, start, stop in ((0, 0, 4), (1, 0, 1), (1, 2, 4), (2, 0, 4)):
        feed.epoch(epoch)
        batches = feed.batches(order, start)
        for step, (pixels, labels) in zip(range(start, stop), batches, strict=False):
            for column, place in enumerate(order[step].tolist()):
                draw = np.random.default_rng((0, epoch, 6 * step + column))
                top, left, height, width = drawn_box(crop, 6, 8, draw)
                box = (left, top, left + width, top + height)
                cut = images.train.image(place, "x").resize((6, 6), Image.Resampling.BICUBIC, box)
                assert np.array_equal(pixels[column].permute(1, 2, 0).numpy(), np.asarray(cut))
                assert labels[column] == int(place >= 12)
        seen.append(set(multiprocessing.active_children()) - before)
    assert 0 < len(seen[0]) <= 2
    assert all(workers == seen[0] for workers in seen)
    # an iteration that another one overtook says so
    older, newer = feed.batches(order), feed.batches(order)
    next(older)
    next(newer)
    with pytest.raises(RuntimeError, match="one iteration at a time"):
        next(older)
    del feed, batches, older, newer
    gc.collect()
    assert set(multiprocessing.active_children()) == before


READ_AND_CLOSE = """
import multiprocessing, sys, torch
from archspec.train.feed import Feed, epoch_order
from archspec.train.images import open_images

images = open_images(sys.argv[1])
feed = Feed(images, images.train, torch.device("cpu"), (6, 6))
batches = feed.batches(epoch_order(20, 2, 1, 0, 0))
next(batches)
assert multiprocessing.active_children()
feed.close()
assert not multiprocessing.active_children()
"""
READ_AND_LEAVE = """
import sys, torch
from archspec.train.feed import Feed, epoch_order
from archspec.train.images import open_images

images = open_images(sys.argv[1])
assert images.train.pixels is None
feed = Feed(images, images.train, torch.device("cpu"), (6, 6))
batches = feed.batches(epoch_order(20, 2, 1, 0, 0))
next(batches)
"""
TRAIN = """
import os, signal, sys
from pathlib import Path
from torch.utils.data import DataLoader
from archspec.train import feed
from archspec.train.folder import TrainingFolder
from archspec.train.run import run_training

interrupted, begin = sys.argv[2], DataLoader.__iter__
feed.MOST_WORKERS = 1

def iterate(loader):
    found = begin(loader)
    if interrupted == "start":
        # the workers have just been started, and import what they need
        os.killpg(0, signal.SIGINT)
    return found

def look(tick):
    if str(tick.step) == interrupted:
        os.killpg(0, signal.SIGINT)

DataLoader.__iter__ = iterate
try:
    run_training(TrainingFolder.open(Path(sys.argv[1])), look)
except KeyboardInterrupt:
    sys.exit(7)
"""


def mixed_sizes(folder: Path) -> str:
    """40 images to train on, 8 to test on, of two sizes."""
    image_folder(folder / "train", {"a": range(20), "b": range(20, 30)})
    image_folder(folder / "train", {"b": range(30, 40)}, height=9, width=7)
    image_folder(folder / "test", {"a": range(40, 44), "b": range(44, 47)})
    image_folder(folder / "test", {"b": [47]}, height=9, width=7)
    return str(folder)


def alone(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process group of its own."""
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(
        command, capture_output=True, text=True, start_new_session=True, timeout=300
    )


@pytest.mark.slow
def test_workers_end_when_closed_though_their_batches_wait(tmp_path: Path) -> None:
    done = alone(READ_AND_CLOSE, mixed_sizes(tmp_path / "set"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_program_ends_though_its_workers_wait(tmp_path: Path) -> None:
    done = alone(READ_AND_LEAVE, mixed_sizes(tmp_path / "set"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_training_on_images_that_are_read_goes_on_after_ctrl_c(tmp_path: Path) -> None:
    """A terminal sends it to the workers too, at any moment of theirs."""
    recipe = parse_recipe(
        "images: 40\nepochs: 2\nbatch: 8\nema: 0.9\naugment: {crop: {scale: [0.3, 1.0]}}\n"
        "optimizer: {name: sgd, lr: 0.1, momentum: 0.9}"
    )
    found = prepare(
        network(), recipe, mixed_sizes(tmp_path / "set"), as_written=True,
        setting=Setting("cpu", "fp32"),
    )  # fmt: skip
    paths = [tmp_path / "whole", tmp_path / "stopped"]
    for path in paths:
        TrainingFolder.create(path, found.asked, found.spec, found.recipe)
    assert alone(TRAIN, str(paths[0]), "").returncode == 0
    for moment in ("start", "7"):
        done = alone(TRAIN, str(paths[1]), moment)
        assert done.returncode == 7, done.stderr
        assert "Traceback" not in done.stderr
    done = alone(TRAIN, str(paths[1]), "")
    assert done.returncode == 0, done.stderr
    for name in ("last", "ema"):
        whole, stopped = (tensors(path / f"{name}.safetensors") for path in paths)
        assert whole.keys() == stopped.keys()
        assert all(torch.equal(whole[key], stopped[key]) for key in whole)


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


def test_workers_are_as_many_as_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 9}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 64
