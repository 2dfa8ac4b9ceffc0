"""The page of one training: what was reached, how it went, epoch by epoch, and how to do it again.

`read_training` reads a training's run folder, finished or not; `write_training_page` shows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from archspec.errors import RunError
from archspec.quantities import several
from reports.curves import accuracy_figure, loss_figure, rate_figure, speed_figure
from reports.numbers import counted, data_name, lasting, number, percent, significant
from reports.sheet import Fact, Sheet, write_sheet


class Training(NamedTuple):
    """A training's run folder, read.

    asked: train.json. history: history.jsonl, one row an epoch. result: result.json, or None
    while it is not finished. spec, recipe: their whole texts, as trained.
    """

    name: str
    asked: Mapping[str, Any]
    history: pd.DataFrame
    result: Mapping[str, Any] | None
    spec: str
    recipe: str


def read_training(run: Path) -> Training:
    """Read a run folder; RunError where it is none, or a file of it is damaged.

    Of an epoch that was run twice, as after a killed training went on from its checkpoint, the
    last line counts. A last line that was cut by a kill is left out.
    """
    if not (run / "train.json").is_file():
        raise RunError(
            f"{run} is no training's folder: it has no train.json; name a folder that "
            "`archspec train` wrote"
        )
    asked = _record(run / "train.json")
    result = _record(run / "result.json") if (run / "result.json").is_file() else None
    spec, recipe = (_text(run / file) for file in ("spec.yaml", "recipe.yaml"))
    history = _history(run / "history.jsonl")
    return Training(str(asked.get("name") or run.name), asked, history, result, spec, recipe)


def write_training_page(run: Path, path: Path | None = None) -> Path:
    """Write the page of a training's folder to `path`, report.html in it if None, and return it.

    Raises RunError as `read_training` does. The same folder gives the same bytes.
    """
    training = read_training(run)
    asked, history = training.asked, training.history
    figures = {
        "accuracy": partial(accuracy_figure, history),
        "loss": partial(loss_figure, history),
        "rate": partial(rate_figure, history),
        "speed": partial(speed_figure, history),
    }
    texts = {
        "The recipe, as trained": training.recipe,
        "The network, as trained": training.spec,
    }
    sheet = Sheet(
        eyebrow="archspec train",
        title=training.name,
        lede=_lede(asked),
        facts=_facts(training),
        notices=_notices(training),
        command=str(asked.get("command") or ""),
        remark=f"Seed {asked.get('seed')}.",
        versions={str(name): str(version) for name, version in _mapping(asked, "versions").items()},
        texts=tuple((words, text) for words, text in texts.items() if text),
    )
    words = {"epochs": len(history), "averaged": _averaged(training) is not None}
    shown = figures if len(history) else {}
    return write_sheet(path or run / "report.html", "training.html", sheet, words, shown)


def _lede(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Two lines: what was trained on what, and where."""
    classes = asked.get("classes")
    classes = len(classes) if isinstance(classes, list) else classes
    what = [f"Trained on {data_name(asked.get('data'))}"]
    if number(asked.get("images")) is not None:
        what.append(f"{asked['images']:,} images")
    if number(asked.get("test_images")) is not None:
        what.append(f"tested on {asked['test_images']:,}")
    if classes:
        what.append(f"{classes} classes")
    if asked.get("resolution"):
        what.append(f"at {_pixels(asked['resolution'])} pixels")
    how = [
        f"Recipe {asked.get('recipe')}",
        several(asked.get("epochs"), "epoch"),
        several(asked.get("steps"), "step"),
        f"batch {asked.get('batch')}",
        f"seed {asked.get('seed')}",
    ]
    device, precision = asked.get("device"), asked.get("precision")
    where = [f"on {device}"] if device else []
    where += [str(word) for word in (precision, asked.get("created")) if word and word != "auto"]
    return f"{', '.join(what)}.", f"{', '.join(how + where)}."


def _facts(training: Training) -> tuple[Fact, ...]:
    asked, history = training.asked, training.history
    last, averaged = _last(training, "top1"), _averaged(training)
    unfinished = training.result is None or training.result.get("state") != "done"
    facts = []
    so_far = "so far" if unfinished else ""
    if averaged is not None:
        facts.append(Fact("Top-1, averaged weights", _percent(averaged), so_far))
        facts.append(Fact("Last weights", _percent(last), so_far))
    else:
        facts.append(Fact("Top-1, last weights", _percent(last), so_far))
    best, epoch = _best(training)
    if best is not None:
        remark = f"epoch {epoch}; chosen on the test split, so it flatters"
        facts.append(Fact("Best epoch", _percent(best), remark))
    facts.append(_params(asked))
    facts.append(Fact("FLOPs", counted(asked.get("flops")), "multiply-adds an image"))
    speed = _result(training, "images_per_second")
    if speed is None and len(history):
        speed = _median(history, "images_per_second")
    facts.append(Fact("Images a second", significant(speed), "in training"))
    seconds = _result(training, "seconds")
    if seconds is None and "seconds" in history:
        seconds = float(history["seconds"].sum())
    facts.append(Fact("Time", lasting(seconds), so_far))
    return tuple(facts)


def _params(asked: Mapping[str, Any]) -> Fact:
    """Parameters with the data's head, which is what was trained, and with the spec's own."""
    own, trained = asked.get("params"), asked.get("params_trained")
    if number(trained) is None or trained == own:
        return Fact("Params", counted(own, largest=1e6))
    remark = f"with the head of the data; {counted(own, largest=1e6)} with the spec’s own"
    return Fact("Params", counted(trained, largest=1e6), remark)


def _notices(training: Training) -> tuple[str, ...]:
    """What a reader must know first: how it ended, and where its figures are not the usual ones."""
    asked, result = training.asked, training.result
    of = f"{len(training.history)} of {several(asked.get('epochs'), 'epoch')}"
    found = []
    if result is None:
        found.append(f"Not finished: {of} are done, and what follows is their state.")
    elif result.get("state") == "failed":
        found.append(f"Failed after {of}: {result.get('reason') or 'no reason was recorded'}")
    elif result.get("stopped"):
        found.append(f"Stopped early, after {of}.")
    if asked.get("weights"):
        found.append(f"Not from scratch: it started from the weights in {asked['weights']}.")
    if asked.get("holdout"):
        found.append(
            f"“Test” means {100 * asked['holdout']:g}% of the training split, held out; "
            "the test split was not touched."
        )
    return tuple(found)


def _result(training: Training, key: str) -> float | None:
    return None if training.result is None else number(training.result.get(key))


def _last(training: Training, column: str) -> float | None:
    """A result by its name in the history: the finished training's, else of the last epoch."""
    found = _result(training, {"top1": "last_top1"}.get(column, column))
    if found is None and column in training.history and len(training.history):
        found = number(training.history[column].iloc[-1])
    return found


def _averaged(training: Training) -> float | None:
    """Top-1 of the averaged weights; None where the recipe averages none."""
    return _last(training, "ema_top1")


def _best(training: Training) -> tuple[float | None, int | None]:
    best, epoch = _result(training, "best_top1"), _result(training, "best_epoch")
    if best is not None and epoch is not None:
        return best, int(epoch)
    history = training.history
    for column in ("ema_top1", "top1"):
        if column in history and history[column].notna().any():
            at = int(history[column].astype(float).argmax())
            return number(history[column].iloc[at]), int(history["epoch"].iloc[at])
    return None, None


def _percent(value: float | None) -> str:
    return percent(value) + ("%" if value is not None else "")


def _median(history: pd.DataFrame, column: str) -> float | None:
    return number(history[column].median()) if column in history else None


def _pixels(resolution: object) -> str:
    """Height x width as the commands take it: 224x224, from [224, 224], 224 or "224x224"."""
    if isinstance(resolution, list | tuple):
        return "x".join(str(side) for side in resolution)
    return f"{resolution}x{resolution}" if isinstance(resolution, int) else str(resolution)


def _mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(_text(path))
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is no JSON, {error}") from None
    if not isinstance(record, dict):
        raise RunError(f"{path} is damaged: it holds a {type(record).__name__}, no record")
    return record


def _history(path: Path) -> pd.DataFrame:
    lines = _text(path).splitlines()
    epochs: dict[int, Mapping[str, Any]] = {}
    for place, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            epochs[int(row["epoch"])] = row
        except (ValueError, KeyError, TypeError):
            if place < len(lines):
                raise RunError(f"{path}:{place} is damaged: it is no epoch's record") from None
    return pd.DataFrame([epochs[epoch] for epoch in sorted(epochs)])
