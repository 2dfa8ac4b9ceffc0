"""Points of a space by a Sobol sequence, which fills it more evenly than chance.

Optuna's own sampler of this kind leaves categorical and conditional parameters to chance, and
counts its points in the study; here point n is a function of n, so that a resumed search goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from archspec.domains import Domain

#: points are made by so many at a time, a power of two
BLOCK = 256


def sobol_point(
    parameters: Mapping[str, Domain], stream: Sequence[int], number: int
) -> dict[str, Any]:
    """Point `number` of the scrambled sequence: a value for every parameter, asked for or not.

    stream: seeds the scrambling. A parameter below an option has a dimension of its own, which is
    looked at where the option is taken.
    """
    block, row = divmod(number, BLOCK)
    shares = _block(len(parameters), tuple(stream), block)[row]
    return {
        name: domain.at_share(float(share))
        for (name, domain), share in zip(parameters.items(), shares, strict=True)
    }


@lru_cache(maxsize=4)
def _block(dimensions: int, stream: tuple[int, ...], block: int) -> np.ndarray:
    # half a second to import, for a sampler that is seldom asked for
    from scipy.stats import qmc

    generator = np.random.default_rng(np.random.SeedSequence([*stream, dimensions]))
    sequence = qmc.Sobol(dimensions, scramble=True, rng=generator)
    if block:
        sequence.fast_forward(block * BLOCK)
    return np.asarray(sequence.random(BLOCK))


__all__ = ["sobol_point"]
