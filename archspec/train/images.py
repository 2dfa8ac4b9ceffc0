"""Labelled images: small sets whole in memory, large ones read as they come."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archspec.errors import DataError
from archspec.train.sources import (
    DIGITS,
    HUB,
    decoded,
    encoded_images,
    has_labels,
    images_of,
    labels_of,
    open_splits,
)

Numbers = NDArray[np.int64]

#: sets up to this many bytes of pixels are decoded once and stay in memory, or on the GPU
RESIDENT = 4 << 30
#: of a set that has no test split, this share is held out for it
HELD_OUT = 0.1
#: every so many-th image that is in memory goes into a fingerprint: milliseconds for CIFAR-10
SAMPLED = 97
#: mean and deviation of ImageNet's channels, which published weights expect
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Split:
    """Images of one split, with their classes as numbers (N,).

    pixels: uint8 (N, 3, H, W), of a set that is in memory; else `rows` of `table` are read.
    """

    name: str
    labels: Numbers
    pixels: Tensor | None = None
    table: Any = None
    rows: Numbers | None = None

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def side(self) -> tuple[int, int] | None:
        """Height and width of all images; None where they differ or were not looked at."""
        return None if self.pixels is None else (self.pixels.shape[2], self.pixels.shape[3])

    def pick(self, places: Numbers, name: str) -> Split:
        """Some of the images, in this order."""
        labels = self.labels[places]
        if self.pixels is not None:
            return Split(name, labels, self.pixels[torch.from_numpy(places)])
        rows = places if self.rows is None else self.rows[places]
        return Split(name, labels, None, self.table, rows)

    def image(self, place: int, data: str) -> Any:
        """One image of a table, as PIL's, in RGB."""
        row = place if self.rows is None else int(self.rows[place])
        return decoded(self.table[row]["image"], data)


@dataclass(frozen=True)
class ImageSet:
    """A training and a test split of the same classes.

    mirrored: whether a mirrored image keeps its class. mean, std: of the training pixels' channels,
    in [0, 1]; ImageNet's where the set is read as it comes. notes: what was decided here.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    mirrored: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def side(self) -> tuple[int, int] | None:
        """Height and width of all images; None where they differ."""
        return self.train.side

    @property
    def train_count(self) -> int:
        """Images to train on."""
        return self.train.count

    @property
    def test_count(self) -> int:
        """Images to test on."""
        return self.test.count

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell changed data, whatever the set is called and wherever.

        Of the classes, the labels of both splits in their order and, where they are in memory, the
        pixels of every 97th image; so an image among the others may change unseen, and a decoder
        that rounds otherwise is taken for a change.
        """
        found = hashlib.sha256(repr(self.classes).encode())
        for split in (self.train, self.test):
            found.update(f"{split.count} {split.side}".encode())
            found.update(np.ascontiguousarray(split.labels, "<i8").tobytes())
            if split.pixels is not None:
                found.update(split.pixels[::SAMPLED].contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


def open_images(
    data: str,
    *,
    images: int | None = None,
    test_images: int | None = None,
    holdout: float | None = None,
    seed: int = 0,
) -> ImageSet:
    """A data set: `digits`, a parquet file or folder, a folder of images, or `hf:NAME`.

    images, test_images: so many of a split, drawn by seed, of each class alike. holdout: a share of
    the training split that takes the place of the test split, which is then never seen. The test
    split is `test`, else `validation`, the first that has classes, else a tenth of the training
    images, of each class alike.
    Raises DataError where the data cannot be read, or holds too little.
    """
    held = _opened(data, _stamp(data))
    train, test, notes = held.train, held.test, list(held.notes)
    if holdout is not None:
        if not 0 < holdout < 1:
            raise DataError(f"a share between 0 and 1 is held out, but got {holdout:g}")
        apart = _drawn(train.labels, max(1, round(holdout * train.count)), seed)
        test = train.pick(apart, "held out")
        train = train.pick(_rest(train.count, apart), "train")
        notes.append(f"{test.count} training images held out to test on")
    if images is not None:
        train = _some(train, images, seed, len(held.classes), data)
        notes.append(f"{images} of the training images")
    if test_images is not None:
        test = _some(test, test_images, seed, len(held.classes), data)
        notes.append(f"{test_images} of the test images")
    return replace(held, train=train, test=test, notes=tuple(notes))


def _some(split: Split, count: int, seed: int, classes: int, data: str) -> Split:
    if not classes <= count <= split.count:
        raise DataError(
            f"{classes} <= images <= {split.count} must hold for {data}, but got {count}"
        )
    return split.pick(_drawn(split.labels, count, seed), split.name)


@lru_cache(maxsize=2)
def _opened(data: str, stamp: str) -> ImageSet:
    """A set as it is stored; kept, since a study or search opens one many times, until `stamp`
    says that it is another."""
    if data == DIGITS:
        return _digits()
    splits = open_splits(data)
    labelled = (name for name in ("test", "validation") if name in splits)
    for_test = next((name for name in labelled if has_labels(splits[name])), None)
    for_train = "train" if "train" in splits else None
    if for_train is None:
        raise DataError(f"{data} has no training split; it has {', '.join(splits)}")
    whole, names = _split(splits[for_train], "train", data)
    notes: tuple[str, ...] = ()
    if for_test is None:
        train, test = _apart(whole, HELD_OUT)
        notes = (f"no test split: {test.count} training images held out to test on",)
    else:
        train = whole
        test, others = _split(splits[for_test], for_test, data, names)
        if others != names:
            raise DataError(
                f"{data}: {for_train} and {for_test} must have the same classes, but have "
                f"{len(names)} and {len(others)}, such as {_differ(names, others)}"
            )
    if len(names) < 2:
        raise DataError(f"{data} has one class; a classifier needs two or more")
    mean, std = _channels(train, data)
    name = Path(data).name if Path(data).exists() else data
    return ImageSet(name, names, train, test, True, mean, std, notes)


def _stamp(data: str) -> str:
    """Changes with the place and the files of a set: their names, sizes and times.

    The newest time alone would miss a file that is taken away, or moved over another.
    """
    if data == DIGITS or data.startswith(HUB):
        return ""
    path = Path(data).resolve()
    found = hashlib.sha256(os.fsencode(path))
    alone: list[tuple[str, list[str], list[str]]] = [(str(path.parent), [], [path.name])]
    for folder, below, names in os.walk(path) if path.is_dir() else alone:
        below.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            try:
                told = os.stat(file)
            except OSError:  # a link to nowhere; what reads the set says so
                continue
            found.update(os.fsencode(f"{file}/{told.st_size}/{told.st_mtime_ns}\n"))
    return found.hexdigest()


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits

    held = load_digits()
    grey = torch.from_numpy(np.rint(held.images * (255 / 16)).astype(np.uint8))
    pixels = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    whole = Split(DIGITS, held.target.astype(np.int64), pixels)
    train, test = _apart(whole, 0.2)
    mean, std = _channels(train, DIGITS)
    names = tuple(map(str, held.target_names))
    # a mirrored 2 or 5 is no digit
    return ImageSet(DIGITS, names, train, test, False, mean, std)


def _apart(whole: Split, share: float) -> tuple[Split, Split]:
    """A training and a test split, always the same ones."""
    apart = _drawn(whole.labels, max(1, round(share * whole.count)), 0)
    return whole.pick(_rest(whole.count, apart), "train"), whole.pick(apart, "held out")


def _drawn(labels: Numbers, count: int, seed: int) -> Numbers:
    """Places of `count` images, drawn by seed so that classes keep their shares; sorted.

    All images are put in one order, class by class at even distances, and its start is taken.
    """
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(labels))
    place = np.empty(len(labels))
    for number in np.unique(labels):
        own = shuffled[labels[shuffled] == number]
        place[own] = (np.arange(len(own)) + draw.random()) / len(own)
    return np.sort(np.argsort(place, kind="stable")[:count]).astype(np.int64)


def _rest(count: int, apart: Numbers) -> Numbers:
    return np.setdiff1d(np.arange(count, dtype=np.int64), apart)


def _split(
    table: Any, name: str, data: str, known: tuple[str, ...] | None = None
) -> tuple[Split, tuple[str, ...]]:
    """A split and its classes; `known` are those of the training split."""
    labels, names = labels_of(table, data, known)
    if not len(labels):
        raise DataError(f"{data}: its split {name} is empty")
    table = images_of(table, data)
    first = np.asarray(decoded(table[0]["image"], data))
    if first.size * len(labels) > RESIDENT:
        return Split(name, labels, None, table), names
    pixels = torch.empty(len(labels), 3, *first.shape[:2], dtype=torch.uint8)
    for place, encoded in enumerate(encoded_images(table)):
        image = np.asarray(decoded(encoded, data))
        if image.shape != first.shape:
            # of different sizes: each is cropped and resized when it is read
            return Split(name, labels, None, table), names
        pixels[place] = torch.from_numpy(image.transpose(2, 0, 1).copy())
    return Split(name, labels, pixels), names


def _differ(names: Sequence[str], others: Sequence[str]) -> str:
    apart = sorted(set(names) ^ set(others))
    return repr(apart[0]) if apart else "their order"


def _channels(train: Split, data: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, in [0, 1]."""
    if train.pixels is None:
        return IMAGENET_MEAN, IMAGENET_STD
    # by counting values: exact, and without a copy of the set as floats
    values = torch.arange(256, dtype=torch.float64) / 255
    means, spreads = [], []
    for channel in range(3):
        counts = torch.bincount(train.pixels[:, channel].flatten(), minlength=256).double()
        mean = float((counts * values).sum() / counts.sum())
        means.append(mean)
        spreads.append(float((counts * (values - mean) ** 2).sum() / counts.sum()) ** 0.5)
    if min(spreads) == 0:
        raise DataError(f"the images of {data} are all alike")
    return tuple(means), tuple(spreads)
