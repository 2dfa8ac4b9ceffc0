"""Where images come from: a parquet file or folder, a folder of images, or the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from glob import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archspec.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

#: the embedded set: 1,797 grey images of 8x8 handwritten digits that come with scikit-learn
DIGITS = "digits"
#: before the name of a set on the hub: `hf:uoft-cs/cifar10`
HUB = "hf:"
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
#: what files of a split are called, the first of each its name
_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev"),
}
#: the tag of EXIF that says which side of an image is up
ORIENTATION = 0x0112
#: rows of a table that are taken out together
ROWS = 256
_LABELS = ("label", "labels", "class", "target", "fine_label")


class Labels(NamedTuple):
    """The class of each image (N,), int64, and what the classes are called."""

    numbers: NDArray[np.int64]
    names: tuple[str, ...]


def open_splits(data: str) -> dict[str, Any]:
    """Tables of `datasets` by split: train, and test and validation where the names tell them.

    Raises DataError where there is nothing to read.
    """
    if data.startswith(HUB):
        return _from_hub(data.removeprefix(HUB))
    path = Path(data)
    if not path.exists():
        raise DataError(
            f"no data at {data}: give a parquet file, a folder of parquet files or images, "
            f"`{DIGITS}`, or {HUB}NAME from the hub"
        )
    import datasets

    _quiet()
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    try:
        if files and all(file.suffix == ".parquet" for file in files):
            held = datasets.load_dataset("parquet", data_files=_by_split(path, files))
            return dict(held)
        if path.is_dir() and any(file.suffix.lower() in IMAGES for file in path.rglob("*")):
            return dict(datasets.load_dataset("imagefolder", data_dir=escape(str(path))))
    except Exception as error:
        # the library raises its own, pyarrow's, PIL's and OS errors for damaged files
        raise DataError(f"{path} could not be read as images: {_reason(error)}") from error
    raise DataError(f"{path} holds neither parquet files nor images ({', '.join(IMAGES)})")


def _by_split(path: Path, files: list[Path]) -> dict[str, list[str]]:
    """Files by split, as patterns that match themselves alone."""
    found: dict[str, list[str]] = {}
    for file in files:
        named = "train"
        if path.is_dir():
            words = re.split(r"[^a-z]+", str(file.relative_to(path)).lower())
            for split, names in _SPLITS.items():
                if any(word in names for word in words):
                    named = split
        found.setdefault(named, []).append(escape(str(file)))
    return found


def _from_hub(name: str) -> dict[str, Any]:
    import datasets

    _quiet()
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", name, re.ASCII):
        raise DataError(f"{HUB}{name} is no name on the hub, such as {HUB}uoft-cs/cifar10")
    place, _, subset = name.partition(":")
    try:
        return dict(datasets.load_dataset(place, subset or None))
    except Exception as error:  # what a network can do has no common base class
        raise DataError(
            f"{HUB}{name} is not in the cache and cannot be downloaded ({_reason(error)}); with a "
            "connection try again, or give a folder"
        ) from None


def _quiet() -> None:
    import datasets

    datasets.disable_progress_bars()
    # what is wrong with a file is told once, by the DataError
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def images_of(table: Any, data: str) -> Any:
    """The table's images alone, encoded, in a column `image`."""
    import datasets

    for name, feature in table.features.items():
        # without the metadata of `datasets` an image is told by its encoded bytes
        if isinstance(feature, datasets.Image) or (
            isinstance(feature, dict) and "bytes" in feature
        ):
            images = table.select_columns(name).rename_columns({name: "image"})
            return images.cast_column("image", datasets.Image(decode=False))
    raise DataError(f"{data} has no image column; it has {', '.join(table.column_names)}")


def encoded_images(table: Any) -> Iterator[Any]:
    """The images of a table of `images_of`, one after the other, as {bytes, path}."""
    # by parts of the arrow table: row by row takes a third as long as decoding
    for part in table.with_format("arrow").iter(ROWS):
        yield from part["image"].to_pylist()


def has_labels(table: Any) -> bool:
    """Whether any image of a table has a class; those of public test splits often have none."""
    column = _label_column(table)
    return column is None or not all(map(_missing, _values(table, column)))


def labels_of(table: Any, data: str, known: tuple[str, ...] | None = None) -> Labels:
    """The classes of a table's images: its ClassLabel column, else one called label or the like.

    known: classes of the training split, which a column of plain numbers or words is told by.
    Raises DataError where there is no such column, an image has no class, or one that is not known.
    """
    column = _label_column(table)
    if column is None:
        told = ", ".join(table.column_names)
        raise DataError(
            f"{data} has no classes: a table needs a column such as label, images a folder for "
            f"each class; it has {told}"
        )
    values = _values(table, column)
    if any(map(_missing, values)):
        raise DataError(f"{data}: some images have no class in column {column}")
    named = getattr(table.features[column], "names", None)
    if named is not None:
        return Labels(np.asarray(values, np.int64), tuple(named))
    try:
        found = sorted(set(values))
    except TypeError:
        raise DataError(
            f"{data}: a class is one number or word, but column {column} holds {str(values[0])!r}"
        ) from None
    names = tuple(map(str, found)) if known is None else known
    place = {name: number for number, name in enumerate(names)}
    foreign = [str(value) for value in found if str(value) not in place]
    if foreign:
        raise DataError(f"{data}: no training image has the class {foreign[0]!r} of a test image")
    return Labels(np.asarray([place[str(value)] for value in values], np.int64), names)


def _label_column(table: Any) -> str | None:
    """The column of classes, by its kind, else by its name."""
    import datasets

    classed = [key for key, item in table.features.items() if isinstance(item, datasets.ClassLabel)]
    named = [key for key in _LABELS if key in table.features]
    return next(iter([*classed, *named]), None)


def _values(table: Any, column: str) -> list[Any]:
    held = table.select_columns(column).with_format("arrow")[:][column].to_pylist()
    return list(held)


def _missing(value: object) -> bool:
    """Whether this stands for no class; -1 does in the sets of the hub."""
    return value is None or (isinstance(value, int) and value < 0)


def decoded(encoded: Any, data: str) -> Image:
    """An image in RGB from {bytes, path}, upright, its file closed."""
    from PIL import Image as image_file
    from PIL import ImageOps

    try:
        content = encoded["bytes"]
        source = encoded["path"] if content is None else BytesIO(content)
        with image_file.open(source) as image:
            upright: Image = image
            # each of these copies the pixels, which most images need not
            if image.getexif().get(ORIENTATION, 1) != 1:
                upright = ImageOps.exif_transpose(image)
            image.load()
            return upright if upright.mode == "RGB" else upright.convert("RGB")
    except Exception as error:
        # PIL raises several errors for damaged files, datasets gives None for a missing one
        where = encoded["path"] if encoded else None
        raise DataError(
            f"an image of {data} is damaged or missing: {where or 'in its table'}"
        ) from error
