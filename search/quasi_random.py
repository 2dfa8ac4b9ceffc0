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

from archspec.domains import Choice, Domain

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
        name: at_share(domain, float(share))
        for (name, domain), share in zip(parameters.items(), shares, strict=True)
    }


def at_share(domain: Domain, share: float) -> Any:
    """The value at a share in [0, 1) of the way through a domain."""
    if isinstance(domain, Choice):
        return domain.tags[int(share * len(domain.tags))]
    step = float(domain.step or (1 if domain.whole else 0))
    # each step has its own share, the first and the last whole ones, too
    low = max(domain.low - step / 2, domain.low / 2) if domain.log else domain.low - step / 2
    high = domain.high + step / 2
    if domain.log:
        return domain.nearest(low * (high / low) ** share)
    return domain.nearest(low + share * (high - low))


@lru_cache(maxsize=4)
def _block(dimensions: int, stream: tuple[int, ...], block: int) -> np.ndarray:
    # half a second to import, for a sampler that is seldom asked for
    from scipy.stats import qmc

    generator = np.random.default_rng(np.random.SeedSequence([*stream, dimensions]))
    sequence = qmc.Sobol(dimensions, scramble=True, rng=generator)
    if block:
        sequence.fast_forward(block * BLOCK)
    return np.asarray(sequence.random(BLOCK))


__all__ = ["at_share", "sobol_point"]
