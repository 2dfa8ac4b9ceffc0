"""The command that tests given weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.specs import Json, Settings, edit_of
from archspec.cli.tables import Column, Table, print_json, print_table
from archspec.cli.train import Device, Precision
from archspec.errors import RunError, TrainError, did_you_mean

if TYPE_CHECKING:
    from archspec.train.folder import TrainingFolder
    from archspec.weights.checkpoints import Channels

app = typer.Typer()


@app.command()
def evaluate(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="A YAML file, a shipped name, or the folder of a training.",
            show_default=False,
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A .safetensors or .pth file, or timm:NAME.",
            show_default="of a training: the averaged ones, else the last",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="A parquet file or folder, a folder of images, hf:NAME, or `digits`.",
            show_default="of a training: its own",
        ),
    ] = None,
    settings: Settings = None,
    crop: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="Share of the image that is seen.", show_default="0.875"
        ),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            help="Mean and deviation of the channels: imagenet, half (0.5 and 0.5) or data.",
            show_default="what the weights' file says, else imagenet",
        ),
    ] = None,
    holdout: Annotated[
        float | None, typer.Option(help="Test on this share of the training images.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=65536)] = 256,
    device: Device = None,
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Test given weights on a data set: top-1, top-5 and loss."""
    from archspec.spec import read_spec
    from archspec.train.devices import Setting, accelerator
    from archspec.train.folder import RECORD, TrainingFolder
    from archspec.train.head import for_classes
    from archspec.train.images import open_images
    from archspec.train.testing import Tester
    from archspec.weights.checkpoints import read_checkpoint
    from archspec.weights.loading import with_weights

    edits = [edit_of(text) for text in settings or ()]
    side, some = None, None
    if (Path(spec) / RECORD).exists():
        folder = TrainingFolder.open(Path(spec))
        network = read_spec(folder.path / "spec.yaml", edits)
        data = data or folder.asked.data
        weights = weights or str(_weights_in(folder))
        resolution = folder.recipe.resolution
        crop = crop or resolution.crop
        if resolution.test is not None and not edits:
            side = (resolution.test, resolution.test)
        if data == folder.asked.data and holdout is None:
            # the very images that it was tested on
            holdout, some = folder.asked.holdout, folder.asked.test_subset
    else:
        network = read_spec(spec, edits)
    if weights is None or data is None:
        missing = "--weights FILE" if weights is None else "--data D"
        raise TrainError(f"evaluate needs {missing}; the folder of a training has its own")
    handle = accelerator(Setting(device, precision))  # type: ignore[arg-type]
    images = open_images(data, holdout=holdout, test_images=some)
    if network.classes != len(images.classes):
        raise TrainError(
            f"{network.name} tells {network.classes} classes apart, but {data} has "
            f"{len(images.classes)}"
        )
    network, _ = for_classes(network, images)
    model, _ = with_weights(network, weights)
    told = read_checkpoint(weights).channels
    channels = _channels(normalize, told, images.mean, images.std)
    model.to(handle.device)
    tester = Tester(
        network,
        images,
        handle,
        side=side,
        crop=crop or 0.875,
        mean=channels.mean,
        std=channels.std,
        batch=batch,
    )
    found = tester(model)
    height, width = tester.side
    if as_json:
        print_json([{"name": network.name, "weights": weights, "data": data, **found._asdict()}])
        return
    top5 = "-" if found.top5 is None else f"{found.top5:.2f}"
    titles = [Column("network"), Column("input"), Column("images", number=True)]
    titles += [Column(word, number=True) for word in ("top-1 %", "top-5 %", "loss")]
    row = [network.name, f"{height}x{width}", f"{found.images}"]
    print_table(Table(titles, [[*row, f"{found.top1:.2f}", top5, f"{found.loss:.4f}"]]))


def _weights_in(folder: TrainingFolder) -> Path:
    for name in ("ema", "last", "best"):
        path = folder.path / f"{name}.safetensors"
        if path.exists():
            return path
    raise RunError(f"{folder.path} holds no weights yet; `archspec resume {folder.path}` goes on")


def _channels(
    normalize: str | None,
    told: Channels | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Channels:
    from archspec.train.images import IMAGENET_MEAN, IMAGENET_STD
    from archspec.weights.checkpoints import Channels

    known = {
        "imagenet": Channels(IMAGENET_MEAN, IMAGENET_STD),
        "half": Channels((0.5,) * 3, (0.5,) * 3),
        "data": Channels(mean, std),
    }
    if normalize is None:
        return told or known["imagenet"]
    if normalize not in known:
        raise TrainError(f"no normalization {normalize!r}: {did_you_mean(normalize, known)}")
    return known[normalize]
