"""The page of scaling curves: what costs grow to under each rule, from one base.

The frame has one row a network, as archspec.scaling.curve.rows makes them. `info` holds name (of
the base), doc, command, created, versions, rules (archspec.scaling.curve.rule_row), skipped (why a
rule cannot be applied, by its name), and device, batch, precision and rounds, None where nothing
was timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archspec.quantities import several
from reports.numbers import counted, number, significant
from reports.scaling_lines import scaling_figure
from reports.scaling_table import by_rule, networks, networks_table, rules_table
from reports.sheet import Fact, Sheet, write_sheet


def write_scaling_page(info: Mapping[str, Any], frame: pd.DataFrame, path: Path) -> Path:
    """Write the page of scaling curves to `path` and return it; the same input gives the same
    bytes."""
    rows = [{str(key): row[key] for key in row} for row in frame.to_dict(orient="records")]
    rules: Sequence[Mapping[str, Any]] = info.get("rules") or ()
    sheet = Sheet(
        eyebrow="archspec scale",
        title=f"{info.get('name') or 'network'}, scaled",
        lede=tuple(str(info[key]) for key in ("doc",) if info.get(key)),
        facts=_facts(rows),
        notices=(),
        command=str(info.get("command") or ""),
        remark=f"Created {info.get('created')}{_device(info, rows)}.",
        versions={str(key): str(value) for key, value in (info.get("versions") or {}).items()},
        texts=(),
    )
    grown = any(row["phi"] != 0 for row in rows)
    words = {
        "grown": grown,
        "timed": _timed(rows),
        "table": rules_table(rules, rows),
        "sources": [
            (str(rule["name"]), str(rule.get("doc") or ""), str(rule.get("source") or ""))
            for rule in rules
        ],
        "curves": [
            (name, several(len(mine), "network"), networks_table(mine), networks(mine))
            for name, mine in by_rule(rows).items()
        ],
        "skipped": [(str(name), str(why)) for name, why in (info.get("skipped") or {}).items()],
        "notes": _notes(rows),
        "protocol": _protocol(info, rows),
    }
    drawings = {"curves": lambda palette: scaling_figure(frame, palette)} if grown else {}
    return write_sheet(path, "scaling.html", sheet, words, drawings)


def _facts(rows: Sequence[Mapping[str, Any]]) -> tuple[Fact, ...]:
    """What the base costs."""
    base = next((row for row in rows if row["phi"] == 0), None)
    if base is None:
        return ()
    facts = [
        Fact("The base’s FLOPs", counted(base["flops"]), "multiply-adds"),
        Fact("Parameters", counted(base["params"])),
        Fact("Activations", counted(base["activations"])),
        Fact("Memory traffic", counted(base["traffic"], "B")),
        Fact("Input", "×".join(map(str, base["resolution"]))),
    ]
    if number(base.get("latency_ms")) is not None:
        facts.append(Fact("Latency", f"{significant(base['latency_ms'])} ms"))
    return tuple(facts)


def _timed(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(number(row.get("latency_ms")) is not None for row in rows)


def _device(info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    return f", timed on {info['device']}" if info.get("device") and _timed(rows) else ""


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Why networks were not timed: rule, which of them, and the reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        why = row.get("latency_note")
        # a frame says nan where nothing is said
        if isinstance(why, str) and why:
            alike = (str(row["rule"]), why)
            found.setdefault(alike, []).append(f"phi {significant(row['phi'])}")
    return [(rule, ", ".join(which), why) for (rule, why), which in found.items()]


def _protocol(info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What was done, in words: pairs of a heading and a sentence."""
    told = [
        ("Networks", "those of each rule’s own path, by phi and its rounding, evenly spaced in the "
         "logarithm of FLOPs; places that come out as the same network are one"),
        ("Costs", "FLOPs (multiply-adds), activations (elements put out by convolutions, linear "
         "layers and matrix products) and memory traffic (bytes, each tensor once, at 4 bytes a "
         "number) by law, for one image at the network’s own side"),
        ("Exponents", "least-squares slopes of the logarithm of a cost against that of FLOPs, over "
         "a rule’s networks; “law” is what follows from its factors for convolutions: params as "
         "depth × width², activations as depth × width × side² (arXiv 2103.06877, section 3)"),
        ("Asked", "what the rule’s law says FLOPs grow by; the rest is rounding, and stems and "
         "heads that do not grow by the law"),
    ]  # fmt: skip
    if _timed(rows):
        batch, precision = info.get("batch") or 1, info.get("precision") or "fp32"
        rounds = int(number(info.get("rounds")) or 1)
        quietest = f"; of {rounds} rounds the one of the lowest median" if rounds > 1 else ""
        told.append(
            ("Latency", f"of one forward pass in evaluation, batch {batch}, {precision}, random "
             "weights: the median of the passes, and from their 10th to their 90th percentile; "
             "measured in turns over the rules, in one run" + quietest)
        )  # fmt: skip
    return told
