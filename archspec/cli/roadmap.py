"""The command about roadmaps: steps costed, drawn, trained, and proposed."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from archspec.cli.specs import FLOPS_NOTE, Json, Settings, edit_of
from archspec.cli.tables import check_page
from archspec.errors import SpecError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archspec.roadmap.steps import PlannedStep
    from archspec.roadmap.text import Roadmap

app = typer.Typer()

TRAIN = "With --train"


@app.command()
def roadmap(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A roadmap: a YAML file, a shipped name, or a run folder to go on with.",
            show_default=False,
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="A", help="Propose steps from this SPEC.", show_default=False
        ),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="B", help="Propose steps to this SPEC.", show_default=False),
    ] = None,
    text_file: Annotated[
        Path | None,
        typer.Option("-o", metavar="FILE", help="Write the proposed text.", show_default=False),
    ] = None,
    order: Annotated[
        Literal["roadmap", "cost"] | None,
        typer.Option(
            help="Of proposed steps: as published roadmaps go, or the cheapest network next.",
            show_default="roadmap",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAME", help="Print the whole text of one row's network.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page, or with --train the run folder.",
            show_default="runs/roadmap-NAME.html; runs/NAME-DATA, numbered",
        ),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train the start and all steps.")] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="A parquet file or folder, an image folder, hf:NAME of the hub, or `digits`.",
            rich_help_panel=TRAIN,
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Train these alone, by number or name.",
            rich_help_panel=TRAIN,
            show_default="all",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Trainings of each row.", rich_help_panel=TRAIN, show_default="3"
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Scale every recipe to so many.",
            rich_help_panel=TRAIN,
            show_default="each recipe's",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="In the place of all recipes that the roadmap names.",
            rich_help_panel=TRAIN,
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Train on so many images, of each class alike.",
            rich_help_panel=TRAIN,
            show_default="all",
        ),
    ] = None,
    test_images: Annotated[
        int | None,
        typer.Option(min=2, help="Test on so many.", rich_help_panel=TRAIN, show_default="all"),
    ] = None,
    small: Annotated[
        bool | None,
        typer.Option(
            "--small/--no-small",
            help="The small-image form of every network, at the data's side.",
            rich_help_panel=TRAIN,
            show_default="for images of 64 pixels or less",
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            help="The small-image form at this side.",
            rich_help_panel=TRAIN,
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cuda, mps or cpu.", rich_help_panel=TRAIN, show_default="the best at hand"
        ),
    ] = None,
    keep_weights: Annotated[
        bool,
        typer.Option(
            "--keep-weights", help="Keep the weights of every training.", rich_help_panel=TRAIN
        ),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Run again what failed.", rich_help_panel=TRAIN)
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as docs/roadmaps.md has it.")
    ] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show a chain of edits: what each step changes and costs; draw it, train it, propose one.

    A step's network is printed whole by --step. What is trained goes on where it was stopped.
    """
    training: dict[str, object] = {
        "--data": data, "--steps": steps, "--seeds": seeds, "--epochs": epochs,
        "--recipe": recipe, "--images": images, "--test-images": test_images,
        "--small": small, "--side": side, "--device": device,
        "--keep-weights": keep_weights or None, "--retry": retry or None,
    }  # fmt: skip
    asked = {name: value for name, value in training.items() if value is not None}
    others = {
        "--from": first, "--to": last, "-o": text_file, "--step": step, "--out": out,
        "--order": order, "--markdown": as_markdown or None, "--set": settings or None,
    }  # fmt: skip
    others = {name: value for name, value in others.items() if value is not None}
    if file is not None and Path(file).is_dir():
        from archspec.cli.roadmap_runs import go_on

        go_on(Path(file), {**others, **asked}, seeds, device, retry, as_json)
        return
    if asked and not train:
        raise SpecError(f"{next(iter(asked))} is of a training; it goes with --train")
    one_of: list[str] = [name for name in ("--step", "--markdown") if name in others]
    one_of += ["--json"] if as_json and one_of else []
    one_of += ["--train"] if train and one_of else []
    if len(one_of) > 1:
        raise SpecError(f"{one_of[0]} prints one thing alone; it does not go with {one_of[1]}")
    if out is not None and not train:
        check_page(out)
    if small is not None and side is not None:
        raise SpecError(
            "--side is of the small-image form; it goes with neither --small nor --no-small"
        )
    text = _text(file, first, last, text_file, settings, order)
    planned = _plan(text)
    if text_file is not None and first is not None and last is not None:
        _write(text_file, _moved(text, first, last, text_file).dump())
    if step is not None:
        from archspec.roadmap.steps import find_step

        print(find_step(planned, step).spec.dump(), end="")
        return
    if train:
        from archspec.cli.roadmap_runs import begin, train_rows
        from archspec.study.prepare import StudyWish

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
            recipe=recipe,
            device=device,
            command=_command(),
        )
        folder = begin(text, planned, wish, steps, small if side is None else side, out)
        train_rows(folder, device, retry, as_json)
        return
    _show(text, planned, out, as_markdown, as_json)


def _text(
    file: str | None,
    first: str | None,
    last: str | None,
    text_file: Path | None,
    settings: list[str] | None,
    order: Literal["roadmap", "cost"] | None,
) -> Roadmap:
    """The roadmap that is asked for: one that is written, or one to be proposed."""
    if file is not None:
        for name, value in (
            ("--from", first),
            ("--to", last),
            ("-o", text_file),
            ("--order", order),
        ):
            if value is not None:
                raise SpecError(
                    f"{name} is of a proposal, --from A --to B; FILE says its own steps"
                )
        from archspec.roadmap.text import read_roadmap

        return read_roadmap(file, [edit_of(setting) for setting in settings or ()])
    if first is None or last is None:
        from archspec.shipped import shipped_roadmaps

        known = ", ".join(shipped_roadmaps())
        raise SpecError(f"a FILE is needed, or both --from A and --to B; shipped: {known}")
    if settings:
        raise SpecError("--set edits a roadmap's text; write the proposal with -o and edit that")
    from archspec.roadmap.propose import propose
    from archspec.spec import read_spec

    return propose(read_spec(first), read_spec(last), first, last, order or "roadmap")


def _moved(text: Roadmap, first: str, last: str, file: Path) -> Roadmap:
    """The proposal as it is to stand in a file: its start is named from there."""
    from archspec.resolve import check_place, name_from, read_from

    check_place(file, [*read_from(first), *read_from(last)])
    named = name_from(first, file, "the start's spec")
    return text.model_copy(update={"start": text.start.model_copy(update={"spec": named})})


def _plan(text: Roadmap) -> tuple[PlannedStep, ...]:
    from archspec.roadmap.steps import plan_roadmap

    return plan_roadmap(text)


def _write(file: Path, text: str) -> None:
    from archspec.runs import write_whole

    try:
        write_whole(file, text)
    except OSError as error:
        raise SpecError(f"{file} cannot be written ({error.strerror})") from None
    typer.echo(f"wrote {file}", err=True)


def _command() -> str:
    return "archspec " + shlex.join(sys.argv[1:])


def _show(
    text: Roadmap,
    planned: Sequence[PlannedStep],
    out: Path | None,
    as_markdown: bool,
    as_json: bool,
) -> None:
    """Print the rows; the page is drawn, too, unless something is printed for programs."""
    from archspec.cli.roadmap_tables import markdown, print_steps
    from archspec.cli.tables import print_json
    from archspec.roadmap.steps import rows

    told = rows(planned)
    if as_markdown:
        print(markdown(told), end="")
    elif as_json:
        print_json(told)
    else:
        print(text.name)
        if text.doc:
            print(printable(" ".join(text.doc.split())))
        print_steps(told)
        print(FLOPS_NOTE)
    if out is None and (as_markdown or as_json):
        return
    page = _page(text, told, out or Path("runs") / f"roadmap-{text.name}.html")
    if not (as_markdown or as_json):
        typer.echo(f"page: {page}")


def _page(text: Roadmap, told: list[dict[str, Any]], path: Path) -> Path:
    import pandas as pd

    from archspec.runs import now, versions_of, written
    from reports.roadmap import write_roadmap_page

    info = {
        "name": text.name,
        "doc": text.doc,
        "source": text.source,
        "command": _command(),
        "created": now(),
        "versions": versions_of(["archspec-vision"]),
    }
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_roadmap_page(info, pd.DataFrame(told), None, path)
