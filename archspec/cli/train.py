"""The command that trains."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.specs import Json, Settings, Spec, edit_of
from archspec.cli.tables import print_json
from archspec.errors import RunError, TrainError

if TYPE_CHECKING:
    from archspec.train.folder import Asked, TrainingFolder
    from archspec.train.prepare import Prepared

app = typer.Typer()

Data = Annotated[
    str,
    typer.Option(
        help="A parquet file or folder, a folder of images, hf:NAME from the hub, or `digits`."
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best at hand")
]
Precision = Annotated[
    str, typer.Option(help="auto (bf16 where the GPU has it), fp32, bf16 or fp16.")
]
Small = Annotated[
    int | None,
    typer.Option(
        metavar="SIDE",
        min=1,
        help="Take the small-image form: a stem of one 3x3 convolution, images of this side.",
        show_default=False,
    ),
]
ImageCount = Annotated[
    int | None,
    typer.Option("--images", min=1, help="Train on so many images only.", show_default="all"),
]


@app.command()
def train(
    spec: Spec,
    data: Data = "digits",
    recipe: Annotated[str, typer.Option(help="A YAML file or a shipped recipe.")] = "quick",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Scale the recipe to so many epochs: batch, learning rate, warm-up, drop path "
            "and averaging follow.",
            show_default="the recipe's",
        ),
    ] = None,
    as_written: Annotated[
        bool, typer.Option("--as-written", help="Do not scale the recipe to the data.")
    ] = False,
    small: Small = None,
    settings: Settings = None,
    recipe_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe-set",
            metavar="PATH=VALUE",
            help="Change the recipe first, such as optimizer.lr=1e-3; may be repeated.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Start from these weights; a head of other classes starts anew.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    images: ImageCount = None,
    test_images: Annotated[
        int | None, typer.Option(min=1, help="Test on so many only.", show_default="all")
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            help="Test on this share of the training images instead of the test split.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    devices: Annotated[int, typer.Option(min=1, max=1024, help="Processes, one a GPU.")] = 1,
    precision: Precision = "auto",
    channels_last: Annotated[
        bool | None,
        typer.Option(help="Memory layout of the maps.", show_default="on a GPU"),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images that a device passes at once; gradients are accumulated to the batch.",
            show_default="as many as fit",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder.", show_default="runs/SPEC-DATA-RECIPE, numbered"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that this command began.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network; leaves a folder with weights, curves and everything to go on with.

    The head gets the classes of the data. The recipe is scaled to the size of the data set.
    """
    from archspec.runs import free_folder
    from archspec.spec import read_spec
    from archspec.train.devices import Setting
    from archspec.train.folder import TrainingFolder
    from archspec.train.prepare import prepare
    from archspec.train.recipe import at_own_resolution, read_recipe

    network = read_spec(spec, [edit_of(text) for text in settings or ()])
    read = read_recipe(recipe, [edit_of(text) for text in recipe_settings or ()], network.name)
    if small is not None:
        from archspec.small import small_images

        # a recipe's own resolution is that of large images
        network, read = small_images(network, small), at_own_resolution(read)
    if as_written and epochs is not None:
        raise TrainError("--as-written keeps the recipe's epochs; leave it out, or --epochs")
    found = prepare(
        network,
        read,
        _absolute(data),
        epochs=epochs,
        as_written=as_written,
        subset=images,
        test_subset=test_images,
        holdout=holdout,
        seed=seed,
        setting=Setting(device, precision, channels_last, compile_, micro_batch),  # type: ignore[arg-type]
        devices=devices,
        weights=None if weights is None else _absolute(weights),
        command="archspec " + shlex.join(sys.argv[1:]),
    )
    stem = f"{found.spec.name}-{found.images.name.replace('/', '_')}-{read.name}"
    if resume:
        folder = _begun(out, stem, found.asked)
    else:
        folder = TrainingFolder.create(
            out or free_folder(stem), found.asked, found.spec, found.recipe
        )
    if not as_json:
        _tell_beginning(found, folder, small)
    run(folder, as_json)


def _absolute(source: str) -> str:
    """A path that means the same from another folder; other names as they are."""
    return str(Path(source).resolve()) if os.path.exists(source) else source


def _begun(out: Path | None, stem: str, asked: Asked) -> TrainingFolder:
    """The folder that the same command made before; raises RunError."""
    from archspec.runs import numbered
    from archspec.train.folder import TrainingFolder

    if out is None:
        there: list[Path] = []
        for path in numbered(stem):
            if not path.exists():
                break
            there.append(path)
        if not there:
            raise RunError(f"there is no runs/{stem} to go on with; leave --resume out to begin")
        out = there[-1]
    folder = TrainingFolder.open(out)
    apart = folder.asked.differences(asked)
    if apart:
        raise RunError(
            f"{out} was asked for something else ({', '.join(apart)}); `archspec resume {out}` "
            "goes on as it began"
        )
    return folder.go_on_with(asked.device, asked.devices, asked.micro_batch)


def _tell_beginning(found: Prepared, folder: TrainingFolder, small: int | None) -> None:
    from archspec.quantities import format_count

    asked, images = found.asked, found.images
    typer.echo(
        f"{asked.name} at {asked.resolution}: {format_count(asked.params)} params with its own "
        f"head, {format_count(asked.params_trained)} with {asked.classes} classes; "
        f"{format_count(asked.flops)} FLOPs (multiply-adds)"
    )
    kept = f" ({'; '.join(images.notes)})" if images.notes else ""
    typer.echo(f"{images.name}: {asked.images} training and {asked.test_images} test images{kept}")
    if found.started:
        typer.echo(found.started)
    scaled = f", scaled: {', '.join(found.changes)}" if found.changes else ""
    typer.echo(f"recipe {asked.recipe}{scaled}; seed {asked.seed}")
    shape, side = found.spec.input.shape, images.side
    if small is None and side is not None and max(side) * 2 <= shape.height:
        typer.echo(
            f"note: images of {side[0]}x{side[1]} are enlarged to {asked.resolution}; "
            f"--small {side[0]} trains the network's small-image form"
        )
    typer.echo(f"folder {folder.path}")


def run(folder: TrainingFolder, as_json: bool = False) -> None:
    """Train what a folder asks for, or go on, and tell what came of it."""
    from archspec.quantities import several
    from archspec.train.launch import launch
    from archspec.train.progress import watched

    try:
        if folder.asked.devices > 1 and folder.result is None:
            launch(folder.path, as_json)
        else:
            watched(folder, as_json)
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; what was trained is kept: archspec resume {folder.path}", err=True)
        raise typer.Exit(130) from None
    finally:
        _page(folder)
    result = folder.result or {}
    if as_json:
        told = {"name": folder.asked.name, "folder": str(folder.path), **result}
        print_json([{**told, "params": folder.asked.params, "flops": folder.asked.flops}])
    elif result.get("state") == "failed":
        typer.echo(f"failed before, and would again: {result['reason']}", err=True)
    else:
        averaged = " (averaged weights)" if result["ema_top1"] is not None else ""
        typer.echo(
            f"{result['top1']:.2f}% of {folder.asked.test_images} test images{averaged} after "
            f"{several(result['epochs'], 'epoch')} in {result['seconds']:.0f} s of training, "
            f"{result['images_per_second']:.0f} images a second"
        )
        typer.echo(
            f"best epoch {result['best_epoch']}: {result['best_top1']:.2f}%, chosen on the test "
            "images, so it flatters"
        )
        typer.echo(f"weights and spec in {folder.path}; page: {folder.path / 'report.html'}")
    if result.get("state") == "failed":
        raise typer.Exit(1)


def _page(folder: TrainingFolder) -> None:
    from reports.training import write_training_page

    write_training_page(folder.path)


def resume_training(path: Path, as_json: bool) -> None:
    """Go on with a training, with other versions only after saying so."""
    from archspec.runs import changed_versions
    from archspec.train.folder import TrainingFolder

    folder = TrainingFolder.open(path)
    changed = changed_versions(folder.asked.versions)
    if changed and folder.result is None:
        typer.echo(f"note: versions differ, so the result may, too: {', '.join(changed)}", err=True)
    run(folder, as_json)
