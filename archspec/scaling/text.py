"""A scaled network as the short text that a person would have written: `extends` and `set`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archspec.dump import dump_yaml
from archspec.load import parse_yaml
from archspec.paths import KeyPath, pretty
from archspec.resolve import FORMAT, name_from

#: what a person would state first of the stages
_FIRST = {"width": 0, "depth": 1}


def short_text(
    source: str,
    edits: Sequence[tuple[str, str]],
    tree: Any,
    values: Mapping[KeyPath, object],
    doc: str,
    out: Path | None = None,
) -> str:
    """YAML of a network that extends another one.

    source: the other one, a path or a shipped name; edits: (path, YAML value) pairs that were
    applied to it first. tree: its text, in which `values` have their places. out: the file that is
    to hold the text; None: one beside the source. Raises SpecError where `extends` cannot name the
    source from there.
    """
    changed: dict[str, object] = {}
    for path, value in edits:
        changed[path] = parse_yaml(f"value: {value}", f"--set {path}")["value"]
    for where, item in _settings(tree, values).items():
        # what is set again is set last
        changed.pop(where, None)
        changed[where] = item
    text: dict[str, object] = {
        "format": FORMAT,
        "doc": doc,
        "extends": name_from(source, out, "extends"),
    }
    return dump_yaml(text | ({"set": changed} if changed else {}))


def _settings(tree: Any, values: Mapping[KeyPath, object]) -> dict[str, object]:
    """Values by path; what all stages have is one line, dealt out where it differs."""
    stages = len(tree.get("stages") or ())
    settings: dict[str, object] = {}
    head: dict[str, object] = {}
    grouped: dict[str, dict[int, object]] = {}
    for path, value in values.items():
        if path[0] == "stages":
            here = pretty(tree, path).split(".", 2)
            grouped.setdefault(here[2], {})[int(here[1])] = value
        else:
            (head if path[0] == "head" else settings)[pretty(tree, path)] = value
    for rest, found in sorted(grouped.items(), key=lambda item: _FIRST.get(item[0], len(_FIRST))):
        if rest in ("width", "depth") and len(found) > 1:
            # stages that keep theirs are told theirs
            now = (tree["stages"][index].get(rest) for index in range(stages))
            whole = {index: value for index, value in enumerate(now) if value is not None}
            found = whole | found
        if len(found) < stages or stages == 1:
            settings |= {f"stages.{index}.{rest}": value for index, value in found.items()}
        elif len(set(map(str, found.values()))) == 1:
            settings[f"stages.*.{rest}"] = found[0]
        else:
            settings[f"stages.*.{rest}"] = [found[index] for index in range(stages)]
    return settings | head


__all__ = ["short_text"]
