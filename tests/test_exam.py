"""The exam: families on its budget, sittings that add up, and what its table may claim."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_images import parquet, stamped
from scipy.stats import t as student

from archspec.build import build
from archspec.cost import totals
from archspec.errors import DataError, RunError
from archspec.planning import plan_network
from archspec.referee import referee
from archspec.spec import parse_spec
from archspec.study.arms import plan_arms
from archspec.study.text import read_study

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "exam_parts"


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    """The package as the command finds it, while this file is tested."""
    spec = importlib.util.spec_from_file_location(
        "exam_parts", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    sys.modules["exam_parts"] = importlib.util.module_from_spec(spec)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "exam_parts"]:
        del sys.modules[name]


def part(name: str) -> ModuleType:
    return importlib.import_module(f"exam_parts.{name}")


# Families -----------------------------------------------------------------------------------------

#: stages' widths and depths as printed, of families that grow by width alone: He et al., arXiv
#: 1512.03385, section 4.2 and table 1; Sandler et al., arXiv 1801.04381, table 2; Woo et al., arXiv
#: 2301.00808; Liu et al., arXiv 2103.14030, section 3.3; Yu et al., arXiv 2111.11418, table 1
PRINTED = {
    "ResNet-20": ([16, 32, 64], [3, 3, 3]),
    "ResNet-18": ([64, 128, 256, 512], [2, 2, 2, 2]),
    "MobileNetV2": ([16, 24, 32, 64, 96, 160, 320], [1, 2, 3, 4, 3, 3, 1]),
    "ConvNeXt-A": ([40, 80, 160, 320], [2, 2, 6, 2]),
    "Swin-T": ([96, 192, 384, 768], [2, 2, 6, 2]),
    "PoolFormer-S12": ([64, 128, 320, 512], [2, 2, 6, 2]),
}
#: and the blocks of EfficientNet-B0, to which its rule adds: Tan and Le, arXiv 1905.11946, table 1
B0_DEPTHS = [1, 2, 2, 3, 3, 4, 1]


def families() -> dict[str, Any]:
    return {family.name: family for family in part("families").FAMILIES}


def test_every_family_is_within_2_percent_under_100_mflops_at_32_pixels() -> None:
    for family in families().values():
        spec = part("families").on_budget(family, 100e6).spec
        plan = plan_network(spec)
        assert plan.shape[:3] == (3, 32, 32)
        assert spec.classes == 10
        assert 98e6 <= totals(plan).flops <= 100e6


@pytest.mark.parametrize("name", ["ResNet-20", "ConvNeXt-A"])
def test_fvcore_counts_what_the_solver_went_by(name: str) -> None:
    spec = part("families").on_budget(families()[name], 100e6).spec
    counted = referee(build(spec, plan_network(spec)), spec.input.shape)
    assert 98e6 <= counted.flops <= 100e6


@pytest.mark.parametrize("name", PRINTED)
def test_by_width_a_network_keeps_its_depth_and_its_proportions(name: str) -> None:
    widths, depths = PRINTED[name]
    spec = part("families").on_budget(families()[name], 100e6).spec
    assert [stage.count for stage in spec.stages] == depths
    grown = np.array([stage.width for stage in spec.stages]) / np.array(widths)
    # widths of a few tens in steps of 4
    assert grown.max() / grown.min() < 1.2


def test_efficientnet_grows_in_depth_and_width_by_the_constants_of_its_paper() -> None:
    spec = part("families").on_budget(families()["EfficientNet-B0"], 100e6).spec
    grown = [stage.count for stage in spec.stages]
    # alpha 1.2 and beta 1.1: where widths grow by r, depths grow by r ** (log 1.2 / log 1.1), up
    ratio = float(np.mean([stage.width for stage in spec.stages][3:])) / np.mean(
        [80, 112, 192, 320]
    )
    factor = ratio ** (math.log(1.2) / math.log(1.1))
    for own, depth in zip(B0_DEPTHS, grown, strict=True):
        assert own * factor - 0.25 <= depth <= own * factor + 1.25


# The folder and its sittings ----------------------------------------------------------------------


def test_a_folder_goes_on_as_it_began_and_says_what_differs(tmp_path: Path) -> None:
    open_exam = part("asked").open_exam
    out = tmp_path / "exam"
    began = open_exam(out, "digits", "tiny", 0)
    assert open_exam(out, None, "tiny", 0) == began
    for given, words in (
        (("cifar10", "tiny", 0), "begun with --data digits, not cifar10"),
        ((None, "small", 0), "begun with --size tiny, not small"),
        ((None, "tiny", 7), "begun with --seed 0, not 7"),
    ):
        with pytest.raises(RunError, match=words):
            open_exam(out, *given)
    kept = json.loads((out / "exam.json").read_text())
    kept["size"]["epochs"] = 6
    (out / "exam.json").write_text(json.dumps(kept))
    with pytest.raises(RunError, match="was begun when --size tiny was 20MFLOPs, .* 6 epochs"):
        open_exam(out, None, "tiny", 0)


def test_an_exam_needs_data_and_a_folder_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="begins with --data"):
        part("asked").open_exam(tmp_path / "new", None, "full", 0)
    with pytest.raises(DataError, match="nowhere"):
        part("asked").open_exam(tmp_path / "new", "nowhere", "full", 0)
    rows = [stamped(number) for number in range(30)]
    parquet(tmp_path / "two" / "train.parquet", rows, [0, 1] * 15, ["cat", "dog"])
    with pytest.raises(DataError, match="10 classes, but .* has 2; take data of 10"):
        part("asked").open_exam(tmp_path / "new", str(tmp_path / "two"), "full", 0)
    assert not (tmp_path / "new").exists()
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        part("asked").open_exam(tmp_path, "digits", "full", 0)
    assert {file.name for file in tmp_path.iterdir()} == {"two", "thesis.tex"}


def test_the_highest_rung_has_the_epochs_and_images_that_random_search_trains_by() -> None:
    """Its seeds may be more."""
    from search.ladder import parse_sentence

    for size in part("asked").SIZES.values():
        top = parse_sentence(size.ladder).rungs[-1]
        assert (top.score, top.epochs, top.images) == ("train", size.judged, size.images)


def fails(clock: Any) -> None:
    with clock.running("search"):
        time.sleep(0.05)
        raise RunError("full disk")


def test_the_clock_adds_sittings_up_and_parts_apart(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    clock = part("sitting").Clock(file)
    assert clock.seconds("search") == 0
    for _ in range(2):
        # a command that fails took its time, too
        with pytest.raises(RunError, match="full disk"):
            fails(clock)
    with clock.running("random"):
        pass
    assert 0.1 <= clock.seconds("search") < 5
    assert clock.seconds("random") < clock.seconds("search")
    file.write_text("[1]")
    with pytest.raises(RunError, match="is damaged"):
        clock.seconds("search")


def test_the_clock_is_written_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part("sitting"), "BEAT", 0.01)
    clock = part("sitting").Clock(tmp_path / "clock.json")
    with clock.running("search"):
        waited = time.monotonic() + 10
        while not clock.file.exists() and time.monotonic() < waited:
            time.sleep(0.01)
        # what a kill would leave
        assert json.loads(clock.file.read_text())["search"] > 0


def endless(*_: object, **__: object) -> None:
    while True:
        time.sleep(0.01)


def ending(code: int | None) -> Callable[..., int | None]:
    return lambda *_, **__: code


@pytest.mark.parametrize(
    ("app", "over"),
    [(endless, False), (ending(130), False), (ending(None), True), (ending(0), True)],
)
def test_a_command_is_stopped_as_by_ctrl_c_when_its_time_is_up(
    app: Callable[..., Any], over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr("archspec.cli.main.app", app)
    assert part("sitting").archspec(["search"], 0.1) is over
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_sitting_without_an_end_interrupts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archspec.cli.main.app", ending(None))
    assert part("sitting").archspec(["search"], math.inf) is True


def test_a_command_that_fails_ends_the_exam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archspec.cli.main.app", ending(2))
    with pytest.raises(SystemExit) as raised:
        part("sitting").archspec(["search"], 10)
    assert raised.value.code == 2


def test_the_best_network_is_the_best_of_the_highest_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        ("search", 0, "scored", 99.0, "a high score below"),
        ("random", 0, "scored", 99.0, "a baseline"),
        ("rung2", 0, "scored", 70.0, "dropped"),
        ("rung2", 1, "scored", 80.0, "climbed"),
        ("rung2", 2, "pruned", math.nan, "pruned"),
        ("rung3", 0, "scored", 75.0, "trained longer"),
    ]
    kinds = ("search", "random", "shipped", "rung2", "rung3")

    def best_of(count: int) -> str | None:
        frame = pd.DataFrame(rows[:count], columns=["kind", "number", "state", "score", "spec"])
        folder = SimpleNamespace(info=SimpleNamespace(kinds=kinds), frame=lambda: frame)
        monkeypatch.setattr("search.folder.RunFolder.open", lambda path: folder)
        found: str | None = part("parts").best_of(tmp_path)
        return found

    assert best_of(6) == "trained longer"
    # a rung that was not reached
    assert best_of(5) == "climbed"
    assert best_of(1) == "a high score below"
    assert best_of(0) is None


class FakeTime:
    """A clock that a stand-in for the command line moves on, by what it takes."""

    def __init__(self) -> None:
        self.now = self.taken = 0.0
        self.asked: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def command(self, words: Sequence[str], seconds: float) -> bool:
        """A search that never comes to its end."""
        self.asked.append(seconds)
        self.now += self.taken
        return False


def test_random_search_has_the_minutes_of_the_search_over_all_sittings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, clock = part("parts"), FakeTime()
    for name in ("parts", "sitting"):
        monkeypatch.setattr(part(name), "time", clock)
    monkeypatch.setattr(parts, "archspec", clock.command)
    monkeypatch.setattr(parts, "best_of", lambda run: "name: best\n")
    asked = part("asked").open_exam(tmp_path / "exam", "digits", "tiny", 0)
    (tmp_path / "exam" / "networks").mkdir()
    (tmp_path / "exam" / "clock.json").write_text('{"search": 100.0}')
    # the second is ended by Ctrl-C after 5 of the 40 seconds that it was given
    for sitting, taken in ((60.0, 60.0), (90.0, 5.0), (90.0, 35.0)):
        exam = parts.Exam(tmp_path / "exam", asked, clock.now + sitting)
        clock.taken, over = taken, taken == 35
        if over:
            exam.search_by_chance()
        else:
            with pytest.raises(parts.NoTime):
                exam.search_by_chance()
        assert exam.network("found by chance").exists() == over
    assert clock.asked == [60, 40, 35]
    # and when it is over it is never gone on with
    exam.search_by_chance()
    assert len(clock.asked) == 3


def test_what_a_sitting_has_no_time_for_is_not_begun(tmp_path: Path) -> None:
    asked = part("asked").open_exam(tmp_path / "exam", "digits", "tiny", 0)
    exam = part("parts").Exam(tmp_path / "exam", asked, time.monotonic())
    with pytest.raises(part("parts").NoTime):
        exam.search()
    assert [file.name for file in exam.out.iterdir()] == ["exam.json"]


def test_the_study_trains_what_is_there_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [families()[name] for name in ("ResNet-20", "Swin-T shallow")]
    monkeypatch.setattr(part("parts"), "FAMILIES", two)
    asked = part("asked").open_exam(tmp_path / "exam", "digits", "tiny", 0)
    exam = part("parts").Exam(tmp_path / "exam", asked, math.inf)
    exam.scale_families()
    file = exam.out / "final.yaml"
    file.write_text(exam.study())
    study = read_study(file)
    assert (study.epochs, study.seeds, study.recipe) == (1, 2, "quick")
    arms = plan_arms(study)
    # random search found nothing, so it has no arm
    assert [arm.name for arm in arms] == [family.name for family in two]
    for arm in arms:
        assert arm.spec == parse_spec(exam.network(arm.name).read_text())


# The table ----------------------------------------------------------------------------------------


def welch(a: list[float], b: list[float]) -> tuple[float, float]:
    """Welch's interval of mean(a) - mean(b), 95%: degrees of freedom by Welch and Satterthwaite."""
    errors = [np.var(values, ddof=1) / len(values) for values in (a, b)]
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(values) - 1) for error, values in zip(errors, (a, b), strict=True)
    )
    half = student.ppf(0.975, freedom) * math.sqrt(sum(errors))
    points = np.mean(a) - np.mean(b)
    return float(points - half), float(points + half)


def test_the_lead_is_by_welch() -> None:
    ours, theirs = [93.1, 93.5, 93.3], [92.0, 92.9, 92.6]
    found = part("table").lead(ours, theirs)
    assert found.points == pytest.approx(93.3 - 92.5)
    assert (found.low, found.high) == pytest.approx(welch(ours, theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([93.0], [92.0, 92.5]), ([93.0, 93.0], [92.0, 92.0]), ([93.0, 94.0], [92.0])],
)
def test_no_interval_is_claimed_of_one_seed_or_of_no_spread(
    ours: list[float], theirs: list[float]
) -> None:
    found = part("table").lead(ours, theirs)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def study_frame(accuracies: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    """As archspec.study.frame has it; None is a training that is missing."""
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "state": "missing" if top1 is None else "done",
            "top1": top1,
            "seconds": None if top1 is None else 90.0,
            "flops": 99_500_000,
            "params": 1_250_000,
            "activations": 640_000,
            "reason": "",
        }
        for arm, values in accuracies.items()
        for seed, top1 in enumerate(values)
    ]
    return pd.DataFrame(rows).astype({"top1": float, "seconds": float})


@pytest.mark.parametrize(
    ("accuracies", "told"),
    [
        (
            {"found": [93.0, 93.2, 93.1], "A": [91.0, 91.2, 91.1], "B": [92.0, 92.2, 92.1]},
            ["1.00 points before the best published family, B (95%", ": beyond the seed noise."],
        ),
        (
            {"found": [93.0, 92.0, 94.0], "A": [92.9, 91.8, 94.2]},
            ["0.03 points before the best published family, A", "not beyond the seed noise."],
        ),
        (
            {"found": [90.0, 90.1, 90.2], "A": [92.0, 92.1, 92.2]},
            ["2.00 points behind the best published family, A (95% interval 1.", "beyond the seed"],
        ),
        (
            {"found": [93.0, 93.2, 93.1], "found by chance": [92.9, 93.1, 93.3]},
            ["0.00 points before what random search found in the same minutes"],
        ),
        (
            {"found": [93.0, None, None], "A": [92.0, None, None]},
            ["do not tell yet how far to trust that", "Not all seeds are trained yet"],
        ),
        ({"found": [None] * 3, "A": [92.0, 92.1, 92.2]}, ["there is nothing to compare"]),
    ],
)
def test_words_claim_what_the_seeds_allow(
    accuracies: dict[str, list[float | None]], told: list[str]
) -> None:
    table = part("table")
    said = table.words(table.standings(study_frame(accuracies)), 3)
    for words in told:
        assert words in said
    assert (
        said.count("not beyond") == sum("not beyond" in words for words in told) or "0.00" in said
    )


def test_the_table_has_the_best_first_and_what_is_missing_last() -> None:
    table = part("table")
    arms = table.standings(
        study_frame({"A": [91.0, 91.5, 92.0], "found": [93.0, 93.5, None], "B": [None] * 3})
    )
    names = {"found": "the search", "A": "a family", "B": "another"}
    lines = table.markdown(arms, names, 3).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["found", "A", "B"]
    assert lines[2].split("|")[3:] == [
        " 99.5 ", " 1.25 ", " 0.64 ", " 93.25 ± 0.35 (2 so far) ", " 3.0 ", ""
    ]  # fmt: skip
    assert "| 91.50 ± 0.50 | 4.5 |" in lines[3]
    assert "| not yet | 0.0 |" in lines[4]


def test_an_arm_that_failed_says_why_and_holds_nothing_up() -> None:
    table = part("table")
    frame = study_frame({"found": [93.0, 93.2, 93.1], "A": [92.0, 92.1, 92.3]})
    lost = study_frame({"B": [None] * 3}).assign(state="failed", reason="diverged")
    arms = table.standings(pd.concat([frame, lost]))
    assert "| failed: diverged |" in table.markdown(
        arms, dict.fromkeys("AB", "") | {"found": ""}, 3
    )
    assert "Not all seeds" not in table.words(arms, 3)
