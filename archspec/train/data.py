"""The batch that scores without training see."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archspec.errors import DataError
from archspec.train.sources import DIGITS, decoded, images_of, open_splits

#: images of different sizes are brought to this side
SIDE = 224


class Batch(NamedTuple):
    """Images (N, 3, H, W), float32, each channel with mean 0 and deviation 1 over the batch."""

    images: NDArray[np.float32]
    #: what they are: set, count and seed
    name: str


def load_batch(data: str, count: int, seed: int) -> Batch:
    """`count` training images of a data set, drawn without repetition by `seed`.

    data: as for `archspec.train.sources.open_splits`, or `digits`. Raises DataError where it cannot
    be read or holds too few images.
    """
    images = _digits(count, seed) if data == DIGITS else _dataset(data, count, seed)
    pixels = np.stack(images).astype(np.float32).transpose(0, 3, 1, 2)
    mean = pixels.mean(axis=(0, 2, 3), keepdims=True)
    spread = pixels.std(axis=(0, 2, 3), keepdims=True)
    if not float(spread.min()) > 0:
        raise DataError(f"the images of {data} are all alike; a score needs different ones")
    return Batch((pixels - mean) / spread, f"{data}, {count} images, seed {seed}")


def _draw(available: int, count: int, seed: int, data: str) -> list[int]:
    if available < count:
        raise DataError(f"{data} holds {available} images, but {count} are needed")
    return [int(i) for i in np.random.default_rng(seed).permutation(available)[:count]]


def _digits(count: int, seed: int) -> list[NDArray[Any]]:
    from sklearn.datasets import load_digits

    images = load_digits().images / 16.0
    picked = images[_draw(len(images), count, seed, DIGITS)]
    return [np.repeat(image[:, :, None], 3, axis=2) for image in picked]


def _dataset(data: str, count: int, seed: int) -> list[NDArray[Any]]:
    splits = open_splits(data)
    # what a test is for is not shown to a score
    table = images_of(splits["train"] if "train" in splits else next(iter(splits.values())), data)
    rows = _draw(len(table), count, seed, data)
    images = [decoded(encoded, data) for encoded in table[rows]["image"]]
    if len({image.size for image in images}) > 1:
        images = [image.resize((SIDE, SIDE)) for image in images]
    return [np.asarray(image) / 255.0 for image in images]
