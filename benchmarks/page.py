"""The page of a large search: seconds to make it, and how it moves in Chromium.

    python benchmarks/page.py [--trials 10000] [--run RUN]

Without --run a frame is made up, as tests/synthetic_run.py does, a tenth of it random search; with
it a run is read first, and that is timed, too. Chromium draws without a GPU here, so frames are
slower than on a desk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from playwright.sync_api import Page, sync_playwright

from archspec.cli.tables import Column, Table, numbers, print_table
from reports.page import write_page
from search.folder import RunFolder, RunInfo

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3
FLAGS = ["--no-sandbox", "--disable-gpu"]
#: milliseconds between frames while the page scrolls from its top to its end, 60 pixels a frame
SCROLL = """() => new Promise((done) => {
  const frames = [];
  let last = null;
  function step(now) {
    if (last !== null) frames.push(now - last);
    last = now;
    const before = scrollY;
    scrollBy({ top: 60, behavior: "instant" });
    if (scrollY > before) requestAnimationFrame(step);
    else done(frames);
  }
  scrollTo({ top: 0, behavior: "instant" });
  requestAnimationFrame(step);
})"""
#: milliseconds from a change of the axis until it is painted
SWITCH = """(axis) => new Promise((done) => {
  const start = performance.now();
  const input = document.querySelector(`[name=axis][value=${axis}]`);
  input.checked = true;
  input.dispatchEvent(new Event("change"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""
#: milliseconds to show another network
CHOOSE = """(row) => new Promise((done) => {
  const start = performance.now();
  select(row);
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000, help="of a frame that is made up")
    parser.add_argument("--run", type=Path, help="the folder of a search")
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        for _ in range(REPEATS):
            started = time.perf_counter()
            info, frame = read(asked.run) if asked.run else made(asked.trials)
            if asked.run:
                found.setdefault("s to read the run", []).append(time.perf_counter() - started)
            started = time.perf_counter()
            write_page(info, frame, page)
            found.setdefault("s to write the page", []).append(time.perf_counter() - started)
        found["MB of the page"] = [page.stat().st_size / 1e6]
        found |= browsed(page)
    rows = [
        [name, *(f"{value:,.2f}" for value in (min(v), median(v), late(v), max(v)))]
        for name, v in found.items()
    ]
    print(f"{len(frame):,} trials")
    print_table(Table([Column("measured"), *numbers("min", "median", "95%", "max")], rows))


def read(run: Path) -> tuple[RunInfo, pd.DataFrame]:
    """A search as `archspec report` reads it."""
    folder = RunFolder.open(run)
    return folder.info, folder.frame()


def made(trials: int) -> tuple[RunInfo, pd.DataFrame]:
    """A search that is made up."""
    sys.path.append(str(ROOT / "tests"))
    from synthetic_run import made_frame, made_info

    return made_info(), made_frame(search=trials - trials // 10, random=trials // 10)


def browsed(path: Path) -> dict[str, list[float]]:
    """What is measured in Chromium, by what it is."""
    found: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for _ in range(REPEATS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            started = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("#front .main-svg")
            found.setdefault("s until it is drawn", []).append(time.perf_counter() - started)
            page.wait_for_timeout(500)
            for name, values in measures(page).items():
                found.setdefault(name, []).extend(values)
            page.close()
        browser.close()
    return found


def late(values: list[float]) -> float:
    """What 95% of the values are at or below."""
    return sorted(values)[-(-95 * len(values) // 100) - 1]


def measures(page: Page) -> dict[str, list[float]]:
    """Of one open page."""
    axes: list[str] = page.eval_on_selector_all(
        "[name=axis]", "inputs => inputs.map((input) => input.value)"
    )
    rows: Any = page.evaluate("data.fronts[state.axis]")
    return {
        "elements": [page.evaluate("document.querySelectorAll('*').length")],
        "ms a frame in scrolling": page.evaluate(SCROLL),
        "ms to switch the axis": [page.evaluate(SWITCH, axis) for axis in [*axes[1:], axes[0]]],
        "ms to choose a network": [page.evaluate(CHOOSE, row) for row in [*rows[:5], 7, 8, 9]],
    }


if __name__ == "__main__":
    main()
