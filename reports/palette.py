"""The colours of the page, once for light and once for dark surroundings.

Figures take a `Palette`; the page's style sheet gets the same colours as variables. The three
series differ in hue, in lightness and in the shape of their marks, so that none rests on colour.
"""

from __future__ import annotations

from typing import NamedTuple


class Palette(NamedTuple):
    """CSS colours by what they mean on the page."""

    paper: str
    card: str
    ink: str
    muted: str
    line: str
    front: str
    search: str
    random: str
    shipped: str

    def variables(self) -> str:
        """The colours as CSS custom properties: `--paper: #fff; ...`."""
        return " ".join(f"--{name}: {colour};" for name, colour in self._asdict().items())


LIGHT = Palette(
    paper="#faf9f6",
    card="#ffffff",
    ink="#1c2126",
    muted="#646b73",
    line="#e3e0d8",
    front="#0f5f7d",
    search="#7fa9ba",
    random="#9c6712",
    shipped="#9a3156",
)
DARK = Palette(
    paper="#14171a",
    card="#1b1f23",
    ink="#e8e6e1",
    muted="#9aa2aa",
    line="#2d3338",
    front="#6cc5e0",
    search="#5a91a5",
    random="#dca64e",
    shipped="#ec8fb0",
)
