"""From plan to PyTorch: a walk over the tree, one module a node.

Names in the state dict are the paths of the language: `stages.0.blocks.2.bottleneck.residual.do.
cna#2.conv.weight`. Tensors between modules are (N, C, H, W) while there are no extra tokens and
(N, T, C), extras first, otherwise.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn

from archspec.cost import leaves, totals
from archspec.errors import SpecError
from archspec.layers import Shape
from archspec.layers.attention import Attention
from archspec.modules import layer_module
from archspec.modules.attention import constants
from archspec.modules.joins import JOINS, DropPath, Residual, TokenMix
from archspec.modules.tokens import TakeMap
from archspec.plan import (
    JoinPlan,
    LayerPlan,
    NetworkPlan,
    Plan,
    ResidualPlan,
    SequencePlan,
    StagePlan,
    TimesPlan,
    TokenMixPlan,
)
from archspec.planning import plan_network
from archspec.spec import NetworkSpec

#: more than this is a mistake in the text; it is refused before anything is allocated. The
#: number of layers is bounded where the plan is made.
MOST_NUMBERS = 20_000_000_000


class Feature(NamedTuple):
    """One map of `forward_features`: where it comes from, its stride to the input, its width."""

    path: str
    stride: int
    channels: int


class Stage(nn.Module):
    """What takes the stride, then blocks; `shared` holds parameters that blocks have in common."""

    def __init__(self, down: nn.Module, blocks: list[nn.Module], shared: nn.ParameterDict) -> None:
        super().__init__()
        if len(shared):
            self.shared = shared
        self.down = down
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Each block after the other; (N, C, H, W) or (N, T, C)."""
        x = self.down(x)
        for block in self.blocks:
            x = block(x)
        return x


class Network(nn.Module):
    """Stem, stages and head; (N, C, H, W) to logits (N, classes).

    feature_info: what `forward_features` returns. drop_path: how `set_drop_path` spreads a rate.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        shared = nn.ParameterDict()
        self.stem = _sequence(plan.stem, "stem", shared)
        self.stages = nn.ModuleList(
            _stage(stage, f"stages.{index}") for index, stage in enumerate(plan.stages)
        )
        self.head = _sequence(plan.head, "head", shared)
        if len(shared):
            self.shared = shared
        self.name, self.drop_path = plan.name, plan.drop_path
        self._one_position = plan.out.positions == 1 and not plan.out.extras
        shapes, self.feature_info = _features(plan)
        self._maps = tuple(
            TakeMap(shape, info.path) for shape, info in zip(shapes, self.feature_info, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes); the head's output as it is where it keeps a map or extras."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        x = self.head(x)
        return x.flatten(1) if self._one_position else x

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """The last map at each stride, finest first, each (N, C, H, W); extra tokens dropped."""
        wanted = {info.path: take for info, take in zip(self.feature_info, self._maps, strict=True)}
        maps = []
        for path, part in self._steps():
            x = part(x)
            if path in wanted:
                maps.append(wanted[path](x))
        return maps

    def _steps(self) -> list[tuple[str, nn.Module]]:
        stem = [(f"stem.{name}", part) for name, part in self.stem.named_children()]
        return stem + [(f"stages.{index}", stage) for index, stage in enumerate(self.stages)]


def build(spec: NetworkSpec, plan: NetworkPlan | None = None) -> Network:
    """The network of a spec, randomly initialised, in train mode.

    plan is the spec's, where the caller has it already. Raises SpecError where a law breaks or
    the network is absurdly large.
    """
    if plan is None:
        plan = plan_network(spec)
    _refuse_absurd(plan)
    return Network(plan)


def set_drop_path(model: Network, rate: float) -> None:
    """Spread a drop path rate over the residuals that the spec names.

    `ramp`: linear over all blocks, 0 at the first and rate at the last, the residuals of a block
    alike. `stage`: rate * (stage + 2) / (stages + 1) in each, stages counted from 0, as if the stem
    were the first (ResNet-RS, tensorflow/tpu, models/official/resnet/resnet_model.py). Residuals
    of stem and head have 0.
    """
    stages = [list(stage.blocks) for stage in model.stages if isinstance(stage, Stage)]
    steps = max(1, sum(map(len, stages)) - 1)
    done = 0
    for index, blocks in enumerate(stages):
        for block in blocks:
            ramp = model.drop_path == "ramp"
            p = rate * done / steps if ramp else rate * (index + 2) / (len(stages) + 1)
            done += 1
            for module in block.modules():
                if isinstance(module, DropPath):
                    module.p = p


def _sequence(plan: SequencePlan, path: str, shared: nn.ParameterDict) -> nn.Sequential:
    return nn.Sequential(_parts(plan, path, shared))


def _parts(plan: SequencePlan, path: str, shared: nn.ParameterDict) -> OrderedDict[str, nn.Module]:
    return OrderedDict((key, _module(item, f"{path}.{key}", shared)) for key, item in plan.items)


def _module(plan: Plan, path: str, shared: nn.ParameterDict) -> nn.Module:
    if isinstance(plan, LayerPlan):
        inner: dict[str, nn.Module] = {
            knob: _sequence(nodes, f"{path}.{knob}", shared) for knob, nodes in plan.inner
        }
        return layer_module(plan, inner, shared, path)
    if isinstance(plan, SequencePlan):
        return _sequence(plan, path, shared)
    if isinstance(plan, TimesPlan):
        times = range(plan.count)
        return nn.Sequential(*(_sequence(plan.body, f"{path}.{time}", shared) for time in times))
    if isinstance(plan, ResidualPlan):
        do = _sequence(plan.do, f"{path}.do", shared)
        shortcut = None
        if plan.shortcut is not None:
            shortcut = _sequence(plan.shortcut, f"{path}.shortcut", shared)
        return Residual(do, shortcut, plan.adds, plan.drop_path)
    if isinstance(plan, JoinPlan):
        branches = [
            _sequence(branch, f"{path}.{index}", shared)
            for index, branch in enumerate(plan.branches)
        ]
        return JOINS[plan.kind](branches)
    return _token_mix(plan, path, shared)


def _token_mix(plan: TokenMixPlan, path: str, shared: nn.ParameterDict) -> TokenMix:
    return TokenMix(_parts(plan.do, path, shared), plan.shape, path)


def _stage(plan: StagePlan, path: str) -> Stage:
    shared = nn.ParameterDict()
    down = _sequence(plan.down, f"{path}.down", shared)
    blocks: list[nn.Module] = [
        _sequence(block, f"{path}.blocks.{index}", shared)
        for index, block in enumerate(plan.blocks())
    ]
    return Stage(down, blocks, shared)


def _features(plan: NetworkPlan) -> tuple[tuple[Shape, ...], tuple[Feature, ...]]:
    """The last output at each stride, among the stem's nodes and the stages."""
    steps: list[tuple[str, Plan | StagePlan]] = [
        *((f"stem.{key}", item) for key, item in plan.stem.items),
        *((f"stages.{index}", stage) for index, stage in enumerate(plan.stages)),
    ]
    stride = 1.0
    last: dict[int, tuple[Shape, Feature]] = {}
    for path, part in steps:
        stride *= totals(part).stride
        feature = Feature(path, int(stride), part.out.channels)
        last[feature.stride] = (part.out, feature)
    found = sorted(last.values(), key=lambda pair: pair[1].stride)
    return tuple(shape for shape, _ in found), tuple(feature for _, feature in found)


def _refuse_absurd(plan: NetworkPlan) -> None:
    """Raise SpecError before a network that cannot be meant is allocated."""
    whole = totals(plan)
    numbers = whole.params + sum(_buffers(part) for _, part in plan.parts())
    if numbers > MOST_NUMBERS:
        raise SpecError(
            f"a network may hold {MOST_NUMBERS:,} parameters and constants at most, but got "
            f"{numbers:,}",
            None,
            plan.name,
        )


def _buffers(part: SequencePlan | StagePlan) -> int:
    """Constants of the attention layers: position indices and shift masks."""
    return sum(
        times * constants(leaf.layer, leaf.shape)
        for _, times, leaf in leaves(part)
        if isinstance(leaf.layer, Attention)
    )
