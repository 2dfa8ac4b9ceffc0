"""Domains: values that a search chooses, standing where a plain value would stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archspec.errors import LawError, did_you_mean
from archspec.load import MarkedDict, MarkedList
from archspec.paths import KeyPath, pretty
from archspec.strict import is_domain, shown

Number = int | float
MOST_OPTIONS = 1_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, each under a tag; the tag is what a trial records."""

    tags: tuple[str | int | float | bool, ...]
    values: tuple[Any, ...]
    tie: str | None = None

    def value(self, tag: object) -> Any:
        """The value under a tag."""
        return self.values[self.tags.index(tag)]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, both included, `step` apart; log: even in the logarithm."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False
    tie: str | None = None

    @property
    def whole(self) -> bool:
        """Whether all values are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not (
            isinstance(self.step, float)
        )

    def nearest(self, value: float) -> Number:
        """The domain's value nearest to a number."""
        bounded = min(max(value, self.low), self.high)
        step = self.step or (1 if self.whole else None)
        if step is None:
            return float(bounded)
        steps = int((bounded - self.low) / step + 0.5)
        if self.low + steps * step > self.high:
            steps -= 1
        return self.low + steps * step


Domain = Choice | Range
#: (parameter name, domain) -> the tag or number that a trial takes
Pick = Callable[[str, Domain], Any]


def parse_domain(raw: Mapping[str, Any]) -> Domain:
    """A domain as written; raises LawError with a path below it."""
    kind = next(key for key in ("choice", "range", "log_range") if key in raw)
    legal = ("choice", "tie") if kind == "choice" else (kind, "step", "tie")
    for key in raw:
        if key not in legal:
            raise LawError(f"unknown key {key!r}: {did_you_mean(key, legal)}", (str(key),))
    tie = raw.get("tie")
    if tie is not None and not (isinstance(tie, str) and tie.isidentifier()):
        raise LawError(f"tie is a name, but got {shown(tie)}", ("tie",))
    if kind == "choice":
        return _choice(raw["choice"], tie)
    return _range(kind, raw[kind], raw.get("step"), tie)


def _choice(raw: object, tie: str | None) -> Choice:
    if isinstance(raw, Mapping) and raw and len(raw) <= MOST_OPTIONS:
        return Choice(tuple(raw), tuple(raw.values()), tie)
    if isinstance(raw, list) and raw and len(raw) <= MOST_OPTIONS:
        tags = tuple(
            item if isinstance(item, (str, int, float)) else str(number)
            for number, item in enumerate(raw)
        )
        if len(set(map(str, tags))) < len(tags):
            raise LawError(f"options must differ, but got {shown(raw)}", ("choice",))
        return Choice(tags, tuple(raw), tie)
    raise LawError(
        f"choice holds 1 to {MOST_OPTIONS} options, as a list or as tags with values, but got "
        f"{shown(raw)}",
        ("choice",),
    )


def _range(kind: str, raw: object, step: object, tie: str | None) -> Range:
    numbers = raw if isinstance(raw, list) else []
    if len(numbers) != 2 or not all(_is_number(item) for item in numbers):
        raise LawError(f"{kind} is [low, high], but got {shown(raw)}", (kind,))
    low, high = numbers
    if low > high:
        raise LawError(f"low <= high must hold, but got (low={low}, high={high})", (kind,))
    if step is not None and not (_is_number(step) and step > 0):  # type: ignore[operator]
        raise LawError(f"step > 0 must hold, but got {shown(step)}", ("step",))
    if kind == "log_range" and (step is not None or low <= 0):
        raise LawError(f"log_range needs low > 0 and no step, but got {shown(raw)}", (kind,))
    return Range(low, high, step, kind == "log_range", tie)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fill(tree: Any, pick: Pick) -> Any:
    """The tree with every domain replaced by what `pick` takes; marks are kept.

    Parameters are named by path; below an option the name carries its tag, so that each name
    keeps one distribution: `stages.0.block=replk.kernel`. Tied domains are asked for once.
    """
    tied: dict[str, tuple[Domain, Any]] = {}

    def ask(name: str, domain: Domain) -> Any:
        if domain.tie is None:
            return pick(name, domain)
        if domain.tie not in tied:
            tied[domain.tie] = (domain, pick(domain.tie, domain))
        first, value = tied[domain.tie]
        if first != domain:
            raise LawError(f"domains tied as {domain.tie!r} must be equal")
        return value

    def walk(here: Any, root: Any, prefix: str, path: KeyPath) -> Any:
        if is_domain(here):
            name = _name(prefix, root, path)
            try:
                domain = parse_domain(here)
                taken = ask(name, domain)
            except LawError as error:
                raise error.under(*path) from None
            if isinstance(domain, Range):
                return taken
            value = domain.value(taken)
            if not isinstance(value, (list, Mapping)):
                return value
            return walk(value, value, f"{name}={taken}", ())
        if isinstance(here, Mapping):
            filled = MarkedDict(here.mark) if isinstance(here, MarkedDict) else {}
            for key, item in here.items():
                filled[key] = walk(item, root, prefix, (*path, key))
            if isinstance(here, MarkedDict) and isinstance(filled, MarkedDict):
                filled.marks, filled.key_marks = here.marks, here.key_marks
            return filled
        if isinstance(here, list):
            items = MarkedList(here.mark) if isinstance(here, MarkedList) else []
            items.extend(walk(item, root, prefix, (*path, i)) for i, item in enumerate(here))
            if isinstance(here, MarkedList) and isinstance(items, MarkedList):
                items.marks = here.marks
            return items
        return here

    return walk(tree, tree, "", ())


def _name(prefix: str, root: Any, path: KeyPath) -> str:
    here = pretty(root, path)
    tag = prefix.rpartition("=")[2]
    # `block=replk.replk.kernel` says the word twice where the option is named after its unit
    here = here.removeprefix(f"{tag}.") if tag else here
    return f"{prefix}.{here}" if prefix and here else prefix or here


def domains_of(tree: Any) -> Iterator[tuple[KeyPath, Domain]]:
    """Domains that stand in the tree itself, with key paths; nested options are not opened."""
    stack: list[tuple[KeyPath, Any]] = [((), tree)]
    while stack:
        path, here = stack.pop()
        if is_domain(here):
            try:
                yield path, parse_domain(here)
            except LawError as error:
                raise error.under(*path) from None
        elif isinstance(here, Mapping):
            stack.extend(((*path, key), item) for key, item in reversed(here.items()))
        elif isinstance(here, list):
            stack.extend(((*path, i), item) for i, item in reversed(list(enumerate(here))))
