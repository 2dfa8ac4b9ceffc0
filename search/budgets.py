"""What a network may take: ceilings on what its text tells, limits of what is measured.

`4.5GFLOPs`, `30Mparams`, `5ms`, `5ms@cuda`, `200images/s@cpu`: a budget bounds one quantity, from
above, save throughput, which it bounds from below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from archspec.errors import QuantityError, did_you_mean
from archspec.fit import BOUNDED
from archspec.quantities import Quantity, format_quantity, parse_quantity
from archspec.strict import shown
from search.metrics import MEASURED

#: what only a measurement tells, as budgets, objectives and columns call it
MEASURABLE = tuple(metric.key for metric in MEASURED)
#: kinds of devices; one of several is told by its number, as in cuda:1
DEVICES = ("cuda", "mps", "cpu")
DEVICE = rf"^({'|'.join(DEVICES)})(:(0|[1-9][0-9]?))?$"
#: the unit of a quantity, where it is not called as the quantity itself
_UNITS = {"latency": "seconds"}
_QUANTITIES = {unit: quantity for quantity, unit in _UNITS.items()}
#: units as options take them with every digit
_EXACT = {"traffic": "bytes", "latency": "s", "throughput": "images/s"}


@dataclass(frozen=True)
class Budget:
    """A limit of one quantity of a network.

    flops, params, activations, traffic (bytes): at most, for one image. latency: at most, seconds
    of a forward pass. throughput: at least, images a second. device: that on which the last two
    are measured, None for the run's.
    """

    quantity: Annotated[str, Field(pattern=f"^({'|'.join((*BOUNDED, *MEASURABLE))})$")]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    device: Annotated[str, Field(pattern=DEVICE)] | None = None

    def __str__(self) -> str:
        floor = " or more" if self.quantity == "throughput" else ""
        return self._shown + floor + (f" on {self.device}" if self.device else "")

    @property
    def _shown(self) -> str:
        return format_quantity(Quantity(self.limit, _UNITS.get(self.quantity, self.quantity)))

    @property
    def measured(self) -> bool:
        """Whether only a measurement tells if a network keeps to it."""
        return self.quantity in MEASURABLE

    @property
    def words(self) -> str:
        """In a sentence: `at most 4.5 GFLOPs`, `at least 200 images/s on cpu`."""
        where = f" on {self.device}" if self.device else ""
        return ("at least " if self.quantity == "throughput" else "at most ") + self._shown + where

    @property
    def exact(self) -> str:
        """As an option takes it, with every digit: `4.5GFLOPs`, `5ms@cuda`."""
        short = self._shown.replace(" ", "")
        if parse_quantity(short).value != self.limit:
            short = f"{self.limit!r}{_EXACT.get(self.quantity, self.quantity)}"
        return short + (f"@{self.device}" if self.device else "")

    @property
    def stem(self) -> str:
        """As part of a file's name: `4.5GFLOPs`, `5ms-cuda`, `200images-s-cpu`."""
        where = f" {self.device}" if self.device else ""
        return re.sub(r"[/: ]", "-", self._shown.replace(" ", "") + where)

    def kept(self, value: float) -> bool:
        """Whether a network of this value of the quantity keeps to the budget."""
        return value >= self.limit if self.quantity == "throughput" else value <= self.limit


def budgets_of(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Budgets as people write them. Raises QuantityError.

    Measured ones are of one device, and where one of two names it, of that.
    """
    if not texts:
        raise QuantityError(
            "a search needs a budget, such as --budget 4.5GFLOPs, --budget 30Mparams or "
            "--budget 5ms"
        )
    found: dict[str, Budget] = {}
    for text in texts:
        budget = _budget(text)
        if (other := found.get(budget.quantity)) is not None:
            raise QuantityError(
                f"two budgets bound {budget.quantity}: {other.exact} and {budget.exact}; leave one "
                "out"
            )
        found[budget.quantity] = budget
    named = {budget.device: budget for budget in found.values() if budget.device is not None}
    if len(named) > 1:
        both = " and ".join(budget.exact for budget in named.values())
        raise QuantityError(f"one device is measured in a run, but got {both}; name the same twice")
    device = next(iter(named), None)
    return tuple(
        Budget(one.quantity, one.limit, device) if one.measured else one for one in found.values()
    )


def law_limits(budgets: Sequence[Budget]) -> dict[str, float]:
    """Ceilings by quantity of what the text tells: those that a fit meets by construction."""
    return {budget.quantity: budget.limit for budget in budgets if not budget.measured}


def measured_limits(budgets: Sequence[Budget]) -> dict[str, float]:
    """Limits by quantity of what is measured: seconds of latency, images a second."""
    return {budget.quantity: budget.limit for budget in budgets if budget.measured}


def _budget(text: str) -> Budget:
    amount, at, device = text.partition("@")
    value, unit = parse_quantity(amount)
    quantity = _QUANTITIES.get(unit, unit)
    if not at:
        return Budget(quantity, value)
    if quantity in BOUNDED:
        raise QuantityError(
            f"{shown(text)}: the text alone tells {quantity}, the same for every device; write "
            f"{shown(amount.strip())}"
        )
    device = device.strip().casefold()
    if not re.fullmatch(DEVICE, device):
        raise QuantityError(
            f"no device is called {shown(device)} in {shown(text)}: {did_you_mean(device, DEVICES)}"
        )
    return Budget(quantity, value, device)
