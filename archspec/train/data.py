"""Images from a parquet file or folder, an image folder, or the embedded digits."""

from __future__ import annotations

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
#: images of different sizes are brought to this side
SIDE = 224
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class Batch(NamedTuple):
    """Images (N, 3, H, W), float32, each channel with mean 0 and deviation 1 over the batch."""

    images: NDArray[np.float32]
    #: what they are: set, count and seed
    name: str


def load_batch(data: str, count: int, seed: int) -> Batch:
    """`count` images of a data set, drawn without repetition by `seed`.

    data: `digits`, a parquet file, a folder of parquet files, or a folder of images.
    Raises DataError where it cannot be read or holds too few images.
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
    path = Path(data)
    if not path.exists():
        raise DataError(
            f"no data at {data}: give a parquet file, a folder of parquet files or images, or "
            f"`{DIGITS}`"
        )
    table = _images_of(_open(path), data)
    rows = _draw(len(table), count, seed, data)
    images = [_decoded(encoded, data) for encoded in table[rows]["image"]]
    if len({image.size for image in images}) > 1:
        images = [image.resize((SIDE, SIDE)) for image in images]
    return [np.asarray(image) / 255.0 for image in images]


def _open(path: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    # what is wrong with a file is told once, by the DataError
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    try:
        if files and all(file.suffix == ".parquet" for file in files):
            names = [str(file) for file in files]
            return datasets.load_dataset("parquet", data_files=names, split="train")
        if path.is_dir() and any(file.suffix.lower() in _IMAGES for file in path.rglob("*")):
            return datasets.load_dataset("imagefolder", data_dir=str(path), split="train")
    except Exception as error:
        # the library raises its own, pyarrow's, PIL's and OS errors for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} could not be read as images: {reason}") from error
    raise DataError(f"{path} holds neither parquet files nor images ({', '.join(_IMAGES)})")


def _images_of(table: Any, data: str) -> Any:
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


def _decoded(encoded: Any, data: str) -> Image:
    """An image in RGB from {bytes, path}, upright, its file closed."""
    from PIL import Image as image_file
    from PIL import ImageOps

    try:
        content = encoded["bytes"]
        source = encoded["path"] if content is None else BytesIO(content)
        with image_file.open(source) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:
        # PIL raises several errors for damaged files, datasets gives None for a missing one
        where = encoded["path"] if encoded else None
        raise DataError(
            f"an image of {data} is damaged or missing: {where or 'in its table'}"
        ) from error
