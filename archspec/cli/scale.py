"""The command `scale`: one network grown by a rule, to a phi or to a budget, or its curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from archspec.cli.specs import FLOPS_NOTE, Json, Settings, Spec, costs_row, edit_of
from archspec.errors import SpecError

if TYPE_CHECKING:
    from archspec.scaling.growth import Grown
    from archspec.scaling.rule import Rule
    from archspec.scaling.scaled import Scaled, Scaler
    from archspec.spec import NetworkSpec

app = typer.Typer()

#: headings of options
CURVES, LINES = "Curves", "RegNet's quantised line"


class Used(NamedTuple):
    """The largest share of a budget that a network uses, and that budget as it was written."""

    share: float
    budget: str


_TITLES = {"flops": "FLOPs", "traffic": "memory traffic"}


@app.command()
def scale(
    spec: Spec,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="A shipped rule, a file, or a name such as d1_w8_g8_r1; with --curve several, "
            "or `all`.",
            show_default="the network's own, else dwr; with --curve all that fit",
        ),
    ] = None,
    phi: Annotated[
        float | None, typer.Option(help="So many steps of the rule.", show_default=False)
    ] = None,
    times: Annotated[
        float | None,
        typer.Option(help="So many times the FLOPs, by the rule's law.", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET",
            help="As large as 4.5GFLOPs (multiply-adds), 30Mparams, 20Mactivations or 400MB allow.",
            show_default=False,
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--and",
            metavar="BUDGET",
            help="Nor larger than this; may be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the text, or the page.", show_default=False
        ),
    ] = None,
    settings: Settings = None,
    rule_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--rule-set",
            metavar="PATH=VALUE",
            help="Change a value of the rule first, such as depth=1.3.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    line: Annotated[
        str | None,
        typer.Option(
            metavar="LINE",
            help="Stages of this line, such as d=13,w0=24,wa=36.44,wm=2.49,g=8.",
            show_default=False,
            rich_help_panel=LINES,
        ),
    ] = None,
    fit_line: Annotated[
        bool,
        typer.Option(
            "--fit-line", help="Print the line nearest to the stages.", rich_help_panel=LINES
        ),
    ] = False,
    curve: Annotated[
        bool,
        typer.Option(
            "--curve",
            help="Draw what the rules cost from the network to --to, on a page.",
            rich_help_panel=CURVES,
        ),
    ] = False,
    points: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=200,
            help="Networks on a curve.",
            show_default="12",
            rich_help_panel=CURVES,
        ),
    ] = None,
    timed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=200,
            help="Networks a rule whose forward pass is timed; 0: none.",
            show_default="4",
            rich_help_panel=CURVES,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4096,
            help="Images of a measured pass.",
            show_default="1",
            rich_help_panel=CURVES,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cuda, mps or cpu.", show_default="the best at hand", rich_help_panel=CURVES
        ),
    ] = None,
    as_markdown: Annotated[
        bool,
        typer.Option(
            "--markdown", help="Print the table of docs/scaling.md.", rich_help_panel=CURVES
        ),
    ] = False,
) -> None:
    """Scale a network by a rule; prints factors asked and reached, and a short text.

    A rule is applied at --phi, at --times the FLOPs by its law, or solved to land --to a budget.
    """
    from archspec.cli import curves
    from archspec.fit import ENOUGH
    from archspec.resolve import YAML, check_place, read_from
    from archspec.scaling.curve import Source
    from archspec.scaling.rule import RULE, read_rule, rule_of
    from archspec.spec import read_spec

    _fitting(
        "--curve" if curve else "--fit-line" if fit_line else "--line" if line else "",
        {
            "--rule": rule, "--phi": phi, "--times": times, "--to": to, "--and": also, "-o": out,
            "--rule-set": rule_settings, "--line": line, "--fit-line": fit_line or None,
            "--points": points, "--timed": timed, "--batch": batch, "--device": device,
            "--markdown": as_markdown or None,
        },
    )  # fmt: skip
    network = read_spec(spec, [edit_of(text) for text in settings or ()])
    if fit_line:
        _print_line(network, as_json)
        return
    edits = [edit_of(text) for text in rule_settings or ()]
    if curve:
        if as_markdown and (as_json or out is not None):
            raise SpecError("--markdown prints a table alone; it goes with neither --json nor -o")
        how = curves.Asked(
            rule or [],
            edits,
            to,
            points or curves.POINTS,
            curves.TIMED if timed is None else timed,
            batch or 1,
            device,
        )
        source = Source(spec, tuple(edit_of(text) for text in settings or ()))
        if as_markdown:
            print(curves.markdown(network, source, how), end="")
        else:
            curves.draw(network, source, how, out, as_json)
        return
    if rule == [curves.ALL]:
        raise SpecError("--rule all goes with --curve; name one rule to scale by")
    if len(rule or ()) > 1:
        raise SpecError("one --rule scales a network; several stand beside each other in --curve")
    if edits and not rule:
        raise SpecError("--rule-set goes with --rule, whose values it changes")
    named = ["regnet"] if line is not None else rule
    applied = (
        read_rule(named[0], edits) if named else rule_of(network.scaling, network.folder("scaling"))
    )
    if out is not None:
        own = network.scaling or ""
        texts = [] if named or not own.endswith(YAML) else [network.folder("scaling") / own]
        texts += [Path(name) for name in named or () if name.endswith(YAML)]
        rules = [file for text in texts for file in read_from(text, RULE)]
        check_place(out, [*read_from(spec), *rules])
    scaler, scaled, used = _scaled(network, applied, line, phi, times, to, also)
    told = _told(scaler, scaled, line, used)
    text = _text(spec, settings, scaler, scaled, told, out)
    rows = _rows(scaler, scaled, used, text)
    if out is not None:
        _write(out, text)
    if as_json:
        from archspec.cli.tables import print_json

        print_json(rows)
        return
    _print(scaler, scaled, told)
    if used is not None and used.share < ENOUGH:
        print("No step of the rule lands within 2% under the target; this is the nearest below.")
    print(f"\nwritten to {out}" if out is not None else f"\n{text}", end="\n" if out else "")


#: what goes with a way of using the command; "" is to scale
_WITH: dict[str, tuple[str, ...]] = {
    "": ("--rule", "--phi", "--times", "--to", "--and", "-o", "--rule-set"),
    "--line": ("--line", "-o"),
    "--fit-line": ("--fit-line",),
    "--curve": (
        "--rule", "--rule-set", "--to", "-o", "--points", "--timed", "--batch", "--device",
        "--markdown",
    ),
}  # fmt: skip


def _fitting(way: str, options: dict[str, object]) -> None:
    """Raise where an option is given that says nothing in this way of using the command."""
    for option, given in options.items():
        if given is None or option in _WITH[way]:
            continue
        ways = [name for name, legal in _WITH.items() if name and option in legal]
        if way:
            raise SpecError(f"{way} and {option} exclude each other")
        raise SpecError(f"{option} goes with {' or '.join(ways)}")


def _scaled(
    network: NetworkSpec,
    rule: Rule,
    line: str | None,
    phi: float | None,
    times: float | None,
    to: str | None,
    also: list[str] | None,
) -> tuple[Scaler, Scaled, Used | None]:
    """The network as asked for, and what it uses of a budget."""
    from archspec.cost import totals
    from archspec.fit import BOUNDED, limits_of
    from archspec.scaling.line import parse_line
    from archspec.scaling.scaled import Scaler
    from archspec.scaling.solve import land

    asked = {"--phi": phi, "--times": times, "--to": to, "--line": line}
    given = [option for option, value in asked.items() if value is not None]
    if len(given) != 1:
        told = " and ".join(given) or "none of them"
        raise SpecError(f"one of {', '.join(asked)} says how far to scale, but got {told}")
    if also and to is None:
        raise SpecError("--and is one more ceiling beside --to")
    scaler = Scaler(network, rule)
    if line is not None:
        return scaler, scaler.on_line(parse_line(line)), None
    if to is not None:
        texts = [to, *(also or ())]
        limits = limits_of(texts)
        landed = land(scaler, limits)
        sums = totals(landed.scaled.plan)
        shares = {
            text: BOUNDED[unit](sums) / limit
            for text, (unit, limit) in zip(texts, limits.items(), strict=True)
        }
        return scaler, landed.scaled, Used(landed.used, max(shares, key=lambda one: shares[one]))
    if times is not None:
        phi = _phi_of(rule, times)
    assert phi is not None  # one of four was given
    return scaler, scaler.at(phi), None


def _phi_of(rule: Rule, times: float) -> float:
    if not 0 < times < math.inf:
        raise SpecError(f"--times is a number above 0, but got {times:g}")
    if rule.growth is None or rule.growth == 1:
        raise SpecError(
            f"rule {rule.name} has no one growth of FLOPs a phi, which --times needs; give --phi "
            "or --to"
        )
    return math.log(times) / math.log(rule.growth)


def _told(scaler: Scaler, scaled: Scaled, line: str | None, used: Used | None) -> str:
    """What was done, in a line."""
    name, rule = scaler.spec.name, scaler.rule
    if line is not None:
        return f"{name} on RegNet's line {line}"
    point = ""
    if rule.points is not None and scaled.phi == int(scaled.phi):
        point = f" ({rule.points[int(scaled.phi)].name})"
    landed = "" if used is None else f", {100 * used.share:.1f}% of {used.budget}"
    return f"{name} by rule {rule.name} at phi {scaled.phi:.4g}{point}{landed}"


def _text(
    source: str,
    settings: list[str] | None,
    scaler: Scaler,
    scaled: Scaled,
    told: str,
    out: Path | None,
) -> str:
    from archspec.scaling.text import short_text

    edits = [edit_of(text) for text in settings or ()]
    return short_text(source, edits, scaler.text, scaled.values, f"{told}.", out)


def _write(out: Path, text: str) -> None:
    from archspec.runs import write_whole

    try:
        write_whole(out, text)
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror})") from None


def _rows(scaler: Scaler, scaled: Scaled, used: Used | None, text: str) -> list[dict[str, Any]]:
    """The network before, and after with what was asked and reached."""
    from archspec.cost import totals
    from archspec.planning import plan_network
    from archspec.scaling.growth import growth

    grown = growth(scaler, scaled)
    before, after = totals(plan_network(scaler.spec)), totals(scaled.plan)
    return [
        {"name": scaler.spec.name, **costs_row(before, before.receptive_field)},
        {
            "name": scaled.spec.name,
            **costs_row(after, after.receptive_field),
            "rule": scaler.rule.name,
            "phi": None if math.isnan(scaled.phi) else scaled.phi,
            "used": None if used is None else used.share,
            "asked": {row.what: row.asked for row in grown if row.asked is not None},
            "reached": {row.what: row.reached for row in grown},
            "spec": text,
        },
    ]


def _print(scaler: Scaler, scaled: Scaled, told: str) -> None:
    from archspec.cli.tables import Column, Table, numbers, print_table
    from archspec.scaling.growth import growth, law_text

    print(told)
    grown = growth(scaler, scaled)
    rows = [
        (_TITLES.get(row.what, row.what), _factor(row.asked), _factor(row.reached), *_ends(row))
        for row in grown
    ]
    print_table(Table([Column(""), *numbers("asked", "reached", "before", "after")], rows))
    if not math.isnan(scaled.phi):
        print(f"law: {law_text(scaler.rule)}")
    _print_side(scaler.rule, next((row for row in grown if row.what == "resolution"), None))
    print(FLOPS_NOTE)


def _print_side(rule: Rule, row: Grown | None) -> None:
    """Why a side is not the one that was asked for, where rounding is not all."""
    if row is None or row.asked is None or not isinstance(row.before, int):
        return
    how = rule.rounding.resolution
    if abs(row.asked * row.before - int(row.after)) <= how.step / 2:
        return
    if row.after == how.most:
        print(f"resolution grows to {row.after} at most by this rule.")
    else:
        print(
            f"resolution x{row.asked:.4g} breaks a law of this network, such as windows that "
            f"divide maps; {row.after} is the nearest that keeps all."
        )


def _factor(value: float | None) -> str:
    return "" if value is None else f"x{value:.4g}"


def _ends(row: Grown) -> tuple[str, str]:
    from archspec.cli.tables import bytes_text
    from archspec.fit import BOUNDED
    from archspec.quantities import format_count

    if row.what not in BOUNDED:
        return str(row.before), str(row.after)
    told = bytes_text if row.what == "traffic" else format_count
    return told(int(row.before)), told(int(row.after))


def _print_line(network: NetworkSpec, as_json: bool) -> None:
    """The line nearest to a network's stages, and how near it is."""
    from archspec.cli.tables import print_json
    from archspec.scaling.rule import read_rule
    from archspec.scaling.scaled import Scaler

    fitted = Scaler(network, read_rule("regnet")).line
    stages = fitted.line.stages()
    if as_json:
        print_json(
            [
                {
                    "name": network.name,
                    "line": str(fitted.line),
                    "error": fitted.error,
                    "exact": fitted.exact,
                    "widths": list(stages.widths),
                    "depths": list(stages.depths),
                }
            ]
        )
        return
    print(f"{network.name}: {fitted.line}")
    widths, depths = ("-".join(map(str, each)) for each in stages[:2])
    near = (
        "its very stages" if fitted.exact else f"the nearest line, {fitted.error:.1%} off a block"
    )
    print(f"{near}: widths {widths}, depths {depths}")
