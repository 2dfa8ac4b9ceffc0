"""What `report` does with several searches: a page and a table of them beside each other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from archspec.errors import RunError

if TYPE_CHECKING:
    from reports.overlay_progress import Comparison
    from search.folder import RunFolder

#: where the page goes without -o
PAGE = Path("runs") / "compared.html"


def compare_searches(folders: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Write the page of several searches and print their table, or JSON."""
    from archspec.cli.tables import check_page, print_json
    from archspec.runs import now, written
    from reports.overlay import write_overlay_page
    from reports.overlay_groups import Run
    from reports.overlay_progress import compare, document
    from search.folder import RunFolder

    page = out or PAGE
    check_page(page)
    opened = [RunFolder.open(folder) for folder in folders]
    _check_apart(opened)
    comparison = compare(
        [
            Run(str(path), folder.info, folder.frame())
            for path, folder in zip(folders, opened, strict=True)
        ]
    )
    command = "archspec " + shlex.join(sys.argv[1:])
    with written(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        write_overlay_page(comparison, command, now(), page)
    for notice in comparison.notices:
        typer.echo(f"note: {notice}", err=True)
    if as_json:
        print_json(document(comparison))
        return
    _print(comparison)
    typer.echo(f"page: {page}")


def _check_apart(folders: Sequence[RunFolder]) -> None:
    """Raise RunError where a run is named twice: by another path, or by the folder of another
    machine that works on the same study."""
    met: dict[object, RunFolder] = {}
    for folder in folders:
        info = folder.info
        shared = (info.storage, info.study)
        first = met.setdefault(shared if info.storage else folder.path.resolve(), folder)
        if first is not folder:
            raise RunError(f"{folder.path} is the same run as {first.path}; name each run once")


def _print(comparison: Comparison) -> None:
    """A row a group."""
    from archspec.cli.tables import Column, Table, numbers, print_table
    from reports.overlay_table import TO_MATCH, ended, evaluations, to_random

    volumes = comparison.box is not None
    rows = []
    for row in comparison.rows:
        words, below = to_random(row)
        rows.append(
            [
                row.name,
                str(len(row.runs)),
                evaluations(row),
                _plain(ended(row.best)),
                *([_plain(ended(row.volume))] if volumes else ()),
                _plain(f"{words} ({below})" if below else words),
            ]
        )
    columns = numbers(
        *("seeds", "evaluations", "best score", *(["hypervolume"] if volumes else ())),
        TO_MATCH.lower(),
    )
    print_table(Table([Column("searches"), *columns], rows))
    typer.echo(f"score: {comparison.score.unit}; means ± standard deviations over seeds")


def _plain(words: str) -> str:
    """A page's words as tables of text have them: a minus that programs read, nothing for none."""
    return "" if words == "–" else words.replace("−", "-")
