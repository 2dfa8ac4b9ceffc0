"""What `archspec check` says of a text: a network, space, recipe, study, roadmap, ladder, rule,
units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.cli.kinds import ANY, kind_of
from archspec.cost import totals
from archspec.domains import Choice, Domain
from archspec.errors import ArchspecError, LawError, SpecError
from archspec.load import read_yaml
from archspec.planning import plan_network
from archspec.quantities import format_count, several
from archspec.resolve import KEYS, LADDER, locate, placed, resolve
from archspec.roadmap.steps import check_roadmap
from archspec.roadmap.text import ROADMAP
from archspec.scaling.growth import law_text
from archspec.scaling.rule import RULE, RULE_SPACE, read_rule
from archspec.spec import Memory, make_spec
from archspec.study.arms import check_study
from archspec.study.text import STUDY
from archspec.template import Pick, Template
from archspec.train.recipe import RECIPE, check_recipe, network_patterns
from archspec.units import make_units, shipped_units
from archspec.weights.layouts import layouts_of, read_layouts

#: different errors of one space that are told
MOST_TOLD = 20
#: combinations that a space is tried with at most, far above what any needs
MOST_ROUNDS = 5_000


def check(source: str) -> tuple[str, list[ArchspecError]]:
    """What a SPEC is, and everything that is wrong with it."""
    try:
        path = locate(source, ANY)
        if _is_units_file(path):
            return _check_units(path), []
        if _is_layouts_file(path):
            count = len(read_layouts(path))
            return f"{count} layout{'' if count == 1 else 's'} of weights", []
        kind = kind_of(path)
        if kind is RECIPE:
            return _check_recipe(path), []
        if kind is STUDY:
            return check_study(path), []
        if kind is ROADMAP:
            return check_roadmap(path), []
        if kind is LADDER:
            return _check_ladder(path), []
        if kind in (RULE, RULE_SPACE):
            return _check_rule(path), []
        tree = resolve(path)
        template = _template(tree)
        if template.has_domains:
            return _check_space(tree, template)
        spec = make_spec(tree)
        if spec.weights is not None:
            layouts_of(spec.weights, spec.folder("weights"))
        plan = plan_network(spec)
    except ArchspecError as error:
        return "", [error]
    cost = totals(plan)
    counts = f"{format_count(cost.params)} params, {format_count(cost.flops)} FLOPs"
    return f"network {plan.name}, {counts}", []


def _is_units_file(path: Path) -> bool:
    tree = read_yaml(path)
    bodies = all(isinstance(text, Mapping) and "body" in text for text in tree.values())
    return bool(tree) and bodies and not any(key in KEYS for key in tree)


def _is_layouts_file(path: Path) -> bool:
    tree = read_yaml(path)
    named = all(isinstance(text, Mapping) and "names" in text for text in tree.values())
    return bool(tree) and named and not any(key in KEYS for key in tree)


def _check_units(path: Path) -> str:
    tree = read_yaml(path)
    try:
        units = make_units(tree, shipped_units(), own=False)
    except LawError as error:
        raise placed(error, tree) from None
    return f"{len(units)} units"


def _check_rule(path: Path) -> str:
    """A scaling rule, or a space of them where it has domains."""
    tree = resolve(path, (), RULE_SPACE)
    if _template(tree).has_domains or not tree.keys() <= set(RULE.keys):
        from search.rule_text import Rules

        rules = Rules.read(path)
        return f"space of rules {rules.name} with {several(len(rules.parameters), 'parameter')}"
    rule = read_rule(path)
    return f"scaling rule {rule.name}, {law_text(rule)}"


def _check_ladder(path: Path) -> str:
    from search.ladder import ladder_file, words

    ladder = ladder_file(path)
    rungs = ", ".join(f"{rung.count:,} by {words(rung)}" for rung in ladder.rungs)
    return f"ladder {ladder.name}, {rungs}"


def _check_recipe(path: Path) -> str:
    recipe = check_recipe(path)
    told = f"{recipe.epochs} epochs in batches of {recipe.batch} by {recipe.optimizer.name}"
    count = len(network_patterns(path))
    edited = f", edits for {count} kind{'' if count == 1 else 's'} of networks" if count else ""
    return f"recipe {recipe.name}, {told}{edited}"


def _template(tree: Any) -> Template:
    try:
        return Template(tree)
    except LawError as error:
        raise placed(error, tree) from None


def _check_space(tree: Any, template: Template) -> tuple[str, list[ArchspecError]]:
    """Every option of every choice, and both ends of every range, planned at least once."""
    parameters = template.parameters()
    missing = _Missing(parameters)
    errors: dict[str, ArchspecError] = {}
    rounds = _Rounds(template)
    for _ in range(MOST_ROUNDS):
        fresh = missing.fresh = []
        found = rounds.plan(missing.pick)
        if found:
            # one error hides the others of its round: what is new is tried one by one
            failed, taken = found[0], rounds.taken
            found = [error for option in fresh for error in rounds.alone(option, taken)]
            found = found or [failed]
        errors |= {str(error): error for error in found}
        if not missing.left or not fresh or len(errors) >= MOST_TOLD:
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


class _Missing:
    """Options that no network has had yet; `fresh` are those that were picked just now."""

    def __init__(self, parameters: Mapping[str, Domain]) -> None:
        #: options still to come by name, in order of the text, the next one last
        self.options = {name: [*_options(domain)][::-1] for name, domain in parameters.items()}
        self.left = sum(map(len, self.options.values()))
        self.fresh: list[tuple[str, Any]] = []
        #: options still to come inside of each option, and of each name
        self.inside: Counter[str] = Counter()
        for name, options in self.options.items():
            for holder in _holders(name):
                self.inside[holder] += len(options)

    def pick(self, name: str, domain: Domain) -> Any:
        """An option that was not taken yet, else one that holds such an option, else the first."""
        options = _options(domain)
        if self.options[name]:
            option = self.options[name].pop()
            self.fresh.append((name, option))
            self.left -= 1
            for holder in _holders(name):
                self.inside[holder] -= 1
            return option
        if self.inside[name]:
            for option in options:
                if self.inside[f"{name}={option}"]:
                    return option
        return options[0]


def _holders(name: str) -> list[str]:
    """Names and options that a parameter may stand in: of `a=b.c`, `a` and `a=b`."""
    ends = [place for place, sign in enumerate(name) if sign in "=."]
    return [name[:end] for end in ends] + ([name] if "=" in name else [])
