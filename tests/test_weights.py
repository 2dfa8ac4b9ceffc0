"""Checkpoints read, written back and resized; tests/test_oracles.py holds the families' names."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from archspec.build import Network, build
from archspec.cli.main import app
from archspec.errors import WeightsError
from archspec.spec import NetworkSpec, parse_spec, read_spec
from archspec.weights.checkpoints import read_checkpoint, write_checkpoint
from archspec.weights.loading import export_state, load_state, load_weights

SMALL = """\
input: {resolution: 64}
stem: [{cna: {width: 8, kernel: 7, stride: 2}}, {pool: {kind: max, kernel: 3, stride: 2}}]
stages: [{width: 32, depth: 2, block: [bottleneck]}]
head: [{pool: global}, {linear: 10}]
weights: resnet
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in arguments])


@pytest.fixture
def spec() -> NetworkSpec:
    return parse_spec(SMALL, "small")


@pytest.fixture
def published(spec: NetworkSpec) -> dict[str, Tensor]:
    """Tensors as timm and torchvision name them, of random numbers."""
    torch.manual_seed(1)
    return {
        name: torch.randn_like(at.float())
        for name, at in export_state(build(spec), spec)[1].items()
    }


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


# Reading and writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".pt"])
def test_a_checkpoint_is_read_as_it_was_written(
    published: dict[str, Tensor], ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{ending}"
    write_checkpoint(path, published, {"name": "small"})
    again = read_checkpoint(path).state
    assert again.keys() == published.keys()
    assert all(torch.equal(again[name], value) for name, value in published.items())
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(8).to_sparse(),
        torch.ones(8, dtype=torch.complex64),
        torch.ones(8, device="meta"),
    ],
    ids=["sparse", "complex", "meta"],
)
@pytest.mark.filterwarnings("ignore")
def test_other_tensors_are_refused_by_name(value: Tensor, tmp_path: Path) -> None:
    torch.save({"bn1.weight": value}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"bn1\.weight is no dense tensor"):
        read_checkpoint(tmp_path / "odd.pth")


@pytest.mark.parametrize("key", ["state_dict", "model", "model_ema", "module", "model_state"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_tensors_are_found_where_training_scripts_put_them(
    published: dict[str, Tensor], key: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pth"
    inside = {f"{prefix}{name}": value for name, value in published.items()}
    options = argparse.Namespace(lr=0.1, name="run")
    torch.save({key: inside, "epoch": 3, "optimizer": {"state": {}}, "args": options}, path)
    assert read_checkpoint(path).state.keys() == published.keys()


def test_a_network_inside_of_a_training_module_is_found(
    spec: NetworkSpec, published: dict[str, Tensor]
) -> None:
    report = load_state(build(spec), spec, {f"backbone.{n}": v for n, v in published.items()})
    assert report.fits
    assert report.inside == "backbone"


class Payload:
    def __reduce__(self) -> Any:
        return (print, ("this text was run",))


def test_a_torch_file_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"fc.weight": torch.ones(1)}, "args": Payload()}, path)
    with pytest.raises(WeightsError, match=r"holds more than tensors \(.*print\)"):
        read_checkpoint(path)
    raw = tmp_path / "evil.bin"
    raw.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(WeightsError, match=r"evil\.bin"):
        read_checkpoint(raw)
    assert "this text was run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (None, "absent.pth", "no such file"),
        (b"", "empty.safetensors", "is no checkpoint"),
        (b"", "empty.pth", "is no checkpoint"),
        (b"\xff" * 64, "noise.safetensors", "is no checkpoint"),
        (b"hello", "text.pth", "is no checkpoint: neither"),
        (b"<html>", "page.pth", "is no checkpoint: neither"),
        (b"PK" + b"\xff" * 64, "broken.pth", r"broken\.pth"),
        (b"aaaa", "aaaa.pth", "is no checkpoint: neither"),
        (b"\x80\x02aaaa", "pickle.pth", "is no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_one_line(
    content: bytes | None, name: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_file_without_named_tensors_is_told(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="no tensors by name"):
        read_checkpoint(tmp_path / "list.pth")


# Fitting ---------------------------------------------------------------------------------------


def test_half_precision_and_old_files_without_batch_counts_fit(
    spec: NetworkSpec, published: dict[str, Tensor]
) -> None:
    model = build(spec)
    halves = {n: v.half() for n, v in published.items() if "num_batches" not in n}
    report = load_state(model, spec, halves)
    assert report.fits
    first = model.state_dict()["stem.cna.conv.weight"]
    assert torch.equal(first, published["conv1.weight"].half().float())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fc.weight": None}, ["1 missing", "head.linear.weight (fc.weight)"]),
        ({"fc.bias": torch.ones(5)}, ["1 of another shape", "(fc.bias): 5 there, 10 here"]),
        ({"layer9.weight": torch.ones(5)}, ["1 without a place", "layer9.weight"]),
        ({"conv1.weight": torch.ones(8, 3, 3, 3)}, ["8x3x3x3 there, 8x3x7x7 here"]),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    spec: NetworkSpec,
    published: dict[str, Tensor],
    tmp_path: Path,
    change: dict[str, Tensor | None],
    words: list[str],
) -> None:
    state = {name: value for name, value in {**published, **change}.items() if value is not None}
    path = tmp_path / "other.safetensors"
    save_file(state, path)
    model = build(spec)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(model, spec, path)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    report = load_weights(model, spec, path, partial=True)
    assert not report.fits
    left = {name for name in published if name not in change} - {"fc.weight"}
    assert torch.equal(model.state_dict()["stem.cna.norm.weight"], published["bn1.weight"])
    assert report.loaded >= len(left)


def test_foreign_names_are_told_with_the_layouts(spec: NetworkSpec) -> None:
    with pytest.raises(WeightsError, match=r"'encoder\.w'.*timm.*archspec"):
        load_state(build(spec), spec, {"encoder.w": torch.ones(1)})
    with pytest.raises(WeightsError, match="did you mean 'timm'"):
        load_state(build(spec), spec, {"fc.bias": torch.ones(10)}, "tinm")


def test_a_spec_without_published_names_takes_its_own(spec: NetworkSpec) -> None:
    plain = spec.model_copy(update={"weights": None})
    first, second = build(plain), build(plain)
    report = load_state(second, plain, first.state_dict())
    assert report.layout == "archspec"
    assert report.fits
    assert all(
        torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items()
    )


@pytest.mark.parametrize(
    "name", ["cmt_ti", "pvt_v2_b2", "maxvit_tiny_tf_224", "vgg11", "repvgg_a0"]
)
def test_every_layout_gives_back_what_it_took(name: str) -> None:
    """Fused, split, reordered and viewed tensors: out and in again without loss."""
    spec = read_spec(name)
    model, other = build(spec), build(spec)
    layouts = [word for word in ("timm", "torchvision", "official") if word in layout_words(spec)]
    assert layouts
    for layout in layouts:
        _, state = export_state(model, spec, layout)
        assert load_state(other, spec, state, layout).fits
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), (layout, key)


def layout_words(spec: NetworkSpec) -> list[str]:
    from archspec.weights.matching import layout_names

    return layout_names(spec)


def test_an_edit_has_no_published_name() -> None:
    """What the published network does not have is named nowhere, rather than invented."""
    block = "[{mhsa: {head_dim: 64}}, {layer_scale: 0.1}, mlp]"
    spec = read_spec("deit_tiny_patch16_224", [("stages.0.block", block), ("stages.0.depth", "1")])
    with pytest.raises(WeightsError, match=r"no name for stages\.0\.blocks\.0\.layer_scale"):
        export_state(build(spec), spec)


def test_rows_follow_the_width_of_a_head() -> None:
    edits = [("stages.*.depth", "1"), ("stages.2.block.rel_attn.head_dim", "64")]
    spec = read_spec("coatnet_0_224", edits)
    model = build(spec)
    own = model.state_dict()["stages.2.blocks.0.rel_attn.residual.do.attention.to_qkv.bias"]
    there = export_state(model, spec)[1]["stages.2.blocks.0.attn.qkv.bias"]
    heads = len(own) // 3 // 64
    assert torch.equal(there.view(heads, 3, 64)[1, 2], own.view(3, heads, 64)[2, 1])


def test_a_network_of_ones_own_has_a_layout_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text(
        "mine: {source: my code, names: {stem.conv: first, head.linear: last}}"
    )
    (tmp_path / "net.yaml").write_text(
        "stem: [{conv: {width: 4, kernel: 3, bias: true}}]\n"
        "head: [{pool: global}, {linear: 5}]\nweights: names.yaml"
    )
    spec = read_spec(tmp_path / "net.yaml")
    layout, state = export_state(build(spec), spec)
    assert layout == "names/mine"
    assert state.keys() == {"first.weight", "first.bias", "last.weight", "last.bias"}
    assert load_state(build(spec), spec, state).fits
    assert run("check", tmp_path / "net.yaml", tmp_path / "names.yaml").exit_code == 0
    # the text stays as it was written, wherever it is read from
    assert parse_spec(spec.dump(), "net").weights == "names.yaml"
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "net.yaml").write_text("weights: ../names.yaml")
    result = run("check", tmp_path / "inside" / "net.yaml")
    assert result.exit_code == 2
    assert "inside its folder" in result.stderr
    (tmp_path / "names.yaml").write_text("mine: {source: x, names: {a: {to: b, view: [0.5]}}}")
    assert run("check", tmp_path / "net.yaml").exit_code == 2


def test_parts_of_other_widths_are_misfits() -> None:
    edits = [("stages.*.depth", "1"), ("input.resolution", "64")]
    spec = read_spec("cmt_ti", edits)
    model = build(spec)
    state = export_state(model, spec)[1]
    state["blocks_a.0.attn.k.weight"] = torch.ones(46, 23)
    report = load_state(model, spec, state)
    assert len(report.misfits) == 1
    assert "46x23" in report.misfits[0]


def test_a_map_of_another_aspect_than_the_image_stays_as_it_is() -> None:
    edits = [
        ("stages.0.depth", "1"),
        ("stem.conv.kernel", "[8, 32]"),
        ("stem.conv.stride", "[8, 32]"),
    ]
    spec = read_spec("deit_tiny_patch16_224", edits)
    model = build(spec)
    report = load_state(model, spec, export_state(model, spec)[1])
    assert report.fits
    assert not report.resized


# Another resolution ----------------------------------------------------------------------------


def cubic(old: int, new: int) -> np.ndarray[Any, Any]:
    """Bicubic interpolation along one axis as a matrix: Keys' kernel, a = -0.75, half pixels."""
    a = -0.75
    matrix = np.zeros((new, old))
    for row in range(new):
        place = (row + 0.5) * old / new - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            x = abs(place - tap)
            near = (a + 2) * x**3 - (a + 3) * x**2 + 1
            far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            matrix[row, min(max(tap, 0), old - 1)] += near if x <= 1 else far if x < 2 else 0.0
    return matrix


def loaded_at(name: str, size: int, edits: list[tuple[str, str]]) -> tuple[Network, Network, Any]:
    """A shallow network, the same at another size with its weights, and the report."""
    spec = read_spec(name, edits)
    torch.manual_seed(0)
    model = build(spec)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    other = read_spec(name, [*edits, ("input.resolution", str(size))])
    larger = build(other)
    state = {key: value.clone() for key, value in export_state(model, spec)[1].items()}
    return model, larger, load_state(larger, other, state)


def test_position_embeddings_are_resized_and_the_class_token_kept() -> None:
    edits = [("stages.0.depth", "1"), ("input.resolution", "64")]
    model, larger, report = loaded_at("deit_tiny_patch16_224", 96, edits)
    assert report.fits
    assert report.resized == ("stem.position.weight: position embedding 4x4 -> 6x6",)
    old, new = (m.state_dict()["stem.position.weight"][0].numpy() for m in (model, larger))
    assert np.array_equal(old[0], new[0])
    grid = old[1:].reshape(4, 4, -1)
    wanted = np.einsum("ai,bj,ijc->abc", cubic(4, 6), cubic(4, 6), grid)
    assert np.allclose(new[1:].reshape(6, 6, -1), wanted, atol=1e-5)


def test_relative_tables_are_resized() -> None:
    edits = [("stages.*.depth", "2"), ("each_stage.blocks.*.swin.window", "4")]
    edits += [("each_stage.blocks.1.swin.shift", "0"), ("input.resolution", "128")]
    spec = read_spec("swin_tiny", edits)
    model = build(spec)
    bigger = [*edits, ("each_stage.blocks.*.swin.window", "8"), ("input.resolution", "256")]
    other = read_spec("swin_tiny", bigger)
    larger = build(other)
    report = load_state(larger, other, export_state(model, spec)[1])
    assert report.fits
    assert len(report.resized) == 8
    assert "relative position table 7x7 -> 15x15" in report.resized[0]
    key = "stages.0.blocks.0.swin.residual.do.attention.bias"
    old, new = (m.state_dict()[key].numpy() for m in (model, larger))
    wanted = np.einsum("ai,bj,ijl->abl", cubic(7, 15), cubic(7, 15), old.reshape(7, 7, -1))
    assert np.allclose(new.reshape(15, 15, -1), wanted, atol=1e-6)


def test_free_biases_are_resized_over_both_maps() -> None:
    edits = [("stages.*.depth", "1"), ("input.resolution", "64")]
    model, larger, report = loaded_at("cmt_ti", 128, edits)
    assert report.fits
    assert len(report.resized) == 4
    old = model.state_dict()["stages.0.shared.free_1x256x4"].numpy()
    new = larger.state_dict()["stages.0.shared.free_1x1024x16"].numpy()
    # 16x16 queries and 2x2 keys become 32x32 and 4x4
    grid = old.reshape(-1, 16, 16, 2, 2)
    wanted = np.einsum("ai,bj,ck,dl,hijkl->habcd", *[cubic(16, 32)] * 2, *[cubic(2, 4)] * 2, grid)
    assert np.allclose(new.reshape(-1, 32, 32, 4, 4), wanted, atol=1e-4)


def test_published_embeddings_are_those_of_square_images() -> None:
    """14x14 and 7x28 have as many positions: equal shapes are no equal maps."""
    edits = [("stages.0.depth", "1")]
    spec = read_spec("deit_tiny_patch16_224", edits)
    wide = read_spec("deit_tiny_patch16_224", [*edits, ("input.resolution", "[112, 448]")])
    model, other = build(spec), build(wide)
    report = load_state(other, wide, export_state(model, spec)[1])
    assert report.resized == ("stem.position.weight: position embedding 14x14 -> 7x28",)
    # our own tensors are of the map that they are loaded into, unless the file tells another
    assert not load_state(other, wide, other.state_dict()).resized
    assert load_state(other, wide, model.state_dict(), aspect=(1, 1)).resized


@pytest.mark.parametrize("count", [0, 1, 3])
def test_absurd_embeddings_are_misfits(count: int) -> None:
    spec = read_spec("deit_tiny_distilled_patch16_224", [("stages.0.depth", "1")])
    model = build(spec)
    state = export_state(model, spec)[1]
    state["pos_embed"] = torch.ones(1, count, 192)
    report = load_state(model, spec, state)
    assert len(report.misfits) + len(report.resized) == 1


def test_what_cannot_be_resized_is_a_misfit() -> None:
    spec = read_spec("spach_xxs_mlp", [("stages.0.depth", "1")])
    other = read_spec("spach_xxs_mlp", [("stages.0.depth", "1"), ("input.resolution", "256")])
    report = load_state(build(other), other, export_state(build(spec), spec)[1])
    assert not report.fits
    assert all("token_mix" in line for line in report.misfits)


# The command line ------------------------------------------------------------------------------


def test_import_and_export_give_back_the_file(
    text: Path, published: dict[str, Tensor], tmp_path: Path
) -> None:
    given, ours, back = (tmp_path / f"{name}.safetensors" for name in ("given", "ours", "back"))
    save_file(published, given)
    result = run("weights", "import", text, given, "-o", ours)
    assert result.exit_code == 0, result.output
    assert f"read {len(published)} tensors in layout resnet/timm" in result.stdout
    assert "stem.cna.conv.weight" in load_file(ours)
    with safe_open(ours, "pt") as file:
        told = file.metadata()
    assert parse_spec(told["spec"], "again").stages == parse_spec(SMALL, "small").stages
    assert told["layout"] == "archspec"
    result = run("weights", "export", text, ours, "-o", back, "--layout", "torchvision")
    assert result.exit_code == 0, result.output
    again = load_file(back)
    assert again.keys() == published.keys()
    assert all(
        torch.equal(again[name], value.to(again[name].dtype)) for name, value in published.items()
    )


def test_merged_weights_compute_the_same(tmp_path: Path) -> None:
    edits = [("input.resolution", "32"), ("stages.*.depth", "1")]
    spec = read_spec("repvgg_a0", edits)
    torch.manual_seed(0)
    model = build(spec)
    with torch.no_grad():
        for _ in range(3):  # so that the norms have seen something
            model(torch.randn(8, 3, 32, 32))
    given, merged = tmp_path / "trained.pth", tmp_path / "merged.safetensors"
    torch.save(export_state(model, spec, "official")[1], given)
    words = [word for path, value in edits for word in ("--set", f"{path}={value}")]
    result = run("weights", "merge", "repvgg_a0", given, "-o", merged, *words)
    assert result.exit_code == 0, result.output
    one = read_spec("repvgg_a0", [*edits, ("form", "merged")])
    deployed = build(one).eval()
    assert load_weights(deployed, one, merged).fits
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(deployed(x), model.eval()(x), atol=1e-5, rtol=1e-4)
    again = run("weights", "merge", "resnet18", given)
    assert again.exit_code == 2


def test_show_lists_every_tensor(text: Path, published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    save_file({**published, "extra": torch.ones(1), "fc.bias": torch.ones(3)}, path)
    rows = json.loads(run("weights", "show", text, path, "--json").stdout)
    states = {row["theirs"]: row["state"] for row in rows}
    assert states["conv1.weight"] == "fits"
    assert states["fc.bias"] == "another shape"
    assert states["extra"] == "no place"
    lines = run("weights", "show", text).stdout.splitlines()
    assert lines[0].split() == ["ours", "shape", "resnet/timm"]
    assert len(lines) == 1 + len(build(parse_spec(SMALL, "small")).state_dict())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["import", "resnet18", "absent.pth"], "no such file"),
        (["import", "resnet18", "timm:../evil"], "no name of timm's"),
        (["import", "resnet18", "timm:.."], "no name of timm's"),
        (["import", "resnet18", "timm:-x"], "no name of timm's"),
        (["import", "resnet18", "x" * 5000], "is no checkpoint"),
        (["import", "resnet18", "."], "is a folder"),
        (["import", "SMALL", "GIVEN", "-o", "nowhere/w.pth"], "is no folder"),
        (["export", "EDITED", "GIVEN"], "head.linear#2"),
        (["export", "SMALL", "GIVEN", "--layout", "tourch"], "torchvision"),
        (["import", "resnet18", "GIVEN", "-o", "w.txt"], ".safetensors, .pth, .pt"),
        (["import", "resnet18", "GIVEN"], "missing"),
        (["import", "SMALL", "GIVEN", "-o", "GIVEN"], "the file that is read"),
        (["merge", "SMALL", "GIVEN"], "no merge"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str],
    told: str,
    text: Path,
    published: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(published, tmp_path / "given.safetensors")
    edited = tmp_path / "edited.yaml"
    edited.write_text(SMALL.replace("{linear: 10}", "{linear: 10}, {linear: 10}"))
    places = {"GIVEN": "given.safetensors", "SMALL": str(text), "EDITED": str(edited)}
    before = {path.name for path in tmp_path.iterdir()}
    result = run("weights", *(places.get(word, word) for word in words))
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == before


def test_cost_loads_weights_into_what_it_counts(
    text: Path, published: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "given.safetensors"
    save_file(published, path)
    assert run("cost", text, "--fvcore", "--weights", path).exit_code == 0
    save_file({"fc.bias": torch.ones(3)}, path)
    assert "missing" in run("cost", text, "--fvcore", "--weights", path).stderr
    assert "--fvcore" in run("cost", text, "--weights", path).stderr


# The hub ---------------------------------------------------------------------------------------


def test_without_the_hub_library_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="pip install huggingface_hub, or download"):
        read_checkpoint("timm:resnet50.a1_in1k")


def test_without_a_network_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", fail)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(
        WeightsError, match=r"not known.*https://huggingface\.co/timm/cmt\.x by hand"
    ):
        read_checkpoint("timm:cmt.x")


def test_a_file_in_the_cache_needs_no_network(
    published: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(published, path)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    assert read_checkpoint("timm:resnet50.a1_in1k").state.keys() == published.keys()
