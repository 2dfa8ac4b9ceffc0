from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_run import HOSTILE
from synthetic_training import finish, made_epoch, made_training

from archspec.errors import RunError
from archspec.quantities import several
from reports.curves import accuracy_figure, loss_figure, rate_figure, speed_figure
from reports.numbers import counted, data_name, lasting, points, significant
from reports.training import read_training, write_training_page


class Words(HTMLParser):
    """A page's tags with their attributes, and its key figures as words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.facts: dict[str, str] = {}
        self.text: list[str] = []
        self._at = self._fact = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._at = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == "dl":
            self._fact = ""

    def handle_data(self, data: str) -> None:
        if self._at in ("script", "style"):
            return
        self.text.append(data)
        if self._at == "dt":
            self._fact = data
            self.facts[data] = ""
            self._at = ""
        elif self._fact and self._at in ("dd", "small") and data.strip():
            self.facts[self._fact] = f"{self.facts[self._fact]} {data.strip()}".strip()


def shown(run: Path) -> Words:
    return Words(write_training_page(run))


def test_epochs_and_steps_are_both_of_the_whole_training(tmp_path: Path) -> None:
    text = " ".join(shown(made_training(tmp_path / "run")).text)
    assert "15 epochs, 5850 steps, batch 128" in text


def test_a_finished_training_tells_its_result_and_what_flatters(tmp_path: Path) -> None:
    facts = shown(finish(made_training(tmp_path / "run"))).facts
    assert facts["Top-1, averaged weights"] == "85.25%"
    assert facts["Last weights"] == "80.50%"
    assert facts["Best epoch"].startswith("86.75% epoch 3; chosen on the test split")
    assert "flatters" in facts["Best epoch"]
    assert facts["Params"] == "27.8 M with the head of the data; 28.6 M with the spec’s own"
    assert facts["FLOPs"] == "0.557 G multiply-adds an image"
    assert facts["Images a second"] == "4,321 in training"
    assert facts["Time"] == "3.4 hours"


def test_the_page_tells_what_was_trained_and_how_to_do_it_again(tmp_path: Path) -> None:
    text = " ".join(shown(finish(made_training(tmp_path / "run"))).text)
    for words in ("cifar10, 50,000 images", "tested on 10,000", "32x48 pixels", "batch 128",
                  "seed 7", "archspec train convnext_nano --data cifar10", "2.9.0",
                  "optimizer: {name: adamw, lr: 0.001}"):  # fmt: skip
        assert words in text


def test_without_averaged_weights_the_last_ones_are_the_result(tmp_path: Path) -> None:
    run = finish(made_training(tmp_path / "run", ema=False), {"ema_top1": None, "top1": 80.5})
    facts = shown(run).facts
    assert facts["Top-1, last weights"] == "80.50%"
    assert "Top-1, averaged weights" not in facts


def test_an_unfinished_training_says_so_and_shows_where_it_stands(tmp_path: Path) -> None:
    words = shown(made_training(tmp_path / "run", epochs=3))
    assert "Not finished: 3 of 15 epochs are done" in " ".join(words.text)
    assert words.facts["Top-1, averaged weights"] == "75.00% so far"
    assert words.facts["Best epoch"].startswith("75.00% epoch 3")
    assert words.facts["Time"] == "3 min so far"


def test_a_failed_training_gives_its_reason(tmp_path: Path) -> None:
    run = made_training(tmp_path / "run", epochs=2)
    words = shown(
        finish(run, {"state": "failed", "reason": "Diverged: the loss is nan at step 900"})
    )
    told = "Failed after 2 of 15 epochs: Diverged: the loss is nan at step 900"
    assert told in " ".join(words.text)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"holdout": 0.1}, "10% of the training split, held out"),
        ({"weights": "a.safetensors"}, "Not from scratch: it started from the weights in a.safe"),
    ],
)
def test_what_makes_figures_unusual_is_told(
    tmp_path: Path, asked: dict[str, object], told: str
) -> None:
    run = finish(made_training(tmp_path / "run", asked=asked))
    assert told in " ".join(shown(run).text)


def test_no_epoch_no_curves(tmp_path: Path) -> None:
    words = shown(made_training(tmp_path / "run", epochs=0))
    assert "No epoch was finished" in " ".join(words.text)
    assert words.facts["Top-1, last weights"] == "– so far"


def test_curves_are_the_history(tmp_path: Path) -> None:
    history = read_training(made_training(tmp_path / "run")).history
    weights, averaged, best = accuracy_figure(history).data
    assert (weights.x, weights.y) == ((1, 2, 3, 4), (50, 60, 70, 80))
    assert averaged.y == (55, 65, 75, 85)
    assert (best.x, best.y) == ((4,), (85,))
    assert [trace.y[1] for trace in loss_figure(history).data] == [1.0, 0.75, 0.7]
    assert rate_figure(history).data[0].y == (0.001, 0.0005, 0.001 / 3, 0.00025)
    assert speed_figure(history).data[0].y == (833.0,) * 4


def test_a_loss_that_is_not_finite_is_a_gap(tmp_path: Path) -> None:
    run = made_training(tmp_path / "run", epochs=2)
    with (run / "history.jsonl").open("a") as file:
        file.write(json.dumps(made_epoch(3) | {"loss": math.nan, "test_loss": math.inf}) + "\n")
    training, test, _ = loss_figure(read_training(run).history).data
    assert training.y == (2.0, 1.0, None)
    assert test.y == (1.5, 0.75, None)
    document = re.search(r'id="data">(.*?)</script>', write_training_page(run).read_text("utf-8"))
    assert document is not None
    assert not re.search("NaN|Infinity", document[1])


def test_an_epoch_that_was_run_twice_counts_once_and_a_cut_line_not(tmp_path: Path) -> None:
    run = made_training(tmp_path / "run", epochs=3)
    again = json.dumps(made_epoch(3) | {"top1": 12.5})
    with (run / "history.jsonl").open("a") as file:
        file.write(again + "\n" + again[:20])
    history = read_training(run).history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["top1"].tolist() == [50, 60, 12.5]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("train.json", "{", "train.json is damaged: it is no JSON"),
        ("train.json", "[]", "train.json is damaged: it holds a list"),
        ("result.json", "", "result.json is damaged"),
        ("history.jsonl", "x\n{}\n", "history.jsonl:1 is damaged"),
    ],
)
def test_damaged_folders_are_told_in_one_line(
    tmp_path: Path, file: str, text: str, words: str
) -> None:
    run = made_training(tmp_path / "run")
    (run / file).write_text(text)
    with pytest.raises(RunError, match=words) as caught:
        write_training_page(run)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no train\.json"):
        write_training_page(tmp_path)


def test_every_text_is_escaped_and_no_other_file_is_named(tmp_path: Path) -> None:
    texts = dict.fromkeys(("name", "data", "recipe", "command", "created", "device"), HOSTILE)
    run = made_training(tmp_path / "run", asked={**texts, "versions": {HOSTILE: HOSTILE}})
    (run / "recipe.yaml").write_text(HOSTILE)
    words = shown(finish(run, {"state": "failed", "reason": HOSTILE}))
    names = [tag for tag, _ in words.tags]
    assert "img" not in names
    assert names.count("script") == 3
    for _, attributes in words.tags:
        assert not [name for name in attributes if name in ("src", "onerror", "srcset")]
        assert (attributes.get("href") or "data:,") == "data:,"
    assert " ".join(words.text).count(HOSTILE) >= 7


def test_the_same_folder_gives_the_same_bytes_where_asked(tmp_path: Path) -> None:
    run = finish(made_training(tmp_path / "run"))
    one, other = write_training_page(run), write_training_page(run, tmp_path / "other.html")
    assert (one, other) == (run / "report.html", tmp_path / "other.html")
    assert one.read_bytes() == other.read_bytes()


def test_pages_of_trainings_and_studies_need_no_torch() -> None:
    code = (
        "import sys, reports.training, reports.study;"
        "print([m for m in ('torch', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (significant(0), "0"),
        (significant(4.089), "4.09"),
        (significant(0.056123), "0.0561"),
        (significant(1234.4), "1,234"),
        (significant(-9.996), "−10.0"),
        (significant(math.nan), "–"),
        (points(0.4), "+0.40"),
        (points(-0.2), "−0.20"),
        (points(-0.001), "0.00"),
        (points(None), "–"),
        (counted(25_557_032), "25.6 M"),
        (counted(4.09e9, "FLOPs"), "4.09 GFLOPs"),
        (counted(650), "0.650 k"),
        (counted(42), "42.0"),
        (several(1, "epoch"), "1 epoch"),
        (several(15, "epoch"), "15 epochs"),
        (data_name("/data/sets/cifar10"), "cifar10"),
        (data_name("someone/cifar10"), "someone/cifar10"),
        (lasting(42.4), "42 s"),
        (lasting(2220), "37 min"),
        (lasting(12_240), "3.4 hours"),
    ],
)
def test_numbers_are_written_as_people_read_them(made: str, words: str) -> None:
    assert made == words
