"""Stages in words: networks that differ in what was searched read differently, and briefly."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_run import made_frame, made_info

from archspec.domains import Choice, Domain
from archspec.planning import plan_network
from reports.page import write_page
from reports.stages import told_apart
from search.record import facts
from search.space import Space

MACRO = ["stages.0.blocks.0", "stages.0.blocks.1", *(f"stages.1.blocks.{at}" for at in range(3))]
"""The first five places of nas_bench_macro; each is skipped or an inverted residual."""


def frame_of(space: str, *picks: dict[str, Any]) -> pd.DataFrame:
    """Networks of a shipped space as a search records them; what is not picked is the first."""
    read, rows = Space.read(space), []
    for pick in picks:
        spec = read.spec(lambda name, domain, pick=pick: pick.get(name, first(domain)))  # type: ignore[misc]
        rows.append({"kind": "search", **facts(spec, plan_network(spec))})
    return pd.DataFrame(rows)


def first(domain: Domain) -> Any:
    """The first option, or the least number."""
    return domain.tags[0] if isinstance(domain, Choice) else int(domain.low)


def macro(*codes: str) -> pd.DataFrame:
    """Networks of nas_bench_macro by their first five digits, as the benchmark writes them."""
    picks: list[dict[str, Any]] = [
        {f"{place}.block": digit for place, digit in zip(MACRO, code, strict=True)}
        for code in codes
    ]
    return frame_of("nas_bench_macro", *picks)


def test_every_network_of_nas_bench_macro_reads_differently() -> None:
    codes = ["".join(code) for code in itertools.product("012", repeat=5)]
    frame = macro(*random.Random(0).sample(codes, 60))
    assert frame["stages"].nunique() < 60  # as they are recorded
    assert told_apart(frame)["stages"].nunique() == 60


def test_kernels_and_expansions_are_told_in_order() -> None:
    frame = told_apart(macro("12211", "21002", "11111"))
    first, second, third = (text.split(" | ")[:2] for text in frame["stages"])
    # 1: kernel 3, which is the unit's own default, and expansion 3; 2: kernel 5, expansion 6
    assert first == ["64x2 mbconv k3 e3 / k5 e6", "128x3 mbconv k5 e6 / 2 x k3 e3"]
    assert second == ["64x2 mbconv k5 e6 / k3 e3", "128x3 conv + norm / identity / mbconv k5 e6"]
    assert third == ["64x2 mbconv k3 e3", "128x3 mbconv k3 e3"]


def test_a_knob_that_differs_in_one_stage_is_told_in_all() -> None:
    """What it is missing from would look like another value: here all have expansion 3 below."""
    told = told_apart(macro("11111", "22111"))["stages"]
    stages = [text.split(" | ")[1] for text in told]
    assert stages == ["128x3 mbconv k3 e3"] * 2


def test_networks_that_differ_only_in_the_order_of_kernels_read_differently() -> None:
    for codes in (("12000", "21000"), ("00121", "00122")):
        assert told_apart(macro(*codes))["stages"].nunique() == 2


@pytest.mark.parametrize(
    ("knob", "words"),
    [
        ("kernel: 9", "k9"),
        ("kernel: {default: 9, min: 1}", "k9"),
        ("size: 9, kernel: size", "ksize"),
        ("kernel: null", ""),
    ],
)
def test_a_specs_own_unit_of_a_shipped_name_has_its_own_default(knob: str, words: str) -> None:
    own = f"units:\n  mbconv:\n    knobs: {{{knob}}}\n    body: [{{dna: {{kernel: 3}}}}]\n"
    rows = [
        {"kind": "search", "spec": f"format: 1\n{units}stem: []\nstages:\n{stage}\nhead: []\n"}
        | {"stages": "8x1 mbconv"}
        for units in (own, "")
        for stage in (
            "- {width: 8, block: [mbconv]}",
            "- {width: 8, block: [{mbconv: {kernel: 5}}]}",
        )
    ]
    told = list(told_apart(pd.DataFrame(rows))["stages"])
    # the shipped unit's kernel is 3
    assert told == [
        f"8x1 mbconv {words}".strip(),
        "8x1 mbconv k5",
        "8x1 mbconv k3",
        "8x1 mbconv k5",
    ]


def test_what_all_networks_share_is_not_told() -> None:
    frame = macro("11111", "11111")
    told = list(told_apart(frame)["stages"])
    assert all("k3" not in text and "e3" not in text for text in told)


def test_turns_of_one_network_that_differ_are_no_choice() -> None:
    # every second window of Swin is shifted, in all networks alike
    picks: list[dict[str, Any]] = [
        {"stages.0.blocks": "swin", "stages.1.blocks": "mbconv"}
        | {"stages.1.blocks=mbconv.0.mbconv.kernel": kernel}
        for kernel in (3, 7)
    ]
    told = list(told_apart(frame_of("hybrid", *picks))["stages"])
    firsts = [text.split(" | ")[0].partition(" ")[2] for text in told]
    seconds = [text.split(" | ")[1].partition(" ")[2] for text in told]
    assert firsts == ["swin + mlp"] * 2
    assert seconds == ["mbconv k3", "mbconv k7"]


def test_words_are_the_same_when_told_again_and_shipped_networks_keep_theirs() -> None:
    frame = macro("12211", "21002", "22222")
    frame.loc[2, "kind"] = "shipped"
    once = told_apart(frame)
    assert once["stages"].iloc[2] == frame["stages"].iloc[2]
    assert list(told_apart(once)["stages"]) == list(once["stages"])


@pytest.mark.parametrize(
    "spec",
    [
        None,
        "",
        "name: x",
        "stages:",
        "stages:\n- {width: 64, block: [",
        "stages:\n- 3",
        "stages:\n- {width: 8, block: [{mbconv: {kernel: 5}, when: index > 0}]}",
        "stages: [{width: 64, block: [mbconv]}]",
    ],
)
def test_a_spec_that_is_not_understood_keeps_its_words(spec: str | None) -> None:
    rows = [{"kind": "search", "spec": text, "stages": "64x2 mbconv"} for text in (
        spec,
        "stages:\n- {width: 8, block: [{mbconv: {kernel: 7}}]}\n",
        "stages:\n- {width: 8, block: [{mbconv: {kernel: 3}}]}\n",
    )]  # fmt: skip
    told = list(told_apart(pd.DataFrame(rows))["stages"])
    assert told == ["64x2 mbconv", "64x2 mbconv k7", "64x2 mbconv k3"]


def test_the_page_has_these_words(tmp_path: Path) -> None:
    frame = made_frame().iloc[:2].assign(state="scored", score=[1.0, 2.0])
    for key, values in macro("12211", "21002")[["spec", "stages"]].items():
        frame[str(key)] = values.to_numpy()
    text = write_page(made_info(), frame, tmp_path / "page.html").read_text("utf-8")
    assert "64x2 mbconv k3 e3 / k5 e6 | 128x3" in text
