"""A tree with domains, ready to be filled many times.

Names of parameters are fixed when the template is made, and what holds no domain is shared by all
trees that it gives, so that a search reads and checks such parts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.domains import Choice, Domain, Range, parse_domain
from archspec.errors import LawError
from archspec.marks import MarkedDict, MarkedList
from archspec.paths import KeyPath, pretty
from archspec.strict import is_domain

#: (parameter name, domain) -> the tag or number that a trial takes
Pick = Callable[[str, Domain], Any]


@dataclass(slots=True)
class _Slot:
    """A domain at its place; options are opened once, filled ones are remembered by what was
    picked inside."""

    name: str
    path: KeyPath
    domain: Domain
    options: dict[Any, Any]
    made: dict[tuple[Any, ...], Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """A container with a domain somewhere below: the container, and its parts that differ."""

    raw: Any
    parts: list[tuple[Any, Any]]


class Template:
    """`fill` replaces every domain by what a pick takes; marks are kept.

    Parameters are named by path; below an option the name carries its tag, so that each name
    keeps one distribution: `stages.0.block=replk.kernel`. Tied domains are asked for once, under
    the tie's name. Raises LawError with a key path where a domain is ill-written.
    """

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self._ties: dict[str, Domain] = {}
        self._root = self._read(tree, tree, "", ())

    def _read(self, here: Any, root: Any, prefix: str, path: KeyPath) -> Any:
        if is_domain(here):
            return self._slot(here, root, prefix, path)
        items: Iterator[tuple[Any, Any]] | None = None
        if isinstance(here, Mapping):
            items = iter(here.items())
        elif isinstance(here, list):
            items = iter(enumerate(here))
        if items is None:
            return None
        parts = [(key, self._read(item, root, prefix, (*path, key))) for key, item in items]
        parts = [(key, part) for key, part in parts if part is not None]
        return _Open(here, parts) if parts else None

    def _slot(self, here: Mapping[str, Any], root: Any, prefix: str, path: KeyPath) -> _Slot:
        try:
            domain = parse_domain(here)
            name = domain.tie or _name(prefix, root, path)
            if domain.tie is not None and self._ties.setdefault(name, domain) != domain:
                raise LawError(f"domains tied as {name!r} must be equal")
            options: dict[Any, Any] = {}
            if isinstance(domain, Choice):
                for tag, value in zip(domain.tags, domain.values, strict=True):
                    try:
                        options[tag] = self._read(value, value, f"{name}={tag}", ())
                    except LawError as error:
                        inside = (
                            tag if isinstance(here["choice"], Mapping) else domain.tags.index(tag)
                        )
                        raise error.under("choice", inside) from None  # type: ignore[arg-type]
        except LawError as error:
            raise (error if prefix else error.under(*path)) from None
        return _Slot(name, path, domain, options)

    @property
    def has_domains(self) -> bool:
        """Whether there is anything to search."""
        return self._root is not None

    def fill(self, pick: Pick) -> Any:
        """A plain tree; `pick` is asked once a parameter, in the order of the text."""
        picked: dict[str, Any] = {}

        def ask(slot: _Slot) -> Any:
            if slot.domain.tie is None or slot.name not in picked:
                picked[slot.name] = pick(slot.name, slot.domain)
            return picked[slot.name]

        def walk(part: Any, log: list[Any]) -> Any:
            if isinstance(part, _Slot):
                taken = ask(part)
                log.append(taken)
                if isinstance(part.domain, Range):
                    return taken
                value, inside = part.domain.value(taken), part.options[taken]
                if inside is None:
                    return value
                inner: list[Any] = [taken]
                filled = walk(inside, inner)
                log.extend(inner)
                # equal picks give one object, whose parsed form is then one object too
                return part.made.setdefault(tuple(inner), filled)
            raw = part.raw
            if isinstance(raw, Mapping):
                copy: Any = MarkedDict(raw.mark) if isinstance(raw, MarkedDict) else {}
                copy.update(raw)
                if isinstance(raw, MarkedDict):
                    copy.marks, copy.key_marks = raw.marks, raw.key_marks
            else:
                copy = MarkedList(raw.mark) if isinstance(raw, MarkedList) else []
                copy.extend(raw)
                if isinstance(raw, MarkedList):
                    copy.marks = raw.marks
            for key, inside in part.parts:
                copy[key] = walk(inside, log)
            return copy

        return self.tree if self._root is None else walk(self._root, [])

    def parameters(self) -> dict[str, Domain]:
        """Every parameter that some trial may have, by name."""
        return {slot.name: slot.domain for slot in self._slots()}

    def places(self, name: str) -> int:
        """In how many places a parameter stands: several where it is tied."""
        return sum(slot.name == name for slot in self._slots())

    def _slots(self) -> Iterator[_Slot]:
        """Every domain, in the order of the text, those of all options included."""
        stack = [self._root]
        while stack:
            part = stack.pop()
            if isinstance(part, _Slot):
                yield part
                stack.extend(reversed(list(part.options.values())))
            elif part is not None:
                stack.extend(inside for _, inside in reversed(part.parts))

    def at(self, *path: str | int) -> tuple[str, Domain] | None:
        """Name and domain of the parameter that stands at a key path, if one does."""
        part = self._root
        for key in path:
            if not isinstance(part, _Open):
                return None
            part = dict(part.parts).get(key)
        return (part.name, part.domain) if isinstance(part, _Slot) else None


def _name(prefix: str, root: Any, path: KeyPath) -> str:
    here = pretty(root, path)
    tag = prefix.rpartition("=")[2]
    # `block=replk.replk.kernel` would say a word twice where an option is named after its unit
    here = here.removeprefix(f"{tag}.") if tag else here
    return f"{prefix}.{here}" if prefix and here else prefix or here
