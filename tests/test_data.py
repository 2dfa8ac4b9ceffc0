"""Batches: drawn from files made here, compared with the pixels that went in."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from archspec.errors import DataError
from archspec.train.data import load_batch

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path.with_suffix(".cache"))
    datasets.disable_progress_bars()


def pixels(seed: int, height: int = 10, width: int = 12) -> Pixels:
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def parquet(path: Path, images: Sequence[bytes | None], metadata: bool = True) -> Path:
    """As the hub stores images: a struct of bytes and path, marked as images or not."""
    rows = [None if image is None else {"bytes": image, "path": None} for image in images]
    struct = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = {"label": datasets.Value("int64"), "img": datasets.Image() if metadata else struct}
    columns = {"label": [0] * len(rows), "img": rows}
    datasets.Dataset.from_dict(columns, datasets.Features(features)).to_parquet(path)
    return path


def normed(images: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    """What a batch should be: (N, 3, H, W), each channel with mean 0 and deviation 1."""
    whole = np.stack([np.moveaxis(image, 2, 0) for image in images]).astype(np.float64)
    for channel in range(3):
        part = whole[:, channel]
        whole[:, channel] = (part - part.mean()) / part.std()
    return whole


def place_of(image: NDArray[np.float32], among: NDArray[np.float64]) -> int:
    """Which of `among` an image is; correlation does not mind another batch's mean."""
    flat = among.reshape(len(among), -1)
    return int(np.argmax([np.corrcoef(image.ravel(), one)[0, 1] for one in flat]))


# Digits -------------------------------------------------------------------------------------------


def test_digits_are_the_embedded_default() -> None:
    batch = load_batch("digits", 1797, 0)
    assert batch.images.shape == (1797, 3, 8, 8)
    assert batch.images.dtype == np.float32
    assert "digits" in batch.name
    grey = load_digits().images
    expected = np.sort(((grey - grey.mean()) / grey.std()).ravel())
    for channel in range(3):
        found = np.sort(batch.images[:, channel].ravel())
        assert np.allclose(found, expected, atol=2e-3)


def test_a_seed_draws_the_same_batch_again_and_another_one_another() -> None:
    first, again, other = (load_batch("digits", 16, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert first.name == again.name != other.name


def test_images_are_drawn_without_repetition(tmp_path: Path) -> None:
    images = [pixels(seed) for seed in range(9)]
    path = parquet(tmp_path / "a.parquet", [png(image) for image in images])
    batch = load_batch(str(path), 9, 4)
    among = normed(images)
    assert sorted(place_of(image, among) for image in batch.images) == list(range(9))


# Parquet ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [True, False])
def test_a_parquet_file_of_images(tmp_path: Path, metadata: bool) -> None:
    images = [pixels(seed) for seed in range(4)]
    path = parquet(tmp_path / "a.parquet", [png(image) for image in images], metadata)
    batch = load_batch(str(path), 4, 0)
    expected = normed(images)
    order = [place_of(image, expected) for image in batch.images]
    assert np.allclose(batch.images, expected[order], atol=1e-4)


def test_a_folder_of_parquet_files_is_one_set(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for part in range(3):
        parquet(folder / f"train-{part}.parquet", [png(pixels(10 * part + n)) for n in range(2)])
    assert load_batch(str(tmp_path / "set"), 6, 0).images.shape == (6, 3, 10, 12)
    with pytest.raises(DataError, match="holds 6 images, but 7 are needed"):
        load_batch(str(tmp_path / "set"), 7, 0)


def test_cifar10(shared_data: Path) -> None:
    batch = load_batch(str(shared_data / "cifar10"), 32, 0)
    assert batch.images.shape == (32, 3, 32, 32)
    assert np.allclose(batch.images.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    assert np.allclose(batch.images.std(axis=(0, 2, 3)), 1, atol=1e-3)
    assert len(np.unique(batch.images.reshape(32, -1), axis=0)) == 32


# Image folders ------------------------------------------------------------------------------------


def test_an_image_folder_with_and_without_classes(tmp_path: Path) -> None:
    images = [pixels(seed) for seed in range(4)]
    for seed, image in enumerate(images):
        folder = tmp_path / "set" / "ab"[seed % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{seed}.png")
    (tmp_path / "set" / "README.md").write_text("no image")
    batch = load_batch(str(tmp_path / "set"), 4, 0)
    expected = normed(images)
    order = [place_of(image, expected) for image in batch.images]
    assert np.allclose(batch.images, expected[order], atol=1e-4)
    assert load_batch(str(tmp_path / "set" / "a"), 2, 0).images.shape == (2, 3, 10, 12)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_kind_of_picture_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    for seed in range(3):
        Image.fromarray(pixels(seed)).convert(mode).save(tmp_path / f"{seed}.png")
    batch = load_batch(str(tmp_path), 3, 0)
    assert batch.images.shape == (3, 3, 10, 12)
    if mode in ("L", "LA", "1"):
        assert np.allclose(batch.images[:, 0], batch.images[:, 2], atol=1e-5)


def test_images_of_different_sizes_are_brought_to_one(tmp_path: Path) -> None:
    for seed, (height, width) in enumerate([(10, 12), (12, 10), (30, 40)]):
        Image.fromarray(pixels(seed, height, width)).save(tmp_path / f"{seed}.png")
    assert load_batch(str(tmp_path), 3, 0).images.shape == (3, 3, 224, 224)


# Refusals -----------------------------------------------------------------------------------------


def refusal(data: Path | str, count: int = 2) -> str:
    with pytest.raises(DataError) as caught:
        load_batch(str(data), count, 0)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_missing_and_empty_data_say_what_to_give(tmp_path: Path) -> None:
    assert "a parquet file, a folder of parquet files or images, `digits`, or hf:NAME" in refusal(
        tmp_path / "nowhere"
    )
    (tmp_path / "empty").mkdir()
    assert "neither parquet files nor images (.jpg, .jpeg" in refusal(tmp_path / "empty")
    (tmp_path / "text.csv").write_text("a,b\n")
    assert "neither parquet files nor images" in refusal(tmp_path / "text.csv")


@pytest.mark.parametrize("size", [0, 4, 100, -40])
def test_a_damaged_parquet_file(
    tmp_path: Path, size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = parquet(tmp_path / "a.parquet", [png(pixels(seed)) for seed in range(2)])
    path.write_bytes(path.read_bytes()[:size])
    assert "could not be read as images" in refusal(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("image", [b"", b"no image", png(pixels(0))[:300], None])
def test_a_damaged_image(tmp_path: Path, image: bytes | None) -> None:
    path = parquet(tmp_path / "a.parquet", [png(pixels(1)), image])
    assert "an image of" in refusal(path)


def test_a_damaged_image_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(pixels(0)))
    (tmp_path / "b.png").write_bytes(png(pixels(0))[:300])
    assert f"an image of {tmp_path} is damaged or missing: {tmp_path}/b.png" in refusal(tmp_path)


def test_too_few_images_and_images_that_are_all_alike(tmp_path: Path) -> None:
    assert "digits holds 1797 images, but 1798 are needed" in refusal("digits", 1798)
    black = np.zeros((8, 8, 3), dtype=np.uint8)
    assert "all alike" in refusal(parquet(tmp_path / "a.parquet", [png(black), png(black)]))


def test_a_table_without_images_names_its_columns(tmp_path: Path) -> None:
    columns = {"label": [0, 1], "text": ["a", "b"]}
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "a.parquet")
    assert "has no image column; it has label, text" in refusal(tmp_path / "a.parquet")
