"""The same function as the published implementations: equal weights, equal input, equal logits."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import COPIES, compare, read_oracle, spec_of

ORACLES = sorted(COPIES.glob("*.json.gz"))
#: larger ones, by billions of multiply-adds, wait for the slow tests
SMALL = 1.7
CASES = [
    pytest.param(path, id=path.name.removesuffix(".json.gz"), marks=marks)
    for path in ORACLES
    for marks in [() if read_oracle(path)["macs_G"] < SMALL else (pytest.mark.slow,)]
]


@pytest.mark.parametrize("path", CASES)
def test_a_network_is_the_published_function(path: Path) -> None:
    distance = compare(path, *spec_of(path))
    assert distance.logits < 1e-8
    assert distance.proj < 1e-8
    assert distance.single < 1e-4


def test_a_wrong_detail_is_seen() -> None:
    """The test can fail: an eps of 1e-5 for 1e-6 is more than the tolerance."""
    path = COPIES / "deit_tiny_patch16_224.json.gz"
    assert compare(path, spec_of(path)[0], [("defaults.eps", "1e-5")]).logits > 1e-8


def test_the_copies_are_the_reference(shared_reference: Path) -> None:
    originals = {path.name: path for path in shared_reference.glob("oracles/*/*.json.gz")}
    assert originals.keys() == {path.name for path in ORACLES}
    for copy in ORACLES:
        assert copy.read_bytes() == originals[copy.name].read_bytes()
