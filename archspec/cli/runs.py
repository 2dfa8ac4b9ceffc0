"""Commands about what other commands left: a search, training, study, roadmap or calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from archspec.cli.workers import GpusEach, Ray, Workers
from archspec.errors import RunError

app = typer.Typer()

RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)
]
What = Literal["search", "training", "study", "roadmap", "calibration"]
#: the first that is there tells; steps that are trained are a study, too
_RECORDS: dict[str, What] = {
    "run.json": "search",
    "train.json": "training",
    "roadmap.json": "roadmap",
    "study.json": "study",
    "calibration.json": "calibration",
}


@app.command()
def resume(
    run: RunPath,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="Of a search: how many networks are to be scored in all, in place of what was "
            "asked for.",
        ),
    ] = None,
    workers: Workers = None,
    ray: Ray = None,
    gpus_each: GpusEach = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Go on with a search, training, study, roadmap or calibration that was stopped or killed.

    The result is that of an uninterrupted one; of a search by several workers no finished trial
    is lost, and none is scored twice.
    """
    what = _what(run)
    of_search = {"trials": trials, "workers": workers, "ray": ray, "gpus-each": gpus_each}
    for option, given in of_search.items():
        if given is not None and what != "search":
            raise RunError(f"--{option} is of a search, but {run} is a {what}; leave it out")
    if what == "search":
        from archspec.cli.search_runs import resume_search
        from search.workers import WorkersAsked

        resume_search(run, trials, as_json, WorkersAsked(workers, ray, gpus_each))
    elif what == "training":
        from archspec.cli.train import resume_training

        resume_training(run, as_json)
    elif what == "calibration":
        from archspec.cli.calibrate import resume_calibration

        resume_calibration(run, as_json)
    elif what == "roadmap":
        from archspec.cli.roadmap_runs import resume_roadmap

        resume_roadmap(run, as_json)
    else:
        from archspec.cli.study import resume_study

        resume_study(run, as_json)


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="The folder of a run, or of several searches to be compared."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Of several searches: the file of the page that compares them.",
            show_default="runs/compared.html",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Of searches: print one JSON document and nothing else."),
    ] = False,
) -> None:
    """Write the page of a search, training, study, roadmap or calibration again, finished or not;
    of a search its best specs, too, of a calibration its tables.

    Of several searches, one page compares them: their fronts, the hypervolume (how much a front
    covers) over evaluations with bands over seeds, and random search beside it.
    """
    kinds = [_what(run) for run in runs]
    if len(runs) > 1:
        for run, what in zip(runs, kinds, strict=True):
            if what != "search":
                raise RunError(f"only searches are compared, but {run} is a {what}; leave it out")
        from archspec.cli.overlay import compare_searches

        compare_searches(runs, out, as_json)
        return
    if out is not None:
        raise RunError("-o is of several searches; the page of one run is in its folder")
    if as_json and kinds[0] != "search":
        raise RunError(f"--json is of searches, but {runs[0]} is a {kinds[0]}; leave it out")
    _report(runs[0], kinds[0], as_json)


def _report(run: Path, what: What, as_json: bool) -> None:
    if what == "search":
        from archspec.cli.found import finish
        from search.folder import RunFolder

        finish(RunFolder.open(run), as_json)
    elif what == "training":
        from reports.training import write_training_page

        typer.echo(f"page: {write_training_page(run)}")
    elif what == "calibration":
        from archspec.cli.calibrate import report_calibration

        report_calibration(run)
    elif what == "roadmap":
        from archspec.cli.roadmap_runs import report_roadmap

        report_roadmap(run)
    else:
        from archspec.cli.study import report_study

        report_study(run)


def _what(run: Path) -> What:
    for record, what in _RECORDS.items():
        if (run / record).is_file():
            return what
    raise RunError(f"{run} is no folder of a run: it has no {', '.join(_RECORDS)}")
