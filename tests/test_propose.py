from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from archspec.cost import Totals, totals
from archspec.diff import differences
from archspec.dump import dump_yaml
from archspec.errors import SpecError
from archspec.planning import plan_network
from archspec.roadmap.propose import Order, propose, propose_tree
from archspec.shipped import shipped_networks
from archspec.spec import NetworkSpec, read_spec

#: one of each way to write a network: strides in blocks and in downs, blocks in turn and spelled
#: out, stages without a width, one to seven stages, own units, small images
KINDS = (
    "resnet50",
    "convnext_tiny",
    "swin_tiny_patch4_window7_224",
    "inception_v3",
    "efficientnet_b0",
    "deit_tiny_patch16_224",
    "vgg11",
    "spach_ms_s_plus_hybrid",
    "resnet20",
)


def cost(spec: NetworkSpec) -> Totals:
    return totals(plan_network(spec))


def chain(folder: Path, source: str, steps: Sequence[dict[str, Any]]) -> Iterator[NetworkSpec]:
    """Each step's network as texts that extend each other, so that no code of roadmaps is asked."""
    parent = source
    for number, step in enumerate(steps):
        path = folder / f"{number}.yaml"
        path.write_text(dump_yaml({"extends": parent, "set": step["set"]}), encoding="utf-8")
        parent = path.name
        yield read_spec(path)


def checked(folder: Path, a: str, b: str, order: Order = "roadmap") -> list[dict[str, Any]]:
    """The steps between two shipped networks, held to all that is promised of them."""
    first, last = read_spec(a), read_spec(b)
    steps: list[dict[str, Any]] = propose_tree(first, last, a, b, order)["steps"]
    networks = list(chain(folder, a, steps))
    assert not differences(networks[-1], last), (a, b)
    # a second road to "the same network", which does not ask what counts as a difference
    assert cost(networks[-1]) == cost(last), (a, b)
    dearer = max(cost(first).flops, cost(last).flops), max(cost(first).params, cost(last).params)
    for before, after in zip([first, *networks], networks, strict=False):
        assert differences(before, after), (a, b)
        assert cost(after).flops <= 2 * dearer[0], (a, b)
        assert cost(after).params <= 2 * dearer[1], (a, b)
    return steps


def by_name(steps: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    named = {step["name"]: step["set"] for step in steps}
    assert len(named) == len(steps)
    return named


def write(path: Path, text: str) -> tuple[NetworkSpec, str]:
    path.write_text(text, encoding="utf-8")
    return read_spec(path), str(path)


@pytest.mark.parametrize("a", KINDS)
def test_every_kind_of_network_is_reached_from_every_other(tmp_path: Path, a: str) -> None:
    for b in KINDS:
        if a != b:
            checked(tmp_path, a, b)


@pytest.mark.slow
def test_shipped_networks_of_all_families_lead_to_each_other(tmp_path: Path) -> None:
    names = random.Random(0).sample(sorted(shipped_networks()), 40)
    families = {path.parent.name for path in shipped_networks().values()}
    assert len({shipped_networks()[name].parent.name for name in names}) > len(families) / 2
    for a, b in permutations(names, 2):
        checked(tmp_path, a, b)


def test_one_change_of_depths_is_one_step(tmp_path: Path) -> None:
    (step,) = checked(tmp_path, "resnet50", "resnet152")
    # He et al., arXiv 1512.03385, table 1: 3, 4, 6, 3 and 3, 8, 36, 3 blocks
    assert step["name"] == "depths 3-4-6-3 -> 3-8-36-3"
    assert step["set"] == {"stages.*.depth": [3, 8, 36, 3]}


def test_wider_stages_take_the_stem_along(tmp_path: Path) -> None:
    steps = by_name(checked(tmp_path, "convnext_tiny", "convnext_base"))
    # Liu et al., arXiv 2201.03545, section 3: C and B of T and B; a block keeps its width, so
    # that a stem of 96 cannot lead into a stage of 128
    assert steps == {
        "depths 3-3-9-3 -> 3-3-27-3": {"stages.2.depth": 27},
        "stem + widths x1.333": {
            "stem.conv.width": 128,
            "stages.*.width": [128, 256, 512, 1024],
        },
    }


def test_resnet_becomes_convnext_in_the_order_of_its_roadmap(tmp_path: Path) -> None:
    steps = checked(tmp_path, "resnet50", "convnext_tiny")
    # the order of the sections of arXiv 2201.03545: 2.2 (ratio, stem), 2.3 and 2.6 (micro design)
    order = ["depths", "stem", "block", "act", "norm", "eps", "head"]
    heads = [step["name"].split()[0] for step in steps]
    assert [head for head in heads if head in order] == order
    assert by_name(steps)["act relu -> gelu"] == {"defaults.act": "gelu"}
    # appendix C, table 10, as reproduced: 4.0892 GMACs, with the stage ratio 4.5259
    first = next(chain(tmp_path, "resnet50", steps))
    assert round(cost(read_spec("resnet50")).flops / 1e9, 4) == 4.0892
    assert round(cost(first).flops / 1e9, 4) == 4.5259


def test_a_window_that_would_not_divide_comes_with_the_resolution(tmp_path: Path) -> None:
    steps = checked(tmp_path, "swin_base_patch4_window7_224", "swin_base_patch4_window12_384")
    # 224/4 = 56 is no multiple of 12 and 384/4 = 96 none of 7, but 96 is one of 12
    (step,) = [step for step in steps if "resolution" in step["name"]]
    assert step["set"] == {
        "input.resolution": 384,
        "stages.*.blocks.0.swin.window": 12,
        "stages.*.blocks.1.swin.window": 12,
    }


def test_a_knob_is_a_step_and_the_default_a_value(tmp_path: Path) -> None:
    steps = by_name(checked(tmp_path, "replknet_k3", "replknet_31b"))
    # Ding et al., arXiv 2203.06717, table 5: [31, 29, 27, 13]; 5 is what the unit has by itself
    assert steps == {
        "kernel of replk": {"stages.*.block.replk.kernel": [31, 29, 27, 13]},
        "small 3 -> 5 in all stages": {"stages.*.block.replk.small": 5},
    }
    steps = by_name(checked(tmp_path, "mobilenetv2_100", "efficientnet_b0"))
    # EfficientNet-B0's kernels, arXiv 1905.11946, table 1
    assert steps["kernel 3 -> 5 in stages 2 and 4 and 5"] == {
        "stages.*.block.mbconv.kernel": [3, 3, 5, 3, 5, 5, 3]
    }


def test_another_number_of_stages_keeps_the_blocks_where_they_stand(tmp_path: Path) -> None:
    steps = checked(tmp_path, "vgg16_bn", "resnet50")
    (layout,) = [step for step in steps if step["name"].startswith("stages 5 -> 4")]
    assert len(layout["set"]["stages"]) == 4
    assert layout["set"]["each_stage"]["block"] == [
        {"conv": {"width": "w_out", "kernel": 3, "bias": True}},
        "norm",
        "act",
    ]
    assert "block conv+norm+act -> bottleneck in all stages" in by_name(steps)


def test_order_by_cost_takes_the_cheapest_network_next(tmp_path: Path) -> None:
    a, b = "mobilenetv2_100", "efficientnet_b1"
    for order in ("roadmap", "cost"):
        assert checked(tmp_path, a, b, order) == checked(tmp_path, a, b, order)
    steps = checked(tmp_path, a, b, "cost")
    assert len(steps) > 4
    for number in range(len(steps)):
        *_, taken = chain(tmp_path, a, steps[: number + 1])
        for other in steps[number + 1 :]:
            # each of these edits stands alone, so that any other may come here
            *_, instead = chain(tmp_path, a, [*steps[:number], other])
            assert cost(taken).flops <= cost(instead).flops, (number, other["name"])


def test_own_units_come_and_go_with_the_networks(tmp_path: Path) -> None:
    text = (
        "units: {%s: {body: [{conv: {width: w, kernel: %d}}]}}\n"
        "stem: [{conv: {width: 8, kernel: 4, stride: 4}}]\n"
        "stages: [{width: 8, depth: 2, block: [%s]}]\nhead: [{pool: global}, {linear: classes}]\n"
    )
    a, source = write(tmp_path / "a.yaml", text % ("one", 1, "one"))
    b, other = write(tmp_path / "b.yaml", text % ("two", 3, "two"))
    # one name for two units
    c, third = write(tmp_path / "c.yaml", text % ("one", 3, "one"))
    for last, goal in ((b, other), (c, third)):
        steps = propose_tree(a, last, source, goal)["steps"]
        *_, end = chain(tmp_path, "a.yaml", steps)
        assert not differences(end, last)
        assert cost(end) == cost(last)


def test_stages_may_come_from_none_and_go(tmp_path: Path) -> None:
    a, source = write(tmp_path / "a.yaml", "stem: [{conv: 8}]\nhead: [{linear: classes}]\n")
    b, other = write(
        tmp_path / "b.yaml",
        "input: {resolution: [32, 64]}\nstem: [{conv: 8}]\n"
        "stages: [{width: 16, stride: 2, block: [{dwconv: {kernel: [3, 5], stride: stride}}, "
        "{conv: w_out}]}]\nhead: [{pool: global}, {linear: classes}]\n",
    )
    for first, last, sources in ((a, b, (source, other)), (b, a, (other, source))):
        steps = propose_tree(first, last, *sources)["steps"]
        *_, end = chain(tmp_path, Path(sources[0]).name, steps)
        assert not differences(end, last)
        assert cost(end) == cost(last)


def test_texts_that_nest_a_block_in_a_list_are_edited_whole(tmp_path: Path) -> None:
    text = (
        "stem: [{conv: {width: 8, kernel: 4, stride: 4}}]\n"
        "stages: [{width: 8, block: [[%s]]}]\nhead: [{pool: global}, {linear: classes}]\n"
    )
    a, source = write(tmp_path / "a.yaml", text % "bottleneck")
    b, other = write(tmp_path / "b.yaml", text % "{bottleneck: {kernel: 5}}")
    (step,) = propose_tree(a, b, source, other)["steps"]
    assert step["name"] == "kernel 3 -> 5"
    assert step["set"] == {"stages.0.block": [{"bottleneck": {"kernel": 5}}]}


def test_a_proposal_is_a_roadmap_that_reads_back() -> None:
    roadmap = propose(read_spec("resnet50"), read_spec("resnetrs50"), "resnet50", "resnetrs50")
    assert (roadmap.start.name, roadmap.start.spec) == ("resnet50", "resnet50")
    # what stands in the names of steps stands in names of folders, w_out/4 does not
    assert "se_out of bottleneck" in roadmap.names
    assert len({name.casefold() for name in roadmap.names}) == len(roadmap.steps) + 1


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("resnet50", "resnet50", "resnet50 and resnet50 are the same network"),
        # another name, other words and figures are no other network
        ("resnet50", "{extends: resnet50, doc: again}", "are the same network; choose two"),
        (
            "{extends: resnet50, set: {stages.0.stride: 3, stages.0.block: [act]}}",
            "resnet50",
            "the map must shrink by the stride",
        ),
    ],
)
def test_what_leads_nowhere_is_one_line(tmp_path: Path, a: str, b: str, words: str) -> None:
    sources = []
    for number, source in enumerate((a, b)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(source, encoding="utf-8")
        sources.append(str(path) if source.startswith("{") else source)
    one, two = sources
    first, last = read_spec(one), read_spec(two)
    with pytest.raises(SpecError, match=words) as caught:
        propose(first, last, one, two)
    assert "\n" not in str(caught.value)


def test_an_edited_network_is_not_what_its_text_says() -> None:
    a = read_spec("resnet50", [("stem.cna.kernel", "5"), ("head.linear.bias", "false")])
    with pytest.raises(SpecError, match=r"no edits of resnet50 .* write the text"):
        propose_tree(a, read_spec("resnet152"), "resnet50", "resnet152")


@pytest.mark.slow
def test_a_network_on_the_way_costs_what_fvcore_counts(tmp_path: Path) -> None:
    from archspec.build import build
    from archspec.referee import referee

    steps = checked(tmp_path, "resnet50", "convnext_tiny")
    for spec in list(chain(tmp_path, "resnet50", steps))[1:5]:
        counted = referee(build(spec), spec.input.shape)
        assert (counted.flops, counted.activations) == (cost(spec).flops, cost(spec).activations)
