"""Fixtures shared by the test files: the folders of measurements that lie beside a checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browsing import Visit
    from playwright.sync_api import Browser

# threads that wait without spinning: on a busy machine the others get the core
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # workers of `pytest -n` share the cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def folder_beside(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder ../shared/{name} beside the checkout, which is absent")
    return folder


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Published and computed numbers of known networks, and their oracles."""
    return folder_beside("reference")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data sets: CIFAR-10 as parquet, NAS-Bench-Macro as CSV."""
    return folder_beside("data")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one a file of tests; they are skipped where there is none."""
    from browsing import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """A page of its own, which complains of nothing."""
    from browsing import visiting

    with visiting(browser) as page:
        yield page
