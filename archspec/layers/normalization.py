"""Norms and activations, and what their bare names mean in a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archspec.errors import LawError
from archspec.layers.layer import FREE, Cost, Layer, Width
from archspec.layers.shape import Shape
from archspec.strict import Strict

NormKind = Literal["batch", "layer", "group", "none"]
ActKind = Literal[
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "tanh",
    "none",
]
Eps = Annotated[float, Field(gt=0, le=1)]
# torch's and every reference's value unless a network says otherwise.
USUAL_EPS = 1e-5


class Defaults(Strict):
    """What bare `norm` and `act` mean, what unstated padding is, how drop path is spread.

    eps belongs to the default norm; a norm of another kind has 1e-5 unless it states its own.
    padding: `half` is 0 where kernel equals stride and kernel//2 elsewhere; `same` is TensorFlow's
    SAME: ceil(size / stride) positions come out, the odd zero at the end.
    drop_path: `ramp` grows linearly from 0 over all residuals; `stage` is constant in a stage.
    """

    norm: NormKind = "batch"
    eps: Eps = USUAL_EPS
    act: ActKind = "relu"
    padding: Literal["half", "same"] = "half"
    drop_path: Literal["ramp", "stage"] = "ramp"


class Norm(Layer):
    """Normalisation with trainable scale and shift.

    batch: over images and positions, a channel each; layer: over channels, a position each;
    group: over positions and the channels of a group, an image each.
    """

    name: ClassVar[str] = "norm"
    primary: ClassVar[str | None] = "kind"
    words: ClassVar[frozenset[str]] = frozenset({"kind"})

    kind: NormKind
    eps: Eps
    groups: Width = 1
    affine: bool = True

    @classmethod
    def complete(
        cls, knobs: dict[str, object], shape: Shape, defaults: Defaults
    ) -> Mapping[str, object]:
        kind = knobs["kind"] = knobs.get("kind") or defaults.norm
        if knobs.get("eps") is None:
            knobs["eps"] = defaults.eps if kind == defaults.norm else USUAL_EPS
        return knobs

    def out(self, shape: Shape) -> Shape:
        if shape.extras and self.kind in ("batch", "group"):
            raise LawError(
                f"a {self.kind} norm works on a map, but {shape.extras} extra token(s) travel "
                "with it; use {norm: layer} or drop them with {take: map}"
            )
        if self.kind == "group" and shape.channels % self.groups:
            raise LawError(
                f"groups must divide the width, but got (groups={self.groups}, "
                f"width={shape.channels})"
            )
        return shape

    def cost(self, shape: Shape, out: Shape, inner: Shape | None) -> Cost:
        if self.kind == "none":
            return FREE
        # fvcore: a batch norm in eval mode is a scale and a shift; the others are about five
        # operations an element, four without the affine part (jit_handles.norm_flop_counter).
        per_element = (1 if self.kind == "batch" else 4) + self.affine
        params = 2 * shape.channels if self.affine else 0
        return Cost(params, 0, 0, per_element * shape.elements)

    def reach(self, shape: Shape) -> tuple[float, float]:
        return (float("inf") if self.kind == "group" else 0), 1


class Act(Layer):
    """Element-wise nonlinearity; gelu is exact, gelu_tanh its approximation."""

    name: ClassVar[str] = "act"
    primary: ClassVar[str | None] = "kind"
    words: ClassVar[frozenset[str]] = frozenset({"kind"})

    kind: ActKind

    @classmethod
    def complete(
        cls, knobs: dict[str, object], shape: Shape, defaults: Defaults
    ) -> Mapping[str, object]:
        knobs["kind"] = knobs.get("kind") or defaults.act
        return knobs
