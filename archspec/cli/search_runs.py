"""What `search`, `resume`, `join` and `report` do with a search's run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from search.folder import RunFolder, RunInfo
    from search.workers import WorkersAsked


def resume_search(
    run: Path, trials: int | None = None, as_json: bool = False, helpers: WorkersAsked | None = None
) -> None:
    """Go on with a search, to another number of trials where that is given."""
    from archspec.runs import changed_versions
    from search.folder import RunFolder
    from search.run import grid_of, space_of

    folder = RunFolder.open(run)
    changed = changed_versions(folder.info.versions)
    if changed:
        typer.echo(
            f"note: versions differ, so later trials may, too: {', '.join(changed)}", err=True
        )
    if trials is not None:
        points = grid_of(space_of(folder.info), folder.info.sampler, folder.info.iso)
        folder.ask_for(min(trials, len(points)) if points else trials)
    go_on(folder, as_json, helpers, asked=trials is not None)


def go_on(
    folder: RunFolder, as_json: bool, helpers: WorkersAsked | None = None, asked: bool = False
) -> None:
    """Go on with a run to its end, by these workers, and tell what it found.

    asked: it was asked for another number of trials just now, which other machines have to know.
    """
    from archspec.cli.found import finish
    from search.joining import publish
    from search.progress import watched

    publish(folder, asked)
    info = folder.info
    if not as_json:
        typer.echo(f"{opening(info)}\nrun folder {folder.path}")
        if info.training is not None:
            from search.scores.training import Training

            typer.echo(Training(info.training, info.data, info.device).words())
        for number, rung in enumerate(info.ladder, 2):
            if rung.training is not None:
                typer.echo(f"rung {number}: {rung.training.words()}")
    try:
        watched(folder, as_json, helpers)
    except KeyboardInterrupt:
        typer.echo(
            f"\nstopped; every finished trial is kept: archspec resume {folder.path}", err=True
        )
        raise typer.Exit(130) from None
    finish(folder, as_json, ended=True)


def opening(info: RunInfo) -> str:
    """What a run is, in one line: what is searched, under what, by what it is scored."""
    built = [place for place in info.places if place != "text"]
    seen = f"on {info.data}, {built[0]}" if built else "read off the text"
    score = f"score {info.score} {seen}"
    if info.ladder:
        counts = (info.trials, *(rung.count for rung in info.ladder))
        kinds = zip(counts, ("search", *info.rungs), strict=True)
        rungs = ", ".join(f"{count:,} by {info.said(kind)}" for count, kind in kinds)
        score = f"ladder {rungs}; {seen}"
    return (
        f"{info.title} under {' and '.join(map(str, info.budgets))} (FLOPs are multiply-adds), "
        f"{score}, seed {info.seed}"
    )
