"""Layers about tokens: adding, placing and picking them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archspec.errors import LawError
from archspec.layers.layer import Cost, Inner, Layer
from archspec.layers.shape import Shape


class ClassToken(Layer):
    """One more trainable token beside the map, after the extras that are there already."""

    name: ClassVar[str] = "class_token"

    def out(self, shape: Shape) -> Shape:
        return shape._replace(extras=shape.extras + 1)

    def cost(self, shape: Shape, out: Shape, inner: Inner) -> Cost:
        return Cost(shape.channels)


class Position(Layer):
    """Adds a trainable vector to each position, extras included; bound to the resolution."""

    name: ClassVar[str] = "position"

    def cost(self, shape: Shape, out: Shape, inner: Inner) -> Cost:
        return Cost(shape.elements)

    def bound_to(self, shape: Shape) -> bool:
        return True


class Take(Layer):
    """One extra token, counted from 0, as a map of one position; or `map`, without the extras."""

    name: ClassVar[str] = "take"
    primary: ClassVar[str | None] = "token"
    words: ClassVar[frozenset[str]] = frozenset({"token"})

    token: Literal["map"] | Annotated[int, Field(ge=0)]

    def out(self, shape: Shape) -> Shape:
        if self.token == "map":
            return shape._replace(extras=0)
        if self.token >= shape.extras:
            raise LawError(
                f"token < extras must hold, but got (token={self.token}, extras={shape.extras})"
            )
        return Shape(shape.channels, 1, 1)

    def bound_to(self, shape: Shape) -> bool:
        return self.token == "map" and shape.extras > 0


class Flatten(Layer):
    """The map as channels of one position, channel by channel; bound to the resolution."""

    name: ClassVar[str] = "flatten"

    def out(self, shape: Shape) -> Shape:
        if shape.extras:
            raise LawError("flatten works on a map; drop extra tokens first with {take: map}")
        return Shape(shape.elements, 1, 1)

    def bound_to(self, shape: Shape) -> bool:
        return shape.height * shape.width > 1
