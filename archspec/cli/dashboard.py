"""The command `dashboard`: optuna-dashboard on the studies of a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import typer

from archspec.errors import RunError

if TYPE_CHECKING:
    from search.folder import RunFolder

app = typer.Typer()

#: the pages are for this machine: whoever can reach them can delete trials
HOST = "127.0.0.1"


class Quiet(WSGIRequestHandler):
    """Answers without a line on standard error for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@app.command()
def dashboard(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a search.", show_default=False)
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where it listens; 0 takes any free port.")
    ] = 8080,
) -> None:
    """Open optuna-dashboard on the studies of a search, until Ctrl-C.

    It listens on this machine only. Its pages can rename and delete studies, and what is deleted
    there is lost to the run; a search may go on meanwhile.
    """
    from search.folder import RunFolder

    with serve(RunFolder.open(run), port) as server:
        typer.echo(f"http://{HOST}:{server.server_port}/ shows {run}; Ctrl-C stops it")
        typer.echo("note: its pages can delete studies, which are the run's only trials", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo()


def serve(folder: RunFolder, port: int) -> WSGIServer:
    """A server of a run's studies that listens already; raises RunError where it cannot."""
    from wsgiref.simple_server import make_server

    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise RunError(
            "optuna-dashboard is not installed; pip install 'archspec-vision[dashboard]' adds it"
        ) from None
    from search.storage import open_storage

    for kind in folder.info.kinds:
        folder.study(kind)  # a storage that cannot be used is told here, in one line
    pages = wsgi(open_storage(folder.storage_url))
    try:
        return make_server(HOST, port, pages, handler_class=Quiet)
    except OSError as error:
        raise RunError(
            f"port {port} cannot be used: {error.strerror}; --port names another"
        ) from None
