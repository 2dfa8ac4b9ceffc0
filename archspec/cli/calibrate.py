"""The command `calibrate`, and what `resume` and `report` do with its run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archspec.cli.specs import Json, Settings, edit_of
from archspec.errors import ArchspecError, DataError, QuantityError, RunError

if TYPE_CHECKING:
    from search.calibration.begin import Wish
    from search.calibration.folder import CalibrationFolder

app = typer.Typer()

#: headings of options
TRAINING = "A sample that is trained here"
TABLE = "A table of trained networks"
#: networks of a sample, and the trainings of each: two tell how far trainings agree
NETWORKS, SEEDS = 32, 2
#: images that scores see
BATCH = 16


@app.command()
def calibrate(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SPACE",
            help="A space, or the folder of a calibration to go on with or to ask more of.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A table of trained networks.", show_default=False),
    ] = None,
    zoo: Annotated[
        bool, typer.Option("--zoo", help="The shipped networks, by their published accuracies.")
    ] = False,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME...]",
            help="Scores, sums such as naswot+depth, module:function; all, or text: those that "
            "build nothing.",
            show_default="all",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images that scores see, and that a sample is trained on: a parquet file or "
            "folder, an image folder, or `digits`.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=2, max=4096, help="Images that a score sees.", show_default="16"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="Of what is drawn: networks, images, first weights.",
            show_default="0",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best at hand")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/calibrate-NAME, numbered"),
    ] = None,
    as_json: Json = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="Every network is moved onto it, such as 60MFLOPs (multiply-adds).",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    networks: Annotated[
        int | None,
        typer.Option(
            max=100_000,
            help="So many are drawn; a finished run may be asked for more.",
            show_default="32",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe, or its file.", show_default="quick", rich_help_panel=TRAINING),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="To so many the recipe is scaled.",
            show_default="the recipe's",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Trainings a network; how far they agree says how much a score could tell.",
            show_default="2",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="So many training images, of each class alike.",
            show_default="all",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            help="The share of the training images that networks are judged by; the test split is "
            "never seen.",
            show_default="0.1",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    settings: Settings = None,
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Whose characters or parts are the picks of the space.",
            show_default="arch",
            rich_help_panel=TABLE,
        ),
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNS",
            help="Names or patterns such as test_acc_*, one a training.",
            show_default="by name",
            rich_help_panel=TABLE,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Of networks that are one computation; one of each is kept.",
            show_default=False,
            rich_help_panel=TABLE,
        ),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH,...",
            help="Quantiles of FLOPs, in percent; networks are compared within a band.",
            show_default="15-22,48-52,78-82",
            rich_help_panel=TABLE,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=3, help="So many networks a band.", show_default="all", rich_help_panel=TABLE
        ),
    ] = None,
    check_counts: Annotated[
        bool | None,
        typer.Option(
            help="The table's params and flops must equal those of the texts.",
            show_default="yes",
            rich_help_panel=TABLE,
        ),
    ] = None,
) -> None:
    """Measure how well scores rank networks whose accuracy is known; leaves a run folder.

    A sample of a space at one budget is trained here, with several seeds; or the accuracies are
    those of a table, or published. Each score's rank correlation stands beside the plain counts'.
    """
    of_sample = {
        "budget": budget,
        "networks": networks,
        "recipe": recipe,
        "epochs": epochs,
        "seeds": seeds,
        "images": images,
        "holdout": holdout,
    }
    of_table = {
        "arch": arch,
        "accuracy": accuracy,
        "group": group,
        "bands": bands,
        "limit": limit,
        "check-counts": check_counts,
    }
    of_all = {"data": data, "batch": batch, "seed": seed, "device": device, "out": out}
    if source is not None and (Path(source) / "calibration.json").is_file():
        fixed = {**of_all, **of_sample, **of_table, "table": table, "set": settings}
        fixed |= {"zoo": zoo or None, "seeds": None, "networks": None}
        way_out = "only --score, --seeds, --networks and --json go with it"
        _refuse(fixed, f"{source} says what was asked", way_out)
        _ask_more(Path(source), score, seeds, networks, as_json)
        return
    if source is not None and Path(source).is_dir():
        raise RunError(
            f"{source} holds no calibration.json, so it is no calibration to go on with; give its "
            "folder, or a space"
        )
    from search.calibration.begin import ALL, Wish, score_names

    wish = Wish(
        scores=score_names(score or [ALL]),
        data=_absolute(data or "digits"),
        batch=batch or BATCH,
        seed=seed or 0,
        device=device,
        command="archspec " + shlex.join(sys.argv[1:]),
        out=out,
    )
    note = ""
    if zoo:
        _refuse(
            {**of_sample, **of_table, "table": table, "set": settings},
            "--zoo takes the shipped networks as they are published",
        )
        if source is not None:
            raise ArchspecError(f"--zoo takes no space, but got {source!r}; drop one")
        from search.calibration.begin import begin_zoo

        folder = begin_zoo(wish)
    elif table is not None:
        _refuse(of_sample, "--table takes networks that are trained already")
        folder = _from_table(source, settings, table, of_table, wish)
    else:
        _refuse(of_table, "without --table networks are drawn and trained here")
        if source is None:
            raise ArchspecError(
                "calibrate needs a SPACE whose networks are trained here, --table FILE of trained "
                "ones, or --zoo"
            )
        if data is None:
            raise DataError(
                "a sample is trained on data; give --data, such as --data digits, or --table FILE "
                "of networks that are trained already"
            )
        folder, note = _from_sample(source, settings, of_sample, wish)
    _run(folder, as_json, note)


def resume_calibration(run: Path, as_json: bool) -> None:
    """Go on with a calibration that was stopped or killed."""
    from search.calibration.folder import CalibrationFolder

    folder = CalibrationFolder.open(run)
    _note_versions(folder)
    _run(folder, as_json)


def report_calibration(run: Path) -> None:
    """Write the tables and the page of a calibration again, finished or not."""
    from archspec.cli.calibrated import finish
    from search.calibration.folder import CalibrationFolder

    finish(CalibrationFolder.open(run), False)


def _refuse(given: Mapping[str, object], why: str, way_out: str = "leave it out") -> None:
    """Raise for the first option that was given and has no meaning here."""
    for name, value in given.items():
        if value is not None:
            option = f"--no-{name}" if value is False else f"--{name}"
            raise ArchspecError(f"{option}: {why}; {way_out}")


def _absolute(source: str) -> str:
    """A path that means the same from another folder; other names as they are."""
    return str(Path(source).resolve()) if os.path.exists(source) else source


def _from_sample(
    source: str, settings: list[str] | None, asked: Mapping[str, Any], wish: Wish
) -> tuple[CalibrationFolder, str]:
    from archspec.fit import limits_of
    from search.budgets import Budget
    from search.calibration.begin import begin_sample
    from search.calibration.sample import LEAST
    from search.protocol import make_protocol
    from search.space import Space

    if not asked["budget"]:
        raise QuantityError(
            "networks are compared at one cost: give --budget, such as --budget 60MFLOPs"
        )
    count = NETWORKS if asked["networks"] is None else asked["networks"]
    if count < LEAST:
        raise ArchspecError(
            f"networks >= {LEAST} must hold for a rank correlation, but got {count}; {NETWORKS} "
            "make one that tells something"
        )
    # those that the text alone tells: what is measured is no group of equals
    budgets = tuple(Budget(*limit) for limit in limits_of(asked["budget"]).items())
    space = Space.read(source, tuple(edit_of(text) for text in settings or ()))
    space.check()
    protocol = make_protocol(
        recipe=asked["recipe"],
        epochs=asked["epochs"],
        seeds=asked["seeds"] or SEEDS,
        holdout=asked["holdout"],
        images=asked["images"],
        prune=False,
    )
    return begin_sample(space, budgets, count, protocol, wish)


def _from_table(
    source: str | None,
    settings: list[str] | None,
    table: Path,
    asked: Mapping[str, Any],
    wish: Wish,
) -> CalibrationFolder:
    from search.calibration.begin import begin_table
    from search.calibration.table import BANDS, TableColumns, read_bands
    from search.space import Space

    if source is None and settings:
        raise ArchspecError("--set: it changes a space, and none was given; leave it out")
    bands = BANDS if asked["bands"] is None else read_bands(asked["bands"])
    edits = tuple(edit_of(text) for text in settings or ())
    space = None if source is None else Space.read(source, edits)
    columns = TableColumns(asked["arch"], asked["accuracy"], asked["group"])
    check = asked["check-counts"] is not False
    return begin_table(table.resolve(), space, columns, bands, asked["limit"], check, wish)


def _ask_more(
    run: Path, score: list[str] | None, seeds: int | None, networks: int | None, as_json: bool
) -> None:
    from search.calibration.begin import ask_more, score_names
    from search.calibration.folder import CalibrationFolder

    folder = CalibrationFolder.open(run)
    note = ask_more(folder, score_names(score or []), seeds, networks)
    _note_versions(folder)
    _run(folder, as_json, note)


def _note_versions(folder: CalibrationFolder) -> None:
    from archspec.runs import changed_versions

    changed = changed_versions(folder.asked.versions)
    if changed:
        typer.echo(
            f"note: versions differ, so what is measured may, too: {', '.join(changed)}", err=True
        )


def _run(folder: CalibrationFolder, as_json: bool, note: str = "") -> None:
    """Score and train what is missing, and show all."""
    from archspec.cli.calibrated import finish
    from archspec.quantities import several
    from search.calibration.progress import watched

    asked = folder.asked
    if note:
        typer.echo(f"note: {note}", err=True)
    if not as_json:
        scores = several(len(asked.parts), "score")
        seen = "" if asked.device == "text" else f" on {asked.data}, {asked.device}"
        typer.echo(
            f"{asked.name}: {several(len(folder.networks), 'network')}, {scores}{seen}, seed "
            f"{asked.seed}\nrun folder {folder.path}"
        )
        if asked.protocol is not None:
            typer.echo(f"trained: {asked.protocol.words()}")
    try:
        watched(folder, quiet=as_json)
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; what is finished is kept: archspec resume {folder.path}", err=True)
        raise typer.Exit(130) from None
    finish(folder, as_json)
