"""What a search found, as it is printed and written: the front, the trials, the page."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd

    from reports.metrics import Metric
    from search.folder import RunFolder, RunInfo


def finish(folder: RunFolder, as_json: bool, ended: bool = False) -> None:
    """Write the best specs and the page of a run, and print them; without any, exit code 1.

    ended: whether the search is known to have come to its end.
    """
    from reports.ladder import by_search_trial
    from reports.metrics import flops
    from reports.page import write_page
    from reports.plane import found_rows
    from reports.stages import told_apart
    from search.calibration.find import calibration_of
    from search.finish import write_front, write_rules

    frame = told_apart(by_search_trial(folder.frame()))
    best = frame.iloc[list(found_rows(folder.info, frame))]
    unit = flops(frame)
    files = write_front(folder, best, unit)
    rules = write_rules(folder, best, unit)
    shown = {number: str(path) for number, path in files.items()}
    page = write_page(
        folder.info,
        frame,
        folder.path / "report.html",
        files=shown,
        rules={number: str(path) for number, path in rules.items()},
        calibration=calibration_of(folder.info, folder.path),
    )
    if as_json:
        _print_json(frame)
    else:
        _print_notes(folder, frame, ended)
        _print_front(folder, frame, best, unit, files)
        if rules:
            _print_rules(folder, frame, rules)
        if folder.info.ladder:
            _print_ladder(folder, frame)
        typer.echo(f"page: {page}")
    if not len(best):
        raise typer.Exit(1)


def _print_json(frame: pd.DataFrame) -> None:
    from archspec.cli.tables import print_json
    from search.metrics import MEASURED

    counts = ("number", "params", "flops", "activations", "depth", "traffic")
    measured = [metric.key for metric in MEASURED if metric.key in frame]
    others = ("kind", "name", "state", "score", "target", "spec", "reason")
    # what trainings have: of the seeds' accuracies the standard deviation, and each, in percent
    trained = {"spread": "part.spread", "accuracies": "accuracies", "rungs": "rungs"}
    # what a search of rules has: of is the trial that a row of kind larger repeats
    rules = ("of", "used", "phi", "rule")
    print_json(
        [
            {key: None if _missing(row[key]) else int(row[key]) for key in counts}
            | {key: None if _missing(row[key]) else row[key] for key in (*measured, *others)}
            | {
                key: None if _missing(row[column]) else row[column]
                for key, column in trained.items()
                if column in frame
            }
            | ({} if "of" not in frame else {"of": _plain(row["of"])})
            | ({} if "rule" not in frame else {key: _plain(row.get(key)) for key in rules})
            | ({} if "rule" not in frame else {"constants": _constants(row)})
            for _, row in frame.iterrows()
        ]
    )


def _constants(row: pd.Series) -> dict[str, object]:
    """What a rule grows by where FLOPs double by its law, by knob; empty for one of points."""
    named = {str(key): _plain(value) for key, value in row.items()}
    return {
        key.removeprefix("factor."): value
        for key, value in named.items()
        if key.startswith("factor.") and value is not None
    }


def _plain(value: object) -> object:
    """A cell of the frame for JSON; numbers of trials, which a gap made fractions, whole again."""
    if _missing(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _print_notes(folder: RunFolder, frame: pd.DataFrame, ended: bool) -> None:
    """What a search came short of, and what it did not leave behind."""
    from reports.frames import scored, troubles

    info = folder.info
    counted = frame["state"].isin(["scored"] if info.training is None else ["scored", "pruned"])
    done = int(((frame["kind"] == "search") & counted).sum())
    words = "scored" if info.training is None else "scored or pruned"
    if done < info.trials and ended:
        typer.echo(
            f"note: {done} of {info.trials} trials were {words}; the others repeat known networks, "
            "do not fit the budget or failed"
        )
    elif done < info.trials:
        typer.echo(
            f"note: {done} of {info.trials} trials are {words} so far; where the search was "
            f"stopped, archspec resume {folder.path} goes on"
        )
    drawn, found = frame[frame["kind"] == "random"], scored(frame, "search")
    best = scored(drawn, "random")
    if len(drawn) and not len(best):
        reason = troubles(drawn)[0].reason
        typer.echo(f"note: none of {len(drawn)} random networks was scored, such as: {reason}")
    elif len(best) and len(found):
        _print_luck(info, best, found)


def _print_luck(info: RunInfo, drawn: pd.DataFrame, found: pd.DataFrame) -> None:
    """Whether a random network is better than any that was searched for, by what the best of the
    search are told by."""
    from search.metrics import FLOPS, OBJECTIVES, direction, flops_metric
    from search.summary import best_words, ranked_by

    metric = OBJECTIVES[ranked_by(info.objectives)[0]]
    if direction(metric.key) == "maximize":
        lucky = drawn[metric.key].max()
        better, told = lucky > found[metric.key].max(), "more"
    else:
        lucky = drawn[metric.key].min()
        better, told = lucky < found[metric.key].min(), "less"
    if not better:
        return
    if metric.key == "score":
        what = f"the best random network scored {lucky:.3f}"
    else:
        unit = flops_metric([lucky]) if metric.key == FLOPS.key else metric
        what = f"the {best_words(metric.key)} of a random network is "
        what += f"{unit.shown(lucky)} {unit.short}"
    typer.echo(f"note: {what}, {told} than any that was searched for")


def _print_front(
    folder: RunFolder,
    frame: pd.DataFrame,
    best: pd.DataFrame,
    unit: Metric,
    files: dict[int, Path],
) -> None:
    from archspec.cli.tables import Column, Table, numbers, print_table
    from reports.frames import troubles
    from reports.rules import KNOBS
    from search.metrics import ACTIVATIONS, MEASURED, PARAMS, TRAFFIC

    info = folder.info
    states = frame["state"].value_counts()
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    typer.echo(f"{len(frame)} trials: {counted}")
    if not len(best):
        # the commonest reason of each state
        for trouble in {one.state: one for one in reversed(troubles(frame))}.values():
            typer.echo(f"{len(trouble.rows)} {trouble.state}, such as: {trouble.reason}")
    else:
        spread = "part.spread" in best and best["part.spread"].notna().any()
        constants = dict(zip(KNOBS, ("alpha", "beta", "gamma"), strict=True))
        constants = {} if info.scaling is None else constants
        # activations tell about as much, so traffic is told where it was asked for
        traffic = [TRAFFIC] if TRAFFIC.key in info.objectives else []
        measured = [one for one in MEASURED if one.key in best and best[one.key].notna().any()]
        rows = [
            [
                f"{row['score']:.3f}",
                *([f"{row['part.spread']:.2f}"] if spread else ()),
                *(f"{row[f'factor.{knob}']:.3f}" for knob in constants),
                *(one.shown(row[one.key]) for one in (unit, PARAMS, ACTIVATIONS, *traffic)),
                *(_three_digits(row[one.key] / one.divisor) for one in measured),
                str(row["resolution"]),
                files[int(row["number"])].name,
                str(row["stages"]),
            ]
            for _, row in best.iterrows()
        ]
        typer.echo(f"front of {_front_words(info, frame, str(best['kind'].iloc[0]))}:")
        counts = numbers(
            "score",
            *(["spread"] if spread else ()),
            *constants.values(),
            unit.short,
            "Mparams",
            "M act.",
            *("MB traffic" for _ in traffic),
            *(one.short for one in measured),
            "input",
        )
        print_table(Table([*counts, Column("file"), Column("stages", cut=True)], rows))
    first = next(iter(files.values()), None)
    if first is not None:
        typer.echo(f"specs in {first.parent}; look closer with: archspec show {first}")


def _front_words(info: RunInfo, frame: pd.DataFrame, kind: str) -> str:
    """What the front is of: `score against GFLOPs (multiply-adds)` where the page draws it as a
    line, else all objectives; on a ladder the score is that of a rung."""
    from reports.plane import plane_of
    from search.summary import objective_words, ranked_by

    plane = plane_of(info, frame)
    rung = kind.replace("rung", "rung ").replace("search", "rung 1")
    score = f"the score of {rung}" if info.ladder else "score"
    if plane.turns:
        return f"{score} against {plane.first.title}"
    words = objective_words(ranked_by(info.objectives))
    return words.replace("score", score, 1) if "score" in info.objectives else words


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _print_ladder(folder: RunFolder, frame: pd.DataFrame) -> None:
    """How many networks came to each rung and went on, and how well its order agreed with the
    next one's."""
    from archspec.cli.tables import Column, Table, numbers, print_table
    from reports.ladder import rungs, top
    from reports.ladder_page import line, unfinished_words

    rows = []
    found = rungs(folder.info, frame)
    for rung in found:
        told = line(rung)
        rows.append(
            [str(told.number), told.came, told.scored, told.on, told.time, told.agreed, told.said]
        )
    typer.echo("the ladder; agreement is Kendall's tau with the next rung, of those on both:")
    counts = numbers("rung", "came", "scored", "went on", "time")
    print_table(Table([*counts, Column("agreement"), Column("score")], rows))
    highest = next(rung for rung in found if rung.kind == top(folder.info, frame))
    if words := unfinished_words(found, highest):
        typer.echo(f"note: {words}")


def _print_rules(folder: RunFolder, frame: pd.DataFrame, rules: dict[int, Path]) -> None:
    """The best rule and the published ones in one table, and how well the order holds."""
    from archspec.cli.tables import Column, Table, numbers, print_table
    from reports.rules import CONSTANTS, compared
    from search.larger import ONE_SIZE, held, held_words

    asked = folder.info.scaling
    assert asked is not None  # of a search of rules
    typer.echo("the best rule found and the published ones, constants at FLOPs doubled by the law:")
    rows = [
        [
            f"{rule.score:.3f}",
            *("" if value is None else f"{value:.3f}" for value in rule.constants),
            "" if rule.used is None else f"{rule.used:.1%}",
            rule.name,
        ]
        for rule in compared(frame)
    ]
    counts = numbers("score", *CONSTANTS, "of budget")
    print_table(Table([*counts, Column("rule")], rows))
    if told := held_words(held(frame, folder.info.seed, asked.larger)):
        typer.echo(told)
    first = next(iter(rules.values()))
    laws = [one for one in folder.info.budgets if not one.measured]
    further = [replace(one, limit=ONE_SIZE * one.limit).exact for one in laws]
    ceilings = [word for one in further[1:] for word in ("--and", one)]
    command = ["archspec", "scale", asked.source, "--rule", str(first), "--to", further[0]]
    typer.echo(f"rules in {first.parent}; go on with: {shlex.join([*command, *ceilings])}")
