"""Commands about runs: search, resume, report."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from reports.metrics import Metric
    from search.folder import Budget, RunFolder

app = typer.Typer()

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]


@app.command()
def search(
    space: Annotated[
        str, typer.Argument(help="A text with domains, or a shipped space.")
    ] = "hybrid",
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="A ceiling for one image: 4.5GFLOPs (multiply-adds), 30Mparams, "
            "20Mactivations, 400MB of traffic. May be given several times."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=1_000_000, help="Scored trials.")] = 48,
    random: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Scored trials of the random baseline.")
    ] = 16,
    shipped: Annotated[
        bool, typer.Option(help="Score the shipped networks within the budget, too.")
    ] = True,
    iso: Annotated[
        bool, typer.Option("--iso", help="Land every candidate at the ceiling, not below it.")
    ] = False,
    score: Annotated[
        str | None,
        typer.Option(help="A score, or several joined by +.", show_default="naswot+depth"),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="Images for the score: a parquet file or folder, an image folder, or `digits`."
        ),
    ] = "digits",
    batch: Annotated[int, typer.Option(min=2, max=4096, help="Images that the score sees.")] = 16,
    sampler: Annotated[str, typer.Option(help="tpe, nsga2, gp or random.")] = "tpe",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best at hand")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/SPACE-BUDGET, numbered"),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the space before the search."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all trials as one JSON list, and nothing else.")
    ] = False,
) -> None:
    """Search a space under a budget; leaves a run folder with the best specs and a page."""
    from archspec.cli.specs import edit_of
    from archspec.train.data import DIGITS
    from search.folder import RunFolder, RunInfo, now, versions_here
    from search.proposals import check_sampler
    from search.scores import DEFAULT, Scorer
    from search.space import Space

    budgets = _budgets(budget or [])
    read = Space.read(space, tuple(edit_of(text) for text in edit or ()))
    read.check()
    check_sampler(sampler)
    if data != DIGITS and os.path.exists(data):
        # a run may be resumed from another folder
        data = str(Path(data).resolve())
    scorer = Scorer(score or DEFAULT, data, batch, seed, device)
    where = "text"
    if scorer.needs_forward:
        # data and device are tried before anything is written
        where = str(scorer.forward.device)
    info = RunInfo(
        space=read.name,
        space_text=read.dump(),
        command="archspec " + shlex.join(sys.argv[1:]),
        budgets=budgets,
        iso=iso,
        seed=seed,
        sampler=sampler,
        score=scorer.name,
        score_label=scorer.label,
        data=data,
        batch=batch,
        device=where,
        trials=trials,
        random_trials=random,
        shipped=shipped,
        versions=versions_here(),
        created=now(),
    )
    folder = RunFolder.create(out or _free(read.name, budgets), info)
    _run(folder, as_json)


@app.command()
def resume(
    run: RunPath,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Go on to so many scored trials.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all trials as one JSON list.")
    ] = False,
) -> None:
    """Go on with a run that was stopped or killed; the result is that of an uninterrupted one."""
    from search.folder import RunFolder, versions_here

    folder = RunFolder.open(run)
    here = versions_here()
    changed = [
        f"{name} {was} -> {here.get(name)}"
        for name, was in folder.info.versions.items()
        if here.get(name) != was
    ]
    if changed:
        typer.echo(
            f"note: versions differ, so later trials may, too: {', '.join(changed)}", err=True
        )
    if trials is not None:
        folder.ask_for(trials)
    _run(folder, as_json)


@app.command()
def report(run: RunPath) -> None:
    """Write the page and the best specs of a run again, finished or not."""
    from search.folder import RunFolder

    folder = RunFolder.open(run)
    _finish(folder, False)


def _budgets(texts: list[str]) -> tuple[Budget, ...]:
    from archspec.errors import QuantityError
    from archspec.fit import BOUNDED
    from archspec.quantities import parse_quantity
    from search.folder import Budget

    if not texts:
        raise QuantityError(
            "a search needs a budget, such as --budget 4.5GFLOPs or --budget 30Mparams"
        )
    found: dict[str, Budget] = {}
    for text in texts:
        quantity = parse_quantity(text)
        if quantity.unit not in BOUNDED:
            raise QuantityError(
                f"a budget bounds {', '.join(BOUNDED)}, which the text alone tells; {text!r} is a "
                "measured quantity"
            )
        if quantity.unit in found:
            raise QuantityError(
                f"two budgets bound {quantity.unit}: {found[quantity.unit]} and {text}"
            )
        found[quantity.unit] = Budget(quantity.unit, quantity.value)
    return tuple(found.values())


def _free(space: str, budgets: tuple[Budget, ...]) -> Path:
    """The first free folder runs/SPACE-BUDGET, runs/SPACE-BUDGET-2, ..."""
    stem = "-".join([space, *(str(budget).replace(" ", "") for budget in budgets)])
    number = 1
    while True:
        path = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        if not path.exists():
            return path
        number += 1


def _run(folder: RunFolder, as_json: bool) -> None:
    from search.progress import watched

    info = folder.info
    if not as_json:
        seen = "read off the text" if info.device == "text" else f"on {info.data}, {info.device}"
        typer.echo(
            f"{info.space} under {' and '.join(map(str, info.budgets))} (FLOPs are multiply-adds), "
            f"score {info.score} {seen}, seed {info.seed}\nrun folder {folder.path}"
        )
    try:
        watched(folder, quiet=as_json)
    except KeyboardInterrupt:
        typer.echo(
            f"\nstopped; every finished trial is kept: archspec resume {folder.path}", err=True
        )
        raise typer.Exit(130) from None
    _finish(folder, as_json)


def _finish(folder: RunFolder, as_json: bool) -> None:
    from reports.frames import front
    from reports.metrics import COSTS
    from reports.page import write_page
    from reports.payload import first_axis
    from search.finish import write_front

    frame = folder.frame()
    metric = next(metric for metric in COSTS if metric.key == first_axis(folder.info))
    best = frame.iloc[list(front(frame, metric).rows)]
    files = write_front(folder, best)
    shown = {number: str(path) for number, path in files.items()}
    page = write_page(folder.info, frame, folder.path / "report.html", files=shown)
    if as_json:
        _print_json(frame)
    else:
        _print_front(folder, frame, best, metric, files, page)
    if not len(best):
        raise typer.Exit(1)


def _print_json(frame: pd.DataFrame) -> None:
    from archspec.cli.tables import print_json

    counts = ("number", "params", "flops", "activations", "depth", "traffic")
    others = ("kind", "name", "state", "score", "target", "spec", "reason")
    print_json(
        [
            {key: None if _missing(row[key]) else int(row[key]) for key in counts}
            | {key: None if _missing(row[key]) else row[key] for key in others}
            for _, row in frame.iterrows()
        ]
    )


def _missing(value: object) -> bool:
    return value is None or value != value


def _print_front(
    folder: RunFolder,
    frame: pd.DataFrame,
    best: pd.DataFrame,
    metric: Metric,
    files: dict[int, Path],
    page: Path,
) -> None:
    from archspec.cli.tables import Column, Table, numbers, print_table
    from reports.frames import troubles

    info = folder.info
    done = int(((frame["kind"] == "search") & (frame["state"] == "scored")).sum())
    if done < info.trials:
        typer.echo(
            f"note: {done} of {info.trials} trials were scored; the others repeat known networks, "
            "do not fit the budget or failed"
        )

    states = frame["state"].value_counts()
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    typer.echo(f"{len(frame)} trials: {counted}")
    if not len(best):
        for trouble in troubles(frame)[:3]:
            typer.echo(f"{len(trouble.rows)} {trouble.state}, such as: {trouble.reason}")
    else:
        rows = [
            [
                f"{row['score']:.3f}",
                f"{row['flops'] / 1e9:.3f}",
                f"{row['params'] / 1e6:.2f}",
                f"{row['activations'] / 1e6:.2f}",
                str(row["resolution"]),
                files[int(row["number"])].name,
                str(row["stages"]),
            ]
            for _, row in best.sort_values("score", ascending=False).iterrows()
        ]
        typer.echo(f"front of score against {metric.title}:")
        counts = numbers("score", "GFLOPs", "Mparams", "M act.", "input")
        print_table(Table([*counts, Column("file"), Column("stages", cut=True)], rows))
    first = next(iter(files.values()), None)
    if first is not None:
        typer.echo(f"specs in {first.parent}; look closer with: archspec show {first}")
    typer.echo(f"page: {page}")
