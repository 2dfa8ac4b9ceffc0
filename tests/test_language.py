from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.cost import Totals, leaves, totals
from archspec.errors import SpecError
from archspec.layers.convolution import Conv, DwConv
from archspec.load import parse_yaml
from archspec.plan import LayerPlan, NetworkPlan
from archspec.planning import plan_network
from archspec.resolve import deal, resolve
from archspec.shipped import shipped_networks
from archspec.spec import Memory, NetworkSpec, make_spec, parse_spec, read_spec
from archspec.template import Template

BASE = "input: {resolution: 32}\n"
#: a stage of width 8 behind a stem of width 8; the block stands at 3:27
STAGE = BASE + "stem: [{conv: 8}]\nstages: [{width: 8, block: "


def stage(block: str, keys: str = "") -> str:
    return f"{STAGE}{block}{keys}}}]"


def unit(body: str, knobs: str = "", call: str = "u") -> str:
    knobs = f"knobs: {knobs}, " if knobs else ""
    return f"{BASE}units: {{u: {{{knobs}body: {body}}}}}\nstem: [{call}]"


def chain(calls: int, leaf: str, count: int = 40) -> str:
    """Units that each call the next one `calls` times."""
    units = [f"  u{n}: {{body: [{', '.join([f'u{n + 1}'] * calls)}]}}" for n in range(count)]
    return "\n".join([BASE + "units:", *units, f"  u{count}: {{body: [{leaf}]}}", "stem: [u0]"])


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)

#: text, its place (line:column, or empty), words that the line must hold
WRONG: dict[str, tuple[str, str, list[str]]] = {
    # names
    "unknown key": ("stagse: []", "1:1", ["stagse", "did you mean 'stages'"]),
    "unknown input key": ("input: {resolutoin: 3}", "1:21", ["did you mean 'resolution'"]),
    "unknown default": ("defaults: {nrm: batch}", "1:17", ["did you mean 'norm'"]),
    "unknown stage key": (
        BASE + "stages: [{width: 3, dept: 2, block: []}]",
        "2:27",
        ["stages.0.dept", "did you mean 'depth'"],
    ),
    "unknown key of each_stage": (
        BASE + "each_stage: {dpth: 3}\nstages: [{width: 3, block: []}]",
        "2:20",
        ["stages.0.dpth", "did you mean 'depth'"],
    ),
    "unknown turn key": (
        BASE + "stages: [{width: 3, blocks: [{tims: 2, block: []}]}]",
        "2:37",
        ["stages.0.blocks.0.tims", "did you mean 'times'"],
    ),
    "unknown reference key": ("reference: {parms: 3}", "1:20", ["did you mean 'params'"]),
    "unknown unit": (
        stage("[convnxt]"),
        "3:29",
        ["stages.0.block.convnxt", "unknown unit or layer 'convnxt'", "did you mean 'convnext'"],
    ),
    "unknown layer in kv": (
        BASE + "stem: [{attention: {kv: [nrm]}}]",
        "2:26",
        ["stem.attention.kv.nrm", "did you mean 'norm'"],
    ),
    "unknown knob of a unit": (
        stage("[{convnext: {kernal: 3}}]"),
        "3:49",
        ["stages.0.block.convnext.kernal", "did you mean 'kernel'"],
    ),
    "unknown knob of a layer": (
        BASE + "stem: [{conv: {kernal: 3}}]",
        "2:24",
        ["layer conv has no knob 'kernal'", "did you mean 'kernel'"],
    ),
    "unknown key of residual": (
        BASE + "stem: [{residual: {do: [], shorctut: none}}]",
        "2:38",
        ["did you mean 'shortcut'"],
    ),
    "unknown word": (
        BASE + "head: [{linear: clases*2}]",
        "2:17",
        ["head.linear.width", "'clases'", "did you mean 'classes'"],
    ),
    "unknown word in when": (
        BASE + "stem: [{act: relu, when: strid > 1}]",
        "2:26",
        ["when", "did you mean 'stride'"],
    ),
    "unknown function": (BASE + "stem: [{conv: rond(w)}]", "2:15", ["did you mean 'round'"]),
    "unknown norm": (BASE + "stem: [{norm: bach}]", "2:15", ["did you mean 'batch'"]),
    "unknown default norm": ("defaults: {norm: bach}", "1:18", ["did you mean 'batch'"]),
    "unknown norm of a unit": (
        BASE + "stem: [{cna: {norm: bach}}]",
        "2:21",
        ["stem.cna.norm", "did you mean 'batch'"],
    ),
    "unknown form": ("form: marged", "1:7", ["did you mean 'merged'"]),
    "a blank in a key": ('"a\\nb": 3', "1:1", ["a\\nb"]),
    # shapes
    "heads": (
        BASE + "stem: [{conv: 10}, {attention: {heads: 3}}]",
        "2:32",
        ["heads must divide", "heads=3", "width=10", "head_dim"],
    ),
    "heads inside a unit": (
        stage("[{mhsa: {heads: 3}}]"),
        "3:36",
        ["stages.0.block.mhsa", "heads=3, width=8", "in unit mhsa"],
    ),
    "groups": (
        BASE + "stem: [{conv: 10}, {conv: {groups: 3}}]",
        "2:27",
        ["stem.conv#2", "groups must divide", "in=10"],
    ),
    "window": (
        stage("[{swin: {window: 7}}]"),
        "3:36",
        ["window must divide the map", "32x32", "windows that fit: 1, 2, 4", "pad: true"],
    ),
    "window with a class token": (
        BASE + "stem: [class_token, {attention: {window: 4}}]",
        "2:33",
        ["extra token", "{take: map}"],
    ),
    "convolution with a class token": (
        BASE + "stem: [class_token, {conv: 3}]",
        "2:28",
        ["extra token", "{take: map}"],
    ),
    "stride that nothing takes": (
        stage("[convnext]", ", stride: 2"),
        "3:48",
        ["stages.0.stride", "stride=2", "32x32 -> 32x32", "`down`"],
    ),
    "stride that does not fit": (
        BASE + "stages: [{width: 3, stride: 2, down: [{pool: {kind: avg, kernel: 3}}], block: []}]",
        "2:29",
        ["must shrink by the stride", "32x32 -> 10x10"],
    ),
    "width that blocks do not reach": (
        stage("[{conv: 7}]"),
        "3:18",
        ["stages.0.width", "width=8", "end at 7"],
    ),
    "kernel beyond the map": (
        BASE + "stem: [{conv: {kernel: 99, padding: 0}}]",
        "2:15",
        ["99x99", "32x32"],
    ),
    "residual without shortcut": (
        BASE + "stem: [{residual: [{conv: 64}]}]",
        "2:19",
        ["residual keeps its shape", "3x32x32", "64x32x32", "shortcut"],
    ),
    "shortcut of another shape": (
        BASE + "stem: [{residual: {do: [{conv: 64}], shortcut: [{conv: 32}]}}]",
        "2:19",
        ["one shape", "64x32x32", "32x32x32"],
    ),
    "add": (BASE + "stem: [{add: [[], [{conv: 5}]]}]", "2:14", ["one shape", "5x32x32"]),
    "mul": (BASE + "stem: [{mul: [[], [{conv: 5}]]}]", "2:14", ["1x1 gates"]),
    "concat": (BASE + "stem: [{concat: [[], [{pool: global}]]}]", "2:17", ["one size"]),
    "merge": (BASE + "stem: [{merge: [[{conv: 5}, act], [{conv: 5}]]}]", "2:16", ["act"]),
    "token_mix": (BASE + "stem: [{token_mix: [{linear: 3}]}]", "2:20", ["1024 tokens"]),
    "half a channel": (BASE + "stem: [{conv: w/2}]", "2:15", ["whole number", "1.5"]),
    # values
    "negative depth": (stage("[]", ", depth: -1"), "3:39", ["depth", ">= 1", "-1"]),
    "no depth": (stage("[]", ", depth: 0"), "3:39", [">= 1"]),
    "depth true": (stage("[]", ", depth: true"), "3:39", ["whole number", "true"]),
    "quoted width": (BASE + 'stages: [{width: "8", block: []}]', "2:18", ["whole number", "'8'"]),
    "no kernel": (BASE + "stem: [{conv: {kernel: 0}}]", "2:24", ["stem.conv.kernel", ">= 1"]),
    "kernel big": (BASE + "stem: [{conv: {kernel: big}}]", "2:24", ["unknown word 'big'"]),
    "kernel true": (BASE + "stem: [{conv: {kernel: true}}]", "2:24", ["number", "true"]),
    "kernel of three": (BASE + "stem: [{conv: {kernel: [3, 3, 3]}}]", "2:24", ["list of 2"]),
    "kernel of a mapping": (BASE + "stem: [{conv: {kernel: {a: 3}}}]", "2:24", ["plain value"]),
    "bias maybe": (BASE + "stem: [{conv: {bias: maybe}}]", "2:22", ["unknown word 'maybe'"]),
    "bias 2": (BASE + "stem: [{conv: {bias: 2}}]", "2:22", ["true or false", "2"]),
    "width null": (BASE + "stem: [{conv: {width: null}}]", "2:23", ["whole number", "null"]),
    "side": ("input: {resolution: 0}", "1:21", ["input.resolution", "1 <= side", "0"]),
    "three sides": ("input: {resolution: [1, 2, 3]}", "1:21", ["[height, width]"]),
    "side in words": ("input: {resolution: big}", "1:21", ["whole number", "'big'"]),
    "no classes": ("classes: 0", "1:10", [">= 1"]),
    "a name that is a number": ("name: 3", "1:7", ["text is needed", "3"]),
    "reference in words": ("reference: {params: lots}", "1:21", ["'lots'", "28.6M"]),
    "a pool of no kind": (BASE + "stem: [pool]", "2:8", ["'kind' is missing"]),
    "an unknown token": (
        BASE + "stem: [class_token, {take: foo}]",
        "2:28",
        ["legal: map, a number"],
    ),
    "a token that is not there": (BASE + "stem: [{take: 0}]", "2:15", ["token=0, extras=0"]),
    # structure
    "empty": ("", "1:1", ["empty", "name: example"]),
    "a list": ("- a", "1:1", ["mapping", "a list"]),
    "list where a mapping belongs": ("input: [1, 2]", "1:8", ["mapping is needed", "[1, 2]"]),
    "mapping where a list belongs": ("stem: {conv: 3}", "1:7", ["list of nodes", "[{conv: 3}]"]),
    "text where a list belongs": ("stem: conv", "1:7", ["write [conv]"]),
    "nothing where a list belongs": ("stages:", "1:8", ["list is needed", "null"]),
    "stages as a mapping": ("stages: {width: 3}", "1:9", ["list is needed"]),
    "a stage that is no mapping": (BASE + "stages: [a]", "2:10", ["stages.0", "mapping", "'a'"]),
    "a node of two names": (BASE + "stem: [{act: relu, norm: batch}]", "2:8", ["one name", "norm"]),
    "a node that is a number": (BASE + "stem: [3]", "2:8", ["a node is a name", "3"]),
    "residual of nothing": (BASE + "stem: [residual]", "2:8", ["'residual' needs a value"]),
    "add of one": (BASE + "stem: [{add: [[]]}]", "2:14", ["two branches"]),
    "times without do": (BASE + "stem: [{times: 3}]", "2:8", ["do: [...]"]),
    "neither block nor blocks": (BASE + "stages: [{width: 3}]", "2:10", ["either", "neither"]),
    "both block and blocks": (
        BASE + "stages: [{width: 3, block: [], blocks: [[]]}]",
        "2:10",
        ["either", "both"],
    ),
    "turns and times mixed": (
        BASE + "stages: [{width: 3, blocks: [[], {times: 2, block: []}]}]",
        "2:29",
        ["in turn or all spelled out"],
    ),
    "depth beside times": (
        BASE + "stages: [{width: 3, depth: 3, blocks: [{times: 2, block: []}]}]",
        "2:28",
        ["sum of times", "2"],
    ),
    "twice": ("name: a\nname: b", "2:1", ["twice", "line 1"]),
    "tab": ("name: a\n\tx: 1", "2:1", ["tab"]),
    "format 2": ("format: 2", "1:9", ["newer", "update"]),
    "format one": ("format: one", "1:9", ["write 1"]),
    # domains
    "a domain for a wrong key": (
        stage("[]", ", depth: {range: [1, 2], stp: 1}"),
        "3:60",
        ["stages.0.depth.stp", "did you mean 'step'"],
    ),
    "low above high": (stage("[]", ", depth: {range: [3, 1]}"), "3:47", ["low <= high", "low=3"]),
    "range of one": (stage("[]", ", depth: {range: [3]}"), "3:47", ["[low, high]"]),
    "range of words": (stage("[]", ", depth: {range: [a, b]}"), "3:47", ["[low, high]"]),
    "step of nothing": (stage("[]", ", depth: {range: [1, 3], step: 0}"), "3:61", ["step > 0"]),
    "log from zero": (stage("[]", ", depth: {log_range: [0, 3]}"), "3:51", ["low > 0"]),
    "choice of nothing": (stage("[]", ", depth: {choice: []}"), "3:48", ["1 to 1000 options"]),
    "a choice given twice": (stage("[]", ", depth: {choice: [2, 2]}"), "3:48", ["must differ"]),
    "ties that differ": (
        BASE + "stem: [{conv: {choice: [8, 16], tie: a}}, {conv: {choice: [8, 24], tie: a}}]",
        "",
        ["tied as 'a' must be equal"],
    ),
    "a typo in the second option": (
        stage("{choice: {a: [act], b: [convnxt]}}"),
        "3:52",
        ["did you mean 'convnext'"],
    ),
    "a typo in an option inside an option": (
        stage("{choice: {a: [act], b: [{times: 1, do: {choice: [[act], [nrm]]}}]}}"),
        "3:85",
        ["times.do.nrm", "did you mean 'norm'"],
    ),
    "an end of a range that does not fit": (
        stage("[]", ", depth: {range: [1, 99999]}"),
        "",
        ["<= 10000", "99999"],
    ),
    # units
    "a unit that calls itself": (unit("[u]"), "2:19", ["may not call itself", "u -> u"]),
    "units in a circle": (
        BASE + "units: {a: {body: [b]}, b: {body: [a]}}\nstem: [a]",
        "2:19",
        ["a -> b -> a"],
    ),
    "a unit of a layer's name": (BASE + "units: {conv: {body: []}}", "2:15", ["meaning already"]),
    "a unit without a body": (
        BASE + "units: {u: {doc: d}}",
        "2:12",
        ["units.u", "'body' is missing"],
    ),
    "an unknown key of a unit": (BASE + "units: {u: {bdy: []}}", "2:18", ["did you mean 'body'"]),
    "an unknown key of a knob": (
        unit("[act]", "{k: {defualt: 1}}"),
        "2:34",
        ["units.u.knobs.k.defualt", "did you mean 'default'"],
    ),
    "an unknown word in a body": (
        unit("[{conv: kk}]", "{k: 1}"),
        "2:42",
        ["units.u.body.conv.width", "did you mean 'k'"],
    ),
    "a default that uses a later knob": (
        unit("[{conv: a}]", "{a: b*2, b: 3}"),
        "2:24",
        ["unknown word 'b'"],
    ),
    "below min": (stage("[{mbconv: {expansion: 0}}]"), "3:50", ["expansion", ">= 1", "0"]),
    "above max": (stage("[{mbconv: {se: 2}}]"), "3:43", ["mbconv.se", "<= 1", "2"]),
    "no choice of an own knob": (
        unit("[act]", "{k: {default: 1, choices: [1, 2]}}", "{u: {k: 3}}"),
        "3:16",
        ["stem.u.k", "unknown value 3", "legal: 1, 2"],
    ),
    "a computed value below min": (
        unit("[act]", "{k: {default: 1, min: 9}}", "{u: {k: w*2}}"),
        "3:16",
        ["stem.u.k", ">= 9", "6"],
    ),
    "a null where a number is needed": (
        unit("[{conv: k*2}]", "{k: 3}", "{u: {k: null}}"),
        "2:42",
        ["stem.u", "'k'", "null", "k == null"],
    ),
    "w_out in the stem": (BASE + "stem: [{conv: w_out}]", "2:15", ["`w_out`", "stage's width"]),
    "w_out in a stage without width": (
        BASE + "stages: [{block: [{conv: w_out}]}]",
        "2:26",
        ["stages.0.block.conv.width", "`w_out`", "give the stage a width"],
    ),
    "w_out by a unit in a stage without width": (
        BASE + "stages: [{block: [mbconv]}]",
        "2:19",
        ["stages.0.block.mbconv", "`w_out`", "give the stage a width"],
    ),
    "w_out in a default in a stage without width": (
        BASE + "stages: [{block: [bottleneck]}]",
        "2:19",
        ["`w_out`", "give the stage a width"],
    ),
    # code
    "import": (BASE + "stem: [{conv: \"__import__('os')\"}]", "2:15", ["must not use strings"]),
    "import without quotes": (BASE + "stem: [{conv: __import__(os)}]", "2:15", ["__import__"]),
    "class": (BASE + "stem: [{conv: ().__class__}]", "2:15", ["attributes"]),
    "lambda": (BASE + "stem: [{conv: 'lambda: 3'}]", "2:15", ["lambda"]),
    "attribute": (BASE + "stem: [{act: relu, when: w.real}]", "2:26", ["attributes"]),
    "power": (BASE + "stem: [{conv: 9**9**9}]", "2:15", ["powers"]),
    "code in a default": (unit("[{conv: k}]", "{k: '().__class__ or w'}"), "2:24", ["attributes"]),
    "code in times": (BASE + "stem: [{times: 9**9, do: []}]", "2:16", ["powers"]),
    "tag": (BASE + "stem: !!python/object/apply:os.system [ls]", "2:7", ["tags"]),
    "division by zero": (BASE + "stem: [{conv: 8/(w-3)}]", "2:15", ["by zero", "w=3"]),
    # too much
    "depth of ten billion": (stage("[]", ", depth: 10000000000"), "3:39", ["<= 10000"]),
    "times of ten billion": (BASE + "stem: [{times: 10000000000, do: []}]", "2:16", ["<= 10000"]),
    "width of a million": (BASE + "stem: [{conv: 1000000}]", "2:15", ["<= 100000"]),
    "stage of a million": (BASE + "stages: [{width: 1000000, block: []}]", "2:18", ["<= 100000"]),
    "kernel of a thousand": (BASE + "stem: [{conv: {kernel: 999}}]", "2:24", ["<= 255"]),
    "alias bomb": (BOMB, "6:10", ["100,000"]),
    "deeply nested text": ("stem: " + "[" * 500 + "]" * 500, "1:70", ["64 levels"]),
    "exponential units": (chain(2, "act"), "1:1", ["200,000 layers"]),
    "exponential units that differ": (chain(2, "{linear: w + 1}"), "", ["20,000 different"]),
    "units in a long chain": (chain(1, "act", 3000), "", ["48 deep"]),
    "times nested in times": (
        BASE + "stem: [" + "{times: 9999, do: [" * 8 + "act" + "]}" * 8 + "]",
        "1:1",
        ["200,000 layers"],
    ),
    "times nested in times that differ": (
        BASE + "stem: [" + "{times: 9999, do: [" * 3 + "{linear: w + 1}" + "]}" * 3 + "]",
        "",
        ["20,000 different"],
    ),
}


def refused(path: Path, *command: str) -> str:
    """The one line that the command line says of a wrong file."""
    result = CliRunner().invoke(app, [*(command or ("check",)), str(path)])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert not result.stdout
    assert len(lines[0]) < 1_000 + len(str(path))
    return lines[0]


@pytest.mark.parametrize(("text", "place", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_text_is_told_in_one_line(
    tmp_path: Path, text: str, place: str, words: list[str]
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    line = refused(path)
    assert time.perf_counter() - start < 2  # a few milliseconds; under 0.7 s where limits end it
    assert line.startswith(f"{path}:{place}:" if place else f"{path}:")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (stage("[]", ", depth: {range: [1, 2]}"), "3:39", ["stages.0.depth", "{range: [1, 2]}"]),
        (BASE + "stem: [{conv: {width: {choice: [1, 2]}}}]", "2:23", ["stem.conv.width"]),
        (stage("{choice: {a: [act]}}"), "3:28", ["stages.0.block"]),
        ("form: {choice: [train, merged]}", "1:7", ["form"]),
    ],
)
def test_a_domain_is_no_value(tmp_path: Path, text: str, place: str, words: list[str]) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(text, encoding="utf-8")
    line = refused(path, "show")
    assert line.startswith(f"error: {path}:{place}: ")
    for word in ["a domain stands where a value is needed", *words]:
        assert word in line


SET = "extends: resnet50\nset: "


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("extends: net.yaml", "1:10", ["circle", "net.yaml -> net.yaml"]),
        ("extends: other.yaml", "", ["circle", "net.yaml -> other.yaml -> net.yaml"]),
        ("extends: ../x.yaml", "1:10", ["stays inside its folder", "../x.yaml"]),
        ("extends: /etc/passwd.yaml", "1:10", ["stays inside its folder"]),
        ("extends: link.yaml", "1:10", ["stays inside its folder"]),
        ("extends: sub/../../x.yaml", "1:10", ["stays inside its folder"]),
        ("extends: resnet5", "1:10", ["no shipped spec", "did you mean 'resnet50'"]),
        ("extends: none.yaml", "1:10", ["no file", "none.yaml"]),
        ("extends: [resnet50]", "1:10", ["a shipped name or a path"]),
        ("extends: child.yaml", "", ["child.yaml:1:7", "stem", "list of nodes"]),
        (SET + "[a]", "2:6", ["path: value", "['a']"]),
        (SET + "{stages.9.depth: 3}", "2:7", ["set.stages.9.depth", "4 items", "no 9"]),
        (SET + "{stages.x.depth: 3}", "2:7", ["numbered from 0"]),
        (SET + "{stages.*.dpeth: 3}", "2:23", ["stages.0.dpeth", "did you mean 'depth'"]),
        (SET + "{stage.0.depth: 3}", "2:7", ["has no 'stage'", "did you mean 'stages'"]),
        (
            SET + "{stages.0.block.bottelneck.kernel: 3}",
            "2:7",
            ["stages.0.block has no 'bottelneck'", "did you mean 'bottleneck'"],
        ),
        (SET + "{stages.0.block.bottleneck.kernal: 3}", "2:41", ["did you mean 'kernel'"]),
        (SET + "{stages..depth: 3}", "2:7", ["words and numbers joined by dots"]),
        (SET + "{head.linear.width.x: 3}", "2:7", ["leads nowhere"]),
        (SET + "{stages.*.depth: [1, 2, 3]}", "2:7", ["dealt out", "4 are needed", "got 3"]),
        (SET + "{stages.*.depth: [1, 2, 3, 4, 5]}", "2:7", ["4 are needed", "got 5"]),
    ],
)
def test_wrong_extends_and_set(tmp_path: Path, text: str, place: str, words: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "x.yaml").write_text("stem: []", encoding="utf-8")
    (folder / "link.yaml").symlink_to(tmp_path / "x.yaml")
    (folder / "other.yaml").write_text("extends: net.yaml", encoding="utf-8")
    (folder / "child.yaml").write_text("stem: 3", encoding="utf-8")
    path = folder / "net.yaml"
    path.write_text(text, encoding="utf-8")
    line = refused(path)
    assert line.startswith(f"{path}:{place}:" if place else str(folder))
    for word in words:
        assert word in line


def test_files_that_are_no_text(tmp_path: Path) -> None:
    binary = tmp_path / "net.yaml"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    assert "UTF-8" in refused(binary)
    assert "no such file" in refused(tmp_path / "none.yaml")
    assert "directory" in refused(Path(f"{tmp_path}/"))
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    assert "no regular file" in refused(pipe)


@pytest.mark.parametrize("calls", [1, 2, 9])
def test_units_that_call_units_are_planned_at_once(calls: int) -> None:
    start = time.perf_counter()
    sums = totals(plan_network(parse_spec(chain(calls, "act", 5))))
    assert sums.layers == calls**5
    assert time.perf_counter() - start < 1


# What the words mean


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


# Round trips

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
