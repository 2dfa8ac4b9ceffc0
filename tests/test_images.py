"""Data sets as they are opened: splits, classes, shares and pixels against what went in."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from made_images import image_folder, number_of, parquet, png, stamped
from PIL import Image
from sklearn.datasets import load_digits

from archspec.errors import DataError
from archspec.train import images as module
from archspec.train.images import IMAGENET_MEAN, IMAGENET_STD, ImageSet, Split, open_images


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path.with_suffix(".cache"))
    datasets.disable_progress_bars()


def pixels(split: Split) -> torch.Tensor:
    assert split.pixels is not None
    return split.pixels


def rows(split: Split) -> list[bytes]:
    """Each image as bytes, to compare sets of them."""
    return [bytes(image.numpy()) for image in pixels(split).flatten(1)]


def numbers(split: Split) -> list[int]:
    return [number_of(image) for image in pixels(split)]


def two_splits(folder: Path, train: int = 60, test: int = 20) -> Path:
    """Stamped images, numbered on from training to test; class is number % 3."""
    for name, places in (("train", range(train)), ("test", range(train, train + test))):
        parquet(folder / f"{name}.parquet", [*map(stamped, places)], [n % 3 for n in places])
    return folder


# Digits -------------------------------------------------------------------------------------------


def test_digits_are_split_once_and_for_all() -> None:
    images = open_images("digits")
    assert (images.train_count, images.test_count) == (1438, 359)
    assert images.side == (8, 8)
    assert images.classes == tuple("0123456789")
    assert not images.mirrored
    # all of scikit-learn's images with their classes, each in one split alone
    held = load_digits()
    whole = Counter(
        (np.rint(image * 255 / 16).astype(np.uint8).tobytes() * 3, int(label))
        for image, label in zip(held.images, held.target, strict=True)
    )
    found = Counter(
        (row, int(label))
        for split in (images.train, images.test)
        for row, label in zip(rows(split), split.labels, strict=True)
    )
    assert found == whole
    for digit, count in Counter(held.target.tolist()).items():
        assert abs((images.test.labels == digit).sum() - count * 359 / 1797) <= 1.5
    module._opened.cache_clear()
    again = open_images("digits")
    assert np.array_equal(again.test.labels, images.test.labels)
    assert torch.equal(pixels(again.test), pixels(images.test))


def test_mean_and_deviation_are_those_of_the_training_pixels(tmp_path: Path) -> None:
    data = two_splits(tmp_path / "set")
    for images in (open_images("digits"), open_images(str(data))):
        values = pixels(images.train).numpy().astype(np.float64) / 255
        assert images.mean == pytest.approx(values.mean(axis=(0, 2, 3)), rel=1e-9)
        assert images.std == pytest.approx(values.std(axis=(0, 2, 3)), rel=1e-9)


# Parquet ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["train.parquet"], "test.parquet"),
        (
            ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
            "data/test-00000-of-00001.parquet",
        ),
        (["Training/0.parquet"], "Validation/0.parquet"),
        (["train-0.parquet"], "val.parquet"),
        (["my [set]/train.parquet"], "my [set]/test_0.parquet"),
    ],
)
def test_files_say_by_their_names_which_split_they_are(
    train: list[str], test: str, tmp_path: Path
) -> None:
    start = 0
    for name in train:
        places = range(start, start + 6)
        parquet(tmp_path / "set" / name, [*map(stamped, places)], [n % 2 for n in places])
        start += 6
    parquet(tmp_path / "set" / test, [*map(stamped, range(90, 94))], [n % 2 for n in range(4)])
    images = open_images(str(tmp_path / "set"))
    assert numbers(images.train) == list(range(start))
    assert images.train.labels.tolist() == [n % 2 for n in range(start)]
    assert numbers(images.test) == [90, 91, 92, 93]
    assert images.notes == ()
    for image in pixels(images.train):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), stamped(number_of(image)))


def test_a_test_split_goes_before_a_validation_split(tmp_path: Path) -> None:
    for name, first in (("train", 0), ("validation", 10), ("test", 20)):
        parquet(tmp_path / f"{name}.parquet", [*map(stamped, range(first, first + 4))], [0, 1] * 2)
    assert numbers(open_images(str(tmp_path)).test) == [20, 21, 22, 23]


def test_a_test_split_without_classes_is_left_for_the_validation_split(tmp_path: Path) -> None:
    """As ImageNet-1k's on the hub, all of whose labels are -1."""
    for name, first, labels in (
        ("train", 0, [0, 1]),
        ("validation", 10, [1, 0]),
        ("test", 20, [-1, -1]),
    ):
        images = [*map(stamped, range(first, first + 4))]
        parquet(tmp_path / f"{name}.parquet", images, labels * 2)
    assert numbers(open_images(str(tmp_path)).test) == [10, 11, 12, 13]


def test_of_a_single_file_a_tenth_is_held_out(tmp_path: Path) -> None:
    labels = [n % 4 for n in range(80)]
    path = parquet(tmp_path / "all.parquet", [*map(stamped, range(80))], labels)
    images = open_images(str(path))
    assert (images.train_count, images.test_count) == (72, 8)
    assert sorted(numbers(images.train) + numbers(images.test)) == list(range(80))
    assert Counter(images.test.labels.tolist()) == dict.fromkeys(range(4), 2)
    assert images.notes == ("no test split: 8 training images held out to test on",)
    assert images.name == "all.parquet"


@pytest.mark.parametrize(
    ("labels", "names", "classes", "found"),
    [
        ([2, 0, 2, 0], ["cat", "dog", "eel"], ("cat", "dog", "eel"), [2, 0, 2, 0]),
        ([7, 3, 10, 3], [], ("3", "7", "10"), [1, 0, 2, 0]),
        (["dog", "cat", "dog", "ant"], [], ("ant", "cat", "dog"), [2, 1, 2, 0]),
    ],
)
def test_classes_are_named_or_sorted(
    labels: list[object],
    names: list[str],
    classes: tuple[str, ...],
    found: list[int],
    tmp_path: Path,
) -> None:
    for name in ("train", "test"):
        parquet(tmp_path / f"{name}.parquet", [*map(stamped, range(4))], labels, names)
    images = open_images(str(tmp_path))
    assert images.classes == classes
    assert images.train.labels.tolist() == images.test.labels.tolist() == found


def test_a_test_split_may_lack_a_class(tmp_path: Path) -> None:
    parquet(tmp_path / "train.parquet", [*map(stamped, range(3))], ["a", "b", "c"])
    parquet(tmp_path / "test.parquet", [*map(stamped, range(2))], ["c", "b"])
    images = open_images(str(tmp_path))
    assert images.classes == ("a", "b", "c")
    assert images.test.labels.tolist() == [2, 1]


# Image folders ------------------------------------------------------------------------------------


def test_an_image_folder_with_classes(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "my [pets]", {"cat": range(20), "dog": range(20, 40)})
    images = open_images(str(folder))
    assert images.classes == ("cat", "dog")
    assert (images.train_count, images.test_count) == (36, 4)
    assert images.mirrored
    for split in (images.train, images.test):
        assert split.labels.tolist() == [int(number >= 20) for number in numbers(split)]


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_an_image_folder_with_splits(test: str, tmp_path: Path) -> None:
    image_folder(tmp_path / "set" / "train", {"cat": range(4), "dog": range(4, 8)})
    image_folder(tmp_path / "set" / test, {"cat": [8], "dog": [9]})
    images = open_images(str(tmp_path / "set"))
    assert sorted(numbers(images.train)) == list(range(8))
    assert numbers(images.test) == [8, 9]
    assert images.test.labels.tolist() == [0, 1]
    assert images.notes == ()


def test_images_are_turned_upright_and_made_of_three_colours(tmp_path: Path) -> None:
    whole = stamped(5)
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right: to be turned by a quarter to the right
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(whole).save(tmp_path / name / "0.png", exif=exif)
        grey = Image.fromarray(np.rot90(whole, -1)[:, :, 0].copy())
        grey.save(tmp_path / name / "1.png")
    images = open_images(str(tmp_path))
    found = {bytes(row) for split in (images.train, images.test) for row in rows(split)}
    turned = np.rot90(whole, -1)
    expected = {turned.transpose(2, 0, 1).tobytes(), turned[:, :, 0].tobytes() * 3}
    assert found == expected


# Of different sizes, or too many ------------------------------------------------------------------


def test_images_of_different_sizes_are_read_as_they_come(tmp_path: Path) -> None:
    folder = image_folder(tmp_path, {"a": range(10), "b": range(10, 20)})
    Image.fromarray(stamped(20, 9, 5)).save(folder / "b" / "20.png")
    images = open_images(str(folder), holdout=0.2)
    assert images.side is None
    assert images.train.pixels is None
    assert (images.mean, images.std) == (IMAGENET_MEAN, IMAGENET_STD)
    seen = []
    for split in (images.train, images.test):
        for place in range(split.count):
            image = np.asarray(split.image(place, "x"))
            number = number_of(torch.from_numpy(image.copy()).permute(2, 0, 1))
            shape = (9, 5) if number == 20 else (6, 8)
            assert np.array_equal(image, stamped(number, *shape))
            assert split.labels[place] == int(number >= 10)
            seen.append(number)
    # the tenth that stands for a test split is in neither
    assert len(set(seen)) == len(seen) == 19


def test_a_set_that_is_too_large_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(two_splits(tmp_path / "set"))
    monkeypatch.setattr(module, "RESIDENT", 60 * 6 * 8 * 3 - 1)
    images = open_images(data)
    assert images.train.pixels is None
    assert numbers(images.test) == list(range(60, 80))
    assert np.array_equal(np.asarray(images.train.image(11, data)), stamped(11))


# Subsets ------------------------------------------------------------------------------------------


def shares(images: ImageSet) -> list[float]:
    counts = np.bincount(images.train.labels, minlength=len(images.classes))
    return [float(share) for share in counts / counts.sum()]


@pytest.mark.parametrize("count", [10, 37, 300, 1438])
def test_a_subset_keeps_the_shares_of_classes(count: int) -> None:
    whole, images = open_images("digits"), open_images("digits", images=count)
    assert images.train_count == count
    for share, expected in zip(shares(images), shares(whole), strict=True):
        assert abs(share - expected) <= 1.5 / count
    assert set(rows(images.train)) <= set(rows(whole.train))
    assert torch.equal(pixels(images.test), pixels(whole.test))
    assert any(str(count) in note for note in images.notes)


def test_a_subset_keeps_shares_that_differ(tmp_path: Path) -> None:
    labels = [0] * 70 + [1] * 20 + [2] * 10
    parquet(tmp_path / "train.parquet", [*map(stamped, range(100))], labels)
    parquet(tmp_path / "test.parquet", [*map(stamped, range(3))], [0, 1, 2])
    images = open_images(str(tmp_path), images=50)
    assert np.bincount(images.train.labels) == pytest.approx([35, 10, 5], abs=1)


def test_seeds_draw_other_subsets_and_the_same_one_again(tmp_path: Path) -> None:
    data = str(two_splits(tmp_path / "set"))
    first, again, other = (
        numbers(open_images(data, images=15, seed=seed).train) for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_what_is_held_out_leaves_the_test_split_alone(share: float, tmp_path: Path) -> None:
    data = str(two_splits(tmp_path / "set"))
    images = open_images(data, holdout=share)
    train, test = numbers(images.train), numbers(images.test)
    assert len(test) == round(60 * share)
    assert sorted(train + test) == list(range(60))
    for split in (images.train, images.test):
        assert split.labels.tolist() == [number % 3 for number in numbers(split)]
    assert Counter(images.test.labels.tolist()) == dict.fromkeys(range(3), 20 * share)
    # a subset is drawn from what is left
    fewer = open_images(data, holdout=share, images=12)
    assert numbers(fewer.test) == test
    assert set(numbers(fewer.train)) <= set(train)
    assert Counter(fewer.train.labels.tolist()) == dict.fromkeys(range(3), 4)


def test_test_images_may_be_fewer_too(tmp_path: Path) -> None:
    data = str(two_splits(tmp_path / "set"))
    images = open_images(data, test_images=9)
    assert numbers(images.train) == list(range(60))
    assert set(numbers(images.test)) <= set(range(60, 80))
    assert Counter(images.test.labels.tolist()) == dict.fromkeys(range(3), 3)


# What was opened before ---------------------------------------------------------------------------


def test_a_set_is_opened_once(tmp_path: Path) -> None:
    data = str(two_splits(tmp_path / "set"))
    assert open_images(data).train.pixels is open_images(data).train.pixels


@pytest.mark.parametrize("newer", [True, False])
def test_a_folder_that_changed_is_opened_anew(newer: bool, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "set", {"a": range(10), "b": range(10, 20)})
    assert set(numbers(open_images(str(folder)).train)) <= set(range(20))
    before = open_images(str(folder)).fingerprint
    # all others, of the same names and sizes, and an older time where one file replaced another
    for number in range(20):
        file = folder / "ab"[number >= 10] / f"{number:03}.png"
        time = file.stat().st_mtime + (5 if newer else -5)
        file.write_bytes(png(stamped(number + 50)))
        os.utime(file, (time, time))
    images = open_images(str(folder))
    assert set(numbers(images.train) + numbers(images.test)) == set(range(50, 70))
    assert images.fingerprint != before
    (folder / "b" / "019.png").unlink()
    images = open_images(str(folder))
    assert images.train_count + images.test_count == 19


def test_a_name_is_that_of_a_set_in_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, first in (("here", 0), ("there", 40)):
        image_folder(tmp_path / place / "set", {"a": range(first, first + 9), "b": range(90, 99)})
        monkeypatch.chdir(tmp_path / place)
        images = open_images("set")
        found = {*numbers(images.train), *numbers(images.test)}
        assert found == {*range(first, first + 9), *range(90, 99)}


# Fingerprints -------------------------------------------------------------------------------------


def test_a_fingerprint_is_that_of_the_data_and_not_of_its_name(tmp_path: Path) -> None:
    one, other = (
        open_images(str(two_splits(tmp_path / name)), images=30) for name in ("one", "other")
    )
    assert one.name != other.name
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 16
    int(one.fingerprint, 16)
    # weights may ask for other means
    assert replace(one, name="x", mean=(0.0,) * 3, notes=("x",)).fingerprint == one.fingerprint


def test_a_fingerprint_tells_what_changed() -> None:
    images = open_images("digits")

    def relabelled(split: Split) -> Split:
        labels = split.labels.copy()
        labels[[0, 2]] = labels[[2, 0]]
        assert not np.array_equal(labels, split.labels)
        return replace(split, labels=labels)

    def repainted(split: Split) -> Split:
        changed = pixels(split).clone()
        changed[97, 0, 0, 0] ^= 1
        return replace(split, pixels=changed)

    train, test = images.train, images.test
    others = [
        replace(images, train=relabelled(train)),
        replace(images, test=relabelled(test)),
        replace(images, train=repainted(train)),
        replace(images, test=repainted(test)),
        replace(images, train=test, test=train),
        replace(images, classes=("zero", *images.classes[1:])),
        replace(images, train=replace(train, pixels=None)),
        open_images("digits", images=1000),
        open_images("digits", test_images=100),
        open_images("digits", images=1000, seed=1),
    ]
    found = [images.fingerprint, *(other.fingerprint for other in others)]
    assert len(set(found)) == len(found)


# Refusals -----------------------------------------------------------------------------------------


def refusal(data: Path | str, **options: float) -> str:
    with pytest.raises(DataError) as caught:
        open_images(str(data), **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("count", [9, 1439])
def test_too_few_and_too_many_images(count: int) -> None:
    assert f"10 <= images <= 1438 must hold for digits, but got {count}" in refusal(
        "digits", images=count
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_is_none(share: float) -> None:
    assert "a share between 0 and 1" in refusal("digits", holdout=share)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "has no classes: a table needs a column such as label, images a folder"),
        ([0, None, 1, 0], "some images have no class in column label"),
        ([0, -1, 1, 0], "some images have no class in column label"),
        ([0, 0, 0, 0], "has one class"),
        ([[0], [1], [0], [1]], "a class is one number or word, but column label holds '[0]'"),
    ],
)
def test_labels_that_are_none(labels: list[object], words: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [*map(stamped, range(4))], labels)
    assert words in refusal(path)


def test_classes_that_differ_between_splits(tmp_path: Path) -> None:
    for name, labels in (("train", ["cat", "dog"]), ("test", ["cat", "eel"])):
        parquet(tmp_path / "words" / f"{name}.parquet", [stamped(0), stamped(1)], labels)
    assert "no training image has the class 'eel' of a test image" in refusal(tmp_path / "words")


def test_data_without_a_training_split(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "test.parquet", [stamped(0), stamped(1)], [0, 1])
    assert "has no training split; it has test" in refusal(tmp_path / "set")
    assert "no data at" in refusal(tmp_path / "nowhere")


def test_images_that_are_all_alike(tmp_path: Path) -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert "all alike" in refusal(parquet(tmp_path / "a.parquet", [black] * 4, [0, 1, 0, 1]))


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "set", {"a": range(3), "b": range(3, 6)})
    (folder / "b" / "004.png").write_bytes(png(stamped(4))[:100])
    assert f"damaged or missing: {folder}/b/004.png" in refusal(folder)


# CIFAR-10 -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_cifar10(shared_data: Path) -> None:
    images = open_images(str(shared_data / "cifar10"))
    assert (images.train_count, images.test_count) == (50_000, 10_000)
    assert images.side == (32, 32)
    assert len(images.classes) == 10
    assert Counter(images.train.labels.tolist()) == dict.fromkeys(range(10), 5_000)
    assert Counter(images.test.labels.tolist()) == dict.fromkeys(range(10), 1_000)
    # the figures that everybody normalizes CIFAR-10 by; JPEG moves them little
    assert images.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-3)
    assert images.std == pytest.approx((0.247, 0.243, 0.262), abs=5e-3)
