"""The entry point: which module holds which command, and what an error looks like."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from archspec.cli.workers import with_address
from archspec.errors import ArchspecError

#: commands by the module that holds them, in the order of the help. A module is imported when
#: one of its commands is asked for, and has an `app` with these commands.
GROUPS: dict[str, tuple[str, ...]] = {
    "archspec.cli.specs": ("check", "show", "cost", "diff", "zoo", "schema"),
    "archspec.cli.scale": ("scale",),
    "archspec.cli.weights": ("weights",),
    "archspec.cli.search": ("search",),
    "archspec.cli.scores": ("scores",),
    "archspec.cli.calibrate": ("calibrate",),
    "archspec.cli.train": ("train",),
    "archspec.cli.evaluate": ("evaluate",),
    "archspec.cli.study": ("study",),
    "archspec.cli.roadmap": ("roadmap",),
    "archspec.cli.join": ("join",),
    "archspec.cli.runs": ("resume", "report"),
    "archspec.cli.dashboard": ("dashboard",),
}
_MODULES = {command: module for module, commands in GROUPS.items() for command in commands}


class LazyCommands(typer.core.TyperGroup):
    """Commands that are imported when they are asked for, and errors as one line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help; a module that is not installed is left out."""
        return [name for name in _MODULES if importlib.util.find_spec(_MODULES[name])]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        if cmd_name not in self.commands and cmd_name in self.list_commands(ctx):
            module = importlib.import_module(_MODULES[cmd_name])
            for name, command in typer.main.get_group(module.app).commands.items():
                self.commands[name] = command
        return self.commands.get(cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the words of a command line."""
        return super().parse_args(ctx, with_address(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begin with; an unknown one is told the nearest name."""
        if self.get_command(ctx, args[0]) is None:
            # typer looks for near names among those that it knows already
            self.commands = {**dict.fromkeys(self.list_commands(ctx)), **self.commands}  # type: ignore[dict-item]
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read the options before the command's name."""
        with _one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    """What archspec raises on purpose, and wrong usage, as one line and exit code 2."""
    try:
        yield
    except ArchspecError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except Exception as error:
        # usage errors: their class belongs to click, or to the copy of it that typer carries
        if not hasattr(error, "format_message"):
            raise
        told = " ".join(error.format_message().split()).rstrip(".")
        path = getattr(getattr(error, "ctx", None), "command_path", "archspec")
        print(f"error: {told}; see {path} -h", file=sys.stderr)
        raise typer.Exit(2) from None


app = typer.Typer(
    name="archspec",
    cls=LazyCommands,
    help="Declarative architecture search and scaling for vision backbones.",
    epilog="A SPEC is a YAML file or a shipped name, such as resnet50; `archspec zoo` lists them.",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"archspec {version('archspec-vision')}")
        except PackageNotFoundError:
            print("archspec, run from a checkout that is not installed")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def collect_seldom() -> None:
    """Plans are many small records without cycles: at Python's own pace, looking for cycles takes
    a third of the time of costing them."""
    gc.set_threshold(100_000, 50, 100)


def wait_quietly() -> None:
    """Let torch's threads wait without spinning, unless the environment says otherwise: beside
    other work on the same cores a forward pass is several times faster so. Read when torch
    starts."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command line; a reader that stops reading (`| head`) is no error."""
    collect_seldom()
    wait_quietly()
    try:
        app(prog_name="archspec")
    except BrokenPipeError:
        _silence()
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _silence()


def _silence() -> None:
    """Send what is left of the output nowhere, so that Python's own last flush is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
