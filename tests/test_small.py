from __future__ import annotations

import pytest
import torch

from archspec.build import build
from archspec.cost import leaves, totals
from archspec.errors import SpecError
from archspec.layers.attention import Attention
from archspec.nodes import dump_nodes
from archspec.planning import plan_network
from archspec.shipped import shipped_networks
from archspec.small import small_images
from archspec.spec import NetworkSpec, parse_spec, read_spec

#: shipped networks that have no form at 32 pixels: none
WITHOUT: set[str] = set()

#: the least costly network of each folder, and of each kind in extra
FAMILIES = [
    "alexnet", "cmt_ti", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet",
    "inception_v2", "mobilenetv2_100", "regnetx_002", "replknet_k3", "resnet18", "resnet50d",
    "resnetrs50", "resnext50_32x4d", "seresnet18", "spach_ms_xxs_trans",
    "swin_tiny_patch4_window7_224", "vgg11_bn", "coatnet_0_224", "maxvit_tiny_tf_224",
    "mobilenetv3_large_100", "poolformer_s12", "pvt_v2_b2", "repvgg_a0", "tf_efficientnetv2_s",
]  # fmt: skip
QUICK = ["mobilenetv2_100", "regnetx_002", "spach_ms_xxs_trans", "mobilenetv3_large_100"]


def small(name: str, side: int = 32, patch: int = 1) -> NetworkSpec:
    return small_images(read_spec(name), side, patch)


def test_every_shipped_network_has_the_form_at_32_pixels() -> None:
    without = set()
    for name in shipped_networks():
        try:
            made = small(name)
        except SpecError:
            without.add(name)
            continue
        assert (made.name, made.input.resolution) == (f"{name}_32", 32)
        assert made.weights is None
        assert made.reference is None
        assert plan_network(made).stem.out[1:3] == (32, 32)
    assert without == WITHOUT


def test_resnet18_is_the_one_known_from_cifar() -> None:
    # kuangliu/pytorch-cifar: 3x3 stem of stride 1, four stages of two basic blocks, 11,173,962
    # parameters; multiply-adds written out by hand, map by map
    made = small("resnet18").model_copy(update={"classes": 10})
    cost = totals(plan_network(made))
    flops = 9 * 3 * 64 * 32**2 + 4 * 9 * 64 * 64 * 32**2
    for width, side in ((128, 16), (256, 8), (512, 4)):
        half = width // 2
        flops += (9 * half * width + 3 * 9 * width * width + half * width) * side**2
    assert cost.params == 11_173_962
    assert cost.flops == flops + 512 * 10


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("resnet50", [{"cna": {"width": 64, "kernel": 3}}]),
        ("resnetrs50", [{"cna": {"width": 64, "kernel": 3}}]),
        ("convnext_tiny", [{"cna": {"width": 96, "kernel": 3}}]),
        ("cmt_s", [{"cna": {"width": 32, "kernel": 3}}]),
        ("replknet_31b", [{"cna": {"width": 128, "kernel": 3}}]),
        ("inception_v4", [{"cna": {"width": 384, "kernel": 3}}]),
        ("spach_ms_s_plus_hybrid", [{"cna": {"width": 128, "kernel": 3}}]),
        (
            "deit_tiny_patch16_224",
            [{"cna": {"width": 192, "kernel": 3}}, "class_token", "position"],
        ),
        (
            "deit_tiny_distilled_patch16_224",
            [{"cna": {"width": 192, "kernel": 3}}, "class_token", "class_token", "position"],
        ),
        # a family without norms gets none
        ("alexnet", [{"conv": {"width": 64, "kernel": 3, "bias": True}}, "act"]),
        ("vgg16", []),
        ("repvgg_a0", []),
    ],
)
def test_the_stem_is_one_convolution_and_what_is_no_stem_stays(name: str, stem: object) -> None:
    assert dump_nodes(small(name).stem) == stem


def test_stages_keep_strides_widths_and_depths() -> None:
    for name in ("resnet50", "cmt_s", "mobilenetv2_100", "swin_tiny_patch4_window7_224"):
        before, after = read_spec(name).stages, small(name).stages
        assert [(s.width, s.count, s.stride) for s in before] == [
            (s.width, s.count, s.stride) for s in after
        ]


def windows(spec: NetworkSpec) -> list[tuple[int, int]]:
    """Window and shift of every attention layer, as they come to be."""
    blocks = (block for stage in plan_network(spec).stages for block in stage.blocks())
    layers = (leaf for block in blocks for _, _, leaf in leaves(block))
    cuts = (leaf.layer.windows(leaf.shape) for leaf in layers if isinstance(leaf.layer, Attention))
    return [(cut.height, cut.shift_height) for cut in cuts if cut is not None]


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        # maps of 32, 16, 8 and 4: 4 is the largest window up to 7 that divides them, shifted by
        # half of it, but not where it covers the map
        ("swin_tiny_patch4_window7_224", 32, 5 * [(4, 0), (4, 2)] + 2 * [(4, 0)]),
        # maps of 56, 28, 14 and 7 are those of the network itself
        ("swin_tiny_patch4_window7_224", 56, 5 * [(7, 0), (7, 3)] + 2 * [(7, 0)]),
        # maps of 16, 8, 4 and 2, each block with a window of neighbours and one of a grid
        ("maxvit_tiny_tf_224", 32, 18 * [(4, 0)] + 4 * [(2, 0)]),
    ],
)
def test_windows_shrink_to_the_map(name: str, side: int, expected: list[tuple[int, int]]) -> None:
    assert windows(small(name, side)) == expected


TEXT = """
name: mixed
input: {resolution: 64}
defaults: {norm: layer}
stem: [{conv: {width: 32, kernel: 4, stride: 4}}, norm, {dropout: 0.1}]
stages:
- width: 32
  depth: 2
  stride: 2
  down: [{conv: {width: w_out, kernel: 2, stride: 2}}]
  blocks:
  - times: 1
    block: [{residual: {do: [{swin: {window: 5, shift: 2, pad: true}}]}}, {sra: {reduction: 8}}]
  - times: 1
    block:
    - add: [[{attention: {heads: 1, window: [8, 2], shift: 1}}], []]
    - lmhsa: {reduction: 2}
head: [{pool: global}, {linear: classes}]
"""


def test_knobs_shrink_wherever_they_stand_and_others_stay() -> None:
    made = small_images(parse_spec(TEXT), 8)
    assert dump_nodes(made.stem) == [{"cna": {"width": 32, "kernel": 3}}, {"dropout": 0.1}]
    first, second = (dump_nodes(nodes) for _, nodes in made.stages[0].turns)
    # the map is 4 x 4: a padded window of 5 becomes the map, and is not shifted
    assert first == [
        {"residual": [{"swin": {"window": 4, "shift": 0, "pad": True}}]},
        {"sra": {"reduction": 4}},
    ]
    assert second == [
        {"add": [[{"attention": {"heads": 1, "window": [4, 2], "shift": 1}}], []]},
        {"lmhsa": {"reduction": 2}},
    ]


@pytest.mark.parametrize(
    ("name", "side", "least"),
    [
        ("resnet18", 4, 8),
        ("convnext_tiny", 7, 8),
        ("cmt_ti", 8, 16),
        ("mobilenetv2_100", 15, 16),
        ("repvgg_a0", 24, 32),
    ],
)
def test_too_small_a_side_names_the_least_that_works(name: str, side: int, least: int) -> None:
    with pytest.raises(SpecError) as caught:
        small(name, side)
    assert str(caught.value).endswith(f"the least side that works is {least}")
    assert name in str(caught.value)
    assert plan_network(small(name, least)).out.positions == 1


def test_an_error_that_no_side_mends_is_told_as_it_is() -> None:
    text = TEXT.replace("stem:", "units: {own: {body: [{attention: {heads: 5}}]}}\nstem:")
    text = text.replace("sra: {reduction: 8}", "own: {}")
    with pytest.raises(SpecError, match="heads must divide the width"):
        small_images(parse_spec(text))


def test_what_was_changed_in_python_is_kept() -> None:
    spec = read_spec("resnet18").model_copy(update={"classes": 10})
    made = small_images(spec)
    assert made.classes == 10
    assert parse_spec(made.dump(), made.name) == made


def test_patches_for_networks_of_one_stage() -> None:
    made = small("deit_tiny_patch16_224", 32, 4)
    assert made.name == "deit_tiny_patch16_224_32_patch4"
    assert plan_network(made).stem.out == (192, 8, 8, 1)
    # 12 blocks of 65 tokens: 12 d^2 for queries to MLP and 2 tokens d for the products, a token
    tokens, width = 65, 192
    blocks = 12 * tokens * (12 * width**2 + 2 * tokens * width)
    assert totals(plan_network(made)).flops == 64 * 48 * width + blocks + width * 1000
    with pytest.raises(SpecError, match="without a stem takes no patches"):
        small("vgg11", 32, 4)


def check_trains(name: str) -> None:
    made = small(name).model_copy(update={"classes": 10})
    torch.manual_seed(0)
    model = build(made)
    out = model(torch.randn(2, 3, 32, 32))
    assert out.shape == (2, 10)
    out.square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(grad is not None and bool(grad.isfinite().all()) for grad in gradients)


@pytest.mark.parametrize("name", QUICK)
def test_forward_and_backward(name: str) -> None:
    check_trains(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in QUICK])
def test_forward_and_backward_of_each_family(name: str) -> None:
    check_trains(name)
