"""`archspec dashboard`: optuna-dashboard answers on the studies of a run."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import typer.testing
from synthetic_searches import made_search, stored

from archspec.cli.main import app
from search.folder import RunFolder

pytest.importorskip("optuna_dashboard", reason="needs the extra `dashboard`")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished search, in a folder whose name means something in an address."""
    return stored(made_search([(1.0, 4e9), (3.0, 3e9)], [(0.5, 4e9)]), tmp_path / "a run?#")


@pytest.fixture
def address(run: Path) -> Iterator[str]:
    """Where the dashboard of the run answers."""
    from archspec.cli.dashboard import HOST, serve

    with serve(RunFolder.open(run), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


def answered(address: str) -> bytes:
    with urlopen(address, timeout=30) as response:
        return bytes(response.read())


def test_it_shows_the_studies_and_their_trials(address: str) -> None:
    assert b"Optuna Dashboard" in answered(f"{address}/dashboard/")
    studies = json.loads(answered(f"{address}/api/studies"))["study_summaries"]
    assert {study["study_name"]: study["directions"] for study in studies} == dict.fromkeys(
        ("search", "random", "shipped"), ["maximize", "minimize"]
    )
    first = next(study["study_id"] for study in studies if study["study_name"] == "search")
    trials = json.loads(answered(f"{address}/api/studies/{first}?after=0"))["trials"]
    assert [trial["values"] for trial in trials] == [[1.0, 4e9], [3.0, 3e9]]


def test_a_port_that_is_taken_is_one_line(run: Path, address: str) -> None:
    port = address.rpartition(":")[2]
    done = typer.testing.CliRunner().invoke(app, ["dashboard", str(run), "--port", port])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: port {port} cannot be used: ")
    assert done.stderr.count("\n") == 1


def test_what_is_no_search_is_one_line(tmp_path: Path) -> None:
    done = typer.testing.CliRunner().invoke(app, ["dashboard", str(tmp_path)])
    assert done.exit_code == 2
    assert "no run.json" in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_says_how_to_get_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    done = typer.testing.CliRunner().invoke(app, ["dashboard", str(run)])
    assert done.exit_code == 2
    assert "pip install 'archspec-vision[dashboard]'" in done.stderr
