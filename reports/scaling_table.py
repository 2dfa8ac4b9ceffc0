"""Tables of scaling curves: a rule a row, its networks, and the former as Markdown.

Rules are as archspec.scaling.curve.rule_row makes them, networks as its `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from archspec.scaling.curve import slopes
from reports.numbers import MISSING, counted, number, significant, unit
from reports.study_table import Cell, Row, Table

#: columns of exponents: the cost, its heading, and where a rule says what its law gives
EXPONENTS = (
    ("params", "Params", "params_law"),
    ("activations", "Activations", "activations_law"),
    ("traffic", "Memory traffic", ""),
    ("latency_ms", "Latency", ""),
)

Plain = Mapping[str, Any]


class Network(NamedTuple):
    """A network of a rule: its words, and its text as YAML."""

    words: str
    text: str


def by_rule(rows: Sequence[Plain]) -> dict[str, list[Plain]]:
    """The networks of each rule, in order."""
    found: dict[str, list[Plain]] = {}
    for row in rows:
        found.setdefault(str(row["rule"]), []).append(row)
    return found


def rules_table(rules: Sequence[Plain], rows: Sequence[Plain]) -> Table:
    """What each rule grows, by how much, and the powers of FLOPs that its costs follow."""
    curves = by_rule(rows)
    timed = any(number(row.get("latency_ms")) for row in rows)
    columns = [one for one in EXPONENTS if timed or one[0] != "latency_ms"]
    heads = [
        Cell("FLOPs a phi", ("by the law",)),
        *(Cell(heading, ("∝ FLOPs to the",)) for _, heading, _ in columns),
        Cell("Ends at", ("FLOPs, of the base’s",)),
        Cell("What it grows", (), "words"),
    ]
    made = []
    for rule in rules:
        mine = curves.get(str(rule["name"]), [])
        found = slopes(mine)
        printed = rule.get("printed")
        growth = (f"printed {significant(printed)}",) if number(printed) else ()
        cells = [Cell(_growth(rule), growth)]
        for key, _, law in columns:
            by_law = rule.get(law) if law else None
            below = (f"law {_power(by_law)}",) if number(by_law) is not None else ()
            cells.append(Cell(_power(found.get(key)), below))
        cells += [_end(mine), Cell(str(rule.get("law") or ""), (), "words")]
        made.append(Row("", str(rule["name"]), tuple(cells)))
    return Table(tuple(heads), tuple(made))


def networks_table(rows: Sequence[Plain]) -> Table:
    """The networks of one rule."""
    keys = (("flops", "FLOPs"), ("params", "Params"), ("activations", "Activations"))
    sizes = {key: unit(row[key] for row in rows) for key in (*dict(keys), "traffic")}
    timed = any(number(row.get("latency_ms")) for row in rows)
    heads = [
        *(Cell(heading, _lines(sizes[key][1])) for key, heading in keys),
        Cell("Memory traffic", (f"{sizes['traffic'][1]}B",)),
        *([Cell("Latency, ms", ("median, and spread",))] if timed else []),
        Cell("FLOPs asked", ("of the base’s",)),
        Cell("Input"),
        Cell("Blocks"),
        Cell("Widths", (), "words"),
    ]
    made = []
    for row in rows:
        cells = [Cell(significant(row[key] / sizes[key][0])) for key in sizes]
        if timed:
            spread = row.get("latency_spread")
            ends = (" to ".join(map(significant, spread)),) if spread else ()
            cells.append(Cell(significant(row.get("latency_ms")), ends))
        cells += [
            Cell(f"{significant(row['asked'])}×"),
            Cell("×".join(map(str, row["resolution"]))),
            Cell(str(row["blocks"])),
            Cell(", ".join(map(_width, row["widths"])), (), "words"),
        ]
        made.append(Row("", significant(row["phi"]), tuple(cells)))
    return Table(tuple(heads), tuple(made))


def networks(rows: Sequence[Plain]) -> list[Network]:
    """The networks of one rule with their texts, without the base, which is there already."""
    return [
        Network(f"{counted(row['flops'], 'FLOPs')}, phi {significant(row['phi'])}", row["text"])
        for row in rows
        if row["phi"] != 0
    ]


def curve_markdown(rules: Sequence[Plain], rows: Sequence[Plain]) -> str:
    """A rule a row: exponents, and where its curve begins and ends. What was timed is left out, so
    that the same curves give the same text."""
    curves = by_rule(rows)
    lines = [
        "| rule | FLOPs a phi | params ∝ FLOPs^ | by law | activations ∝ FLOPs^ | by law "
        "| traffic ∝ FLOPs^ | GFLOPs | Mparams | Mactivations | side | blocks |",
        "|---|" + "---:|" * 11,
    ]
    base = next((row for row in rows if row["phi"] == 0), None)
    if base is not None:
        lines.append("| the base |" + " |" * 6 + _ending(base))
    for rule in rules:
        mine = curves.get(str(rule["name"]), [])
        if not mine:
            continue
        found = slopes(mine)
        growth = _growth(rule)
        if number(rule.get("printed")):
            growth += f" (printed {significant(rule['printed'])})"
        powers = [
            found.get("params"), rule.get("params_law"), found.get("activations"),
            rule.get("activations_law"), found.get("traffic"),
        ]  # fmt: skip
        cells = [str(rule["name"]), growth, *map(_power, powers)]
        lines.append(f"| {' | '.join(map(_escaped, cells))} |{_ending(mine[-1])}")
    return "\n".join(lines) + "\n"


def _ending(row: Plain) -> str:
    counts = [significant(row["flops"] / 1e9), *(significant(row[key] / 1e6) for key in _MILLIONS)]
    shape = row["resolution"]
    side = str(shape[0]) if shape[0] == shape[1] else "×".join(map(str, shape))
    return f" {' | '.join([*counts, side, str(row['blocks'])])} |"


_MILLIONS = ("params", "activations")


def _growth(rule: Plain) -> str:
    """By the law; rules that differ by stage or by point have none."""
    return f"{significant(rule['growth'])}×" if number(rule.get("growth")) else MISSING


def _power(exponent: object) -> str:
    """Hundredths, so that a column of exponents lines up."""
    found = number(exponent)
    return MISSING if found is None else f"{round(found, 2) + 0:.2f}".replace("-", "−")


def _end(rows: Sequence[Plain]) -> Cell:
    """By how much FLOPs grew to the last network, and what the law asked there."""
    if len(rows) < 2:
        return Cell(MISSING)
    reached = rows[-1]["flops"] / rows[0]["flops"]
    return Cell(f"{significant(reached)}×", (f"asked {significant(rows[-1]['asked'])}×",))


def _width(width: int | None) -> str:
    return MISSING if width is None else str(width)


def _lines(prefix: str) -> tuple[str, ...]:
    return (prefix,) if prefix else ()


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")
