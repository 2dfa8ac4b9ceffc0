from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archspec.cost import leaves, totals
from archspec.diff import differences
from archspec.errors import SpecError
from archspec.layers.convolution import Conv, DwConv
from archspec.layers.normalization import Act, Norm
from archspec.load import parse_yaml
from archspec.plan import LayerPlan, NetworkPlan, ResidualPlan
from archspec.planning import plan_network
from archspec.resolve import deal, resolve
from archspec.spec import Memory, NetworkSpec, make_spec, parse_spec, read_spec
from archspec.template import Template

BASE = "input: {resolution: 32}\n"


def layers_of(plan: NetworkPlan, kind: type) -> list[Any]:
    return [
        leaf.layer
        for path, part in plan.parts()
        for _, times, leaf in leaves(part, path)
        for _ in range(times)
        if isinstance(leaf.layer, kind)
    ]


def planned(text: str) -> NetworkPlan:
    return plan_network(parse_spec(BASE + text))


def widths(plan: NetworkPlan) -> list[int]:
    return [layer.width for layer in layers_of(plan, Conv)]


def test_arguments_are_evaluated_where_called_and_defaults_inside() -> None:
    units = "units: {inner: {knobs: {width: w_in//4}, body: [{conv: width}]}}\n"
    stem = "stem: [{conv: 64}, {conv: 32}, "
    # the call's own w_in is the stem's, 3; the default's is the unit's, 32
    assert widths(planned(units + stem + "{inner: {width: w_in*4}}]"))[-1] == 12
    assert widths(planned(units + stem + "inner]"))[-1] == 8


def test_squeeze_widths_are_a_share_of_the_width_entering_the_block() -> None:
    def squeezes(text: str) -> list[int]:
        plan = planned(f"stem: [{{conv: 16}}]\nstages: [{{width: 16, block: {text}}}]")
        parts = leaves(plan.stages[0])
        return [leaf.out.channels for path, _, leaf in parts if path.endswith("se.mul.1.conv")]

    # EfficientNet: a quarter of the 16 that enter mbconv, not of the 96 inside
    assert squeezes("[{mbconv: {expansion: 6, se: 0.25}}]") == [4]
    assert squeezes("[{conv: 96}, se, {conv: 16}]") == [24]
    assert squeezes("[{conv: 96}, {se: {width: w_in//4}}, {conv: 16}]") == [4]


def test_w_is_the_width_here_and_w_in_the_width_entering() -> None:
    body = "[{conv: 2*w}, {conv: 2*w}, {conv: w_in}]"
    text = f"units: {{u: {{body: {body}}}}}\nstem: [{{conv: 5}}, u]"
    assert widths(planned(text)) == [5, 10, 20, 5]


def test_each_stage_is_given_to_stages_that_do_not_say_their_own() -> None:
    text = """
each_stage:
  {stride: 2, depth: 2, down: [{conv: {width: w_out, kernel: 2, stride: 2}}], block: [act]}
stages:
- {width: 8}
- {width: 16, stride: 1, down: [{conv: w_out}]}
- {width: 24, depth: 1, blocks: [{times: 1, block: [norm]}]}
"""
    spec = make_spec(deal(parse_yaml(BASE + "name: x" + text, "x")))
    assert [stage.stride for stage in spec.stages] == [2, 1, 2]
    assert [stage.count for stage in spec.stages] == [2, 2, 1]
    assert [part.out.height for part in plan_network(spec).stages] == [16, 16, 8]
    assert spec.stages[2].block is None


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(texts))}.yaml"


def test_extends_replaces_keys_and_merges_input_defaults_and_units(tmp_path: Path) -> None:
    parent = """
name: parent
doc: of the parent
input: {channels: 1, resolution: 32}
defaults: {norm: layer, act: gelu}
units: {a: {body: [{conv: 4}]}, b: {body: [{conv: 5}]}}
stem: [a, norm]
head: [b]
weights: resnet
reference: {params: 3M}
"""
    child = """
extends: parent.yaml
input: {resolution: 64}
defaults: {act: silu}
units: {b: {body: [{conv: 6}]}, c: {body: [{conv: 7}]}}
stem: [a, c]
"""
    spec = read_spec(write(tmp_path, child=child, parent=parent))
    assert (spec.name, spec.doc, spec.reference) == ("child", "", None)
    assert spec.weights == "resnet"
    assert (spec.input.channels, spec.input.resolution) == (1, 64)
    assert (spec.defaults.norm, spec.defaults.act) == ("layer", "silu")
    assert widths(plan_network(spec)) == [4, 7, 6]


def test_what_a_shipped_unit_means_is_not_changed_by_a_text() -> None:
    own = "units: {mlp: {body: [act]}}\n"
    text = "stem: [{conv: 16}, mix_conv]"
    assert totals(planned(own + text)).params == totals(planned(text)).params
    assert totals(planned(own + "stem: [{conv: 16}, mlp]")).params == 48


@pytest.mark.parametrize(
    ("edit", "value", "expected"),
    [
        ("stages.*.depth", "[1, 2, 3, 4]", [1, 2, 3, 4]),
        ("stages.*.depth", "2", [2, 2, 2, 2]),
        ("stages.3.depth", "9", [3, 4, 6, 9]),
        ("each_stage.depth", "5", [3, 4, 6, 3]),
    ],
)
def test_set_reaches_values_and_deals_lists(edit: str, value: str, expected: list[int]) -> None:
    spec = read_spec("resnet50", [(edit, value)])
    assert [stage.count for stage in spec.stages] == expected


def first_nodes(spec: NetworkSpec) -> list[Any]:
    return [stage.turns[0][1][0] for stage in spec.stages]


def test_set_reaches_what_is_inherited_bare_or_unwritten() -> None:
    def edited(*edits: tuple[str, str]) -> NetworkSpec:
        return read_spec("resnet50", edits)

    assert edited(("defaults.act", "gelu")).defaults.act == "gelu"
    assert edited(("input.resolution", "[64, 32]")).input.resolution == (64, 32)
    assert edited(("form", "merged")).form == "merged"
    spec = edited(("stages.1.block.bottleneck.kernel", "5"), ("head.linear.bias", "false"))
    assert [block.knobs for block in first_nodes(spec)] == [{}, {"kernel": 5}, {}, {}]
    assert spec.head[1].knobs == {"width": "classes", "bias": False}
    spec = edited(("stages.*.block", "[basic]"))
    assert [block.name for block in first_nodes(spec)] == ["basic"] * 4
    spec = edited(("stages.0.blocks", "[[basic], [bottleneck]]"))
    assert spec.stages[0].block is None
    assert read_spec("cmt_s", [("stem.norm", "{kind: layer}")]).stem[2].knobs == {"kind": "layer"}
    second = [("head.1", "{norm: layer}")]
    assert read_spec("cmt_s", second).head[1].knobs == {"kind": "layer"}


def test_paths_number_the_second_of_a_name(tmp_path: Path) -> None:
    text = BASE + "stem: [{conv: 4}, {conv: 5}, {conv: 6}]\nset: {stem.conv#2.width: 9}"
    assert widths(plan_network(read_spec(write(tmp_path, net=text)))) == [4, 9, 6]


def test_bare_norm_and_act_mean_the_defaults() -> None:
    text = "defaults: {norm: layer, eps: 1e-3, act: silu}\nstem: [norm, {norm: batch}, act]"
    layers: list[LayerPlan] = [leaf for _, _, leaf in leaves(planned(text).stem)]
    assert [getattr(leaf.layer, "kind", None) for leaf in layers] == ["layer", "batch", "silu"]
    assert [getattr(leaf.layer, "eps", None) for leaf in layers] == [1e-3, 1e-5, None]


@pytest.mark.parametrize(
    ("defaults", "node", "eps", "groups"),
    [
        ("norm: group, groups: 4", "norm", 1e-5, 4),
        ("norm: group, groups: 4, eps: 1e-3", "{norm: group}", 1e-3, 4),
        ("norm: group, groups: 4", "{norm: {groups: 2}}", 1e-5, 2),
        ("groups: 4", "{norm: group}", 1e-5, 4),
        ("norm: layer", "{norm: group}", 1e-5, 1),
        # the layer's own usual value
        ("norm: layer, eps: 1e-3", "{norm: response}", 1e-6, 1),
        ("norm: response, eps: 1e-3", "norm", 1e-3, 1),
    ],
)
def test_a_norm_has_the_defaults_eps_and_groups(
    defaults: str, node: str, eps: float, groups: int
) -> None:
    (layer,) = layers_of(planned(f"defaults: {{{defaults}}}\nstem: [{{conv: 8}}, {node}]"), Norm)
    assert (layer.eps, layer.groups) == (eps, groups)


def test_pairs_hold_expressions_and_rows_and_columns_are_the_map_entering() -> None:
    def kernels(text: str) -> list[tuple[int, int]]:
        plan = plan_network(parse_spec(f"input: {{resolution: [12, 8]}}\n{text}"))
        return [layer.kernel for layer in layers_of(plan, DwConv)]

    assert kernels("stem: [{dwconv: [rows - 1, columns//2 + 1]}]") == [(11, 5)]
    units = "units: {u: {knobs: {k: 3}, body: [{dwconv: {stride: 2}}, {dwconv: [k, rows + 1]}]}}\n"
    assert kernels(units + "stem: [{u: {k: 5}}, u]")[1::2] == [(5, 13), (3, 7)]
    # a pair goes through a unit's knob as it is
    assert kernels(units.replace("[k, rows + 1]", "k") + "stem: [{u: {k: [1, w]}}]")[1] == (1, 3)
    # token_mix turns tokens into channels and channels into rows
    text = "stem: [{token_mix: [{dwconv: [rows, columns]}]}]"
    assert kernels(text) == [(3, 1)]


def test_a_word_knob_may_be_what_an_earlier_one_is() -> None:
    knobs = "{act: {default: relu, choices: acts}, inner: {default: act, choices: acts}}"
    units = f"units: {{u: {{knobs: {knobs}, body: [{{act: inner}}, {{act: act}}]}}}}\n"

    def kinds(call: str) -> list[str]:
        text = f"defaults: {{act: mish}}\n{units}stem: [{call}]"
        return [layer.kind for layer in layers_of(planned(text), Act)]

    assert kinds("u") == ["relu", "relu"]
    assert kinds("{u: {act: gelu}}") == ["gelu", "gelu"]
    assert kinds("{u: {inner: star_relu}}") == ["star_relu", "relu"]
    assert kinds("{u: {act: null}}") == ["mish", "mish"]


@pytest.mark.parametrize(
    ("add", "adds"),
    [("w > 2", True), ("w > 3", False), ("rows == 32 and w_in == 3", True), ("stride > 1", False)],
)
def test_a_residual_adds_where_its_expression_holds(add: str, adds: bool) -> None:
    def residual(text: str) -> ResidualPlan:
        (item,) = [part for _, part in planned(text).stem.items]
        assert isinstance(item, ResidualPlan)
        return item

    # w is the width that enters, whatever comes out
    assert residual(f"stem: [{{residual: {{do: [{{conv: 3}}], add: {add}}}}}]").adds == adds
    if not adds:
        wide = residual(
            f"stem: [{{residual: {{do: [{{conv: 9}}, act], shortcut: [{{conv: 9}}], add: {add}}}}}]"
        )
        assert (wide.adds, wide.shortcut) == (False, None)


def test_an_unpadded_stage_shrinks_by_its_stride_and_its_borders() -> None:
    down = "down: [{conv: {kernel: 3, stride: 2, padding: 0}}]"
    text = f"stages: [{{width: 3, stride: %d, {down}, block: [{{dwconv: {{padding: 0}}}}]}}]"
    assert planned(text % 2).out.height == 13
    with pytest.raises(SpecError, match=r"stride=3, map 32x32 -> 13x13"):
        planned(text % 3)


def test_blocks_take_turns() -> None:
    blocks = "[[{conv: {kernel: 1}}], [{conv: {kernel: 3}}]]"
    plan = planned(f"stages: [{{width: 3, depth: 5, blocks: {blocks}}}]")
    assert [layer.kernel[0] for layer in layers_of(plan, Conv)] == [1, 1, 3, 3, 1]
    order = [next(leaves(block))[2].layer for block in plan.stages[0].blocks()]
    assert [layer.kernel[0] for layer in order if isinstance(layer, Conv)] == [1, 3, 1, 3, 1]


def test_the_first_unit_that_asks_takes_the_stride() -> None:
    stem = "stem: [{conv: 8}]\n"
    block = "[convnext, {mbconv: {expansion: 1}}, {mbconv: {expansion: 1}}]"
    text = f"{stem}stages: [{{width: 8, depth: 2, stride: 2, block: {block}}}]"
    strides = [layer.stride[0] for layer in layers_of(planned(text), DwConv)]
    assert strides == [1, 2, 1, 1, 1, 1]


def test_paths_reach_conditions_and_what_is_repeated(tmp_path: Path) -> None:
    text = BASE + (
        "stem: [{conv: 4, when: w > 9}, {times: 2, do: [{conv: 5}]}]\n"
        "set: {stem.conv.when: w > 2, stem.times.times: 3, stem.times.do.conv.kernel: 3}"
    )
    spec = read_spec(write(tmp_path, net=text))
    assert widths(plan_network(spec)) == [4, 5, 5, 5]
    assert layers_of(plan_network(spec), Conv)[-1].kernel == (3, 3)
    bare = read_spec(write(tmp_path, net=BASE + "stem: [norm]\nset: {stem.norm.when: w > 9}"))
    assert not plan_network(bare).stem.items


def test_times_repeats_and_may_be_computed() -> None:
    assert widths(planned("stem: [{times: 3, do: [{conv: w + 1}]}]")) == [4, 5, 6]
    assert widths(planned("stem: [{times: w - 1, do: [{conv: 8}]}]")) == [8, 8]
    assert widths(planned("stem: [{times: 0, do: [{conv: 8}]}, {conv: 2}]")) == [2]


def test_when_switches_nodes_and_branches() -> None:
    body = "[{conv: 4, when: on > 0}, {add: [[], {when: on > 1, do: [{conv: {kernel: 3}}]}]}]"
    text = f"units: {{u: {{knobs: {{on: 0}}, body: {body}}}}}\nstem: "
    assert [widths(planned(f"{text}[{{u: {{on: {on}}}}}]")) for on in (0, 1, 2)] == [
        [],
        [4],
        [4, 4],
    ]


def test_merged_form_makes_each_merge_one_convolution() -> None:
    branches = "[{dwconv: 7}, norm], [{dwconv: 3}, norm], [norm]"
    text = f"stem: [{{merge: [{branches}]}}]"
    train, merged = planned(text), planned("form: merged\n" + text)
    assert [layer.kernel for layer in layers_of(train, DwConv)] == [(7, 7), (3, 3)]
    (layer,) = layers_of(merged, DwConv)
    assert (layer.kernel, layer.bias) == ((7, 7), True)
    assert totals(merged).params == 3 * 49 + 3


def test_shortcuts_are_used_only_where_the_shape_changes() -> None:
    text = "stem: [{residual: {do: [{conv: %s}], shortcut: [{conv: %s}]}}]"
    assert len(widths(planned(text % (3, 3)))) == 1
    assert len(widths(planned(text % (4, 4)))) == 2


# Spaces

SPACE = """
extends: cmt_s
set:
  stages.*.depth: {range: [1, 16]}
  stages.*.block:
    choice: {convnext: [convnext], replk: [{replk: {kernel: {choice: [13, 21, 31]}}}, conv_ffn]}
"""


def test_parameters_are_named_by_paths_and_tags(tmp_path: Path) -> None:
    template = Template(resolve(write(tmp_path, space=SPACE)))
    assert list(template.parameters()) == [
        name
        for index in range(4)
        for name in (
            f"stages.{index}.depth",
            f"stages.{index}.block",
            f"stages.{index}.block=replk.kernel",
        )
    ]


def test_a_filled_space_is_a_network(tmp_path: Path) -> None:
    template = Template(resolve(write(tmp_path, space=SPACE)))
    asked: list[str] = []

    def pick(name: str, domain: Any) -> Any:
        asked.append(name)
        return {"depth": 2, "block": "replk", "block=replk.kernel": 21}[name.partition(".")[2][2:]]

    spec = make_spec(template.fill(pick))
    assert [stage.count for stage in spec.stages] == [2] * 4
    assert {block.knobs["kernel"] for block in first_nodes(spec)} == {21}
    assert len(asked) == 12
    plan_network(spec)

    def other(name: str, domain: Any) -> Any:
        # the knobs of an option that was not taken are not asked for
        assert "replk" not in name
        return "convnext" if name.endswith("block") else 1

    make_spec(template.fill(other))


def test_ties_make_one_parameter(tmp_path: Path) -> None:
    text = "extends: resnet50\nset: {stages.*.depth: {range: [1, 9], tie: d}}"
    template = Template(resolve(write(tmp_path, space=text)))
    assert list(template.parameters()) == ["d"]
    spec = make_spec(template.fill(lambda name, domain: 7))
    assert [stage.count for stage in spec.stages] == [7] * 4


def test_domains_are_dealt_out_too(tmp_path: Path) -> None:
    text = "extends: resnet50\nset: {stages.*.depth: [1, {range: [2, 3]}, 4, {choice: [5, 6]}]}"
    template = Template(resolve(write(tmp_path, space=text)))
    assert list(template.parameters()) == ["stages.1.depth", "stages.3.depth"]


def test_a_domain_inside_a_unit_is_read_again_for_each_network() -> None:
    text = BASE + (
        "name: x\nunits: {u: {body: [{conv: {width: {choice: [4, 8]}}}]}}\n"
        "stem: [u]\nstages: [{block: [u]}]"
    )
    template, memory = Template(parse_yaml(text, "x")), Memory()
    (name,) = template.parameters()
    assert name == "units.u.body.conv.width"
    for width in (4, 8, 4):
        tree = template.fill(partial(lambda taken, *_: taken, width))
        spec = make_spec(tree, memory)
        assert plan_network(spec).out.channels == width


def test_equal_networks_of_one_memory_and_none_cost_the_same(tmp_path: Path) -> None:
    template, memory = Template(resolve(write(tmp_path, space=SPACE))), Memory()
    for round_ in range(6):
        picks = iter(range(round_, 100))

        def pick(name: str, domain: Any, picks: Iterator[int] = picks) -> Any:
            options = domain.tags if hasattr(domain, "tags") else range(domain.low, domain.high + 1)
            return options[next(picks) % len(options)]

        tree = template.fill(pick)
        shared, alone = make_spec(tree, memory), make_spec(tree)
        assert shared == alone
        assert totals(plan_network(shared)) == totals(plan_network(alone))


def test_a_window_that_takes_back_same_padding_differs_from_one_that_says_nothing() -> None:
    text = "defaults: {padding: same}\nstem: [{conv: {width: 8, kernel: 3, stride: 2SAME}}]\n"
    plain = parse_spec(text.replace("SAME", ""), "a")
    taken = parse_spec(text.replace("SAME", ", same: false"), "a")
    stated = parse_spec(text.replace("SAME", ", same: true"), "a")
    assert [item.path for item in differences(plain, taken)] == ["stem.conv.same"]
    assert differences(plain, stated) == []
