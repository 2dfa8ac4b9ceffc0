"""A space: names of parameters, and the pure function from picks to a network."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from random_picks import RandomPicks

from archspec.cost import Totals, totals
from archspec.domains import Choice, Domain, Range
from archspec.errors import SpecError
from archspec.planning import plan_network
from archspec.shipped import shipped_spaces
from archspec.spec import NetworkSpec, parse_spec
from archspec.template import Pick
from search.proposals import suggest
from search.space import Space

HEAD = """\
name: s
input: {resolution: 32}
classes: 10
stem: [{cna: {width: 16, kernel: 3}}]
"""
TAIL = "head: [norm, {pool: global}, {linear: classes}]\n"

#: domains wherever a value may stand, tied, nested and conditional
WIDE = """\
name: wide
classes: {choice: [10, 1000]}
form: {choice: [train, merged]}
input: {resolution: {choice: [32, 64]}}
defaults: {act: {choice: [relu, gelu]}}
units:
  mine: {knobs: {k: {choice: [3, 5]}}, body: [{residual: [{dwconv: {kernel: k}}, norm, act]}]}
stem: [{cna: {width: {range: [16, 32], step: 8, tie: first}, kernel: 3, stride: 2}}]
stages:
- width: {range: [16, 32], step: 8, tie: first}
  depth: {range: [1, 4], tie: d}
  block: [mine, {replk: {kernel: {choice: [5, 7]}}}]
- width: {range: [16, 64], step: 16}
  depth: {range: [1, 4], tie: d}
  stride: 2
  down: [{conv: {width: w_out, kernel: 2, stride: 2}}]
  block:
    choice:
      a: [mine]
      b: [{mlp: {expansion: {range: [1.0, 4.0], step: 0.5}}}]
      c: [{conv_ffn: {expansion: {log_range: [1, 4]}}}]
head: [norm, {pool: global}, {linear: classes}]
"""


def space(stages: str, **keys: str) -> Space:
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return Space.parse(HEAD + more + f"stages:\n{textwrap.dedent(stages)}" + TAIL, "s")


def cost(spec: NetworkSpec) -> Totals | str:
    try:
        return totals(plan_network(spec))
    except SpecError as error:
        return str(error)


def again(picks: RandomPicks) -> Pick:
    """The same picks once more."""
    return lambda name, domain: picks.taken[name]


def names(which: Space) -> list[str]:
    return list(which.parameters)


# Names --------------------------------------------------------------------------------------------


def test_a_parameter_is_named_by_its_path_and_by_the_tags_above_it() -> None:
    found = space(
        """\
        - width: {range: [16, 32], step: 8}
          depth: {range: [1, 4]}
          block:
            choice:
              convnext: [{convnext: {kernel: {choice: [3, 5]}}}]
              replk: [{replk: {kernel: {choice: [5, 7]}}}, {conv_ffn: {expansion: {choice: [2]}}}]
        """
    )
    assert names(found) == [
        "stages.0.width",
        "stages.0.depth",
        "stages.0.block",
        "stages.0.block=convnext.kernel",
        "stages.0.block=replk.kernel",
        "stages.0.block=replk.conv_ffn.expansion",
    ]


def test_the_second_unit_of_a_name_is_told_apart() -> None:
    found = space(
        "- {width: 16, block: [{convnext: {kernel: {choice: [3, 5]}}}, "
        "{convnext: {kernel: {choice: [3, 5]}}}]}\n"
    )
    assert names(found) == ["stages.0.block.convnext.kernel", "stages.0.block.convnext#2.kernel"]


def test_options_of_a_list_are_tagged_by_value_or_by_number() -> None:
    found = space(
        "- {width: 16, depth: {choice: [1, 3]}, block: {choice: [[convnext], [basic]]}}\n"
    )
    domains = found.parameters
    assert domains["stages.0.depth"] == Choice((1, 3), (1, 3))
    block = domains["stages.0.block"]
    assert isinstance(block, Choice)
    assert block.tags == ("0", "1")
    picked: dict[str, object] = {"stages.0.depth": 3, "stages.0.block": "1"}
    spec = found.spec(lambda name, domain: picked[name])
    assert "block: [basic]" in spec.dump()


def test_a_star_makes_each_match_its_own_parameter(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("extends: resnet50\nset: {stages.*.depth: {range: [1, 4]}}\n")
    assert names(Space.read(file)) == [f"stages.{index}.depth" for index in range(4)]
    file.write_text("extends: resnet50\nset: {stages.*.depth: {range: [1, 4], tie: deep}}\n")
    assert names(Space.read(file)) == ["deep"]


def test_an_edit_of_the_command_line_changes_the_space(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("extends: resnet50\nset: {stages.*.depth: {range: [1, 4]}}\n")
    edited = Space.read(file, (("stages.0.depth", "2"), ("classes", "{choice: [10, 100]}")))
    depths = ["stages.1.depth", "stages.2.depth", "stages.3.depth"]
    assert sorted(names(edited)) == ["classes", *depths]


# Purity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_the_same_trial_gives_the_same_network(name: str) -> None:
    shipped = Space.read(name)
    for seed in range(20):
        picks = RandomPicks(seed)
        first = shipped.spec(picks)
        trial = optuna.trial.FixedTrial(picks.taken)
        assert shipped.spec(suggest(trial)) == first
        assert shipped.spec(suggest(optuna.trial.FixedTrial(picks.taken))) == first
        assert trial.params == picks.taken


def test_what_specs_share_in_memory_never_shows() -> None:
    """A space that was asked often gives what a fresh one gives, costs included."""
    warm, draw, worked = Space.parse(WIDE, "wide"), random.Random(0), 0
    for _ in range(150):
        picks = RandomPicks(draw.randrange(10**6))
        first = warm.spec(picks)
        cold = Space.parse(WIDE, "wide").spec(again(picks))
        assert first == cold
        assert cost(first) == cost(cold)
        worked += isinstance(cost(first), Totals)
    assert worked > 50


def test_what_was_picked_stands_in_the_network() -> None:
    wide = Space.parse(WIDE, "wide")
    for seed in range(50):
        picks = RandomPicks(seed)
        spec, taken = wide.spec(picks), picks.taken
        assert spec.classes == taken["classes"]
        assert spec.form == taken["form"]
        assert spec.input.resolution == taken["input.resolution"]
        assert spec.defaults.act == taken["defaults.act"]
        assert spec.stages[0].width == taken["first"]
        assert f"cna: {{width: {taken['first']}," in spec.dump()
        assert spec.stages[1].width == taken["stages.1.width"]
        assert [stage.depth for stage in spec.stages] == [taken["d"], taken["d"]]
        assert ("stages.1.block=b.mlp.expansion" in taken) == (taken["stages.1.block"] == "b")


def test_a_tied_domain_is_asked_once() -> None:
    asked: list[str] = []

    def pick(name: str, domain: Domain) -> Any:
        asked.append(name)
        return domain.tags[0] if isinstance(domain, Choice) else domain.low

    Space.parse(WIDE, "wide").spec(pick)
    assert len(asked) == len(set(asked))
    assert {"first", "d"} <= set(asked)


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_each_name_keeps_one_distribution(name: str) -> None:
    """What Optuna demands of a study: a name never changes its distribution."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    shipped = Space.read(name)
    seen: dict[str, optuna.distributions.BaseDistribution] = {}
    for _ in range(60):
        trial = study.ask()
        shipped.spec(suggest(trial))
        for parameter, distribution in trial.distributions.items():
            assert seen.setdefault(parameter, distribution) == distribution
        study.tell(trial, 0.0)
    assert set(seen) <= set(shipped.parameters)
    assert len(seen) > 0.9 * len(shipped.parameters)


def test_picks_come_in_the_order_of_the_text() -> None:
    wide = Space.parse(WIDE, "wide")
    order = names(wide)
    for seed in range(20):
        picks = RandomPicks(seed)
        wide.spec(picks)
        places = [order.index(name) for name in picks.taken]
        assert places == sorted(places)


def test_a_dumped_space_reads_back() -> None:
    for which in [Space.parse(WIDE, "wide"), *map(Space.read, shipped_spaces())]:
        read = Space.parse(which.dump(), which.name)
        assert list(read.parameters.items()) == list(which.parameters.items())
        assert read.dump() == which.dump()
        assert read.room == which.room
        picks = RandomPicks(3)
        assert read.spec(picks) == which.spec(again(picks))


def test_a_network_of_a_space_reads_back_from_its_dump() -> None:
    wide = Space.parse(WIDE, "wide")
    for seed in range(20):
        spec = wide.spec(RandomPicks(seed))
        assert parse_spec(spec.dump()) == spec


# Room for the fit ---------------------------------------------------------------------------------


def room(*stages: str, **keys: str) -> Mapping[str, list[tuple[tuple[int, ...], list[int]]]]:
    found = space("".join(f"- {{{stage}, block: [convnext]}}\n" for stage in stages), **keys).room
    return {
        "widths": [(lever.stages, list(lever.values)) for lever in found.widths],
        "depths": [(lever.stages, list(lever.values)) for lever in found.depths],
    }


@pytest.mark.parametrize(
    ("width", "values"),
    [
        ("{range: [16, 40], step: 8}", [16, 24, 32, 40]),
        ("{range: [16, 48], step: 16}", [16, 32, 48]),
        ("{range: [12, 36], step: 12}", [12, 24, 36]),
        ("{range: [12, 40]}", [16, 24, 32, 40]),
        ("{log_range: [12, 40]}", [16, 24, 32, 40]),
        ("{range: [17, 20]}", [17]),
        ("{choice: [64, 16]}", [16, 64]),
        ("{choice: {small: 16, large: 64}}", [16, 64]),
    ],
)
def test_widths_move_on_the_domains_steps_or_on_multiples_of_8(
    width: str, values: list[int]
) -> None:
    assert room(f"width: {width}, depth: {{range: [2, 4]}}") == {
        "widths": [((0,), values)],
        "depths": [((0,), [2, 3, 4])],
    }


def test_tied_widths_are_one_lever() -> None:
    tied = "width: {range: [16, 32], step: 8, tie: w}, depth: 1"
    assert room(tied, tied)["widths"] == [((0, 1), [16, 24, 32])]


def test_a_width_tied_to_another_place_stays_as_picked() -> None:
    """A fit that moved the stage alone would break the tie."""
    wide = Space.parse(WIDE, "wide")
    assert [lever.stages for lever in wide.room.widths] == [(1,)]
    assert [lever.stages for lever in wide.room.depths] == [(0, 1)]
    assert wide.room.resolutions == (32, 64)


def test_fixed_values_are_no_levers() -> None:
    assert room("width: 16, depth: 2", "width: {range: [16, 32]}, depth: 1") == {
        "widths": [((1,), [16, 24, 32])],
        "depths": [],
    }


# Refusals -----------------------------------------------------------------------------------------


def test_a_text_without_domains_is_no_space() -> None:
    with pytest.raises(SpecError, match="resnet50 has nothing to search.*range.*hybrid"):
        Space.read("resnet50")


@pytest.mark.parametrize(
    ("width", "words"),
    [
        ("{range: [32, 16]}", "stages.0.width.range: low <= high must hold"),
        ("{range: [16, 32], step: 0}", "stages.0.width.step: step > 0 must hold"),
        ("{range: [16, 32], steps: 8}", "did you mean 'step'"),
        ("{range: 16}", r"range is \[low, high\]"),
        ("{choice: []}", "choice holds 1 to 1000 options"),
        ("{choice: [8, 8]}", "options must differ"),
        ("{log_range: [0, 8]}", "log_range needs low > 0"),
        ("{range: [16, 32], tie: a b}", "tie is a name"),
    ],
)
def test_an_ill_written_domain_names_its_place(width: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        space(f"- {{width: {width}, block: [convnext]}}\n")
    assert str(caught.value).startswith("s:6:")


def test_a_fault_outside_the_domains_is_told_when_the_space_is_read() -> None:
    with pytest.raises(SpecError, match="did you mean 'convnext'") as caught:
        space("- {width: {range: [16, 32]}, block: [convnex]}\n")
    assert str(caught.value).startswith("s:6:")


def test_domains_tied_by_one_name_are_equal() -> None:
    with pytest.raises(SpecError, match="tied as 'w' must be equal"):
        space(
            "- {width: {range: [16, 32], tie: w}, block: [convnext]}\n"
            "- {width: {range: [16, 48], tie: w}, block: [convnext]}\n"
        )


def test_ranges_keep_their_kind() -> None:
    assert space("- {width: {log_range: [16, 64]}, block: [convnext]}\n").parameters == {
        "stages.0.width": Range(16, 64, None, log=True)
    }


def chosen(values: Mapping[str, object]) -> Pick:
    return lambda name, _domain: values[name]


def test_a_spec_keeps_its_meaning_when_another_of_its_space_is_made() -> None:
    text = """
    name: s
    input: {resolution: 16}
    units: {u: {knobs: {k: {choice: [3, 7]}}, body: [{dwconv: {kernel: k}}]}}
    stem: [{conv: 16}]
    stages: [{width: 16, block: [u]}]
    """
    space = Space.parse(textwrap.dedent(text), "s")
    (name,) = space.parameters
    small, large = space.spec(chosen({name: 3})), space.spec(chosen({name: 7}))
    params = [totals(plan_network(spec)).params for spec in (small, large)]
    assert params == [3 * 16 + 9 * 16, 3 * 16 + 49 * 16]


def test_widths_that_break_a_law_are_stepped_over() -> None:
    text = """
    name: s
    input: {resolution: 64}
    stem: [{conv: {width: 48, kernel: 4, stride: 4}}]
    stages:
    - width: {range: [48, 480], step: 8}
      stride: 2
      depth: 2
      down: [{conv: {width: w_out, kernel: 2, stride: 2}}]
      block: [{mhsa: {heads: 3}}]
    """
    space = Space.parse(textwrap.dedent(text), "s")
    drawn = space.spec(chosen({"stages.0.width": 48}))
    wanted = totals(plan_network(space.spec(chosen({"stages.0.width": 360})))).params
    fitted = space.onto_budget(drawn, {"params": 1.005 * wanted})
    assert fitted.spec.stages[0].width == 360


def test_a_tie_cannot_take_the_name_of_the_searchs_own_parameter() -> None:
    text = "name: s\nstem: [{conv: {width: {choice: [8, 16], tie: target}}}]"
    with pytest.raises(SpecError, match="under another name"):
        Space.parse(text, "s")


@pytest.mark.parametrize("name", ["../x", "a/b", "'a\\nb'", '"a\\e[31m"', ".x"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(SpecError):
        parse_spec(f"name: {name}\nstem: [norm]")


def test_true_is_no_number_whatever_was_read_before() -> None:
    good = "name: s\nstem: [{conv: {width: 8, kernel: 1}}]"
    plan_network(parse_spec(good))
    for bad in (
        good.replace("kernel: 1", "kernel: true"),
        good.replace("kernel: 1", "kernel: [true, 1]"),
    ):
        with pytest.raises(SpecError, match="number"):
            parse_spec(bad)
