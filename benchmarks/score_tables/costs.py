"""What scores cost: seconds a network, candidates a minute, and what half precision changes."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, stdev

import numpy as np
import torch

from archspec.planning import plan_network
from archspec.spec import read_spec
from score_tables.markdown import NONE, machine, number, processor, table
from score_tables.runs import BATCH, DATA, SEED, Asked
from search.budgets import Budget
from search.calibration.agreement import kendall
from search.calibration.results import Found, Results
from search.calibration.sample import sample
from search.scores.catalog import DEFAULT_TEXT, SCORES
from search.scores.probe import best_device
from search.scores.scorer import Scorer
from search.space import Space

NETWORKS = ("resnet50", "convnext_tiny", "cmt_s")
REPEATS = 3
#: candidates of each half of a process, and processes
CANDIDATES, PROCESSES = 10_000, 3
HALF_SPACE, HALF_BUDGET, HALF_NETWORKS = "hybrid_small", Budget("flops", 60e6), 64
#: what the same networks are scored by twice
HALVED = ("concave_naswot", "naswot")
SETTINGS: dict[str, tuple[int, bool]] = {
    "float32": (SEED, False),
    "bfloat16": (SEED, True),
    "another seed": (SEED + 1, False),
}


def time_table(asked: Asked) -> str:
    """Seconds a network of every score, on the CPU and, where there is one, on a GPU."""
    names = asked.wanted(tuple(SCORES))
    few = NETWORKS[: asked.networks]
    here = _timed(asked.runs / "time-cpu.jsonl", "cpu", names, few)
    if best_device() == "cuda":
        path = asked.runs / f"time-cuda-{re.sub(r'[^A-Za-z0-9]+', '_', processor('cuda'))}.jsonl"
        _timed(path, "cuda", names, few)
    # one that was measured on another machine may lie there, too
    others = sorted(asked.runs.glob("time-cuda-*.jsonl"))
    there = Results(others[0], len(NETWORKS)).read() if others else []
    gpu = others[0].stem.removeprefix("time-cuda-").replace("_", " ") if others else "none here"
    rows = []
    for name in names:
        cells = [SCORES[name].passes, *(_seconds(found, name) for found in here)]
        cells.append(" / ".join(_seconds(found, name) for found in there) or NONE)
        rows.append([f"`{name}`", *cells, SCORES[name].fails])
    builds = ["building", "", *(_seconds(found, "build") for found in here)]
    rows.append([*builds, " / ".join(_seconds(found, "build") for found in there) or NONE, ""])
    titles = ["score", "it takes", *(f"{name}, s" for name in few), "CUDA, s", "known to fail"]
    return "\n\n".join(
        (
            table(titles, rows),
            f"Seconds a network at 224 px and batch {BATCH}, the median of {REPEATS}, without "
            f"building and initialising it, which stands last; the CPU: {machine()}; CUDA (in the "
            f"order of the networks): {gpu}.",
        )
    )


def _timed(path: Path, device: str, names: tuple[str, ...], few: tuple[str, ...]) -> list[Found]:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = Results(path, len(NETWORKS))
    for place, (network, found) in enumerate(zip(few, kept.read(), strict=False)):
        spec = read_spec(network)
        for name in names:
            if found.has_score(name):
                continue
            scorer = Scorer(name, DATA, BATCH, SEED, device)
            # a plan remembers what was counted of it, so that each turn has a new one
            turns = [scorer.each(spec, plan_network(spec)) for _ in range(REPEATS)]
            parts = dict.fromkeys(key for turn in turns for key in turn.seconds)
            took = {key: median(turn.seconds[key] for turn in turns) for key in parts}
            piece = {"network": place, "scores": turns[0].values, "reasons": turns[0].reasons}
            kept.append({**piece, "seconds": took})
            print(f"{device}, {network}, {name}: {took[name]:.3g} s", file=sys.stderr)
    return kept.read()[: len(few)]


def _seconds(found: Found, name: str) -> str:
    if name in found.reasons:
        return "undefined"
    if name not in found.seconds:
        return NONE
    took = found.seconds[name]
    return f"{took:.2g}" if took >= 0.001 else "< 0.001"


def rate_table(asked: Asked) -> str:
    """Candidates a minute of the default of the text alone, on one core."""
    script = Path(__file__).with_name("rate.py")
    count = CANDIDATES if asked.networks is None else 10 * asked.networks
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = []
    for seed in range(PROCESSES):
        command = [sys.executable, str(script), str(count), str(seed)]
        done = subprocess.run(command, env=one_thread, check=True, stdout=subprocess.PIPE)
        found.append([float(word) for word in done.stdout.split()])
    rows = []
    for which, rates in zip(("first", "next"), zip(*found, strict=True), strict=True):
        cells = (f"{rate:,.0f}" for rate in (min(rates), median(rates), max(rates)))
        rows.append([f"the {which} {count:,}", *cells])
    return "\n\n".join(
        (
            table(["candidates a minute", "min", "median", "max"], rows),
            f"`{DEFAULT_TEXT}` of random candidates of `hybrid`, from the picks to the score, spec "
            f"and plan included, by CPU time on one core; {PROCESSES} fresh processes; "
            f"{machine()}.",
        )
    )


@contextmanager
def plainly(half: bool | None) -> Iterator[None]:
    """While open, half precision on a CPU goes without oneDNN: on one without bfloat16 it (of
    torch 2.13) takes minutes for a depthwise kernel of 21 where channels are last."""
    usual = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = usual and not half
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = usual


def half_table(asked: Asked) -> str:
    """How far half precision changes the order, beside what another seed does."""
    device = best_device()
    space = Space.read(HALF_SPACE)
    count = HALF_NETWORKS if asked.networks is None else asked.networks
    drawn = sample(space, (HALF_BUDGET,), count, SEED).candidates
    asked.runs.mkdir(parents=True, exist_ok=True)
    kept = Results(asked.path(f"half-{device}.jsonl"), len(drawn))
    scorers = {
        word: Scorer("+".join(HALVED), DATA, BATCH, seed, device, half)
        for word, (seed, half) in SETTINGS.items()
    }
    for place, (one, found) in enumerate(zip(drawn, kept.read(), strict=True)):
        if all(found.has_score(f"{name}, {word}") for name in HALVED for word in SETTINGS):
            continue
        piece: dict[str, dict[str, object]] = {"scores": {}, "reasons": {}}
        for word, scorer in scorers.items():
            with plainly(scorer.half):
                each = scorer.each(one.spec, one.plan)
            piece["scores"] |= {f"{name}, {word}": each.values[name] for name in each.values}
            piece["reasons"] |= {f"{name}, {word}": each.reasons[name] for name in each.reasons}
        kept.append({"network": place, **piece})
        print(f"\rin half precision: {place + 1}/{len(drawn)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    known = kept.read()
    rows = []
    for name in HALVED:
        single, half, other = (
            np.array([found.scores.get(f"{name}, {word}", math.nan) for found in known])
            for word in SETTINGS
        )
        both = np.isfinite(single + half + other)
        apart = np.abs(single - half)[both].max()
        cells = (
            number(kendall(half[both], single[both]), digits=3),
            f"{apart:.2g}",
            f"{stdev(single[both]):.2g}",
            number(kendall(other[both], single[both]), digits=3),
        )
        rows.append([f"`{name}`", *cells])
    titles = ["score", "tau, bfloat16 with float32", "largest difference", "sd over networks"]
    return "\n\n".join(
        (
            table([*titles, "tau of two seeds"], rows),
            f"{len(drawn)} random networks of `{HALF_SPACE}` at {HALF_BUDGET}, {BATCH} {DATA}; "
            f"{machine(device)}.",
        )
    )
