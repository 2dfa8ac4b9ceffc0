"""The command about studies: networks and recipes compared, over seeds."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archspec.cli.specs import Json, Settings, edit_of
from archspec.errors import RunError

if TYPE_CHECKING:
    from archspec.study.folder import StudyFolder
    from archspec.study.run import Step

app = typer.Typer()


@app.command()
def study(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A study: a YAML file, a shipped name, or a run folder to go on with.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="A parquet file or folder, an image folder, hf:NAME of the hub, or `digits`.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Trainings of each arm.", show_default="the study's"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Scale every recipe to so many.", show_default="the study's"),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=2, help="Train on so many images, of each class alike.", show_default="all"
        ),
    ] = None,
    test_images: Annotated[
        int | None, typer.Option(min=2, help="Test on so many.", show_default="all")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(metavar="A,B", help="Run these alone.", show_default="all")
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="In the place of the study's.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="In the place of the study's.", show_default=False),
    ] = None,
    small: Annotated[
        bool | None,
        typer.Option(
            help="The small-image form of every network, at the data's side.",
            show_default="for images of 64 pixels or less",
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(min=1, max=512, help="The small-image form at this side.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/STUDY-DATA, numbered"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best at hand")
    ] = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep the weights of every training.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what failed.")] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Compare networks and recipes over seeds; leaves a run folder with tables and a page.

    The same command goes on where a run was stopped. A study that measures needs no data.
    """
    from archspec.study.folder import StudyFolder
    from archspec.study.prepare import StudyWish, begin_study
    from archspec.study.text import read_study

    if (Path(file) / "study.json").is_file():
        asked = (data, epochs, images, test_images, arms, spec, recipe, small, side, out, settings)
        if any(option is not None for option in asked):
            raise RunError(
                f"{file} says what was asked; only --seeds, --device, --retry and --json go with it"
            )
        folder = with_seeds(StudyFolder.open(Path(file)), seeds)
    else:
        text = read_study(file, [edit_of(setting) for setting in settings or ()])
        if side is not None and small is not None:
            raise RunError(
                "--side is of the small-image form; it goes with neither --small nor --no-small"
            )
        if side is not None or small is not None:
            text = text.model_copy(update={"small": small if side is None else side})
        if data is not None and os.path.exists(data):
            # a run may be gone on with from another folder
            data = str(Path(data).resolve())
        wish = StudyWish(
            data=data,
            images=images,
            test_images=test_images,
            keep_weights=keep_weights,
            epochs=epochs,
            seeds=seeds,
            arms=None if arms is None else tuple(name.strip() for name in arms.split(",")),
            spec=spec,
            recipe=recipe,
            device=device,
            command="archspec " + shlex.join(sys.argv[1:]),
        )
        folder = begin_study(text, wish, out)
    run_arms(folder, "study", device, retry, as_json)
    _finish(folder, as_json)


def resume_study(run: Path, as_json: bool) -> None:
    """Go on with a run that was stopped or killed."""
    from archspec.study.folder import StudyFolder

    folder = StudyFolder.open(run)
    tell_versions(folder)
    run_arms(folder, "study", quiet=as_json)
    _finish(folder, as_json)


def tell_versions(folder: StudyFolder) -> None:
    """Say which versions are others than when the run began."""
    from archspec.runs import changed_versions

    changed = changed_versions(folder.asked.versions)
    if changed:
        typer.echo(
            f"note: versions differ, so later trainings may, too: {', '.join(changed)}", err=True
        )


def with_seeds(folder: StudyFolder, seeds: int | None) -> StudyFolder:
    """Ask a run for so many seeds; more of them need the data that it began with."""
    if folder.asked.data is not None and (seeds or 0) > folder.asked.seeds:
        from archspec.study.training import check_data

        check_data(folder.asked)
    return folder.ask_for(seeds or folder.asked.seeds)


def report_study(run: Path) -> None:
    """Write the page of a run again, finished or not."""
    from archspec.study.folder import StudyFolder

    _finish(StudyFolder.open(run), False)


def _heading(folder: StudyFolder, arm: str = "arm") -> str:
    from archspec.quantities import several

    asked, text = folder.asked, folder.study
    arms = several(len(asked.arms), arm)
    if text.measure is not None:
        return f"{text.name}: {arms} on {asked.device}\nrun folder {folder.path}"
    form = "networks at their own resolution"
    if asked.side is not None:
        form = f"networks in small-image form at {asked.side} pixels"
    return (
        f"{text.name} on {asked.data}, {asked.train_count:,} images of {asked.classes} classes: "
        f"{arms}, {several(asked.seeds, 'seed')}, {form}\nrun folder {folder.path}"
    )


def run_arms(
    folder: StudyFolder,
    command: Literal["study", "roadmap"],
    named: str | None = None,
    retry: bool = False,
    quiet: bool = False,
) -> None:
    """Do what is not done yet, on a device of its own where one is named.

    command: which one goes on with the run where it is stopped.
    """
    from archspec.study.run import measure_study, run_study
    from archspec.train.devices import checked_device

    # tried first: a device that is not there is no fault of the arms
    device = str(checked_device(named or folder.asked.device))
    watch = _silent if quiet else _tell
    if not quiet:
        typer.echo(_heading(folder, "arm" if command == "study" else "row"))
    try:
        if folder.study.measure is None:
            from archspec.study.training import check_data, study_trainer

            asked = folder.asked
            train = study_trainer(asked, device, quiet)
            run_study(folder, train, watch, retry, lambda: check_data(asked))
        else:
            from archspec.study.latency import measure_latency

            measure_study(
                folder, lambda spec, how: measure_latency(spec, how, device), watch, retry
            )
    except KeyboardInterrupt:
        again = f"archspec {command} {folder.path}"
        typer.echo(f"\nstopped; what is finished is kept: {again}", err=True)
        raise typer.Exit(130) from None


def _tell(step: Step) -> None:
    typer.echo(f"[{step.done + 1}/{step.wanted}] {step.arm}, {step.what}", err=True)


def _silent(step: Step) -> None:
    pass


def _finish(folder: StudyFolder, as_json: bool) -> None:
    from archspec.cli.study_tables import print_study
    from archspec.cli.tables import print_json
    from archspec.study.frame import frame, summary
    from reports.study import write_study_page

    text = folder.study
    rows = frame(folder.path)
    sums = summary(rows, text)
    # the study's words, and what was asked of it over them
    info = {**text.model_dump(mode="json", exclude={"arms"}), **asdict(folder.asked)}
    info["left_out"] = [name for name in text.names if name not in folder.asked.arms]
    info["recipes"] = {
        arm.name: arm.recipe.dump() for arm in folder.arms() if arm.recipe is not None
    }
    page = write_study_page(info, rows, sums, folder.path / "report.html")
    if as_json:
        told = {"rows": rows, "summary": sums}
        print_json({key: json.loads(each.to_json(orient="records")) for key, each in told.items()})
    else:
        print_study(rows, sums, text.measure is not None)
        typer.echo(f"page: {page}")
    if not (rows["state"] == "done").any():
        raise typer.Exit(1)
