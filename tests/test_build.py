from __future__ import annotations

import copy
import io
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archspec.build import Network, build, set_drop_path
from archspec.cost import totals
from archspec.errors import ResolutionError, SpecError
from archspec.modules.joins import DropPath
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, parse_spec, read_spec

EVERY_LAYER = Path(__file__).with_name("every_layer.yaml")
#: the smallest resolution at which a network is legal and quick
SMALL = {
    "resnet50": 64,
    "mobilenetv2_100": 64,
    "efficientnet_b0": 64,
    "regnety_040": 64,
    "deit_small_patch16_224": 32,
    "swin_tiny_patch4_window7_224": 224,
    "convnext_tiny": 64,
    "cmt_s": 64,
    "spach_ms_s_hybrid": 64,
    "replknet_31b": 64,
}


def small(name: str, *edits: tuple[str, str]) -> NetworkSpec:
    return read_spec(name, [("input.resolution", str(SMALL[name])), *edits])


def shallow(name: str) -> NetworkSpec:
    """One or two blocks a stage: every kind of module, in a fraction of the time."""
    if name == "spach_ms_s_hybrid":
        turns = "[{times: 1, block: [mix_conv]}, {times: 1, block: [{mix_attn: {heads: 4}}]}]"
        return small(name, *((f"stages.{stage}.blocks", turns) for stage in (1, 2, 3)))
    return small(name, ("stages.*.depth", "2" if "swin" in name else "1"))


def image(spec: NetworkSpec, count: int = 2) -> Tensor:
    return torch.randn(count, *spec.input.shape[:3])


def on_meta(spec: NetworkSpec) -> Network:
    with torch.device("meta"):
        return build(spec)


def test_names_are_the_paths_of_the_language() -> None:
    names = set(on_meta(read_spec("resnet50")).state_dict())
    assert {
        "stem.cna.conv.weight",
        "stages.0.blocks.2.bottleneck.residual.do.cna#2.conv.weight",
        "stages.1.blocks.0.bottleneck.residual.shortcut.norm.running_var",
        "head.linear.bias",
    } <= names
    assert "stages.1.down.conv.weight" in on_meta(read_spec("convnext_tiny")).state_dict()
    names = set(on_meta(read_spec("cmt_s")).state_dict())
    assert {"stem.times.1.conv.weight", "stages.0.shared.free_1x3136x49"} <= names


def test_a_printed_model_names_its_parts_and_folds_equal_blocks() -> None:
    text = str(on_meta(read_spec("swin_tiny")))
    assert "(swin): " in text
    assert "heads=3, window=7x7, shift=3,3, bias=table" in text
    assert "(0-2): 3 x " in str(on_meta(read_spec("convnext_tiny")))


def test_features_are_the_last_map_at_each_stride() -> None:
    spec = small("mobilenetv2_100")
    model = build(spec).eval()
    assert [tuple(feature) for feature in model.feature_info] == [
        ("stages.0", 2, 16),
        ("stages.1", 4, 24),
        ("stages.2", 8, 32),
        ("stages.4", 16, 96),
        ("stages.6", 32, 320),
    ]
    x = image(spec)
    with torch.no_grad():
        features = model.forward_features(x)
        torch.testing.assert_close(model.head(features[-1]).flatten(1), model(x))
    # inside a stem, too, and without the class token
    assert on_meta(read_spec("resnet50")).feature_info[0] == ("stem.cna", 2, 64)
    (feature,) = on_meta(read_spec("deit_small")).forward_features(
        torch.randn(1, 3, 224, 224).to("meta")
    )
    assert feature.shape == (1, 384, 14, 14)


@pytest.mark.parametrize("name", ["resnet50", "convnext_tiny", "replknet_31b"])
def test_a_network_of_convolutions_takes_any_size(name: str) -> None:
    model = on_meta(read_spec(name)).eval()
    assert model(torch.randn(1, 3, 256, 192).to("meta")).shape == (1, 1000)


@pytest.mark.parametrize(
    ("name", "path", "built", "got"),
    [
        ("swin_tiny", "stages.0.blocks.0.swin.residual.do.attention", "56x56", "64x64"),
        ("deit_small", "stem.position", "197 tokens (a map of 14x14)", "257 tokens"),
        ("cmt_s", "stages.0.blocks.0.lmhsa.residual.do.attention", "56x56", "64x64"),
    ],
)
def test_a_bound_network_names_the_size_it_was_built_for(
    name: str, path: str, built: str, got: str
) -> None:
    model = on_meta(read_spec(name))
    with pytest.raises(ResolutionError) as raised:
        model(torch.randn(1, 3, 256, 256).to("meta"))
    text = str(raised.value)
    assert text.startswith(f"{path} is built for ")
    assert built in text
    assert f"got {got}" in text
    assert text.endswith("set input.resolution and build again")


def test_token_mixing_is_bound_to_the_number_of_tokens() -> None:
    spec = parse_spec("input: {channels: 4, resolution: 4}\nstem: [token_mlp, {pool: global}]")
    assert build(spec)(torch.randn(2, 4, 4, 4)).shape == (2, 4)
    with pytest.raises(ResolutionError, match=r"stem\.token_mlp\.residual\.do\.token_mix is built"):
        build(spec)(torch.randn(2, 4, 5, 5))


def test_a_shared_parameter_is_one_and_survives_copies() -> None:
    spec = small("cmt_s", ("stages.*.depth", "2"))
    model = build(spec).eval()
    names = [name for name in model.state_dict() if "shared" in name]
    assert names == [
        f"stages.{stage}.shared.free_{n}"
        for stage, n in enumerate(["1x256x4", "2x64x4", "4x16x4", "8x4x4"])
    ]
    assert sum(p.numel() for p in model.parameters()) == totals(plan_network(spec)).params
    x = image(spec)
    before = model(x)

    twin = copy.deepcopy(model)
    nn.init.normal_(twin.get_parameter(names[0]))
    assert torch.equal(model(x), before)
    assert not torch.equal(twin(x), before)

    file = io.BytesIO()
    torch.save(twin.state_dict(), file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(model(x), twin(x))

    assert model.double()(x.double()).dtype == torch.float64
    model(x.double()).sum().backward()
    for stage in range(4):
        gradient = model.get_parameter(names[stage]).grad
        assert gradient is not None
        assert gradient.abs().sum() > 0
    called = torch.func.functional_call(
        model, {names[0]: torch.zeros_like(model.get_parameter(names[0]))}, x.double()
    )
    assert not torch.equal(called, model(x.double()))


def test_a_network_starts_with_the_usual_weights() -> None:
    model = build(parse_spec(EVERY_LAYER.read_text()))
    for name, parameter in model.named_parameters():
        if "shared.free" in name:
            assert parameter.abs().max() == 0
        if "shared.table" in name or "position" in name or "class_token" in name:
            assert 0.01 < parameter.std() < 0.03
    scale = model.get_parameter("stages.1.blocks.2.residual.do.layer_scale.weight")
    assert set(scale.tolist()) == {torch.tensor(0.1).item()}


def test_drop_path_off_is_nothing_and_on_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    spec = shallow("convnext_tiny")
    model = build(spec)
    nn.init.ones_(model.get_parameter("stages.3.blocks.0.convnext.residual.do.layer_scale.weight"))
    x = image(spec)
    plain = model.train()(x)
    assert torch.equal(plain, model.eval()(x))
    set_drop_path(model, 0.999)
    assert torch.equal(plain, model(x))
    assert not torch.equal(plain, model.train()(x))
    set_drop_path(model, 0)
    assert torch.equal(plain, model(x))


def test_drop_path_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath()
    drop.p = 0.25
    y = drop(torch.ones(4000, 2, 1, 1))
    assert torch.equal(y[:, 0], y[:, 1])  # a whole image, or none of it
    assert set(y.flatten().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(y.mean() - 1) < 0.05


def rates(model: Network) -> list[list[list[float]]]:
    """Drop path of each residual, by stage and block."""
    found = []
    for stage in model.stages:
        blocks = stage.blocks
        assert isinstance(blocks, nn.ModuleList)
        found.append([[m.p for m in b.modules() if isinstance(m, DropPath)] for b in blocks])
    return found


def test_drop_path_ramps_over_blocks_or_is_constant_in_a_stage() -> None:
    model = on_meta(small("cmt_s", ("stages.*.depth", "[1, 1, 2, 1]")))
    set_drop_path(model, 0.4)
    # the residuals of one block are alike; local perception and the inner residual have none
    assert rates(model) == [
        [[0.0, 0.0]],
        [[pytest.approx(0.1)] * 2],
        [[pytest.approx(0.2)] * 2, [pytest.approx(0.3)] * 2],
        [[pytest.approx(0.4)] * 2],
    ]
    model = on_meta(small("resnet50", ("defaults.drop_path", "stage"), ("stages.*.depth", "2")))
    set_drop_path(model, 0.4)
    # ResNet-RS: 2/5, 3/5, 4/5 and all of the rate
    assert rates(model) == [[[pytest.approx(0.08 * stage)]] * 2 for stage in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "stages: [{width: 3, depth: 1000, block: [{times: 150, do: [act]}]}]",
            "100,000 layers at most, but got 150,000",
        ),
        (
            "stem: [{conv: {width: 100000, kernel: 3}}, {conv: {width: 100000, kernel: 3}}]",
            "20,000,000,000 parameters and constants at most, but got 90,0",
        ),
        (
            "input: {resolution: 512}\nstem: [{attention: {heads: 1, bias: table}}]",
            "parameters and constants at most",
        ),
    ],
)
def test_an_absurd_network_is_refused_at_once(text: str, problem: str) -> None:
    spec = parse_spec(text + "\nname: absurd")
    with pytest.raises(SpecError) as raised:
        build(spec)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def check_compiled(spec: NetworkSpec) -> None:
    model = build(spec).eval()
    x = image(spec)
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(x)
        torch.testing.assert_close(compiled, model(x))


def check_exported(spec: NetworkSpec) -> None:
    model = build(spec).eval()
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    program = torch.export.export(model, (image(spec),), dynamic_shapes=(batch,))
    assert set(program.state_dict) == set(model.state_dict())
    x = image(spec, count=3)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("name", SMALL)
def test_a_shallow_network_compiles_without_breaks(name: str) -> None:
    check_compiled(shallow(name))


@pytest.mark.parametrize("name", SMALL)
def test_a_shallow_network_is_exported_for_any_batch(name: str) -> None:
    check_exported(shallow(name))


def test_every_layer_compiles_and_is_exported() -> None:
    spec = parse_spec(EVERY_LAYER.read_text())
    check_compiled(spec)
    check_exported(spec)


@pytest.mark.slow
def test_training_compiles() -> None:
    spec = parse_spec(EVERY_LAYER.read_text())
    model = build(spec)
    set_drop_path(model, 0.2)
    torch._dynamo.reset()
    loss = torch.compile(model, backend="aot_eager", fullgraph=True)(image(spec)).square().mean()
    loss.backward()
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not unused


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_compiles_and_is_exported(name: str) -> None:
    check_compiled(small(name))
    check_exported(small(name))
