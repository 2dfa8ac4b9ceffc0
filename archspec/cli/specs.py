"""Commands about specs: check, show, cost, diff, zoo, schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from archspec.cli.tables import (
    Column,
    Table,
    bytes_text,
    change_text,
    counts_text,
    numbers,
    print_json,
    print_table,
)
from archspec.errors import SpecError, printable

if TYPE_CHECKING:
    from archspec.cost import Totals
    from archspec.diff import CostChange
    from archspec.plan import NetworkPlan
    from archspec.spec import NetworkSpec

app = typer.Typer()

SPEC_HELP = "A YAML file or a shipped name."
Spec = Annotated[str, typer.Argument(metavar="SPEC", help=SPEC_HELP, show_default=False)]
Specs = Annotated[list[str], typer.Argument(metavar="SPEC", help=SPEC_HELP, show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value first, such as stages.2.depth=9; may be repeated.",
        show_default=False,
    ),
]
TextKind = Literal["network", "recipe", "study", "roadmap", "ladder", "rule"]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

FLOPS_NOTE = "FLOPs are multiply-adds of convolutions and matrix products, for one image."


@app.command()
def check(specs: Specs) -> None:
    """Check networks, spaces, recipes, studies, roadmaps, rules, units; exits with 2 where wrong.

    All is tried: options of a space and ends of its ranges, edits of a recipe, arms of a study,
    steps of a roadmap.
    """
    from archspec.cli.checking import check as check_one

    failed = False
    for source in specs:
        what, errors = check_one(source)
        for error in errors:
            print(error, file=sys.stderr)
        failed = failed or bool(errors)
        if not errors:
            print(f"ok {source}: {what}")
    if failed:
        raise typer.Exit(2)


@app.command()
def show(
    spec: Spec,
    layers: Annotated[bool, typer.Option("--layers", help="One row a layer.")] = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the whole text, with nothing inherited.")
    ] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show a network's parts, shapes and costs."""
    from archspec.cli.summary import parts_of
    from archspec.cost import totals

    network, plan = _planned(spec, settings)
    if as_yaml:
        print(network.dump(), end="")
        return
    if layers:
        _show_layers(plan, as_json)
        return
    parts, cost = parts_of(network, plan), totals(plan)
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "name": part.path,
                "what": part.what,
                "output": list(part.out),
                **costs_row(part.totals, part.receptive_field),
            }
            for part in parts
        ]
        total = {"name": "total", "what": network.name, "output": list(plan.out)}
        total |= costs_row(cost, cost.receptive_field)
        print_json([*rows, total])
        return
    form = "" if network.form == "train" else f", form {network.form}"
    print(f"{network.name}: input {plan.shape}{form}")
    if network.doc:
        print(printable(" ".join(network.doc.split())))
    print_table(
        Table(
            [
                Column("path"),
                Column("what"),
                *numbers("output", "params", "FLOPs", "activations", "depth", "traffic", "field"),
            ],
            [
                (part.path, part.what, str(part.out), *_texts(part.totals, part.receptive_field))
                for part in parts
            ]
            + [("total", "", str(plan.out), *_texts(cost, cost.receptive_field))],
            sums=1,
        )
    )
    print(
        f"receptive field {_field(cost.receptive_field)}, depth {cost.depth}, memory traffic "
        f"{bytes_text(cost.traffic)} at 4 bytes a number"
    )
    print(FLOPS_NOTE)


def _show_layers(plan: NetworkPlan, as_json: bool) -> None:
    from archspec.cli.summary import leaves_of

    leaves = list(leaves_of(plan))
    if as_json:
        print_json(
            [
                {
                    "name": leaf.path,
                    "times": leaf.times,
                    "what": leaf.what,
                    "output": list(leaf.out),
                    "params": leaf.params,
                    "flops": leaf.flops,
                    "activations": leaf.activations,
                    "depth": leaf.depth,
                    "traffic": leaf.traffic,
                    "receptive_field": _field_row(leaf.receptive_field),
                }
                for leaf in leaves
            ]
        )
        return
    columns = [
        Column("path"),
        Column("times", number=True),
        Column("what"),
        *numbers("output", "params", "FLOPs", "activations"),
    ]
    rows = [
        (
            leaf.path,
            f"x{leaf.times}",
            leaf.what,
            str(leaf.out),
            *counts_text(leaf.params, leaf.flops, leaf.activations),
        )
        for leaf in leaves
    ]
    print_table(Table(columns, rows))
    print("Counts are those of all repeats together.")
    print(FLOPS_NOTE)


@app.command()
def cost(
    specs: Specs,
    fvcore: Annotated[
        bool,
        typer.Option("--fvcore", help="Build each network, count it with fvcore too, and compare."),
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="With --fvcore: load a checkpoint, or timm:NAME, into the built network.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Count params, FLOPs, activations, depth, memory traffic: a row a spec."""
    from archspec.cost import totals

    rows: list[dict[str, Any]] = []
    texts: list[tuple[str, ...]] = []
    differ: list[str] = []
    if weights is not None and (not fvcore or len(specs) > 1):
        raise SpecError("--weights goes with --fvcore, which builds the network, and one SPEC")
    for source in specs:
        network, plan = _planned(source, settings)
        sums = totals(plan)
        row = {"name": network.name, **costs_row(sums, sums.receptive_field)}
        text = (network.name, *_texts(sums, sums.receptive_field))
        if fvcore:
            differ += _disagreements(network, plan, weights)
            row["fvcore_total"] = sums.fvcore_total
            text = (*text, *counts_text(sums.fvcore_total))
        rows.append(row)
        texts.append(text)
    if as_json:
        print_json(rows)
    else:
        titles = ["params", "FLOPs", "activations", "depth", "traffic", "field"]
        titles += ["fvcore total"] if fvcore else []
        print_table(Table([Column("name"), *numbers(*titles)], texts))
        print(FLOPS_NOTE)
        if fvcore and not differ:
            print("fvcore counts the same, to the unit; its total adds norms and pooling.")
    for line in differ:
        print(f"error: {line}", file=sys.stderr)
    if differ:
        raise typer.Exit(1)


def _disagreements(network: NetworkSpec, plan: NetworkPlan, weights: str | None) -> list[str]:
    """Where fvcore's count of the built network is not ours, to the unit."""
    from archspec.build import build
    from archspec.cost import totals
    from archspec.referee import referee

    model = build(network, plan)
    if weights is not None:
        from archspec.weights.loading import load_weights

        load_weights(model, network, weights)
    ours, theirs = totals(plan), referee(model, plan.shape)
    return [
        f"{network.name}: fvcore must count the same {what}, but got (ours={mine:,}, "
        f"fvcore={other:,})"
        for what, mine, other in (
            ("flops", ours.flops, theirs.flops),
            ("norms and pooling", ours.other_flops, theirs.other_flops),
            ("activations", ours.activations, theirs.activations),
        )
        if mine != other
    ]


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=SPEC_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help=SPEC_HELP, show_default=False)],
    as_json: Json = False,
) -> None:
    """Show what differs between two networks, in paths, and what it does to the cost."""
    from archspec.diff import cost_changes, differences

    (first, first_plan), (second, second_plan) = _planned(a, None), _planned(b, None)
    found = differences(first, second)
    changes = cost_changes(first_plan, second_plan)
    if as_json:
        print_json(
            [
                {"kind": "difference", "path": item.path, "a": item.before, "b": item.after}
                for item in found
            ]
            + [_change_row(change) for change in changes]
        )
        return
    for item in found:
        print(item)
    print("" if found else "no difference")
    rows = [
        (
            change.path,
            *counts_text(change.before.params, change.after.params),
            change_text(change.before.params, change.after.params),
            *counts_text(change.before.flops, change.after.flops),
            change_text(change.before.flops, change.after.flops),
        )
        for change in changes
    ]
    titles = ("params A", "params B", "change", "FLOPs A", "FLOPs B", "change")
    print_table(Table([Column("path"), *numbers(*titles)], rows, sums=1))
    before, after = changes[-1].before, changes[-1].after
    acts = counts_text(before.activations, after.activations)
    print(
        f"activations {acts[0]} -> {acts[1]} "
        f"({change_text(before.activations, after.activations)}), "
        f"depth {before.depth} -> {after.depth}, memory traffic {bytes_text(before.traffic)} -> "
        f"{bytes_text(after.traffic)} ({change_text(before.traffic, after.traffic)})"
    )
    print(f"A is {first.name}, B is {second.name}.")
    print(FLOPS_NOTE)


def _change_row(change: CostChange) -> dict[str, Any]:
    return {
        "kind": "cost",
        "name": change.path,
        "a": _counts(change.before),
        "b": _counts(change.after),
    }


@app.command()
def zoo(
    family: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="A family alone.", show_default=False)
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/zoo.md of all networks.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List what is shipped, by family, with published figures and their source beside ours."""
    from archspec.cli.listing import MISPRINT, grouped, list_shipped, markdown

    networks, spaces = list_shipped(family)
    if as_markdown and (as_json or not networks):
        raise SpecError("--markdown is a page of networks; it goes with neither --json nor spaces")
    if as_markdown:
        print(markdown(networks), end="")
        return
    if as_json:
        print_json([item.row() for item in networks] + [item.row() for item in spaces])
        return
    if networks:
        titles = ("input", "params", "published", "FLOPs", "published", "top-1")
        columns = [Column("name"), *numbers(*titles), Column("source", cut=True)]
        print_table(Table(columns, grouped(networks)))
        print("Published figures and top-1 on ImageNet-1k stand as their source prints them.")
        if any(item.reference.misprints for item in networks):
            print(f"{MISPRINT} marks one that is not the published network's.")
        for item in networks:
            if item.note:
                print(f"  {item.name}: {item.note}")
        print(FLOPS_NOTE)
    for space in spaces:
        print(f"space {space.name}: {space.parameters} parameters; {space.doc}")


@app.command()
def schema(
    kind: Annotated[
        TextKind,
        typer.Argument(
            metavar="KIND",
            help="network (spaces and units, too), recipe, study, roadmap, ladder or rule.",
        ),
    ] = "network",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write to a file.", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schema of the notation, for editors."""
    text = _schema_text(kind)
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror})") from None


def _schema_text(kind: TextKind) -> str:
    if kind == "network":
        from archspec.schema import schema_text

        return schema_text()
    if kind == "roadmap":
        from archspec.roadmap.schema import roadmap_schema_text

        return roadmap_schema_text()
    if kind == "ladder":
        from search.ladder_schema import ladder_schema_text

        return ladder_schema_text()
    from archspec.study.schema import recipe_schema_text, rule_schema_text, study_schema_text

    texts = {"recipe": recipe_schema_text, "study": study_schema_text, "rule": rule_schema_text}
    return texts[kind]()


def _planned(source: str, settings: list[str] | None) -> tuple[NetworkSpec, NetworkPlan]:
    from archspec.planning import plan_network
    from archspec.spec import read_spec

    network = read_spec(source, [edit_of(text) for text in settings or ()])
    return network, plan_network(network)


def edit_of(text: str) -> tuple[str, str]:
    """A path and its value in YAML, from PATH=VALUE; raises SpecError."""
    path, sign, value = text.partition("=")
    if not sign:
        raise SpecError(f"--set takes PATH=VALUE, such as stages.0.depth=3, but got {text!r}")
    return path.strip(), value


def _counts(sums: Totals) -> dict[str, Any]:
    return {"params": sums.params, "flops": sums.flops, "activations": sums.activations}


def costs_row(sums: Totals, field: int | None) -> dict[str, Any]:
    """All counts of a network or of a part of it, as `--json` prints them."""
    return {
        **_counts(sums),
        "depth": sums.depth,
        "traffic": sums.traffic,
        "receptive_field": _field_row(field),
    }


def _texts(sums: Totals, field: int | None) -> list[str]:
    counts = counts_text(sums.params, sums.flops, sums.activations)
    return [*counts, str(sums.depth), bytes_text(sums.traffic), _field(field)]


def _field(field: int | None) -> str:
    return str(_field_row(field))


def _field_row(field: int | None) -> int | str:
    return "global" if field is None else field
