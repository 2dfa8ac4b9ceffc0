"""The command scale: what it prints and writes, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.cost import totals
from archspec.diff import differences
from archspec.planning import plan_network
from archspec.spec import read_spec


def scale(*words: str) -> str:
    result = CliRunner().invoke(app, ["scale", *words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, ["scale", *words])
    assert result.exit_code == 2, result.stdout
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_what_is_written_is_what_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    told = scale("efficientnet_b0", "--rule", "efficientnet_released", "--phi", "4", "-o", str(out))
    assert f"written to {out}" in told
    assert differences(read_spec(str(out)), read_spec("efficientnet_b4")) == []
    text = out.read_text()
    assert "extends: efficientnet_b0" in text
    assert len(text.splitlines()) < 12


def test_without_a_file_the_text_is_printed_below_the_factors(tmp_path: Path) -> None:
    told = scale("cmt_s", "--phi", "1")
    table, _, text = told.partition("\n\n")
    rows = {line.split("  ")[0]: line.split() for line in table.splitlines()}
    # 3, 3, 16 and 3 blocks become 4, 4, 19 and 4
    assert rows["depth"][1:3] == ["x1.2", "x1.24"]
    assert rows["width"][1] == "x1.3"
    assert rows["resolution"][1:] == ["x1.15", "x1.143", "224", "256"]
    assert "= 2.352 a phi (printed as 2.5)" in table
    assert "FLOPs are multiply-adds" in table
    file = tmp_path / "again.yaml"
    file.write_text(text)
    assert read_spec(str(file)).input.resolution == 256


def test_json_is_one_document_of_both_networks(tmp_path: Path) -> None:
    before, after = json.loads(scale("cmt_s", "--to", "4.5GFLOPs", "--and", "30Mparams", "--json"))
    assert before["flops"] == totals(plan_network(read_spec("cmt_s"))).flops
    assert after["flops"] <= 4.5e9
    assert after["params"] <= 30e6
    assert after["used"] == max(after["flops"] / 4.5e9, after["params"] / 30e6) >= 0.98
    assert after["rule"] == "cmt"
    file = tmp_path / "landed.yaml"
    file.write_text(after["spec"])
    assert totals(plan_network(read_spec(str(file)))).flops == after["flops"]


def test_the_budget_that_binds_is_named() -> None:
    told = scale("convnext_tiny", "--rule", "dwr", "--to", "40GFLOPs", "--and", "30Mparams")
    assert "% of 30Mparams" in told
    assert "% of 40GFLOPs" not in told


def test_times_is_a_factor_of_flops_by_the_law() -> None:
    _, after = json.loads(scale("resnet50", "--rule", "d1_w8_g8_r1", "--times", "4", "--json"))
    assert after["phi"] == pytest.approx(2)
    assert after["asked"]["width"] == pytest.approx(4**0.4)


def test_settings_of_network_and_rule_come_first(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    scale(
        "resnet50", "--set", "stages.2.depth=9", "--rule", "efficientnet", "--rule-set",
        "law.growth=2.15", "--rule-set", "depth=1.344", "--phi", "1", "-o", str(out),
    )  # fmt: skip
    spec = read_spec(str(out))
    # ceil(1.344 n) of 3, 4, 9, 3
    assert [stage.count for stage in spec.stages] == [5, 6, 13, 5]


def test_a_line_gives_its_stages_and_a_network_its_line() -> None:
    told = scale("regnetx_002", "--line", "d=22, w0=24, wa=24.48, wm=2.54, g=16")
    assert "32-64-160-384" in told
    assert "1-2-7-12" in told
    (row,) = json.loads(scale("regnetx_004", "--fit-line", "--json"))
    assert (row["widths"], row["depths"], row["exact"]) == ([32, 64, 160, 384], [1, 2, 7, 12], True)


def test_a_rule_of_ones_own_scales(tmp_path: Path) -> None:
    rule = tmp_path / "mine.yaml"
    rule.write_text("doc: Deeper late.\ndepth: 1.5\nstages: {depth: [0, 0, 1, 0]}\n")
    _, after = json.loads(scale("convnext_tiny", "--rule", str(rule), "--phi", "1", "--json"))
    assert "stages.2.depth: 14" in after["spec"]


def test_a_network_that_names_its_rule_is_scaled_by_it(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("width: 2\n")
    net = tmp_path / "net.yaml"
    net.write_text("extends: resnet18\nscaling: wide.yaml\n")
    assert "by rule wide at phi 1" in scale(str(net), "--phi", "1")
    net.write_text("extends: resnet18\nscaling: wider\n")
    assert "no scaling rule is called 'wider'" in refused(str(net), "--phi", "1")


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["cmt_s"], "says how far to scale, but got none of them"),
        (["cmt_s", "--phi", "1", "--to", "1GFLOPs"], "but got --phi and --to"),
        (["cmt_s", "--phi", "400"], "blocks is more than 10,000; choose a smaller phi"),
        (["cmt_s", "--phi", "1e308"], "phi overflows"),
        (["cmt_s", "--phi", "nan"], "phi is a finite number"),
        (["cmt_s", "--to", "1kFLOPs"], "too costly: the smallest takes"),
        (["cmt_s", "--to", "5ms"], "is a measured quantity"),
        (["cmt_s", "--to", "1GFLOPs", "--and", "2GFLOPs"], "two budgets bound flops"),
        (["cmt_s", "--and", "2GFLOPs", "--phi", "1"], "--and is one more ceiling beside --to"),
        (["cmt_s", "--times", "-1"], "--times is a number above 0"),
        (["cmt_s", "--rule", "resnet_rs", "--times", "2"], "no one growth of FLOPs a phi"),
        (["cmt_s", "--rule", "resnet_rs", "--phi", "12"], "points for phi from 0"),
        (["cmt_s", "--rule", "cmd", "--phi", "1"], "did you mean 'cmt'"),
        (["cmt_s", "--rule", "dwr", "--rule", "cmt", "--phi", "1"], "one --rule scales a network"),
        (["cmt_s", "--rule-set", "depth=2", "--phi", "1"], "--rule-set goes with --rule"),
        (["cmt_s", "--line", "d=3"], "a line lacks w0, wa, wm, g"),
        (["cmt_s", "--line", "d=1,w0=64,wa=1,wm=2,g=8"], "the line has 1 stage, but cmt_s has 4"),
        (["densenet121", "--phi", "1"], "its blocks decide it; use a rule of depth or resolution"),
        (["cmt_s", "--points", "3", "--phi", "1"], "--points goes with --curve"),
        (["cmt_s", "--line", "d=3", "--rule-set", "depth=2"], "--line and --rule-set exclude"),
        (["cmt_s", "--fit-line", "-o", "x.yaml"], "--fit-line and -o exclude each other"),
        (["cmt_s", "--curve", "--markdown", "-o", "x"], "--markdown prints a table alone"),
        (["resnet152", "--rule", "regnet", "--phi", "1"], "no line has the 4 stages of resnet152"),
        (["cmt_s", "--curve", "--phi", "1"], "--curve and --phi exclude each other"),
    ],
)
def test_wrong_input_is_one_line(words: list[str], law: str) -> None:
    assert law in refused(*words)


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    refused("cmt_s", "--to", "1kFLOPs", "-o", str(out))
    assert not out.exists()
    assert "cannot be written" in refused(
        "cmt_s", "--phi", "1", "-o", str(tmp_path / "no" / "x.yaml")
    )


def test_no_text_that_is_read_is_overwritten(tmp_path: Path) -> None:
    base, middle, top, rule = (tmp_path / f"{name}.yaml" for name in ("a", "b", "c", "rule"))
    base.write_text("extends: resnet18\n")
    middle.write_text("extends: a.yaml\n")
    top.write_text("extends: b.yaml\nscaling: rule.yaml\n")
    rule.write_text("width: 1.5\n")
    before = {path: path.read_text() for path in (base, middle, top, rule)}
    for out in before:
        line = refused(str(top), "--phi", "1", "-o", str(out))
        assert f"{out} is read for this; write it elsewhere, such as -o" in line
        assert "it ends in .html" in refused(str(top), "--curve", "--timed", "0", "-o", str(out))
    assert "is a folder" in refused(str(top), "--phi", "1", "-o", str(tmp_path))
    assert {path: path.read_text() for path in before} == before


def test_a_line_keeps_turns_and_asks_for_groups() -> None:
    assert "blocks take turns of 2" in refused("swin_tiny", "--line", "d=13,w0=96,wa=40,wm=2,g=1")
    line = refused("resnet50", "--line", "d=16,w0=256,wa=93,wm=2,g=8")
    assert "states no group_width that the line's g=8 could be; write g=1" in line


def test_patches_stay_whole() -> None:
    _, after = json.loads(
        scale("vit_base_patch16_224", "--rule", "resolution", "--times", "2", "--json")
    )
    # 224 times the root of 2 is 316.8, of which 16 x 16 pixels make 320
    assert "input.resolution: 320" in after["spec"]
