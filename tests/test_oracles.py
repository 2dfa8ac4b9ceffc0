"""The same function as the published implementations: equal weights, equal input, equal logits.

An oracle file names the reference's tensors and tells how to fill them by numpy alone; its logits
are what the reference then gives in double precision. Small copies lie in tests/oracles/, the
others in the reference folder beside a checkout.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle_maps import find_target

from archspec.build import Network, build
from archspec.spec import read_spec

COPIES = Path(__file__).parent / "oracles"
TOLERANCE = 1e-8


def fill(name: str, shape: list[int], kind: str) -> torch.Tensor:
    """The reference's tensor of that name; a function of name, shape and kind alone."""
    kind, _, exponent = kind.partition("@")
    seed = zlib.crc32(name.encode()) & 0x7FFFFFFF
    n = np.random.RandomState(seed).standard_normal(tuple(shape))
    if kind == "matrix":
        n = n * math.sqrt(2.0 / float(np.prod(shape[1:])))
    elif kind == "norm_weight":
        n = 1 + 0.1 * n
    elif kind == "layer_scale":
        n = 0.5 + 0.1 * n
    elif kind == "bn_var":
        n = 1 + 0.1 * np.abs(n)
    else:
        assert kind in ("bias", "pos", "bn_mean"), kind
        n = 0.1 * n
    if exponent:
        n = n * 2.0 ** int(exponent)
    return torch.from_numpy(n.astype(np.float32))


def load(model: Network, oracle: dict[str, Any]) -> None:
    """Fill every tensor of the model, each part of it once, from every tensor of the oracle."""
    state = model.state_dict()
    ours = {name for name in state if not name.endswith("num_batches_tracked")}
    filled: set[tuple[str, int]] = set()
    missing = dict.fromkeys(ours, 1)
    for tensor in oracle["tensors"]:
        target = find_target(tensor["name"], oracle["family"], ours)
        assert target[:2] not in filled, tensor["name"]
        filled.add(target[:2])
        missing[target.name] = target.parts
        value = fill(tensor["name"], tensor["shape"], tensor["kind"])
        own = state[target.name].chunk(target.parts)[target.part]
        # a linear layer may be a 1x1 convolution there, a scale may have axes of one
        assert own.squeeze().shape == value.squeeze().shape, (tensor, own.shape)
        own.copy_(value.view_as(own))
    assert filled == {(name, part) for name, parts in missing.items() for part in range(parts)}


def check(path: Path, name: str, **edits: str) -> None:
    oracle = json.loads(gzip.decompress(path.read_bytes()))
    size = oracle["image_size"]
    spec = read_spec(name, [*edits.items(), ("input.resolution", str(size))])
    model = build(spec).double().eval()
    load(model, oracle)
    image = np.random.RandomState(0).standard_normal((1, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        logits = model(torch.from_numpy(image).double())[0].numpy()
    expected = oracle["logits_float64"]
    assert np.abs(logits[:32] - expected["first32"]).max() < TOLERANCE
    projection = logits @ np.random.RandomState(1).standard_normal(logits.size)
    assert abs(projection - expected["proj"]) < TOLERANCE
    assert sum(p.numel() for p in model.parameters()) == oracle["params"]


@pytest.mark.parametrize(
    "name", ["resnet50", "swin_tiny_patch4_window7_224", "convnext_tiny", "cmt_s"]
)
def test_a_network_is_the_published_function(name: str) -> None:
    check(COPIES / f"{name}.json.gz", name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "oracle",
    [
        "mobilenetv2/mobilenetv2_100",
        "efficientnet/efficientnet_b0",
        "regnet/regnety_040",
        "deit/deit_small_patch16_224",
        "spach/spach_ms_s_hybrid",
    ],
)
def test_another_network_is_the_published_function(shared_reference: Path, oracle: str) -> None:
    check(shared_reference / "oracles" / f"{oracle}.json.gz", Path(oracle).name)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["train", "merged"])
def test_replknet_is_the_published_function_in_both_forms(
    shared_reference: Path, form: str
) -> None:
    path = shared_reference / "oracles" / "replknet" / f"replknet_31b_{form}.json.gz"
    check(path, "replknet_31b", form=form)


def test_the_copies_are_the_reference(shared_reference: Path) -> None:
    for copy in COPIES.glob("*.json.gz"):
        (original,) = shared_reference.glob(f"oracles/*/{copy.name}")
        assert copy.read_bytes() == original.read_bytes()
