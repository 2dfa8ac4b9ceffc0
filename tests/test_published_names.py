"""Every layout of specs/weights gives the names and shapes that its implementation has.

published_names.json.gz holds state dicts by layout and network: `{layout: {network: {source,
tensors: {name: shape}}}}`. A network is a shipped name, with edits behind it where it has some.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from oracle import COPIES, read_oracle, spec_of

from archspec.build import Network, build
from archspec.shipped import shipped_weights
from archspec.spec import NetworkSpec, read_spec
from archspec.weights.layouts import Layout, layouts_of, read_layouts
from archspec.weights.loading import export_state

PUBLISHED: dict[str, dict[str, Any]] = json.loads(
    gzip.decompress(Path(__file__).with_name("published_names.json.gz").read_bytes())
)
CASES = [(layout, network) for layout, networks in PUBLISHED.items() for network in networks]
#: layouts of which only oracles tell, which name no counts of batches
ORACLES = {
    "cmt/official": ("cmt_ti", "cmt_s"),
    "spach/official": ("spach_xxs_conv", "spach_xxs_mlp", "spach_xs_trans"),
    "spach/official_ms": (
        "spach_ms_xxs_conv",
        "spach_ms_xxs_mlp",
        "spach_ms_xs_trans",
        "spach_ms_s_hybrid",
        "spach_ms_s_plus_hybrid",
    ),
}
#: layouts of which nothing tells; a new one without evidence would have to be named here
UNTRIED: set[str] = set()


@cache
def network(name: str, *edits: tuple[str, str]) -> tuple[Network, NetworkSpec]:
    spec = read_spec(name, edits)
    with torch.device("meta"):
        return build(spec), spec


def edited(words: str) -> tuple[Network, NetworkSpec]:
    """`resnet18`, or `repvgg_a0 form=merged`."""
    name, *edits = words.split()
    pairs = [edit.partition("=") for edit in edits]
    return network(name, *((path, value) for path, _, value in pairs))


def differences(
    layout: str,
    pair: tuple[Network, NetworkSpec],
    theirs: Mapping[str, Any],
    skips: Callable[[str], bool],
) -> list[tuple[str, object, object]]:
    """Tensors whose name or shape is another there: the name, our shape and theirs."""
    name, state = export_state(*pair, layout.partition("/")[2])
    assert name == layout
    ours = {key: list(value.shape) for key, value in state.items()}
    wanted = {key: shape for key, shape in theirs.items() if not skips(key)}
    keys = sorted(ours.keys() | wanted.keys())
    return [
        (key, ours.get(key), wanted.get(key)) for key in keys if ours.get(key) != wanted.get(key)
    ]


def skips_of(layout: str, layouts: Iterable[Layout]) -> Callable[[str], bool]:
    (known,) = (item for item in layouts if f"{item.family}/{item.name}" == layout)
    return known.skips


@pytest.mark.parametrize(
    ("layout", "words"), CASES, ids=[f"{layout} {words}" for layout, words in CASES]
)
def test_names_and_shapes_are_the_published_ones(layout: str, words: str) -> None:
    tensors = PUBLISHED[layout][words]["tensors"]
    skips = skips_of(layout, layouts_of(layout.partition("/")[0]))
    assert differences(layout, edited(words), tensors, skips) == []


@pytest.mark.parametrize(
    ("layout", "name"), [(layout, name) for layout, names in ORACLES.items() for name in names]
)
def test_names_and_shapes_are_those_of_the_oracle(layout: str, name: str) -> None:
    path = COPIES / f"{name}.json.gz"
    oracle = read_oracle(path)
    shipped, edits = spec_of(path)
    pair = network(shipped, *edits, ("input.resolution", str(oracle["image_size"])))
    tensors = {tensor["name"]: tensor["shape"] for tensor in oracle["tensors"]}
    found = differences(layout, pair, tensors, skips=lambda _: False)
    assert [key for key, *_ in found if not key.endswith("num_batches_tracked")] == []


def test_every_layout_is_tried() -> None:
    shipped = {
        f"{family}/{item.name}" for family in shipped_weights() for item in layouts_of(family)
    }
    tried = PUBLISHED.keys() | ORACLES.keys()
    assert shipped - tried == UNTRIED
    assert tried <= shipped
    assert not PUBLISHED.keys() & ORACLES.keys()


@pytest.mark.parametrize(
    ("layout", "words", "old", "new"),
    [
        ("resnet_d/timm", "resnet50d", "downsample.1", "downsample.0"),
        ("convnext/official", "convnext_tiny", "gamma", "scale"),
        ("vgg/timm", "vgg11", "-1, 7, 7", "-1, 49, 1"),
        ("swin/official", "swin_tiny_patch4_window7_224", '"*.attn_mask"', '"*.attn_mark"'),
    ],
)
def test_a_wrong_key_map_is_seen(
    layout: str, words: str, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = layout.partition("/")[0]
    text = shipped_weights()[family].read_text()
    assert old in text
    path = tmp_path / f"{family}.yaml"
    path.write_text(text.replace(old, new))
    wrong = read_layouts(path)
    monkeypatch.setattr("archspec.weights.matching.layouts_of", lambda *_: wrong)
    tensors = PUBLISHED[layout][words]["tensors"]
    assert differences(layout, edited(words), tensors, skips_of(layout, wrong))
