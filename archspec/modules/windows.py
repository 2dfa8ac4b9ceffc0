"""How a map is cut into windows, and what positions inside a window know of each other.

Shape suffixes: N images, H height, W width, C channels, B windows of an image, M positions of a
window.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from archspec.layers.attention import Windows

# Scores between regions that meet only because of the cyclic shift: Swin's constant. exp(-100)
# is 0 in single precision, and no row of a window is -inf throughout.
APART = -100.0


def cut_windows(x_NHWC: Tensor, cut: Windows, grid: bool, height: int, width: int) -> Tensor:
    """Pad to whole windows, shift, cut; (N, height, width, C) to (N, B, M, C).

    Block windows are neighbours; a grid window takes every (H / height)-th row and so on.
    """
    bottom, right = cut.rows - height, cut.columns - width
    if bottom or right:
        x_NHWC = F.pad(x_NHWC, (0, 0, 0, right, 0, bottom))
    if cut.shift_height or cut.shift_width:
        x_NHWC = x_NHWC.roll((-cut.shift_height, -cut.shift_width), dims=(1, 2))
    if grid:
        # N (h H/h) (w W/w) C -> N h H/h w W/w C -> N H/h W/w h w C -> N B M C
        x = torch.unflatten(torch.unflatten(x_NHWC, 2, (cut.width, -1)), 1, (cut.height, -1))
        return x.permute(0, 2, 4, 1, 3, 5).flatten(3, 4).flatten(1, 2)
    # N (H/h h) (W/w w) C -> N H/h h W/w w C -> N H/h W/w h w C -> N B M C
    x = torch.unflatten(torch.unflatten(x_NHWC, 2, (-1, cut.width)), 1, (-1, cut.height))
    return x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def join_windows(x_NBMC: Tensor, cut: Windows, grid: bool, height: int, width: int) -> Tensor:
    """What cut_windows did, undone; (N, B, M, C) to (N, height, width, C)."""
    across = cut.columns // cut.width
    # N B M C -> N H/h W/w h w C
    x = torch.unflatten(x_NBMC, 2, (cut.height, cut.width))
    x = torch.unflatten(x, 1, (-1, across))
    # block: N H/h h W/w w C, grid: N h H/h w W/w C; then N H W C
    order = (0, 3, 1, 4, 2, 5) if grid else (0, 1, 3, 2, 4, 5)
    x_NHWC = x.permute(order).flatten(3, 4).flatten(1, 2)
    if cut.shift_height or cut.shift_width:
        x_NHWC = x_NHWC.roll((cut.shift_height, cut.shift_width), dims=(1, 2))
    if cut.rows != height or cut.columns != width:
        x_NHWC = x_NHWC[:, :height, :width]
    return x_NHWC


def shift_mask(cut: Windows, grid: bool) -> Tensor | None:
    """0 within a region of the shifted map, -100 between regions; (B, M, M), None unshifted."""
    if not (cut.shift_height or cut.shift_width):
        return None
    # the last `shift` rows and columns of the shifted map came from the other side
    below = torch.arange(cut.rows) >= cut.rows - cut.shift_height
    beside = torch.arange(cut.columns) >= cut.columns - cut.shift_width
    region = 2 * below[:, None].int() + beside[None, :].int()
    still = cut._replace(shift_height=0, shift_width=0)
    region_BM = cut_windows(region[None, :, :, None], still, grid, cut.rows, cut.columns)[
        0, :, :, 0
    ]
    apart = region_BM[:, :, None] != region_BM[:, None, :]
    return apart.to(torch.get_default_dtype()) * APART


def relative_index(height: int, width: int) -> Tensor:
    """Row of the position table for query and key, by query minus key as in Swin; (M, M)."""
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    down = row[:, None] - row[None, :] + height - 1
    right = column[:, None] - column[None, :] + width - 1
    return down * (2 * width - 1) + right


def offset_index(queries: tuple[int, int], keys: tuple[int, int]) -> Tensor:
    """Row of the position table for query and key, by the size of their distances.

    (positions of the queries, positions of the keys); queries on a coarser map stand at every
    second, third, ... position of the keys.
    """
    places = []
    for (height, width), step in (
        (queries, (-(-keys[0] // queries[0]), -(-keys[1] // queries[1]))),
        (keys, (1, 1)),
    ):
        row = torch.arange(height).repeat_interleave(width) * step[0]
        places.append((row, torch.arange(width).repeat(height) * step[1]))
    (row, column), (key_row, key_column) = places
    down = (row[:, None] - key_row[None, :]).abs()
    return down * keys[1] + (column[:, None] - key_column[None, :]).abs()
