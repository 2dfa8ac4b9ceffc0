"""Published families on one budget of FLOPs at 32 pixels, each by a rule of its own.

A family's network takes the small-image form (archspec/small.py), unless it is of 32 pixels
already, gets ten classes, and is scaled by the solver that serves `archspec scale`. The resolution
stays 32, whatever a rule says of it, for so does that of every candidate of the search. Widths are
multiples of 4: at 100 MFLOPs, steps of 8 would bend the shape that a family is known for. A rule of
RegNet's has its own steps.
"""

from __future__ import annotations

from typing import NamedTuple

from archspec.cost import totals
from archspec.errors import ArchspecError, FitError
from archspec.planning import plan_network
from archspec.scaling.rule import read_rule
from archspec.scaling.solve import scale_to
from archspec.small import small_images
from archspec.spec import NetworkSpec, read_spec

#: pixels of a side, and classes, of every network of the exam
SIDE, CLASSES = 32, 10

Edits = tuple[tuple[str, str], ...]

#: every stated width grows, those of stem and head, too, as a width multiplier is meant
_WHOLE: Edits = (("rounding.width.step", "4"), ("stem", "true"), ("head", "true"))
#: a compound rule with its constants of depth and width; what it says of growth is then no more so
_HELD: Edits = (
    ("rounding.width.step", "4"),
    ("resolution", "1.0"),
    ("law.growth", "null"),
    ("law.printed", "null"),
)
#: Woo et al., ConvNeXt V2, arXiv 2301.00808: C=40, B=(2, 2, 6, 2)
_ATTO: Edits = (
    ("stem.conv.width", "40"),
    ("stages.*.width", "[40, 80, 160, 320]"),
    ("stages.*.depth", "[2, 2, 6, 2]"),
)


class Family(NamedTuple):
    """A network of a published family and how it comes to the budget.

    base: a shipped network. rule: of archspec/scaling, with edits; how: the same in words.
    edits: of the base, where its family has published a smaller member than those shipped.
    """

    name: str
    family: str
    base: str
    rule: str
    how: str
    rule_edits: Edits = _WHOLE
    edits: Edits = ()


_BY_WIDTH = "by width"
_COMPOUND = "by its compound rule, resolution held"

#: bases are the members whose small-image form is nearest to 100 MFLOPs, but EfficientNet's B0 and
#: MobileNetV2's 1.0, from which their rules are stated. Swin has no published member near it, so
#: that it stands here twice: with the depth of Swin-T, and with fewer and wider blocks.
FAMILIES = (
    Family("ResNet-20", "ResNet", "resnet20", "width", _BY_WIDTH),
    Family("ResNet-18", "ResNet", "resnet18", "width", _BY_WIDTH),
    Family("RegNetY-800MF", "RegNet", "regnety_008", "regnet", "by its quantised line", ()),
    Family("MobileNetV2", "MobileNetV2", "mobilenetv2_100", "width", _BY_WIDTH),
    Family(
        "EfficientNet-B0", "EfficientNet", "efficientnet_b0", "efficientnet", _COMPOUND, _HELD
    ),
    Family("EfficientNetV2-S", "EfficientNetV2", "tf_efficientnetv2_s", "width", _BY_WIDTH),
    Family("ConvNeXt-A", "ConvNeXt", "convnext_tiny", "width", _BY_WIDTH, edits=_ATTO),
    Family("Swin-T", "Swin", "swin_tiny_patch4_window7_224", "width", _BY_WIDTH),
    Family(
        "Swin-T shallow", "Swin", "swin_tiny_patch4_window7_224", "d1_w1", "by depth and width"
    ),
    Family("CMT-Ti", "CMT", "cmt_ti", "cmt", _COMPOUND, _HELD),
    Family("PoolFormer-S12", "PoolFormer", "poolformer_s12", "width", _BY_WIDTH),
    Family("CoAtNet-0", "CoAtNet", "coatnet_0_224", "width", _BY_WIDTH),
)  # fmt: skip


class OnBudget(NamedTuple):
    """A family's network on the budget; used: its share of it, base_flops: of the base in
    small-image form (multiply-adds of one image)."""

    spec: NetworkSpec
    used: float
    base_flops: int


def on_budget(family: Family, limit: float) -> OnBudget:
    """The family's network at `limit` multiply-adds of one image of 32 x 32 pixels, never above.

    Raises FitError, with the family, where its rule has none there.
    """
    base = read_spec(family.base, family.edits)
    if (base.input.shape.height, base.input.shape.width) != (SIDE, SIDE):
        base = small_images(base, SIDE)
    base = base.model_copy(update={"classes": CLASSES})
    try:
        landed = scale_to(base, read_rule(family.rule, family.rule_edits), {"flops": limit})
    except ArchspecError as error:
        raise FitError(f"{family.name}: {error}") from None
    told = f"{family.name} {family.how} from {base.name}: {landed.used:.1%} of the budget."
    spec = landed.scaled.spec.model_copy(update={"doc": told})
    return OnBudget(spec, landed.used, totals(plan_network(base)).flops)


__all__ = ["CLASSES", "FAMILIES", "SIDE", "Family", "OnBudget", "on_budget"]
