"""Commands about weights: published checkpoints into our names and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.specs import Json, Settings, Spec, edit_of
from archspec.cli.tables import Column, Table, print_json, print_table
from archspec.errors import WeightsError

if TYPE_CHECKING:
    from archspec.spec import NetworkSpec
    from archspec.weights.loading import Report

app = typer.Typer()
weights = typer.Typer(
    name="weights",
    help="Published checkpoints: read, written back, merged.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights, name="weights")


@weights.callback()
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A .safetensors or .pth file, or timm:NAME from the Hugging Face hub.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help="Where to write.", show_default=False),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="Whose names: timm, torchvision, official, ..., archspec.",
        show_default=False,
    ),
]
Partial = Annotated[bool, typer.Option("--partial", help="Load what fits, and say what does not.")]


@weights.command("import")
def import_(
    spec: Spec,
    file: File,
    out: Out = None,
    layout: Layout = None,
    partial: Partial = False,
    settings: Settings = None,
) -> None:
    """Read a published checkpoint and write it under archspec's own names.

    At another resolution (--set input.resolution=384) position embeddings and bias tables are
    resized. The layout is found by the names in the file.
    """
    from archspec.weights.matching import OWN

    _convert(spec, file, out, layout, partial, settings, OWN, resizes=True)


@weights.command()
def export(
    spec: Spec,
    file: File,
    out: Out = None,
    layout: Layout = None,
    settings: Settings = None,
) -> None:
    """Write weights back under the names and shapes of a published layout.

    The layout is the first of the family unless --layout names another.
    """
    _convert(spec, file, out, None, False, settings, layout, resizes=False)


def _convert(
    spec: str,
    file: str,
    out: Path | None,
    layout: str | None,
    partial: bool,
    settings: list[str] | None,
    wanted: str | None,
    resizes: bool,
) -> None:
    """From a file's layout to the wanted one; None is the family's first."""
    from archspec.weights.checkpoints import told_of, write_checkpoint
    from archspec.weights.loading import export_state, with_weights

    network = _read(spec, settings)
    end = "" if resizes else "_exported"
    path = out or Path(f"{network.name}{end}.safetensors")
    _check_out(path, file)
    model, report = with_weights(network, file, layout, partial)
    if report.resized and not resizes:
        raise WeightsError(
            f"{file} is of another resolution, and what is written back is not resized; give the "
            "file's with --set input.resolution=N"
        )
    _tell(report, partial)
    layout, state = export_state(model, network, wanted)
    write_checkpoint(path, state, told_of(network, layout))
    print(f"wrote {path}: {len(state)} tensors in layout {layout}")


@weights.command()
def merge(spec: Spec, file: File, out: Out = None, settings: Settings = None) -> None:
    """Write the weights of `form: merged`: each merge as its one convolution.

    The merged network computes the same function in evaluation as the trained one.
    """
    from archspec.modules.merging import merged_state
    from archspec.weights.checkpoints import told_of, write_checkpoint
    from archspec.weights.loading import with_weights
    from archspec.weights.matching import OWN

    network = _read(spec, settings)
    path = out or Path(f"{network.name}_merged.safetensors")
    _check_out(path, file)
    if network.form == "merged":
        raise WeightsError(f"{network.name} is merged already; merge starts from form: train")
    model, report = with_weights(network, file)
    _tell(report, False)
    state = merged_state(model)
    if state.keys() == model.state_dict().keys():
        raise WeightsError(f"{network.name} has no merge: there is nothing to make one")
    write_checkpoint(path, state, told_of(_read(spec, [*(settings or ()), "form=merged"]), OWN))
    print(f"wrote {path}: {len(state)} tensors; use them with --set form=merged")


@weights.command()
def show(
    spec: Spec,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Compare with this file.", show_default=False),
    ] = None,
    layout: Layout = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """List a network's tensors beside their published names, and what a file has of them."""
    from archspec.build import build
    from archspec.weights.checkpoints import read_checkpoint
    from archspec.weights.loading import rows_of

    network = _read(spec, settings)
    checkpoint = None if file is None else read_checkpoint(file)
    used, rows = rows_of(build(network), network, checkpoint, layout)
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    titles = [Column("ours"), Column("shape", number=True), Column(used)]
    titles += [] if checkpoint is None else [Column("there", number=True), Column("state")]
    print_table(Table(titles, [[cell or "" for cell in row[: len(titles)]] for row in rows]))


def _read(spec: str, settings: list[str] | None) -> NetworkSpec:
    from archspec.spec import read_spec

    return read_spec(spec, [edit_of(text) for text in settings or ()])


def _check_out(path: Path, file: str) -> None:
    """Before anything is built: a file can be written here, and is not the one that is read."""
    from archspec.weights.checkpoints import check_ending

    check_ending(path)
    if os.path.realpath(path) == os.path.realpath(file):
        raise WeightsError(f"{path} is the file that is read; name another with -o")


def _tell(report: Report, partial: bool) -> None:
    inside = f" under {report.inside}" if report.inside else ""
    print(f"read {report.loaded} tensors{inside} in layout {report.layout}")
    for line in report.resized:
        print(f"resized {line}, bicubic")
    if report.skipped:
        more = ", ..." if len(report.skipped) > 1 else ""
        print(f"left out, of no use here: {len(report.skipped)} ({report.skipped[0]}{more})")
    if partial:
        for problem in report.problems():
            print(f"not loaded: {problem}")
        if report.missing or report.misfits:
            print("what was not loaded here keeps a random start, of one seed")
