from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from archspec.cli import specs
from archspec.cli.main import GROUPS, app
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.schema import schema_text
from archspec.shipped import shipped_networks
from archspec.spec import read_spec

ROOT = Path(__file__).resolve().parents[1]
SMALL = """\
input: {resolution: 16}
stem: [{conv: {width: 8, kernel: 3, stride: 2}}, norm, act]
stages:
- {width: 8, depth: 2, block: [{convnext: {kernel: 3}}]}
head: [{pool: global}, {linear: 10}]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def run_json(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert "[/" not in result.stdout
    assert "\x1b" not in result.stdout
    return json.loads(result.stdout)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "archspec.cli.main", *arguments]


def real(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


# The command itself


def test_without_a_command_the_help_is_shown() -> None:
    for arguments in ([], ["-h"], ["--help"]):
        result = run(*arguments)
        assert result.exit_code == 0
        for name in GROUPS["archspec.cli.specs"]:
            assert f" {name} " in result.stdout


@pytest.mark.parametrize("name", GROUPS["archspec.cli.specs"])
def test_every_command_has_help(name: str) -> None:
    for option in ("-h", "--help"):
        result = run(name, option)
        assert result.exit_code == 0
        assert "Usage" in result.stdout


def test_the_version_is_told() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("archspec")
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shwo", "resnet50"], ["'shwo'", "Did you mean 'show'"]),
        (["serch"], ["'serch'"]),
        (["--bogus"], ["--bogus", "archspec -h"]),
        (["show"], ["Missing argument 'SPEC'", "archspec show -h"]),
        (["show", "resnet50", "--laiers"], ["--laiers"]),
        (["show", "resnet50", "--set", "x"], ["PATH=VALUE", "'x'"]),
        (["show", "resnet50", "--set", "stages.0.dept=2"], ["did you mean 'depth'"]),
        (["show", "resnet50", "--set", "stages.9.depth=2"], ["--set stages.9.depth", "4 items"]),
        (["show", "resnet50", "--set", "stem=["], ["--set stem", "not YAML"]),
        (["show", "resnt50"], ["'resnt50'", "did you mean 'resnet50'"]),
        (["show", "x" * 300], ["no shipped spec", "xxx"]),
        (["show", "x\0"], ["no shipped spec", "x\\x00"]),
        (["show", "resnet50", "--set", f"stages.{'1' * 5000}=1"], ["words and numbers"]),
        (["show", "resnet50", "--set", "stages.0.depth=3\nfoo: 1"], ["one line of YAML"]),
        (["show", "hybrid"], ["a domain stands where a value is needed"]),
        (["cost", "resnet50", "nothing"], ["'nothing'"]),
        (["diff", "resnet50"], ["Missing argument 'B'"]),
        (["zoo", "resnt"], ["did you mean 'resnet'"]),
        (["schema", "-o", "/nowhere/at/all"], ["/nowhere/at/all", "cannot be written"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], words: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def test_a_real_process_shows_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("stem: [{conv: __import__('os').getcwd()}]", encoding="utf-8")
    for arguments in (["check", str(path)], ["show", str(path)], ["cost", str(path), "--json"]):
        done = real(*arguments)
        assert done.returncode == 2
        assert not done.stdout
        assert len(done.stderr.splitlines()) == 1
        assert f"{path}:1:15: stem.conv.width: " in done.stderr


def test_a_reader_that_stops_reading_is_no_error() -> None:
    process = subprocess.Popen(
        command("show", "cmt_s", "--layers"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) in (0, 1)
    process.stderr.close()


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(specs, "_planned", interrupted)
    result = run("show", "resnet50")
    assert result.exit_code == 130
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["check", "cmt_s", "hybrid"], ["show", "cmt_s"], ["cost", "cmt_s"], ["zoo"]],
    ids=" ".join,
)
def test_heavy_libraries_are_not_imported(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from archspec.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    assert not done.code\n"
        "heavy = {'torch', 'numpy', 'optuna', 'pandas', 'search', 'reports', 'rich.table'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# check


def test_check_says_what_each_text_is(small: Path) -> None:
    units = ROOT / "specs/units/attention.yaml"
    result = run("check", str(small), "resnet50", "hybrid", str(units))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"ok {small}: network small, 1.634k params, 88.7k FLOPs"
    assert lines[1] == "ok resnet50: network resnet50, 25.6M params, 4.09G FLOPs"
    assert lines[2].startswith("ok hybrid: space hybrid with ")
    assert lines[3].startswith(f"ok {units}: ")
    assert lines[3].endswith(" units")


def test_check_shows_the_errors_of_all_files(tmp_path: Path, small: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("stem: [convnxt]", encoding="utf-8")
    second.write_text("stages: 3", encoding="utf-8")
    result = run("check", str(first), str(small), str(second), "nothing")
    assert result.exit_code == 2
    assert result.stdout.startswith(f"ok {small}: ")
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{first}:1:8: stem.convnxt: ")
    assert lines[1].startswith(f"{second}:1:9: stages: ")
    assert "'nothing'" in lines[2]


def test_check_tries_every_option_of_a_space(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    text = "stem: [{conv: {choice: [4, {choice: [6, 8, wdth]}, 5]}}, {choice: {a: act, b: nrm}}]\n"
    path.write_text(f"{text}stages: [{{depth: {{range: [1, 20000]}}, block: []}}]\n")
    result = run("check", str(path))
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert [any(word in line for line in lines) for word in ("wdth", "nrm", "20000")] == [True] * 3


def test_check_of_a_space_with_many_domains(tmp_path: Path) -> None:
    path = tmp_path / "wide.yaml"
    nodes = ["{conv: {width: {choice: [8, 16]}}}"] * 6_000
    path.write_text(f"stem: [{', '.join(nodes)}]", encoding="utf-8")
    assert "6000 parameters" in run("check", str(path)).stdout


def test_check_points_into_a_file_of_units(tmp_path: Path) -> None:
    path = tmp_path / "units.yaml"
    path.write_text("u:\n  body: [{convnext: {kernal: 3}}]\n", encoding="utf-8")
    result = run("check", str(path))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:2:22: u.body.convnext.kernal: ")


# show


def test_show_tells_parts_and_totals() -> None:
    result = run("show", "resnet50")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "resnet50: input 3x224x224"
    words = [line.split() for line in lines]
    titles = ["path", "what", "output", "params", "FLOPs", "activations"]
    assert [*titles, "depth", "traffic", "field"] in words
    assert "stages.2  6 x bottleneck" in result.stdout
    total = next(line for line in words if line[0] == "total")
    assert total == ["total", "1000x1x1", "25.6M", "4.09G", "11.1M", "50", "426", "MB", "427"]
    assert "receptive field 427, depth 50, memory traffic 426 MB" in result.stdout
    assert "FLOPs are multiply-adds" in result.stdout


def test_show_summarises_blocks() -> None:
    assert "2 x mix_conv, 10 x mix_attn" in run("show", "spach_ms_s_hybrid").stdout
    assert "6 x (swin, mlp)" in run("show", "swin_tiny").stdout
    assert "2 x (conv, act, norm)" in run("show", "cmt_s").stdout


def test_show_json_sums_up() -> None:
    rows = run_json("show", "cmt_s")
    names = ["stem", "stages.0", "stages.1", "stages.2", "stages.3", "head", "total"]
    assert [row["name"] for row in rows] == names
    for key in ("params", "flops", "activations", "depth", "traffic"):
        assert all(type(row[key]) is int for row in rows)
        assert sum(row[key] for row in rows[:-1]) == rows[-1][key]
    assert rows[-1]["params"] == 26_256_160
    assert rows[-1]["receptive_field"] == "global"
    assert rows[1]["output"] == [64, 56, 56, 0]


@pytest.mark.parametrize("name", ["cmt_s", "swin_tiny", "replknet_31b", "efficientnet_b0"])
def test_layers_sum_up(name: str) -> None:
    rows, sums = run_json("show", name, "--layers"), totals(plan_network(read_spec(name)))
    for key in ("params", "flops", "activations"):
        assert sum(row[key] for row in rows) == getattr(sums, key)


@pytest.mark.parametrize("name", ["resnet50", "replknet_31b", "efficientnet_b0"])
def test_each_layer_and_part_tells_how_much_it_sees(name: str) -> None:
    layers, parts = run_json("show", name, "--layers"), run_json("show", name)
    for part in parts[:-1]:
        inside = [row for row in layers if row["name"].startswith(f"{part['name']}.")]
        fields = [row["receptive_field"] for row in inside]
        widest = "global" if "global" in fields else max(fields)
        assert part["receptive_field"] == widest
        assert all(row["traffic"] > 0 for row in inside)
    assert parts[-2]["receptive_field"] == parts[-1]["receptive_field"]
    # the stem of resnet50: a convolution of 7, then pooling of 3 at stride 2
    if name == "resnet50":
        assert [row["receptive_field"] for row in layers[:4]] == [7, 7, 7, 11]


def test_doc_cannot_steer_the_terminal(small: Path) -> None:
    small.write_text(SMALL + 'doc: "a\\e[31mb"\n', encoding="utf-8")
    assert "a\\x1b[31mb" in run("show", str(small)).stdout


def test_layers_tell_repeats_and_knobs() -> None:
    result = run("show", "replknet_31b", "--layers")
    assert result.exit_code == 0
    assert " x18  dwconv 27 " in result.stdout
    assert "conv 128, kernel 3, stride 2" in result.stdout


def test_show_takes_edits() -> None:
    edits = ["--set", "stages.*.depth=1", "--set", "input.resolution=[64, 32]"]
    rows = run_json("show", "resnet50", *edits)
    assert [row["what"] for row in rows[1:-2]] == ["1 x bottleneck"] * 4
    assert rows[0]["output"] == [64, 16, 8, 0]
    assert "form merged" in run("show", "replknet_31b", "--set", "form=merged").stdout


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    master, slave = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
    shape = {"COLUMNS": "80", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command(*arguments), cwd=ROOT, stdout=slave, env={**clean, **shape, **environment}
    )
    os.close(slave)
    data = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # a terminal whose other side is closed
            break
        if not chunk:
            break
        data += chunk
    os.close(master)
    assert process.wait(timeout=60) == 0
    return data.decode()


@pytest.mark.parametrize(
    "arguments",
    [["show", "cmt_s"], ["show", "cmt_s", "--layers"], ["cost", "swin_tiny"], ["zoo", "resnet"]],
    ids=" ".join,
)
def test_tables_fit_a_terminal_of_80_columns(arguments: list[str]) -> None:
    text = on_a_terminal(*arguments, NO_COLOR="1")
    assert "\x1b" not in text
    tables = [line for line in text.splitlines() if line.startswith(" ")]
    assert tables
    assert max(map(len, tables)) <= 80
    assert "…" not in text


def test_a_column_that_has_no_room_is_left_out_before_names_are_broken() -> None:
    narrow, wide = (
        on_a_terminal("zoo", "resnet", NO_COLOR="1", COLUMNS=columns) for columns in ("80", "110")
    )
    for text in (narrow, wide):
        assert "  resnet152 " in text
    assert "source" in wide
    assert "He et al., " in wide
    assert "source" not in narrow.partition("Published")[0]


def test_colour_is_left_out_only_where_asked() -> None:
    assert "\x1b[1m" in on_a_terminal("cost", "resnet50")


def test_elsewhere_tables_are_plain_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = run("show", "cmt_s", "--layers").stdout
    assert "stages.3.blocks.0.lmhsa.residual.do.attention  " in text
    assert text.isascii()


# cost


def test_cost_json_is_a_list_of_plain_counts() -> None:
    rows = run_json("cost", "resnet50", "swin_tiny")
    assert rows[0] == {
        "name": "resnet50",
        "params": 25_557_032,
        "flops": 4_089_184_256,
        "activations": 11_114_984,
        "depth": 50,
        "traffic": 425_783_360,
        "receptive_field": 427,
    }
    assert rows[1]["name"] == "swin_tiny_patch4_window7_224"
    assert rows[1]["receptive_field"] == "global"


def test_cost_is_a_row_a_spec(small: Path) -> None:
    lines = run("cost", str(small), "resnet50").stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "params",
        "FLOPs",
        "activations",
        "depth",
        "traffic",
        "field",
    ]
    assert lines[1].split()[0] == "small"
    assert lines[2].split() == ["resnet50", "25.6M", "4.09G", "11.1M", "50", "426", "MB", "427"]


def test_fvcore_agrees_to_the_unit(small: Path) -> None:
    (row,) = run_json("cost", str(small), "--fvcore")
    ours = totals(plan_network(read_spec(small)))
    assert row["fvcore_total"] == ours.fvcore_total
    assert row["fvcore_total"] > row["flops"]
    assert "to the unit" in run("cost", str(small), "--fvcore").stdout


def test_where_fvcore_disagrees_the_exit_code_is_1(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archspec import referee

    def wrong(*_: object) -> referee.Count:
        return referee.Count(1, 2, 3, {})

    monkeypatch.setattr(referee, "referee", wrong)
    result = run("cost", str(small), "--fvcore")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("error: small: fvcore must count the same flops, but got (ours=")
    assert lines[0].endswith("fvcore=1)")


# diff


def test_diff_speaks_in_paths() -> None:
    lines = run("diff", "resnet50", "regnety_040").stdout.splitlines()
    for line in (
        "stem.cna.width: 64 -> 32",
        "stem.pool: removed {pool: {kind: max, kernel: 3, stride: 2}}",
        "stages.2.depth: 6 -> 12",
        "stages.2.block.bottleneck.se: 0 (default) -> round(w_in/4)",
    ):
        assert line in lines
    total = next(line.split() for line in lines if line.startswith("total"))
    assert total == ["total", "25.6M", "20.6M", "-19.2%", "4.09G", "3.97G", "-2.8%"]


BASE = "defaults: {act: relu}\nstem: [{conv: 8}, act]\nstages: [{width: 8, block: [convnext]}]\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("act: relu", "act: gelu", ["defaults.act: relu -> gelu"]),
        ("[convnext]", "[{convnext: {kernel: 7}}]", []),
        ("[convnext]", "[{convnext: {}}]", []),
        ("{conv: 8}", "{conv: {width: 8}}", []),
        ("[convnext]", "[{convnext: {kernel: 3}}]", [
            "stages.0.block.convnext.kernel: 7 (default) -> 3"
        ]),
        ("[convnext]", "[convnext, {convnext: {kernel: 3}}]", [
            "stages.0.block.convnext#2: added {convnext: {kernel: 3}}"
        ]),
        ("[{conv: 8}, act]", "[act, {conv: 8}]", ["stem: order conv, act -> act, conv"]),
        ("[{conv: 8}, act]", "[{conv: 8}]", ["stem.act: removed act"]),
        ("[{conv: 8}, act]", "[{conv: 8}, {act: relu, when: w > 3}]", [
            "stem.act.when: null -> w > 3", "stem.act.kind: null (default) -> relu"
        ]),
        ("block: [convnext]", "depth: 4, block: [convnext]", ["stages.0.depth: 1 -> 4"]),
        ("block: [convnext]", "blocks: [[convnext], []]", [
            "stages.0.blocks: [[convnext]] -> [[convnext], []]"
        ]),
        ("stages", "units: {u: {body: [act]}}\nstages", ["units.u: added {body: [act]}"]),
        ("[convnext]}]", "[convnext]}, {width: 8, block: [lpu]}]", [
            "stages.1: added {width: 8, depth: 1, stride: 1, block: [lpu]}"
        ]),
        ("stem:", "input: {resolution: 64}\nclasses: 10\nstem:", [
            "classes: 1000 -> 10", "input.resolution: 224 -> 64"
        ]),
    ],
)  # fmt: skip
def test_each_difference_is_a_line(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(BASE, encoding="utf-8")
    assert BASE.count(old) == 1
    b.write_text(BASE.replace(old, new), encoding="utf-8")
    result = run("diff", str(a), str(b))
    assert result.exit_code == 0
    found = result.stdout.partition("path")[0].strip().splitlines()
    assert found == (expected or ["no difference"])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            "{residual: [{dwconv: 3}]}",
            "{residual: [{dwconv: 5}]}",
            "stem.residual.dwconv.kernel: 3 -> 5",
        ),
        (
            "{residual: [{dwconv: 3}]}",
            "{residual: {do: [{dwconv: 5}], drop_path: false}}",
            "stem.residual.do.dwconv.kernel: 3 -> 5",
        ),
        (
            "{residual: [{dwconv: 3}]}",
            "{residual: {do: [{dwconv: 3}], add: w > 3}}",
            "stem.residual.add: true -> w > 3",
        ),
        (
            "{add: [[], [{dwconv: 3}]]}",
            "{add: [[], [{dwconv: 5}]]}",
            "stem.add.1.dwconv.kernel: 3 -> 5",
        ),
        (
            "{times: 2, do: [{dwconv: 3}]}",
            "{times: 3, do: [{dwconv: 3}]}",
            "stem.times.times: 2 -> 3",
        ),
        (
            "{attention: {heads: 1, kv: [{dwconv: 3}]}}",
            "{attention: {heads: 1, kv: [{dwconv: 5}]}}",
            "stem.attention.kv.dwconv.kernel: 3 -> 5",
        ),
        (
            "{token_mix: [{linear: tokens}]}",
            "{token_mix: [{linear: {width: tokens, bias: false}}]}",
            "stem.token_mix.linear.bias: true (default) -> false",
        ),
    ],
)
def test_differences_inside_joins(tmp_path: Path, a: str, b: str, expected: str) -> None:
    paths = []
    for name, text in (("a", a), ("b", b)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(f"input: {{resolution: 8}}\nstem: [{text}]\n", encoding="utf-8")
    assert expected in run("diff", *map(str, paths)).stdout.splitlines()


def test_the_paths_of_diff_can_be_set() -> None:
    rows = run_json("diff", "resnet50", "regnety_040")
    differences = [row for row in rows if row["kind"] == "difference" and row["b"] is not None]
    edits = [(row["path"], json.dumps(row["b"])) for row in differences]
    pooled = read_spec("regnety_040").dump()
    made = read_spec("resnet50", [*edits, ("stem", "[{cna: {width: 32, kernel: 3, stride: 2}}]")])
    # names, notes and figures are no part of the architecture
    others = {"name": "x", "doc": "", "weights": None, "scaling": None, "reference": None}
    wanted = read_spec("regnety_040").model_copy(update=others)
    assert made.model_copy(update=others).dump() == wanted.dump(), pooled


def test_diff_json_holds_differences_and_costs() -> None:
    rows = run_json("diff", "resnet50", "cmt_s")
    assert {row["kind"] for row in rows} == {"difference", "cost"}
    assert {"kind": "difference", "path": "stages.2.depth", "a": 6, "b": 16} in rows
    total = rows[-1]
    assert total["name"] == "total"
    assert total["a"]["params"] == 25_557_032
    assert total["b"]["params"] == 26_256_160


# zoo and schema


def cells(line: str) -> list[str]:
    """A row of a plain table, whose columns are two blanks apart or more."""
    return re.split(r" {2,}", line.strip())


def test_zoo_lists_what_is_shipped() -> None:
    lines = run("zoo").stdout.splitlines()
    titles = ["name", "input", "params", "published", "FLOPs", "published", "top-1", "source"]
    assert cells(lines[0]) == titles
    rows = {row[0]: row[1:] for row in map(cells, lines)}
    assert rows["resnet50"][:6] == ["3x224x224", "25.6M", "25.6M", "4.09G", "4.1G", "76.13"]
    assert rows["resnet50"][6].startswith("He et al., arXiv 1512.03385")
    # a family is a row of its own, its networks stand below it by cost
    assert lines.index("resnet") < lines.index(next(line for line in lines if "resnet18 " in line))
    assert any(line.startswith("space hybrid: ") for line in lines)


def test_zoo_marks_figures_that_are_not_the_networks() -> None:
    lines = run("zoo", "cmt").stdout.splitlines()
    rows = {row[0]: row[1:] for row in map(cells, lines)}
    assert rows["cmt_s"][1:5] == ["26.3M", "!25.1M", "4.03G", "4.0G"]
    assert "! marks one that is not the published network's." in lines
    (note,) = [line for line in lines if line.startswith("  cmt_s: ")]
    assert note.startswith("  cmt_s: ! ")
    assert "26.26M" in note
    # a family without misprints is told nothing of them
    text = run("zoo", "vgg").stdout
    assert "resnet50" not in text
    assert "!" not in text


def test_the_zoo_is_a_page() -> None:
    page = run("zoo", "--markdown").stdout
    lines = page.splitlines()
    families = [line[3:] for line in lines if line.startswith("## ")]
    assert families == sorted({path.parent.name for path in shipped_networks().values()})
    tables = [line for line in lines if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in tables} == {10}
    first = {line.split(" | ")[0].strip("| ") for line in tables}
    assert first == {"name", "---", *shipped_networks()}
    (row,) = [line for line in tables if line.startswith("| cmt_s |")]
    assert "| 26.3M | !25.1M | 4.03G | 4.0G | 83.5 |" in row
    assert any(line.startswith("- cmt_s: ! ") for line in lines)
    page = run("zoo", "resnet", "--markdown").stdout
    assert "## resnet\n" in page
    assert "cmt_s" not in page
    (row,) = [line for line in page.splitlines() if line.startswith("| resnet50 |")]
    assert " | timm, torchvision" in row


def test_zoo_json_puts_published_figures_beside_ours() -> None:
    rows = {row["name"]: row for row in run_json("zoo")}
    row = rows["resnet50"]
    assert (row["family"], row["params"], row["flops"]) == ("resnet", 25_557_032, 4_089_184_256)
    assert row["published"]["params"] == 25_600_000
    assert row["published"]["top1"] == 76.13
    assert row["published"]["misprints"] == []
    assert row["weights"][:2] == ["timm", "torchvision"]
    assert rows["cmt_s"]["published"]["misprints"] == ["params"]
    assert rows["hybrid"]["family"] == "spaces"
    assert {row["family"] for row in run_json("zoo", "swin")} == {"swin"}


def test_schema_is_printed_or_written(tmp_path: Path) -> None:
    result = run("schema")
    assert result.stdout == schema_text()
    path = tmp_path / "schema.json"
    assert run("schema", "-o", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8") == schema_text()
