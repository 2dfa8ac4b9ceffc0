"""The exam's parts in their order; each goes on where it was, and is skipped where it is done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archspec.dump import dump_yaml
from archspec.resolve import FORMAT
from archspec.runs import write_whole
from exam_parts.asked import Asked
from exam_parts.families import FAMILIES, on_budget
from exam_parts.sitting import Clock, archspec
from exam_parts.table import FOUND, RANDOM

#: the space that is searched: of 32 pixels, at 30 to 100 MFLOPs
SPACE = "hybrid_small"
#: of the final training, and of the ladder's by default
RECIPE = "quick"
#: random search goes on by the minutes of the other one, not by a count
UNENDING = "1000000"
#: a command that was given less seconds would end before it began
LEAST = 3.0


class NoTime(Exception):
    """The sitting is over."""


@dataclass
class Exam:
    """An exam going on in its folder, for this sitting.

    ends: on time.monotonic's clock. device: None is the best at hand.
    """

    out: Path
    asked: Asked
    ends: float
    device: str | None = None

    def __post_init__(self) -> None:
        self.clock = Clock(self.out / "clock.json")

    def network(self, name: str) -> Path:
        """Where a network of the exam stands."""
        return self.out / "networks" / f"{name}.yaml"

    def go(self) -> None:
        """All parts; raises NoTime where the sitting ends before."""
        self.scale_families()
        self.search()
        self.search_by_chance()
        self.train()

    def _left(self) -> float:
        left = self.ends - time.monotonic()
        if left < LEAST:
            raise NoTime
        return left

    # The networks ---------------------------------------------------------------------------------

    def scale_families(self) -> None:
        """Every family on the budget, as a text."""
        for family in FAMILIES:
            file = self.network(family.name)
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                write_whole(file, on_budget(family, self.asked.size.limit).spec.dump())

    def search(self) -> None:
        """The search up the ladder, and its best network."""
        if self._is_over("search"):
            return
        seconds = self._left()
        with self.clock.running("search"):
            options = ["--ladder", self.asked.size.ladder]
            if not self._run(self.out / "search", options, seconds):
                raise NoTime
        self._close("search", FOUND)

    def search_by_chance(self) -> None:
        """Random networks of the same space, trained as on the ladder's highest rung, for as long
        as the search took."""
        if self._is_over("random"):
            return
        size = self.asked.size
        options = ["--sampler", "random", "--trials", UNENDING, "--score", "train"]
        options += ["--epochs", str(size.judged), *_option("--images", size.images)]
        owed = self.clock.seconds("search") - self.clock.seconds("random")
        if owed > 0:
            seconds = min(owed, self._left())
            with self.clock.running("random"):
                # a small space may be seen to its end before
                ended = self._run(self.out / "random", options, seconds)
            if not ended and self.clock.seconds("random") < self.clock.seconds("search"):
                raise NoTime
        self._close("random", RANDOM)

    def _run(self, run: Path, options: Sequence[str], seconds: float) -> bool:
        """Begin a search, or go on with it, for so long at most; whether it came to its end."""
        if (run / "run.json").exists():
            return archspec(["resume", str(run)], seconds)
        # a folder without its record was stopped while it was made
        shutil.rmtree(run, ignore_errors=True)
        words = ["search", SPACE, "--budget", self.asked.size.budget, "--iso", *options]
        words += ["--random", "0", "--no-shipped", "--data", self.asked.data]
        words += ["--seed", str(self.asked.seed), *_option("--device", self.device)]
        return archspec([*words, "--out", str(run)], seconds)

    def _is_over(self, part: str) -> bool:
        return (self.out / f"{part}.over").exists()

    def _close(self, part: str, name: str) -> None:
        """Keep a search's best network, where it has any, and never go on with it."""
        best = best_of(self.out / part)
        if best is not None:
            write_whole(self.network(name), best)
        write_whole(self.out / f"{part}.over", "")

    # The final training ---------------------------------------------------------------------------

    def train(self) -> None:
        """Every network by one recipe, with every seed, tested on the test split."""
        run, size, text = self.out / "final", self.asked.size, self.out / "final.yaml"
        device = _option("--device", self.device)
        if (run / "study.json").exists():
            words = ["study", str(run), *device]
        else:
            shutil.rmtree(run, ignore_errors=True)
            write_whole(text, self.study())
            words = ["study", str(text), "--data", self.asked.data, "--out", str(run), *device]
            words += _option("--images", size.images) + _option("--test-images", size.test_images)
        if not archspec(words, self._left()):
            raise NoTime

    def study(self) -> str:
        """The study of all networks, as YAML."""
        known = [FOUND, RANDOM, *(family.name for family in FAMILIES)]
        names = [name for name in known if self.network(name).exists()]
        size = self.asked.size
        tree = {
            "format": FORMAT,
            "doc": f"The exam at {size.budget}: what was searched, and the published families.",
            "source": "archspec",
            # they are of 32 pixels as they stand
            "small": False,
            "recipe": RECIPE,
            "epochs": size.epochs,
            "seeds": size.seeds,
            "arms": [{"name": name, "spec": f"networks/{name}.yaml"} for name in names],
        }
        return dump_yaml(tree)


def best_of(run: Path) -> str | None:
    """The text of a search's best network, of its highest rung; None where nothing is scored."""
    from reports.frames import scored
    from search.folder import RunFolder

    folder = RunFolder.open(run)
    frame = scored(folder.frame())
    kinds = [kind for kind in folder.info.kinds if kind == "search" or kind.startswith("rung")]
    for kind in reversed(kinds):
        rows = frame[frame["kind"] == kind]
        if len(rows):
            return str(
                rows.sort_values(["score", "number"], ascending=[False, True])["spec"].iloc[0]
            )
    return None


def counted(run: Path) -> str:
    """How many networks a search scored, pruned and so on, by rung, in words."""
    from search.folder import RunFolder

    frame = RunFolder.open(run).frame()
    told = []
    for kind, rows in frame.groupby("kind", sort=False):
        counts = rows["state"].value_counts()
        states = zip(counts.index, counts, strict=True)
        rung = "1" if kind == "search" else str(kind).removeprefix("rung")
        told.append(f"rung {rung}: " + ", ".join(f"{count} {state}" for state, count in states))
    return "; ".join(told) or "nothing yet"


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [name, str(value)]


__all__ = ["RECIPE", "SPACE", "Exam", "NoTime", "best_of", "counted"]
