"""Which parameters a trial has, without filling the text again for each point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archspec.domains import Choice, Domain
from archspec.template import Pick, Template


class Questions:
    """Asks a pick as Template.fill does, each parameter once, from a memory of its orders.

    Which parameter comes next depends on the options that hold domains and were taken, and on
    nothing else; so the text is filled once for each such course, and a point takes microseconds.
    """

    def __init__(
        self, fill: Callable[[Pick], Any], first: Mapping[str, Domain], all_: Mapping[str, Domain]
    ) -> None:
        """fill: as Template.fill. first: asked before the text is. all_: every parameter."""
        self._fill, self._first = fill, dict(first)
        self._forks = {name for name, domain in all_.items() if _forks(domain)}
        self._root = _Question()

    def __call__(self, pick: Pick) -> dict[str, Any]:
        """The parameters and what was picked."""
        found = {name: pick(name, domain) for name, domain in self._first.items()}
        here = self._root
        while here.known:
            if here.name is None:
                return found
            assert here.domain is not None
            found[here.name] = value = pick(here.name, here.domain)
            here = here.after(value if here.name in self._forks else None)
        return self._learn(found, pick)

    def _learn(self, told: dict[str, Any], pick: Pick) -> dict[str, Any]:
        """Fill the text, and remember the course that it took."""
        found = {name: told[name] for name in self._first}
        here = self._root

        def asked(name: str, domain: Domain) -> Any:
            nonlocal here
            if name not in found:
                found[name] = told[name] if name in told else pick(name, domain)
                here.known, here.name, here.domain = True, name, domain
                here = here.after(found[name] if name in self._forks else None)
            return found[name]

        self._fill(asked)
        here.known = True
        return found


class _Question:
    """A parameter, or with no name the end; and what comes after it, by what was taken."""

    def __init__(self) -> None:
        self.known = False
        self.name: str | None = None
        self.domain: Domain | None = None
        self._after: dict[Any, _Question] = {}

    def after(self, taken: Any) -> _Question:
        # the usual case is made for: this is asked some ten thousand times for one proposal
        found = self._after.get(taken)
        if found is None:
            found = self._after[taken] = _Question()
        return found


def _forks(domain: Domain) -> bool:
    return isinstance(domain, Choice) and any(
        Template(value).has_domains for value in domain.values
    )
