"""The second road to every count: fvcore on the built module. The only file that imports fvcore.

One fused multiply-add is one FLOP (fvcore/nn/flop_count.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from fvcore.nn.jit_handles import Handle, get_shape
from torch import nn

from archspec.errors import UncountedError

#: what fvcore counts beside convolutions, linear layers and matrix products
OTHER = frozenset(
    {
        "batch_norm",
        "layer_norm",
        "group_norm",
        "adaptive_avg_pool2d",
        "upsample_nearest2d",
        "upsample_bilinear2d",
    }
)

#: under this name the handles tell output elements, beside the operators' flops
ELEMENTS = "output elements"

# Operators that fvcore does not count and that the papers do not count either. Any operator
# outside this list and outside fvcore's own list of shape and copy operators is an error.
UNCOUNTED = frozenset(
    {
        # element by element: sums and gates of branches, activations, layer scale, biases
        "aten::add",
        "aten::mul",
        "aten::div",
        "aten::square",
        "aten::exp",
        "aten::clamp",
        "aten::clamp_min",
        "aten::elu",
        "aten::gelu",
        "aten::hardsigmoid",
        "aten::hardswish",
        "aten::hardtanh",
        "aten::leaky_relu",
        "aten::mish",
        "aten::prelu",
        "aten::relu6",
        "aten::selu",
        "aten::sigmoid",
        "aten::silu",
        "aten::softplus",
        "aten::tanh",
        # comparisons and additions inside a window; fvcore counts the adaptive average alone
        "aten::adaptive_max_pool2d",
        "aten::avg_pool2d",
        "aten::max_pool2d",
        # means, maxima, lengths and shares of what lies along one axis
        "aten::amax",
        "aten::linalg_vector_norm",
        "aten::mean",
        "aten::rms_norm",
        "aten::softmax",
        # views and copies that are younger than fvcore's list
        "aten::expand_as",
        "aten::ones_like",
        "aten::pad",
        "aten::unflatten",
    }
)


class Count(NamedTuple):
    """What fvcore counts for one image.

    flops: multiply-adds of convolutions, linear layers and matrix products, attention's two
    included; other_flops: norms and adaptive pooling; activations: output elements of the
    operators in flops; uncounted: how often each operator outside of these was met.
    """

    flops: int
    other_flops: int
    activations: int
    uncounted: dict[str, int]

    @property
    def fvcore_total(self) -> int:
        """fvcore's own total."""
        return self.flops + self.other_flops


def referee(model: nn.Module, shape: Sequence[int]) -> Count:
    """Count a model by fvcore in eval mode for one image; shape is (channels, height, width).

    Traces one forward pass. Raises UncountedError where
    an operator is met that neither fvcore nor the list above knows.
    """
    return by_module(model, shape)[""]


def by_module(model: nn.Module, shape: Sequence[int]) -> dict[str, Count]:
    """`referee` for every submodule by its name, "" being the model."""
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    image = torch.zeros(1, *shape[:3], device=device)
    with _eval(model), torch.no_grad():
        analysis = FlopCountAnalysis(model, image)
        # one trace for both counts: where fvcore counts an activation, the flop handle tells it
        for name, elements in ActivationCountAnalysis(model, image)._op_handles.items():
            analysis.set_op_handle(name, _both(name, analysis._op_handles[name], elements))
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
        # the resolution checks compare sizes, which a trace calls constants: they are
        analysis.tracer_warnings("no_tracer_warning")
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = analysis.by_module_and_operator()
        unknown = set(analysis.unsupported_ops()) - UNCOUNTED
    if unknown:
        raise UncountedError(
            f"operators that nobody counts: {', '.join(sorted(unknown))}; give them a handle or "
            "name them in archspec/referee.py"
        )
    return {
        name: _count(operators, analysis.unsupported_ops(name))
        for name, operators in counts.items()
    }


def _count(operators: Counter[str], uncounted: Counter[str]) -> Count:
    other = sum(count for name, count in operators.items() if name in OTHER)
    elements = operators[ELEMENTS]
    flops = sum(operators.values()) - other - elements
    return Count(int(flops), int(other), int(elements), dict(uncounted))


def _both(name: str, flops: Handle, elements: Handle) -> Handle:
    """fvcore's two handles of one operator as one."""

    def count(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        return Counter(
            {name: _sum(flops(inputs, outputs)), ELEMENTS: _sum(elements(inputs, outputs))}
        )

    return count


def _sum(told: Counter[str] | int) -> int:
    # some handles name the operator, some tell the bare number
    return sum(told.values()) if isinstance(told, Counter) else told


def _attention(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Queries times keys, and scores times values; the scores and the products are outputs."""
    *batch, queries, width = get_shape(inputs[0])
    keys, value_width = get_shape(inputs[1])[-2], get_shape(inputs[2])[-1]
    scores = prod(batch) * queries * keys
    made = scores + prod(get_shape(outputs[0]))
    return Counter({"attention": scores * (width + value_width), ELEMENTS: made})


@contextmanager
def _eval(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; each module gets its own mode back."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
