"""What `archspec check` says of a text: a network, a space of networks, or a file of units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.cost import totals
from archspec.domains import Choice, Domain
from archspec.errors import ArchspecError, LawError, SpecError
from archspec.load import read_yaml
from archspec.planning import plan_network
from archspec.quantities import format_count
from archspec.resolve import KEYS, locate, placed, resolve
from archspec.spec import Memory, make_spec
from archspec.template import Pick, Template
from archspec.units import make_units, shipped_units

#: different errors of one space that are told
MOST_TOLD = 20
#: combinations that a space is tried with at most, far above what any needs
MOST_ROUNDS = 5_000


def check(source: str) -> tuple[str, list[ArchspecError]]:
    """What a SPEC is, and everything that is wrong with it."""
    try:
        path = locate(source)
        if _is_units_file(path):
            return _check_units(path), []
        tree = resolve(path)
        template = _template(tree)
        if template.has_domains:
            return _check_space(tree, template)
        plan = plan_network(make_spec(tree))
    except ArchspecError as error:
        return "", [error]
    cost = totals(plan)
    counts = f"{format_count(cost.params)} params, {format_count(cost.flops)} FLOPs"
    return f"network {plan.name}, {counts}", []


def _is_units_file(path: Path) -> bool:
    tree = read_yaml(path)
    bodies = all(isinstance(text, Mapping) and "body" in text for text in tree.values())
    return bool(tree) and bodies and not any(key in KEYS for key in tree)


def _check_units(path: Path) -> str:
    tree = read_yaml(path)
    try:
        units = make_units(tree, shipped_units(), own=False)
    except LawError as error:
        raise placed(error, tree) from None
    return f"{len(units)} units"


def _template(tree: Any) -> Template:
    try:
        return Template(tree)
    except LawError as error:
        raise placed(error, tree) from None


def _check_space(tree: Any, template: Template) -> tuple[str, list[ArchspecError]]:
    """Every option of every choice, and both ends of every range, planned at least once."""
    parameters = template.parameters()
    missing = {(name, tag) for name, domain in parameters.items() for tag in _options(domain)}
    errors: dict[str, ArchspecError] = {}
    rounds = _Rounds(template)
    for _ in range(MOST_ROUNDS):
        before = set(missing)
        found = rounds.plan(lambda name, domain: _pick(name, domain, missing))
        fresh = before - missing
        if found:
            # one error hides the others of its round: what is new is tried one by one
            failed, taken = found[0], rounds.taken
            found = [error for option in fresh for error in rounds.alone(option, taken)]
            found = found or [failed]
        errors |= {str(error): error for error in found}
        if not missing or not fresh or len(errors) >= MOST_TOLD:
            break
    plural = "" if len(parameters) == 1 else "s"
    what = f"space {tree['name']} with {len(parameters)} parameter{plural}"
    return what, [errors[text] for text in sorted(errors)]


class _Rounds:
    """Networks of a space, planned; `good` is the last option of each name that went well."""

    def __init__(self, template: Template) -> None:
        self.template, self.memory = template, Memory()
        self.taken: dict[str, Any] = {}
        self.good: dict[str, Any] = {}

    def plan(self, pick: Pick) -> list[SpecError]:
        """What is wrong with the network that `pick` makes."""
        self.taken = taken = {}

        def noted(name: str, domain: Domain) -> Any:
            taken[name] = pick(name, domain)
            return taken[name]

        try:
            plan_network(make_spec(self.template.fill(noted), self.memory))
        except SpecError as error:
            return [error]
        self.good |= taken
        return []

    def alone(self, option: tuple[str, Any], taken: dict[str, Any]) -> list[SpecError]:
        """What is wrong with one option, the options around it taken as in `taken`."""

        def pick(name: str, domain: Domain) -> Any:
            if name == option[0]:
                return option[1]
            if option[0].startswith(f"{name}="):
                return taken[name]
            return self.good.get(name, _options(domain)[0])

        return self.plan(pick)


def _options(domain: Domain) -> tuple[Any, ...]:
    return domain.tags if isinstance(domain, Choice) else (domain.low, domain.high)


def _pick(name: str, domain: Domain, missing: set[tuple[str, Any]]) -> Any:
    """An option that was not taken yet, else one that holds such an option, else the first."""
    options = _options(domain)
    for option in options:
        if (name, option) in missing:
            missing.discard((name, option))
            return option
    for option in options:
        prefix = f"{name}={option}"
        if any(other == prefix or other.startswith(prefix + ".") for other, _ in missing):
            return option
    return options[0]
