"""The command line of search: what is refused at once, the opening line, and progress."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ladder_runs import made_ladder
from tiny_runs import tiny_space

from archspec.cli.search_runs import opening
from search.coordinator import Event
from search.progress import Pace

#: what takes long to import, and no check of options needs
HEAVY = ("pandas", "plotly", "sklearn", "sqlalchemy", "torch")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sampler", "cmaes"), "sampler cmaes has one objective"),
        (("--sampler", "grid"), "add --iso"),
        (("--sampler", "tpf"), "did you mean 'tpe'"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused_before_anything_heavy_is_imported(
    tmp_path: Path, options: Sequence[str], words: str
) -> None:
    code = (
        "import sys\n"
        "from archspec.cli.main import main\n"
        "try:\n    main()\n"
        f"finally:\n    print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    asked = ("search", str(tiny_space(tmp_path)), "--budget", "12MFLOPs", *options)
    told = subprocess.run(
        [sys.executable, "-c", code, *asked], capture_output=True, text=True, cwd=tmp_path
    )
    assert told.returncode == 2
    assert words in told.stderr
    assert told.stderr.count("\n") == 1
    assert told.stdout == "[]\n"


def test_a_ladder_is_told_with_all_its_rungs_before_it_begins(tmp_path: Path) -> None:
    sentence = "18 by depth, 8 by params, then 2 by activations"
    text = made_ladder(tmp_path / "text", sentence, device="text")
    assert opening(text.info) == (
        "tiny under 12 MFLOPs (FLOPs are multiply-adds), ladder 18 by depth, 8 by params, "
        "2 by activations; read off the text, seed 0"
    )
    trained = made_ladder(tmp_path / "trained", "1,800 by depth, 5 by train for 9 epochs")
    assert "ladder 1,800 by depth, 5 by train for 9 epochs; on digits, " in opening(trained.info)


# Progress -----------------------------------------------------------------------------------------


def paced(events: Sequence[Event], every: float, points: int | None = None) -> list[str]:
    """What is told of trials that end every so many seconds."""
    times = iter(every * number for number in range(len(events) + 1))
    pace = Pace(lambda: next(times))
    pace.points = points
    return [pace.told(event) for event in events]


def tries(states: Sequence[str], wanted: int, before: int = 0, first: int = 0) -> list[Event]:
    """Proposed trials of a search of which so many counted before."""
    done, events = before, []
    for number, state in enumerate(states, first):
        counted = state in ("scored", "pruned")
        done += counted
        events.append(Event("search", number, state, done, wanted, counted, None, 1.5))
    return events


def test_pace_and_time_left_are_of_the_trials_that_count() -> None:
    """100 s a try, every fourth of which counts: 9 an hour, and 400 s for each that is wanted."""
    told = paced(tries(["infeasible", "repeat", "failed", "scored"] * 3, wanted=5), 100.0)
    assert told[0] == "best 1.500"
    assert told[3] == "9 an hour, best 1.500, about 27 min left"  # 4 x 400 s
    assert told[-1] == "9 an hour, best 1.500, about 13 min left"  # 2 x 400 s


def test_the_start_of_workers_is_no_part_of_the_pace() -> None:
    """Torch is loaded for 30 s with the first trial; then one ends each second."""
    times = iter([0.0, 30.0, 31.0, 32.0])
    pace = Pace(lambda: next(times))
    told = [pace.told(event) for event in tries(["scored"] * 3, wanted=10)]
    assert told == [
        "best 1.500",
        "60 a minute, best 1.500, about 8 s left",
        "60 a minute, best 1.500, about 7 s left",
    ]


def test_what_was_pruned_counts_and_what_an_earlier_sitting_did_is_no_speed() -> None:
    """Resumed at 90 of 100, a minute a trial."""
    told = paced(tries(["pruned", "scored"], wanted=100, before=90, first=200), 60.0)
    assert told == [
        "1 a minute, best 1.500, about 9 min left",
        "1 a minute, best 1.500, about 8 min left",
    ]


def test_trials_that_take_long_are_told_by_the_hour() -> None:
    told = paced(tries(["scored"], wanted=31), 360.0)
    assert told == ["10 an hour, best 1.500, about 3.0 h left"]


def test_each_kind_has_a_pace_of_its_own() -> None:
    """A search of dear tries, then shipped networks, all of which count, at the same 100 s."""
    search = tries(["infeasible", "scored"], wanted=1)
    shipped = [
        Event("shipped", number, state, number + 1, 4, True, None, None)
        for number, state in enumerate(("infeasible", "scored"))
    ]
    told = paced([*search, *shipped], 100.0)
    assert told[1] == "18 an hour, best 1.500"
    assert told[2] == "36 an hour, best none yet, about 5 min left"
    assert told[3] == "36 an hour, best none yet, about 3 min left"


def test_a_grid_ends_with_its_last_point_however_few_counted() -> None:
    """One of 8 points counts, 100 s a point: 4 points later the other 4 take 400 s."""
    states = ["scored", "infeasible", "infeasible", "infeasible"]
    told = paced(tries(states, wanted=8), 100.0, points=8)
    assert told[-1].endswith("about 7 min left")
