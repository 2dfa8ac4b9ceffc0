"""Picks without a sampler: what a trial would be asked, answered by a seeded draw."""

from __future__ import annotations

import math
import random

from archspec.domains import Choice, Domain


class RandomPicks:
    """A pick for `Space.spec`; `taken` keeps what was answered, in order."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self.taken: dict[str, object] = {}

    def __call__(self, name: str, domain: Domain) -> object:
        assert name not in self.taken, f"{name} was asked for twice"
        self.taken[name] = answer = self._answer(domain)
        return answer

    def _answer(self, domain: Domain) -> object:
        if isinstance(domain, Choice):
            return self._draw.choice(domain.tags)
        if domain.whole:
            return self._draw.randrange(
                int(domain.low), int(domain.high) + 1, int(domain.step or 1)
            )
        if domain.step is not None:
            steps = int((domain.high - domain.low) / domain.step + 1e-9)
            return domain.low + domain.step * self._draw.randint(0, steps)
        low, high = float(domain.low), float(domain.high)
        if domain.log:
            return math.exp(self._draw.uniform(math.log(low), math.log(high)))
        return self._draw.uniform(low, high)
