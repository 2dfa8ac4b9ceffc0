"""What `scale --curve` does: networks of several rules from one base, timed, on one page."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from archspec.errors import SpecError

if TYPE_CHECKING:
    from archspec.scaling.curve import CurvePoint, Source, Timed
    from archspec.scaling.rule import Rule
    from archspec.spec import NetworkSpec

#: FLOPs of the last network beside the base's, where no target is given
FURTHER = 4
ALL = "all"
POINTS, TIMED, REPEATS, ROUNDS = 12, 4, 5, 3


class Asked(NamedTuple):
    """How curves are drawn: to so many FLOPs, by so many points, some of them timed."""

    rules: Sequence[str]
    edits: Sequence[tuple[str, str]]
    to: str | None
    points: int
    timed: int
    batch: int
    device: str | None


def draw(spec: NetworkSpec, source: Source, asked: Asked, out: Path | None, as_json: bool) -> None:
    """Curves of a network as a table, or as JSON, and as a page."""
    import pandas as pd

    from archspec.cli.tables import check_page, print_json
    from archspec.runs import now, versions_of, written
    from archspec.scaling.curve import rows, rule_row
    from reports.scaling import write_scaling_page

    page = out or Path("runs") / f"scale-{spec.name}.html"
    check_page(page)
    rules, skipped = _rules(spec, asked)
    points = _points(spec, source, rules, asked)
    timed = _timed(points, asked) if asked.timed else None
    told, laws = rows(points, timed), [rule_row(rule) for rule in rules]
    info = {
        "name": spec.name,
        "doc": spec.doc,
        "command": "archspec " + shlex.join(sys.argv[1:]),
        "created": now(),
        "versions": versions_of(("archspec-vision", "torch")),
        "rules": laws,
        "skipped": skipped,
        "device": next((one.device for one in timed or () if one.device), None),
        "batch": asked.batch if timed else None,
        "precision": "fp32" if timed else None,
        "rounds": ROUNDS if timed else None,
    }
    with written(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        write_scaling_page(info, pd.DataFrame(told), page)
    if as_json:
        print_json(told)
        return
    _print(laws, told, skipped)
    typer.echo(f"page: {page}")


def markdown(spec: NetworkSpec, source: Source, asked: Asked) -> str:
    """The table of docs/scaling.md; nothing is timed for it."""
    from archspec.scaling.curve import rows, rule_row
    from reports.scaling_table import curve_markdown

    rules, _ = _rules(spec, asked)
    told = rows(_points(spec, source, rules, asked))
    return curve_markdown([rule_row(rule) for rule in rules], told)


def _rules(spec: NetworkSpec, asked: Asked) -> tuple[list[Rule], dict[str, str]]:
    """The rules to draw, and why others cannot be; one that was named must be applicable."""
    from archspec.scaling.curve import applicable
    from archspec.scaling.rule import read_rule
    from archspec.shipped import shipped_rules

    named = [name for name in asked.rules if name != ALL]
    every = [] if named and ALL not in asked.rules else list(shipped_rules())
    rules = [read_rule(name, asked.edits) for name in dict.fromkeys([*named, *every])]
    names = Counter(rule.name for rule in rules)
    if max(names.values()) > 1:
        raise SpecError(
            f"two rules are called {names.most_common(1)[0][0]}; give one a name of its own"
        )
    able, reasons = applicable(spec, rules)
    for rule in rules:
        if rule.name in reasons and rule.name not in every:
            raise SpecError(reasons[rule.name])
    if not able:
        raise SpecError(f"no rule can be applied to {spec.name}: {next(iter(reasons.values()))}")
    return able, reasons


def _points(
    spec: NetworkSpec, source: Source, rules: Sequence[Rule], asked: Asked
) -> list[CurvePoint]:
    from archspec.cost import totals
    from archspec.fit import limits_of
    from archspec.planning import plan_network
    from archspec.scaling.curve import curve

    until = float(FURTHER * totals(plan_network(spec)).flops)
    if asked.to is not None:
        limits = limits_of([asked.to])
        if "flops" not in limits:
            raise SpecError(f"a curve goes to a number of FLOPs, but got --to {asked.to}")
        until = limits["flops"]
    return [point for rule in rules for point in curve(spec, rule, until, asked.points, source)]


def _timed(points: Sequence[CurvePoint], asked: Asked) -> list[Timed] | None:
    """Latencies of some networks of each rule; none where timing is stopped."""
    from archspec.quantities import several
    from archspec.study.curve_latency import Passes, measure_some

    def tell(point: CurvePoint, number: int, count: int) -> None:
        if number == 0:
            networks = several(count // ROUNDS, "network")
            typer.echo(f"timing {networks} in {ROUNDS} rounds; --timed 0 leaves that out", err=True)
        typer.echo(f"[{number + 1}/{count}] {point.name}", err=True)

    passes = Passes(batch=asked.batch, repeats=REPEATS, rounds=ROUNDS)
    try:
        return measure_some(points, asked.timed, passes, asked.device, tell)
    except KeyboardInterrupt:
        typer.echo("\nstopped; the curves are drawn without latencies", err=True)
        return None


def _print(
    rules: Sequence[dict[str, Any]], told: Sequence[dict[str, Any]], skipped: dict[str, str]
) -> None:
    """A rule a row: its law, how costs grow, and its last network."""
    from archspec.cli.specs import FLOPS_NOTE
    from archspec.cli.tables import Column, Table, counts_text, numbers, print_table
    from archspec.scaling.curve import GROWING, slopes

    rows = []
    for rule in rules:
        mine = [row for row in told if row["rule"] == rule["name"]]
        powers = slopes(mine)
        last = mine[-1]
        growth = "" if rule["growth"] is None else f"x{rule['growth']:.4g}"
        rows.append(
            (
                rule["name"],
                growth,
                *(f"{powers[key]:.2f}" if key in powers else "" for key in GROWING),
                *counts_text(last["flops"], last["params"], last["activations"]),
                "x".join(map(str, dict.fromkeys(last["resolution"]))),
                str(last["blocks"]),
                str(len(mine)),
            )
        )
    titles = ("FLOPs a phi", "params^", "activations^", "traffic^", "latency^", "FLOPs", "params")
    more = ("activations", "side", "blocks", "networks")
    print_table(Table([Column("rule"), *numbers(*titles, *more)], rows))
    print("A cost is near FLOPs to the power below its name with ^; counts are the last network's.")
    for name, reason in skipped.items():
        print(f"not drawn: {name}: {reason}")
    print(FLOPS_NOTE)
