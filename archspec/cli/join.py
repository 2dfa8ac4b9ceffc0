"""The command `join`: another machine at a search that is kept on PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archspec.cli.search_options import AsJson
from archspec.cli.workers import GpusEach, Ray, Workers

app = typer.Typer()


@app.command()
def join(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="The database, postgresql://USER@HOST/DATABASE.",
            show_default=False,
        ),
    ],
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="The run, by the name of the folder in which it was begun.",
            show_default="the one that is unfinished",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="This machine's run folder.", show_default="runs/STUDY, numbered"),
    ] = None,
    workers: Workers = None,
    ray: Ray = None,
    gpus_each: GpusEach = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where networks are built here: cuda, mps or cpu.",
            show_default="that of the run",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Work along at a search that was begun elsewhere with `archspec search ... --storage URL`.

    Leaves a run folder here as the search does there. Data and scores of your own must be on this
    machine under the same names.
    """
    from archspec.cli.search_runs import resume_search
    from archspec.runs import free_folder
    from archspec.train.devices import checked_device
    from search.folder import RunFolder, on_storage
    from search.joining import find_run
    from search.workers import WorkersAsked, check_workers

    check_workers(WorkersAsked(workers, ray, gpus_each))
    if device is not None:
        checked_device(device)
    found = find_run(url, study)
    info = on_storage(found.info, url, found.name)
    if device is not None:
        info = info.moved(device)
    helpers = WorkersAsked(workers, ray, gpus_each, info.device)
    folder = RunFolder.create(out or free_folder(found.name), info)
    resume_search(folder.path, None, as_json, helpers)
