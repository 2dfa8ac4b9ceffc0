from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.spec import parse_spec

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
    "unknown input key": ("input: {resolutoin: 3}", "1:9", ["did you mean 'resolution'"]),
    "unknown default": ("defaults: {nrm: batch}", "1:12", ["did you mean 'norm'"]),
    "unknown stage key": (
        BASE + "stages: [{width: 3, dept: 2, block: []}]",
        "2:21",
        ["stages.0.dept", "did you mean 'depth'"],
    ),
    "unknown key of each_stage": (
        BASE + "each_stage: {dpth: 3}\nstages: [{width: 3, block: []}]",
        "2:14",
        ["stages.0.dpth", "did you mean 'depth'"],
    ),
    "unknown turn key": (
        BASE + "stages: [{width: 3, blocks: [{tims: 2, block: []}]}]",
        "2:31",
        ["stages.0.blocks.0.tims", "did you mean 'times'"],
    ),
    "unknown default padding": ("defaults: {padding: smae}", "1:21", ["did you mean 'same'"]),
    "no default groups": ("defaults: {groups: 0}", "1:20", ["defaults.groups", ">= 1"]),
    "unknown weights": (
        "weights: resnt",
        "1:10",
        ["no family of weights", "'resnt'", "did you mean 'resnet'"],
    ),
    "weights of a number": ("weights: 3", "1:10", ["text is needed", "3"]),
    "unknown misprint": (
        "reference: {misprints: [param]}",
        "1:25",
        ["did you mean 'params'", "legal: params, flops, top1"],
    ),
    "misprints that are no list": (
        "reference: {misprints: flops}",
        "1:24",
        ["list is needed", "'flops'"],
    ),
    "unknown reference key": ("reference: {parms: 3}", "1:13", ["did you mean 'params'"]),
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
        "3:41",
        ["stages.0.block.convnext.kernal", "did you mean 'kernel'"],
    ),
    "unknown knob of a layer": (
        BASE + "stem: [{conv: {kernal: 3}}]",
        "2:16",
        ["layer conv has no knob 'kernal'", "did you mean 'kernel'"],
    ),
    "unknown key of residual": (
        BASE + "stem: [{residual: {do: [], shorctut: none}}]",
        "2:28",
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
    "unknown word in a pair": (
        BASE + "stem: [{conv: {kernel: [1, colums]}}]",
        "2:24",
        ["stem.conv.kernel", "did you mean 'columns'"],
    ),
    "unknown word in add": (
        BASE + "stem: [{residual: {do: [], add: rws > 1}}]",
        "2:33",
        ["stem.residual.add", "did you mean 'rows'"],
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
    "residual that adds what it may not": (
        BASE + "stem: [{residual: {do: [{conv: 64}], add: w < 4}}]",
        "2:19",
        ["residual keeps its shape", "64x32x32"],
    ),
    "shortcut of another shape": (
        BASE + "stem: [{residual: {do: [{conv: 64}], shortcut: [{conv: 32}]}}]",
        "2:19",
        ["one shape", "64x32x32", "32x32x32"],
    ),
    "add": (BASE + "stem: [{add: [[], [{conv: 5}]]}]", "2:14", ["one shape", "5x32x32"]),
    "mul": (BASE + "stem: [{mul: [[], [{conv: 5}]]}]", "2:14", ["1 on an axis", "5x32x32"]),
    "concat": (BASE + "stem: [{concat: [[], [{pool: global}]]}]", "2:17", ["one size"]),
    "merge": (BASE + "stem: [{merge: [[{conv: 5}, act], [{conv: 5}]]}]", "2:16", ["act"]),
    "token_mix": (BASE + "stem: [{token_mix: [{linear: 3}]}]", "2:20", ["1024 tokens"]),
    "half a kernel": (BASE + "stem: [{conv: {kernel: [w/2, 1]}}]", "2:24", ["whole number", "1.5"]),
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
    "kernel of three words": (BASE + "stem: [{conv: {kernel: [w, w, w]}}]", "2:24", ["list of 2"]),
    "kernel of a word and true": (
        BASE + "stem: [{conv: {kernel: [w, true]}}]",
        "2:24",
        ["a pair holds numbers", "['w', true]"],
    ),
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
    "add that is a number": (
        BASE + "stem: [{residual: {do: [], add: 1}}]",
        "2:33",
        ["stem.residual.add", "true, false or an expression", "1"],
    ),
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
        "3:55",
        ["stages.0.depth.stp", "did you mean 'step'"],
    ),
    "low above high": (stage("[]", ", depth: {range: [3, 1]}"), "3:47", ["low <= high", "low=3"]),
    "range of one": (stage("[]", ", depth: {range: [3]}"), "3:47", ["[low, high]"]),
    "range of words": (stage("[]", ", depth: {range: [a, b]}"), "3:47", ["[low, high]"]),
    "step that misses the high end": (
        stage("[]", ", depth: {range: [1, 8], step: 2}"),
        "3:61",
        ["stages.0.depth.step", "step must divide", "step=2", "nearest high is 9"],
    ),
    "step of tenths": (
        stage("[]", ", depth: {range: [0.1, 0.78], step: 0.1}"),
        "3:66",
        ["step must divide", "nearest high is 0.8"],
    ),
    "half a step of whole numbers": (
        stage("[]", ", depth: {range: [1, 4], step: 0.5}"),
        "3:61",
        ["a whole step", "step=0.5", "[1.0, 4.0]"],
    ),
    "options that are equal": (
        stage("[]", ", depth: {choice: [1, true]}"),
        "3:48",
        ["options must differ", "[1, true]"],
    ),
    "each_stage that grows": (
        BASE + f"each_stage: {{block: [{', '.join(['act'] * 1000)}]}}\n"
        f"stages: [{', '.join(['{width: 8}'] * 1000)}]",
        "2:13",
        ["each_stage", "at most 100,000 values", "unit"],
    ),
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
    "an unknown key of a unit": (BASE + "units: {u: {bdy: []}}", "2:13", ["did you mean 'body'"]),
    "an unknown key of a knob": (
        unit("[act]", "{k: {defualt: 1}}"),
        "2:25",
        ["units.u.knobs.k.defualt", "did you mean 'default'"],
    ),
    "choices that are no kinds": (
        unit("[act]", "{k: {default: relu, choices: act}}"),
        "2:49",
        ["units.u.knobs.k.choices", "norms, acts", "'act'"],
    ),
    "no kind of activation": (
        unit("[{act: k}]", "{k: {default: null, choices: acts}}", "{u: {k: gleu}}"),
        "3:16",
        ["stem.u.k", "did you mean 'gelu'", "legal: null, relu"],
    ),
    "a default of a knob that holds another kind": (
        unit("[{act: b}]", "{a: {default: layer, choices: norms}, b: {default: a, choices: acts}}"),
        "3:8",
        ["stem.u.b", "unknown value 'layer'"],
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
    "code in add": (
        BASE + "stem: [{residual: {do: [], add: w.real}}]",
        "2:33",
        ["attributes"],
    ),
    "code in a pair": (BASE + "stem: [{conv: {kernel: [1, w**w]}}]", "2:24", ["powers"]),
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
    "exponential units": (chain(2, "act"), "1:1", ["100,000 layers"]),
    "exponential units that differ": (chain(2, "{linear: w + 1}"), "", ["20,000 different"]),
    "units in a long chain": (chain(1, "act", 3000), "", ["48 deep"]),
    "times nested in times": (
        BASE + "stem: [" + "{times: 9999, do: [" * 8 + "act" + "]}" * 8 + "]",
        "1:1",
        ["100,000 layers"],
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
    line = refused(path)
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
        ("extends: resnt50", "1:10", ["no shipped spec", "did you mean 'resnet50'"]),
        ("extends: none.yaml", "1:10", ["no file", "none.yaml"]),
        (f"extends: {'x' * 300}.yaml", "1:10", ["names no file", "xxx"]),
        ('extends: "a\\0.yaml"', "1:10", ["names no file", "a\\x00.yaml"]),
        (f"set: {{stages.{'1' * 50}.depth: 3}}", "1:7", ["words and numbers"]),
        (
            f"stages: [{'{}, ' * 1000}]\nset: {{stages.*.block: [{'act, ' * 1000}]}}",
            "2:7",
            ["at most 100,000 values", "got 100,100"],
        ),
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
    sums = totals(plan_network(parse_spec(chain(calls, "act", 5))))
    assert sums.layers == calls**5
