from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from archspec.train.augment import Augmentation
from archspec.train.augment import test_view as view_in_tests
from archspec.train.rand_augment import OPERATIONS, _strengths, operate, rand_augment
from archspec.train.recipe import Augment, Crop, RandAugment

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
PLAIN = Augment(flip=0)
EVERYTHING = Augment(
    crop=Crop(scale=(0.08, 1.0)),
    rand_augment=RandAugment(magnitude=9, deviation=0.5),
    erasing=0.25,
)


def noise(count: int, height: int = 32, width: int = 32) -> Tensor:
    draw = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=draw)


def coordinates(height: int, width: int) -> Tensor:
    """(1, 3, height, width): rows in red, columns in green, blue their sum; nowhere zero."""
    rows = torch.arange(height)[:, None].expand(height, width)
    columns = torch.arange(width)[None, :].expand(height, width)
    color = torch.stack([rows * 200 // height, columns * 200 // width, (rows + columns) // 4]) + 1
    return color.to(torch.uint8)[None]


def smooth(count: int, height: int = 24, width: int = 36) -> Tensor:
    small = noise(count, 4, 6).float()
    big = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    return big.round().to(torch.uint8)


def levels(images: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """Images of before the normalisation, from 0 to 255."""
    scale, middle = torch.tensor(std).view(3, 1, 1), torch.tensor(mean).view(3, 1, 1)
    return (images * scale + middle) * 255


def pil(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def unpil(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def augmentation(augment: Augment, side: int = 32, mirrored: bool = True) -> Augmentation:
    return Augmentation(augment, (side, side), mirrored, MEAN, STD)


def test_without_augmentation_pixels_are_only_normalised() -> None:
    pixels = noise(2)
    images = augmentation(PLAIN)(pixels)
    red = (pixels[1, 0, 3, 4].item() / 255 - 0.4) / 0.2
    blue = (pixels[1, 2, 3, 4].item() / 255 - 0.6) / 0.3
    assert images[1, 0, 3, 4].item() == pytest.approx(red, abs=1e-5)
    assert images[1, 2, 3, 4].item() == pytest.approx(blue, abs=1e-5)


def test_all_of_it_gives_single_precision_of_the_side_without_gradient() -> None:
    images = Augmentation(EVERYTHING, (24, 40), True, MEAN, STD)(noise(5))
    assert images.shape == (5, 3, 24, 40)
    assert images.dtype == torch.float32
    assert images.device.type == "cpu"
    assert not images.requires_grad
    assert bool(images.isfinite().all())


@pytest.mark.parametrize("augment", [EVERYTHING, Augment(color_jitter=0.4, crop=Crop(padding=0.1))])
def test_a_seed_decides_everything(augment: Augment) -> None:
    make, pixels = augmentation(augment), noise(16)
    torch.manual_seed(1)
    first = make(pixels)
    torch.manual_seed(1)
    again = augmentation(augment)(pixels)
    torch.manual_seed(2)
    other = make(pixels)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_given_pixels_stay_as_they_are() -> None:
    pixels = noise(8)
    augmentation(EVERYTHING)(pixels)
    assert torch.equal(pixels, noise(8))


def test_what_passes_is_in_turn_with_the_labels() -> None:
    # each image is of one color, which no move in space alters; erasing and colors are off
    grey = torch.arange(10, 250, 5, dtype=torch.uint8)
    pixels = grey.view(-1, 1, 1, 1).expand(-1, 3, 32, 32).contiguous()
    images = augmentation(Augment(crop=Crop(scale=(0.08, 1.0))))(pixels)
    assert torch.allclose(levels(images), pixels.float(), atol=1e-2)


def test_a_padding_crop_is_a_window_of_the_padded_image() -> None:
    torch.manual_seed(0)
    pixels = coordinates(32, 32).repeat(400, 1, 1, 1)
    moved = levels(augmentation(Augment(flip=0, crop=Crop(padding=0.125)))(pixels)).round()
    padded = np.pad(pixels[0].numpy(), ((0, 0), (4, 4), (4, 4)))
    windows = {
        padded[:, top : top + 32, left : left + 32].astype(np.uint8).tobytes(): (top, left)
        for top in range(9)
        for left in range(9)
    }
    seen = [windows[image.to(torch.uint8).numpy().tobytes()] for image in moved]
    # 400 draws from 81 windows: a given one is missed with probability 0.7%
    assert len(set(seen)) > 70
    for axis in (0, 1):
        assert {place[axis] for place in seen} == set(range(9))


def test_padding_follows_the_sides_of_the_image() -> None:
    torch.manual_seed(0)
    crop = Augment(flip=0, crop=Crop(padding=0.25))
    pixels = torch.full((300, 3, 8, 16), 255, dtype=torch.uint8)
    images = Augmentation(crop, (8, 16), True, (0.0,) * 3, (1.0,) * 3)(pixels)
    blank = images[:, 0] < 0.5
    assert blank.all(dim=2).sum(dim=1).max() == 2
    assert blank.all(dim=1).sum(dim=1).max() == 4


def test_a_random_part_is_what_pil_cuts_and_resizes() -> None:
    # rows and columns are coded in red and green, which tells the box; PIL then does the same
    torch.manual_seed(3)
    pixels = smooth(40, 60, 90)
    make = Augmentation(Augment(flip=0, crop=Crop(scale=(0.1, 1.0))), (24, 24), True, MEAN, STD)
    box = make._drawn.box
    assert box is not None
    torch.manual_seed(5)
    corners = box(pixels.shape)["src"].int()
    torch.manual_seed(5)
    images = levels(make(pixels))
    areas, ratios = [], []
    for pixel, corner, image in zip(pixels, corners, images, strict=True):
        (left, top), (right, bottom) = corner[0].tolist(), (corner[2] + 1).tolist()
        areas.append((right - left) * (bottom - top) / (60 * 90))
        ratios.append((right - left) / (bottom - top))
        cut = pil(pixel).crop((left, top, right, bottom))
        expected = unpil(cut.resize((24, 24), Image.Resampling.BICUBIC)).float()
        assert (image - expected).abs().max() < 2  # PIL rounds twice
    assert 0.09 < min(areas) < 0.3
    assert max(areas) > 0.6
    assert 0.7 < min(ratios) < 0.85
    assert 1.2 < max(ratios) < 1.4


def test_a_crop_of_the_loader_is_not_repeated() -> None:
    augment = Augment(flip=0, crop=Crop(scale=(0.08, 0.1)))
    images = Augmentation(augment, (32, 32), True, MEAN, STD, cropped=True)(noise(2))
    assert torch.allclose(levels(images), noise(2).float(), atol=1e-2)


def test_other_sizes_are_resized_as_pil_does() -> None:
    pixels = smooth(2, 48, 20)
    images = levels(augmentation(PLAIN)(pixels))
    for pixel, image in zip(pixels, images, strict=True):
        expected = unpil(pil(pixel).resize((32, 32), Image.Resampling.BICUBIC)).float()
        assert (image - expected).abs().max() < 2


def test_flips_are_mirror_images_and_as_likely_as_told() -> None:
    torch.manual_seed(0)
    pixels = coordinates(32, 32).repeat(400, 1, 1, 1)
    images = levels(augmentation(Augment(flip=0.25))(pixels)).round().to(torch.uint8)
    mirrored = (images == pixels.flip(3)).flatten(1).all(dim=1)
    same = (images == pixels).flatten(1).all(dim=1)
    assert bool((mirrored ^ same).all())
    # 400 draws at 0.25: 100, deviation 8.7
    assert 65 < int(mirrored.sum()) < 135


def test_digits_are_not_mirrored() -> None:
    pixels = coordinates(32, 32).repeat(64, 1, 1, 1)
    images = augmentation(Augment(flip=1.0), mirrored=False)(pixels)
    assert torch.equal(levels(images).round().to(torch.uint8), pixels)


def test_color_jitter_draws_each_factor_within_its_strength() -> None:
    torch.manual_seed(0)
    # of a grey image contrast and saturation keep the mean, so brightness alone is seen
    pixels = torch.full((500, 3, 8, 8), 100, dtype=torch.uint8)
    means = levels(augmentation(Augment(flip=0, color_jitter=0.4), 8)(pixels)).mean(dim=(1, 2, 3))
    assert 60 - 1e-2 < float(means.min()) < 62
    assert 138 < float(means.max()) < 140 + 1e-2


def test_color_jitter_is_left_out_beside_rand_augment() -> None:
    torch.manual_seed(0)
    # at a magnitude of almost 0 only inverting and cutting to 4 bits change a grey image
    augment = Augment(flip=0, color_jitter=0.4, rand_augment=RandAugment(magnitude=1e-6))
    pixels = torch.full((200, 3, 8, 8), 100, dtype=torch.uint8)
    seen = {round(float(level)) for level in levels(augmentation(augment, 8)(pixels))[:, 0, 0, 0]}
    assert seen <= {100, 155, 96, 144, 159}  # as it is, inverted, cut, both, in turn


def test_erasing_takes_its_share_of_images_and_boxes_of_noise() -> None:
    torch.manual_seed(0)
    pixels = torch.full((1000, 3, 40, 40), 128, dtype=torch.uint8)
    images = Augmentation(Augment(flip=0, erasing=0.25), (40, 40), True, (0.5,) * 3, (1.0,) * 3)(
        pixels
    )
    erased = (images - (128 / 255 - 0.5)).abs() > 1e-6
    touched = erased.flatten(1).any(dim=1)
    # 1,000 draws at 0.25: 250, deviation 13.7
    assert 200 < int(touched.sum()) < 300
    for box in erased[touched]:
        rows, columns = box.any(dim=0).any(dim=1), box.any(dim=0).any(dim=0)
        height, width = int(rows.sum()), int(columns.sum())
        assert int(box.sum()) == 3 * height * width  # one box, in all channels
        assert 0.015 < height * width / 1600 < 0.35
    values = images[erased]
    # standard normal, whatever the mean and deviation of the data
    assert float(values.mean()) == pytest.approx(0, abs=0.01)
    assert float(values.std()) == pytest.approx(1, abs=0.01)


def test_a_test_sees_small_images_whole() -> None:
    pixels = smooth(1, 24, 32)
    seen = levels(view_in_tests(pixels, (32, 32), 0.875, MEAN, STD))
    expected = unpil(pil(pixels[0]).resize((32, 32), Image.Resampling.BICUBIC)).float()
    assert (seen[0] - expected).abs().max() < 2
    same = levels(view_in_tests(noise(2), (32, 32), 0.875, MEAN, STD))
    assert torch.allclose(same, noise(2).float(), atol=1e-2)


@pytest.mark.parametrize(
    ("height", "width", "side", "crop", "resized"),
    [
        (256, 320, 224, 0.875, (256, 320)),
        (300, 400, 224, 0.875, (256, 341)),
        (500, 375, 224, 1.0, (298, 224)),
        (40, 36, 32, 0.95, (37, 34)),
    ],
)
def test_a_test_sees_the_centre_of_larger_images(
    height: int, width: int, side: int, crop: float, resized: tuple[int, int]
) -> None:
    # sizes by hand: the shorter side is round(side / crop), the longer follows, rounded down
    pixels = coordinates(height, width)
    seen = levels(view_in_tests(pixels, (side, side), crop, MEAN, STD))
    image = pil(pixels[0]).resize(resized[::-1], Image.Resampling.BICUBIC)
    left, top = round((resized[1] - side) / 2), round((resized[0] - side) / 2)
    expected = unpil(image.crop((left, top, left + side, top + side))).float()
    assert seen.shape == (1, 3, side, side)
    assert (seen[0] - expected).abs().max() < 2


def test_a_test_may_see_a_side_that_is_not_square() -> None:
    pixels = coordinates(100, 200)
    seen = levels(view_in_tests(pixels, (64, 32), 0.8, MEAN, STD))
    # 64 / 0.8 = 80 rows cover it, so the columns are 160, of which the middle 32
    image = pil(pixels[0]).resize((160, 80), Image.Resampling.BICUBIC)
    expected = unpil(image.crop((64, 8, 96, 72))).float()
    assert (seen[0] - expected).abs().max() < 2


# RandAugment: what timm does with PIL, for the level 9 of 10, written out by hand

FILL = (128, 128, 128)
BILINEAR = Image.Resampling.BILINEAR


def by_pil(name: str, image: Image.Image, sign: int) -> Image.Image:
    def affine(*numbers: float) -> Image.Image:
        return image.transform(
            image.size, Image.Transform.AFFINE, numbers, resample=BILINEAR, fillcolor=FILL
        )

    enhance = {
        "color": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "brightness": ImageEnhance.Brightness,
        "sharpness": ImageEnhance.Sharpness,
    }
    if name in enhance:
        return enhance[name](image).enhance(1.81 if sign > 0 else 0.19)
    match name:
        case "auto_contrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
        case "invert":
            return ImageOps.invert(image)
        case "posterize":
            return ImageOps.posterize(image, 4 - 3)
        case "solarize":
            return ImageOps.solarize(image, 256 - 230)
        case "solarize_add":
            return image.point([min(255, i + 99) if i < 128 else i for i in range(256)] * 3)
        case "rotate":
            return image.rotate(27 * sign, resample=BILINEAR, fillcolor=FILL)
        case "shear_x":
            return affine(1, 0.27 * sign, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, 0.27 * sign, 1, 0)
        case "translate_x":
            return affine(1, 0, 0.405 * sign * image.size[0], 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, 0.405 * sign * image.size[1])
    raise AssertionError(name)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_timm(name: str, sign: int) -> None:
    pixels = smooth(3)
    fill = tuple(value / 255 for value in FILL)
    strengths = torch.full((3,), 0.9 * sign)
    images = operate(name, pixels.float() / 255, strengths, fill) * 255
    expected = torch.stack([unpil(by_pil(name, pil(pixel), sign)) for pixel in pixels]).float()
    far = (images - expected).abs()
    if name in {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}:
        # where the border is, PIL fills whole pixels, we blend: the inside must agree, and most
        # of the image is inside
        assert float((far < 3).float().mean()) > 0.9
    else:
        assert float(far.max()) < 2.1


def test_there_are_timms_fifteen_operations() -> None:
    assert len(set(OPERATIONS)) == len(OPERATIONS) == 15


@pytest.mark.parametrize("deviation", [0.0, 0.5])
def test_rand_augment_changes_most_images_and_keeps_the_range(deviation: float) -> None:
    torch.manual_seed(0)
    before = noise(600, 16, 16).float() / 255
    after = rand_augment(before, RandAugment(magnitude=9, deviation=deviation), MEAN)
    assert after.shape == before.shape
    assert float(after.min()) >= 0
    assert float(after.max()) <= 1
    # both of two operations are left out with probability 1/4: 450 of 600 change, deviation 10.6;
    # auto contrast finds nothing to do on noise that spans all levels
    changed = int((after != before).flatten(1).any(dim=1).sum())
    assert 390 < changed < 490


def test_images_of_one_batch_get_different_operations() -> None:
    torch.manual_seed(0)
    before = smooth(1).float().repeat(1000, 1, 1, 1) / 255
    after = rand_augment(before, RandAugment(layers=1, magnitude=9), MEAN)
    kinds = {image.numpy().tobytes() for image in after}
    # nothing, 6 operations without direction, 9 with two
    assert len(kinds) == 1 + 6 + 2 * 9


def test_images_come_back_in_their_order() -> None:
    # one color each: magnitudes of almost 0 leave it, but for what is inverted or loses bits, so an
    # image in another's place is seen
    torch.manual_seed(0)
    grey = torch.arange(0, 256).float() / 255
    before = grey.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    after = rand_augment(before, RandAugment(layers=3, magnitude=1e-6), (0.5,) * 3)[:, 0, 4, 4]
    coarse = (after * 255).round() % 16
    kept = (after - grey).abs() < 1e-3
    inverted = (after - (1 - grey)).abs() < 1e-3
    assert bool((kept | inverted | (coarse == 0) | (coarse == 15)).all())
    assert int(kept.sum()) > 128


def test_a_magnitude_varies_by_its_deviation() -> None:
    torch.manual_seed(0)
    drawn = _strengths(RandAugment(magnitude=5, deviation=0.5), 20_000)
    assert float(drawn.abs().mean()) == pytest.approx(0.5, abs=0.002)
    assert float(drawn.abs().std()) == pytest.approx(0.05, abs=0.002)
    assert float((drawn > 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    # timm keeps magnitudes within 10; a recipe of 15 goes beyond
    assert float(_strengths(RandAugment(magnitude=9.5, deviation=2), 1000).abs().max()) == 1
    assert float(_strengths(RandAugment(magnitude=15), 10).abs().max()) == 1.5


@pytest.mark.parametrize("name", OPERATIONS)
def test_magnitudes_beyond_ten_stay_in_range(name: str) -> None:
    images = operate(name, noise(4).float() / 255, torch.tensor([3.0, -3.0, 1.5, 0.0]), MEAN)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("augment", [EVERYTHING, Augment(color_jitter=0.4, crop=Crop(padding=0.1))])
def test_nothing_waits_for_the_gpu(augment: Augment) -> None:
    make = augmentation(augment).to("cuda")
    pixels = noise(64).cuda()
    make(pixels)
    torch.cuda.set_sync_debug_mode("error")
    try:
        images = make(pixels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert images.device.type == "cuda"
