"""Oracles: what published implementations compute when numpy fills their weights.

An oracle file names the reference's tensors and tells how to fill them by numpy alone; its logits
are what the reference then gives, in double and single precision. `python -m tests.oracle NAME`
compares one network with its oracle and prints how far off it is.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from archspec.build import build
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.spec import read_spec
from archspec.weights.loading import export_state, load_state

COPIES = Path(__file__).parent / "oracles"


class Distance(NamedTuple):
    """How far a network is from its oracle: the largest difference of logits, and of proj.

    single: of the float32 logits of all samples, in units of max(1, their spread).
    """

    logits: float
    proj: float
    single: float


def fill(name: str, shape: Sequence[int], kind: str) -> torch.Tensor:
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


def image(count: int, size: int) -> torch.Tensor:
    """The images that every oracle was fed."""
    noise = np.random.RandomState(0).standard_normal((count, 3, size, size))
    return torch.from_numpy(noise.astype(np.float32))


def read_oracle(path: Path) -> dict[str, Any]:
    return json.loads(gzip.decompress(path.read_bytes()))  # type: ignore[no-any-return]


def compare(path: Path, name: str, edits: Sequence[tuple[str, str]] = ()) -> Distance:
    """Load the oracle's weights by the spec's layouts, write them back, and run both precisions.

    Names, shapes and counts must be equal on the way.
    """
    oracle = read_oracle(path)
    size = oracle["image_size"]
    spec = read_spec(name, [*edits, ("input.resolution", str(size))])
    plan = plan_network(spec)
    cost = totals(plan)
    assert cost.params == oracle["params"], (cost.params, oracle["params"])
    assert f"{cost.flops / 1e9:.4f}" == f"{oracle['macs_G']:.4f}", (cost.flops, oracle["macs_G"])
    model = build(spec, plan).eval()
    state = {
        tensor["name"]: fill(tensor["name"], tensor["shape"], tensor["kind"])
        for tensor in oracle["tensors"]
    }
    report = load_state(model, spec, state)
    assert report.fits, report.problems()
    assert not report.resized, report.resized
    _same_tensors(state, export_state(model, spec, report.layout.partition("/")[2])[1])
    with torch.no_grad():
        single = model(image(oracle["batch"], size)).numpy()
        double = model.double()(image(1, size).double())[0].numpy()
    return _distance(oracle, single, double)


def _same_tensors(state: dict[str, torch.Tensor], back: dict[str, torch.Tensor]) -> None:
    """What was loaded comes back whole, under the same names."""
    back = {name: value for name, value in back.items() if "num_batches" not in name}
    assert back.keys() == state.keys(), sorted(back.keys() ^ state.keys())[:8]
    for name, value in state.items():
        assert back[name].shape == value.shape, (name, back[name].shape, value.shape)
        assert torch.equal(back[name], value), name


def _distance(oracle: dict[str, Any], single: Any, double: Any) -> Distance:
    exact, given = oracle["logits_float64"], oracle["logits"]
    axis = np.random.RandomState(1).standard_normal(double.size)
    singles = [
        max(
            np.abs(logits[:32] - np.array(given["first32"][sample])).max(),
            abs(logits @ axis - given["proj"][sample]) / double.size**0.5,
        )
        / max(1, given["std"][sample])
        for sample, logits in enumerate(single)
    ]
    first = np.array(exact["first32"])
    return Distance(
        float(np.abs(double[:32] - first).max()),
        float(abs(double @ axis - exact["proj"])),
        float(np.max(singles)),  # which keeps what is no number
    )


def spec_of(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """The shipped name of an oracle's network, and its form where the file's name tells one."""
    name = path.name.removesuffix(".json.gz")
    stem, _, form = name.rpartition("_")
    return (stem, [("form", form)]) if form in ("train", "merged") else (name, [])


def main(words: list[str]) -> None:
    for name in words:
        path = COPIES / f"{name}.json.gz"
        print(name, compare(path, *spec_of(path)))


if __name__ == "__main__":
    main(sys.argv[1:])
