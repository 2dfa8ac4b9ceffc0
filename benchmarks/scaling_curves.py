"""What costs grow to under each scaling rule, latency included, for the three bases of docs/.

    python benchmarks/scaling_curves.py [--bases cmt_s] [--timed 4] [--rounds 3] [--docs]

`--docs` writes the tables between the marks of docs/scaling.md, and the figures beside it; those
need Chromium. `--timed 0` times nothing, and then leaves figures and table of latency as they are.
FLOPs are multiply-adds; latency is of one image a pass, on the CPU, in one run: of each network the
round of the lowest median.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from playwright.sync_api import sync_playwright

from archspec.runs import versions_of
from archspec.scaling.curve import (
    Source,
    applicable,
    curve,
    rows,
    rule_row,
    slopes,
)
from archspec.scaling.rule import read_rule
from archspec.shipped import shipped_rules
from archspec.spec import read_spec
from archspec.study.curve_latency import Passes, measure_some
from reports.numbers import significant
from reports.scaling import write_scaling_page
from reports.scaling_table import by_rule, curve_markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
CHROMIUM = "/usr/bin/chromium"
BASES = ("resnet50", "cmt_s", "convnext_tiny")
UNTIL = 16e9


class Drawn(NamedTuple):
    """The curves of a base: its rules and their networks as plain values."""

    base: str
    doc: str
    rules: list[dict[str, Any]]
    skipped: dict[str, str]
    rows: list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", nargs="+", default=BASES)
    parser.add_argument("--timed", type=int, default=4, help="networks a rule that are timed")
    parser.add_argument("--repeats", type=int, default=3, help="timed passes of each a round")
    parser.add_argument("--rounds", type=int, default=3, help="through all networks of a base")
    parser.add_argument("--docs", action="store_true", help="write docs/scaling.md and figures")
    asked = parser.parse_args()
    found = []
    for base in asked.bases:
        found.append(drawn(base, asked.timed, Passes(repeats=asked.repeats, rounds=asked.rounds)))
        print(f"{base}\n\n{curve_markdown(found[-1].rules, found[-1].rows)}")
    if asked.docs:
        for one in found:
            put(one.base, curve_markdown(one.rules, one.rows))
    if asked.timed:
        table = latency_markdown(found)
        print(table)
        if asked.docs:
            put("latency", table)
            for one in found:
                picture(one)


def drawn(base: str, timed: int, passes: Passes) -> Drawn:
    """All rules of a base to 16 GFLOPs, some networks of each timed."""
    spec = read_spec(base)
    able, skipped = applicable(spec, [read_rule(name) for name in shipped_rules()])
    points = [point for rule in able for point in curve(spec, rule, UNTIL, source=Source(base))]
    times = measure_some(points, timed, passes, "cpu") if timed else None
    return Drawn(base, spec.doc, [rule_row(rule) for rule in able], skipped, rows(points, times))


def latency_markdown(found: Sequence[Drawn]) -> str:
    """A rule a row: the power of FLOPs that latency follows, and milliseconds from end to end."""
    heads = " | ".join(f"{one.base} ∝ FLOPs^ | ms" for one in found)
    lines = [f"| rule | {heads} |", "|---|" + "---:|---:|" * len(found)]
    curves = [by_rule(one.rows) for one in found]
    for rule in dict.fromkeys(name for one in curves for name in one):
        cells = [rule]
        for one in curves:
            mine = one.get(rule, [])
            times = [row["latency_ms"] for row in mine if row["latency_ms"]]
            power = slopes(mine).get("latency_ms")
            cells.append("–" if power is None else f"{power:.2f}")
            cells.append(f"{significant(times[0])} to {significant(times[-1])}" if times else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(one: Drawn) -> None:
    """The figure of the page as docs/scaling_BASE.png."""
    info = {
        "name": one.base, "doc": one.doc, "rules": one.rules, "skipped": one.skipped,
        "device": "cpu", "created": str(date.today()), "versions": versions_of(["torch"]),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = write_scaling_page(info, pd.DataFrame(one.rows), Path(folder) / "page.html")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visit = browser.new_page(viewport={"width": 1200, "height": 900})
        visit.goto(page.as_uri())
        visit.wait_for_selector("#curves .main-svg")
        visit.locator("#curves").screenshot(path=DOCS / f"scaling_{one.base}.png")
        browser.close()


def put(name: str, table: str) -> None:
    """Put a table between its marks in docs/scaling.md."""
    page = DOCS / "scaling.md"
    text = page.read_text("utf-8")
    begin, end = f"<!-- curves: {name} -->\n", f"<!-- end: {name} -->"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{page} lacks the marks {begin.strip()} and {end}")
    page.write_text(f"{before}{begin}{table}{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
