from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor

from archspec.train.mixing import Mixing
from archspec.train.recipe import Augment

MIXUP, CUTMIX = Augment(mixup=0.8), Augment(cutmix=1.0)
BOTH = Augment(mixup=0.8, cutmix=1.0)


def batch(count: int, side: int = 16) -> tuple[Tensor, Tensor]:
    """Images of one value each, 1 + their place, and their places as labels."""
    places = torch.arange(count)
    return (places + 1.0).view(-1, 1, 1, 1).repeat(1, 3, side, side), places


def test_targets_without_mixing_are_smoothed_as_timm_does() -> None:
    images, labels = batch(4)
    seen, targets = Mixing(Augment(), 5, 0.1)(images, labels)
    assert torch.equal(seen, images)
    assert targets.dtype == torch.float32
    # off = 0.1 / 5, on = 1 - 0.1 + off
    expected = torch.full((4, 5), 0.02) + 0.9 * torch.eye(4, 5)
    assert torch.allclose(targets, expected)
    assert torch.equal(Mixing(Augment(), 5, 0.0)(images, labels)[1], torch.eye(4, 5))


@pytest.mark.parametrize("augment", [MIXUP, CUTMIX, BOTH])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_targets_sum_to_one_and_images_given_stay(augment: Augment, count: int) -> None:
    torch.manual_seed(0)
    mixing = Mixing(augment, 10, 0.1)
    for _ in range(20):
        images, labels = batch(count)
        seen, targets = mixing(images, labels)
        assert torch.equal(images, batch(count)[0])
        assert seen.shape == images.shape
        assert torch.allclose(targets.sum(dim=1), torch.ones(count))
        assert float(targets.min()) >= 0.01 - 1e-6
        assert not seen.requires_grad


@pytest.mark.parametrize("count", [5, 8])
def test_mixup_blends_an_image_with_its_partner_as_its_target_says(count: int) -> None:
    torch.manual_seed(0)
    images, labels = batch(count)
    for _ in range(20):
        seen, targets = Mixing(MIXUP, count, 0.0)(images, labels)
        share = float(targets[0, 0])
        for place in range(count):
            partner = count - 1 - place
            expected = share * (place + 1) + (1 - share) * (partner + 1)
            assert torch.allclose(seen[place], torch.tensor(expected), atol=1e-5)
            if partner != place:
                assert float(targets[place, place]) == pytest.approx(share, abs=1e-6)
                assert float(targets[place, partner]) == pytest.approx(1 - share, abs=1e-6)


def test_cutmix_labels_share_what_pixels_do() -> None:
    torch.manual_seed(0)
    images, labels = batch(6, side=20)
    border = 0
    for _ in range(100):
        seen, targets = Mixing(CUTMIX, 6, 0.0)(images, labels)
        for place in range(6):
            own = sum(
                float(seen[place, 0, row, column]) == place + 1
                for row in range(20)
                for column in range(20)
            )
            assert float(targets[place, place]) == pytest.approx(own / 400, abs=1e-5)
            assert float(targets[place, 5 - place]) == pytest.approx(1 - own / 400, abs=1e-5)
        pasted = seen[0, 0] != 1
        rows, columns = pasted.any(dim=1), pasted.any(dim=0)
        assert int(pasted.sum()) == int(rows.sum()) * int(columns.sum())  # a box
        border += bool(pasted[0].any() or pasted[-1].any())
    assert border > 20  # it is cut there, not kept inside


def test_mixup_shares_are_of_the_beta_distribution() -> None:
    torch.manual_seed(0)
    images, labels = batch(2, side=1)
    mixing = Mixing(Augment(mixup=0.2), 2, 0.0)
    shares = torch.tensor([float(mixing(images, labels)[1][0, 0]) for _ in range(4000)])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1))
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.std()) == pytest.approx(sqrt(1 / (4 * 1.4)), abs=0.01)


def test_mixed_and_switch_are_how_often() -> None:
    torch.manual_seed(0)
    images, labels = batch(2, side=16)
    mixing = Mixing(Augment(mixup=0.8, cutmix=1.0, mixed=0.6, switch=0.25), 2, 0.0)
    blended = cut = 0
    for _ in range(1500):
        seen, _ = mixing(images, labels)
        kept = bool(((seen == 1) | (seen == 2)).all())
        blended += not kept
        cut += kept and not torch.equal(seen, images)
    # 1,500 x 0.6 x 0.75 = 675, deviation 19; cut: 225, deviation 14, less those with an empty box
    # (a half side below 1 of 16 pixels: 1 - share < 1/64)
    assert 600 < blended < 750
    assert 165 < cut < 275


def test_a_seed_decides_what_is_mixed() -> None:
    images, labels = batch(8)
    mixing = Mixing(BOTH, 8, 0.1)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(torch.stack([mixing(images, labels)[1] for _ in range(5)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_precision_of_images_is_kept() -> None:
    torch.manual_seed(0)
    images, labels = batch(4)
    for augment in (MIXUP, CUTMIX):
        seen, targets = Mixing(augment, 4, 0.0)(images.bfloat16(), labels)
        assert seen.dtype == torch.bfloat16
        assert targets.dtype == torch.float32
