"""The one shape of maps and tokens."""

from __future__ import annotations

from typing import NamedTuple

#: rows and columns of the largest map, the input's included
MOST_SIDE = 16_384


class Shape(NamedTuple):
    """What flows between layers, for one image: a map, and extra tokens beside it.

    A map is channels x height x width. Extra tokens (class, distillation) have the map's
    channels; while there are any, the tensor is a token sequence (extras first, then the map
    row by row), otherwise it is an image-like map.
    """

    channels: int
    height: int
    width: int
    extras: int = 0

    @property
    def positions(self) -> int:
        """Tokens of the sequence: extras and map positions."""
        return self.extras + self.height * self.width

    @property
    def elements(self) -> int:
        """Numbers in the tensor of one image."""
        return self.channels * (self.extras + self.height * self.width)

    def __str__(self) -> str:
        extras = f"+{self.extras}" if self.extras else ""
        return f"{self.channels}x{self.height}x{self.width}{extras}"
