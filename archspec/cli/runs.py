"""Commands about what other commands left: a search, training, study, roadmap or calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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
        typer.Option(min=1, max=1_000_000, help="Of a search: go on to so many trials."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Go on with a search, training, study, roadmap or calibration that was stopped or killed.

    The result is that of an uninterrupted one.
    """
    what = _what(run)
    if trials is not None and what != "search":
        raise RunError(f"--trials is of a search, but {run} is a {what}; leave it out")
    if what == "search":
        from archspec.cli.search import resume_search

        resume_search(run, trials, as_json)
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
def report(run: RunPath) -> None:
    """Write the page of a search, training, study, roadmap or calibration again, finished or not;
    of a search its best specs, too, of a calibration its tables."""
    what = _what(run)
    if what == "search":
        from archspec.cli.search import report_search

        report_search(run)
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
