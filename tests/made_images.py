"""Data sets made for the tests: lossless images that can be told apart, as files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def stamped(number: int, height: int = 6, width: int = 8) -> Pixels:
    """Noise (H, W, 3) whose first pixel holds the image's number, up to 65,535."""
    image = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[0, 0] = (number % 256, number // 256, 7)
    return image


def number_of(pixels: torch.Tensor) -> int:
    """The number of a stamped image (3, H, W)."""
    red, green, _ = pixels[:, 0, 0].tolist()
    return int(red + 256 * green)


def png(image: Pixels) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def parquet(
    path: Path, images: Sequence[Pixels], labels: Sequence[Any], names: Sequence[str] = ()
) -> Path:
    """A table as the hub stores one; with names its labels are a ClassLabel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"image": [{"bytes": png(image), "path": None} for image in images]}
    table = datasets.Dataset.from_dict(columns, datasets.Features({"image": datasets.Image()}))
    kind = datasets.ClassLabel(names=list(names)) if names else None
    if labels:
        table = table.add_column("label", list(labels))
    if kind is not None:
        table = table.cast_column("label", kind)
    table.to_parquet(path)
    return path


def image_folder(folder: Path, classes: dict[str, Sequence[int]], **shape: int) -> Path:
    """Stamped images as FOLDER/CLASS/NUMBER.png, in the order of their numbers."""
    for name, numbers in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.fromarray(stamped(number, **shape)).save(folder / name / f"{number:03}.png")
    return folder
