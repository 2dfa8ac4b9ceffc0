from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.cost import Totals, totals
from archspec.errors import SpecError
from archspec.planning import plan_network
from archspec.shipped import shipped_networks
from archspec.spec import NetworkSpec, make_spec, parse_spec, read_spec

KNOBS: dict[str, dict[str, list[Any]]] = {
    "convnext": {"kernel": [3, 5, 7], "expansion": [2, 4, "w/8"], "norm": ["layer", "batch"]},
    "mbconv": {"expansion": [1, 2.5, 6], "se": [0, 0.25], "act": ["silu", None]},
    "bottleneck": {"mid": ["w_out//2", 16], "groups": [1, 2, "w_out//8"]},
    "mlp": {"expansion": [1, 4]},
    "mhsa": {"head_dim": [8, 16], "norm": ["layer"]},
    "swin": {"window": [2, 4], "shift": [0, 1], "pad": [True]},
    "lpu": {"kernel": [3, 5]},
    "act": {"kind": ["relu", "gelu"]},
}


@st.composite
def calls(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(sorted(KNOBS)))
    knobs = {
        knob: draw(st.sampled_from(values))
        for knob, values in KNOBS[name].items()
        if draw(st.booleans())
    }
    node: Any = {name: knobs} if knobs else name
    if draw(st.integers(0, 3)) == 0:
        node = {**(node if isinstance(node, dict) else {node: None}), "when": "w > 3"}
    return node


NODES = st.lists(
    st.recursive(
        calls(),
        lambda inner: (
            st.builds(
                lambda n, do: {"times": n, "do": do}, st.integers(0, 3), st.lists(inner, max_size=2)
            )
            | st.builds(lambda do: {"residual": do}, st.lists(inner, max_size=2))
            | st.builds(
                lambda do, on: {"residual": {"do": do, "shortcut": "none", "drop_path": on}},
                st.lists(inner, max_size=2),
                st.booleans(),
            )
            | st.builds(
                lambda a, b: {"add": [a, {"when": "w > 3", "do": b}]},
                *[st.lists(inner, max_size=2)] * 2,
            )
        ),
        max_leaves=4,
    ),
    max_size=3,
)


@st.composite
def stages(draw: st.DrawFn) -> Any:
    stage: dict[str, Any] = {"width": 16}
    form = draw(st.integers(0, 2))
    if form == 0:
        stage |= {"depth": draw(st.integers(1, 9)), "block": draw(NODES)}
    elif form == 1:
        turns = draw(st.lists(NODES, min_size=1, max_size=3))
        stage |= {"depth": draw(st.integers(1, 9)), "blocks": turns}
    else:
        turns = draw(st.lists(st.tuples(st.integers(0, 3), NODES), min_size=1, max_size=3))
        stage |= {"blocks": [{"times": times, "block": block} for times, block in turns]}
    return stage


def totals_or_law(spec: NetworkSpec) -> Totals | str:
    try:
        return totals(plan_network(spec))
    except SpecError as error:
        return error.problem


@settings(max_examples=60, deadline=None)
@given(
    st.lists(stages(), min_size=1, max_size=3),
    st.sampled_from(["train", "merged"]),
    st.sampled_from([16, [8, 16]]),
)
def test_made_up_networks_survive_the_round_trip(
    made: list[Any], form: str, resolution: int | list[int]
) -> None:
    tree = {
        "name": "made up",
        "form": form,
        "input": {"resolution": resolution},
        "units": {"own": {"knobs": {"k": {"default": 2, "min": 1}}, "body": [{"conv": "k*w"}]}},
        "stem": [{"own": {"k": 4}}, {"conv": 16}],
        "stages": made,
        "head": ["norm", {"pool": "global"}, {"linear": "classes"}],
    }
    spec = make_spec(tree)
    text = spec.dump()
    again = parse_spec(text, "again")
    assert again == spec
    assert again.dump() == text
    assert totals_or_law(again) == totals_or_law(spec)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(shipped_networks())),
    st.integers(1, 20),
    st.sampled_from([64, 96, 128, 224]),
    st.sampled_from(["relu", "gelu", "silu"]),
)
def test_variations_of_shipped_specs_survive_the_round_trip(
    name: str, depth: int, classes: int, act: str
) -> None:
    edits = [("classes", str(classes)), ("defaults.act", act)]
    spec = read_spec(name, edits)
    if spec.stages[-1].blocks is None or spec.stages[-1].blocks[0].times is None:
        spec = read_spec(name, [*edits, (f"stages.{len(spec.stages) - 1}.depth", str(depth))])
        assert spec.stages[-1].count == depth
    assert spec.defaults.act == act
    again = parse_spec(spec.dump(), "again")
    assert again == spec
    assert totals_or_law(again) == totals_or_law(spec)
