"""Shipped recipes against the published figures, written out here, and the errors of a recipe."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

from archspec.errors import SpecError
from archspec.shipped import shipped_networks, shipped_recipes
from archspec.train.recipe import (
    RandAugment,
    at_own_resolution,
    check_recipe,
    network_patterns,
    parse_recipe,
    read_recipe,
)

NAMES = sorted(shipped_recipes())


#: what the papers and their code say: the optimizer (by) with its peak lr, its decay, the epochs of
#: warm-up and the ends of the schedule (from, to), drop path and dropout
TABLE = """
network                       epochs batch by    lr     decay warmup from to   path drop ema
convnext:
convnext_tiny                 300    4096  adamw 4e-3   0.05  20     0    1e-6 0.1  null 0.9999
convnext_small                300    4096  adamw 4e-3   0.05  20     0    1e-6 0.4  null 0.9999
convnext_base                 300    4096  adamw 4e-3   0.05  20     0    1e-6 0.5  null 0.9999
convnext_large                300    4096  adamw 4e-3   0.05  20     0    1e-6 0.5  null 0.9999
convnext_isotropic_small      300    4096  adamw 4e-3   0.05  50     0    1e-6 0.1  null 0.9999
convnext_isotropic_base       300    4096  adamw 4e-3   0.05  50     0    1e-6 0.2  null 0.9999
convnext_isotropic_large      300    4096  adamw 4e-3   0.05  50     0    1e-6 0.5  null 0.9999
deit:
deit_tiny_patch16_224         300    1024  adamw 1e-3   0.05  5      1e-6 1e-5 0.1  null 0.99996
deit_base_patch16_224         300    1024  adamw 1e-3   0.05  5      1e-6 1e-5 0.1  null 0.99996
swin:
swin_tiny_patch4_window7_224  300    1024  adamw 1e-3   0.05  20     1e-6 1e-5 0.2  null null
swin_small_patch4_window7_224 300    1024  adamw 1e-3   0.05  20     1e-6 1e-5 0.3  null null
swin_base_patch4_window7_224  300    1024  adamw 1e-3   0.05  20     1e-6 1e-5 0.5  null null
replknet:
replknet_31b                  300    2048  adamw 4e-3   0.05  10     0    1e-6 0.5  null 0.9999
replknet_k13                  120    2048  adamw 4e-3   0.05  10     0    1e-6 0.5  null 0.9999
cmt:
cmt_ti                        800    2048  adamw 3.2e-3 0.05  20     1e-7 1e-5 0.1  0.1  null
cmt_xs                        400    2048  adamw 2.8e-3 0.04  20     1e-6 2e-5 0.08 0.1  0.9998
cmt_s                         300    1024  adamw 1e-3   0.05  20     1e-7 1e-5 0.1  0.1  0.99996
cmt_b                         300    512   adamw 5e-4   0.05  20     1e-6 2e-5 0.25 0.3  0.99996
spach:
spach_xxs_conv                300    1024  adamw 1e-3   0.05  20     1e-6 1e-5 0.1  null 0.99996
spach_ms_s_hybrid             300    1024  adamw 1e-3   0.05  20     1e-6 1e-5 0.1  null 0.99996
resnet_rs:
resnetrs50                    350    4096  sgd   1.6    4e-5  5      0    0    0.0  0.25 0.9999
resnetrs101                   350    4096  sgd   1.6    4e-5  5      0    0    0.0  0.25 0.9999
resnetrs152                   350    4096  sgd   1.6    4e-5  5      0    0    0.0  0.25 0.9999
resnetrs200                   350    4096  sgd   1.6    4e-5  5      0    0    0.1  0.25 0.9999
resnetrs270                   350    4096  sgd   1.6    4e-5  5      0    0    0.1  0.25 0.9999
resnetrs350                   350    4096  sgd   1.6    4e-5  5      0    0    0.1  0.25 0.9999
resnetrs420                   350    4096  sgd   1.6    4e-5  5      0    0    0.1  0.4  0.9999
resnet_classic:
resnet50                      90     256   sgd   0.1    1e-4  0      0    null 0.0  null null
rsb_a2:
resnet50                      300    2048  lamb  5e-3   0.02  5      5e-7 1e-6 0.05 null null
rsb_a3:
resnet50                      100    2048  lamb  8e-3   0.02  5      8e-7 1e-6 0.0  null null
"""


class Row(NamedTuple):
    """A row of the table."""

    recipe: str
    network: str
    numbers: dict[str, str | float | None]


def rows() -> list[Row]:
    head, *lines = (line.split() for line in TABLE.strip().splitlines())
    recipe, found = "", []
    for first, *words in lines:
        if words:
            numbers = dict(zip(head[1:], map(cell, words), strict=True))
            found.append(Row(recipe, first, numbers))
        else:
            recipe = first.removesuffix(":")
    return found


def cell(word: str) -> str | float | None:
    if word == "null":
        return None
    return word if word.isalpha() else float(word)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.recipe}-{row.network}")
def test_a_network_gets_its_published_figures(row: Row) -> None:
    assert row.network in shipped_networks()
    recipe = read_recipe(row.recipe, network=row.network)
    assert recipe.images == 1_281_167
    assert row.numbers == {
        "epochs": recipe.epochs,
        "batch": recipe.batch,
        "by": recipe.optimizer.name,
        "lr": recipe.optimizer.lr,
        "decay": recipe.optimizer.weight_decay,
        "warmup": recipe.schedule.warmup,
        "from": recipe.schedule.warmup_lr,
        "to": recipe.schedule.end_lr,
        "path": recipe.drop_path,
        "drop": recipe.dropout,
        "ema": recipe.ema,
    }


#: recipe: smoothing, (layers, magnitude, deviation), mixup, cutmix, erasing, jitter, repeats, clip
AUGMENTS = {
    "convnext": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 1, None),
    "deit": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 3, None),
    "swin": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 1, 5.0),
    "replknet": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 1, None),
    "cmt": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 3, None),
    "spach": (0.1, (2, 9, 0.5), 0.8, 1.0, 0.25, 0.4, 3, None),
    "resnet_rs": (0.1, (2, 15, 0.0), None, None, None, None, 1, None),
    "resnet_classic": (0.0, None, None, None, None, None, 1, None),
    "rsb_a2": (0.0, (2, 7, 0.5), 0.1, 1.0, None, None, 3, 1.0),
    "rsb_a3": (0.0, (2, 6, 0.5), 0.1, 1.0, None, None, 1, 1.0),
}


@pytest.mark.parametrize("name", AUGMENTS)
def test_augmentation_is_as_published(name: str) -> None:
    recipe = read_recipe(name)
    augment = recipe.augment
    rand = augment.rand_augment
    found = (
        recipe.label_smoothing,
        None if rand is None else (rand.layers, rand.magnitude, rand.deviation),
        augment.mixup,
        augment.cutmix,
        augment.erasing,
        augment.color_jitter,
        augment.repeats,
        recipe.optimizer.clip,
    )
    assert found == AUGMENTS[name]
    assert augment.crop is not None
    assert augment.crop.scale == (0.08, 1.0)
    assert augment.crop.ratio == (3 / 4, 4 / 3)
    assert (augment.flip, augment.mixed, augment.switch) == (0.5, 1.0, 0.5)


def test_what_is_told_of_one_recipe_alone() -> None:
    assert read_recipe("spach").all_epochs == 310
    for name in ("convnext", "deit", "swin", "replknet", "cmt", "spach"):
        optimizer = read_recipe(name).optimizer
        assert (optimizer.betas, optimizer.eps, optimizer.follows) == ((0.9, 0.999), 1e-8, "sqrt")
        # only Swin's code names the tables of position biases
        assert ("table" in optimizer.spare) is (name == "swin")
    for name in ("resnet_rs", "resnet_classic"):
        assert read_recipe(name).optimizer.momentum == 0.9
        assert read_recipe(name).optimizer.follows == "linear"
    assert read_recipe("resnet_rs").optimizer.spare == ("norm",)
    for network, size in (("resnetrs50", 160), ("resnetrs101", 192), ("resnetrs420", 320)):
        crop = read_recipe("resnet_rs", network=network).resolution.crop
        assert round(size / crop) == size + 32
    smallest = read_recipe("resnet_rs", network="resnetrs50").augment.rand_augment
    assert smallest == RandAugment(layers=2, magnitude=10, deviation=0)
    classic = read_recipe("resnet_classic")
    assert [round(share * classic.epochs, 9) for share in classic.schedule.at or ()] == [30, 60, 80]
    assert (classic.schedule.factor, classic.optimizer.spare) == (0.1, ())
    for name in ("rsb_a2", "rsb_a3"):
        recipe = read_recipe(name)
        assert (recipe.loss, recipe.resolution.crop) == ("binary", 0.95)
    short = read_recipe("rsb_a3").resolution
    assert (short.train, short.test) == (160, 224)
    large = read_recipe("swin", network="swin_base_patch4_window12_384")
    assert (large.drop_path, large.resolution.crop) == (0.5, 1.0)


def test_quick_is_for_small_sets() -> None:
    recipe = read_recipe("quick")
    assert recipe.images == 50_000
    assert recipe.epochs <= 30
    assert recipe.augment.crop is not None
    assert recipe.augment.crop.padding == 0.125


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_reads_dumps_and_reads_back(name: str) -> None:
    recipe = check_recipe(name)
    assert recipe.name == name
    assert recipe.doc
    assert recipe.source
    assert parse_recipe(recipe.dump()) == recipe
    for network in shipped_networks():
        of_it = read_recipe(name, network=network)
        assert parse_recipe(of_it.dump()) == of_it


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_matches_a_shipped_network(name: str) -> None:
    for pattern in network_patterns(name):
        assert any(fnmatchcase(network, pattern) for network in shipped_networks()), pattern


def test_a_recipe_at_a_networks_own_resolution_keeps_all_else() -> None:
    recipe = read_recipe("rsb_a3")
    plain = at_own_resolution(recipe)
    assert (recipe.resolution.train, recipe.resolution.test) == (160, 224)
    assert (plain.resolution.train, plain.resolution.test) == (None, None)
    other = recipe.model_copy(update={"resolution": plain.resolution})
    assert plain == other
    assert plain.resolution.crop == recipe.resolution.crop == 0.95


def test_later_patterns_and_edits_win(tmp_path: Path) -> None:
    text = "extends: convnext\nnetworks: {convnext_*: {drop_path: 0.3}, other: {epochs: 70}}\n"
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    source = tmp_path / "mine.yaml"
    # patterns of the parent come first, in its order
    assert read_recipe(source, network="convnext_base").drop_path == 0.3
    assert read_recipe(source, network="convnext_isotropic_base").schedule.warmup == 50
    assert read_recipe(source, network="other").epochs == 70
    assert read_recipe(source).drop_path == 0.1
    edits = [("drop_path", "0.2"), ("schedule.warmup", "3")]
    edited = read_recipe(source, edits, network="convnext_base")
    assert (edited.drop_path, edited.schedule.warmup) == (0.2, 3)
    assert read_recipe(source, network="convnext_tiny_32").drop_path == 0.3


START = "name: x\nepochs: 10\nbatch: 32\n"
SGD = START + "optimizer: {name: sgd, lr: 0.1}\n"
ERRORS = [
    (START, ["'optimizer' is missing"]),
    (SGD + "epoch: 3\n", ["mine.yaml:5:1", "unknown key 'epoch'", "did you mean 'epochs'"]),
    (SGD + "drop_path: 1.0\n", ["mine.yaml:5:12", "drop_path", "value < 1", "1.0"]),
    (SGD + "schedule: {warmup: 10}\n", ["epochs: ", "warmup < epochs", "epochs=10"]),
    (SGD + "schedule: {kind: step}\n", ["a step schedule needs `at`"]),
    (SGD + "schedule: {kind: step, at: [0.5], end_lr: 0}\n", ["step schedule has no end_lr"]),
    (SGD + "schedule: {at: [0.5]}\n", ["cosine schedule has no at"]),
    (SGD + "schedule: {kind: step, at: [0.5, 0.2]}\n", ["shares rise", "[0.5, 0.2]"]),
    (SGD + "augment: {crop: {}}\n", ["either scale or padding", "neither"]),
    (SGD + "augment: {crop: {scale: [1, 0.5]}}\n", ["low <= high", "[1.0, 0.5]"]),
    (SGD + "loss: hinge\n", ["mine.yaml:5:7", "loss", "'hinge'", "softmax, binary"]),
    (START + "optimizer: {name: sgd, lr: 0.1, betas: [0.9, 0.99]}\n", ["sgd has no betas"]),
    (START + "optimizer: {name: lamb, lr: 0.1, momentum: 0.9}\n", ["lamb has no momentum"]),
    (
        START + "optimizer: {name: sgd, lr: 0.1, nesterov: true}\n",
        ["optimizer.nesterov: nesterov needs momentum above 0, such as 0.9, but got none"],
    ),
    (
        START + "optimizer: {name: sgd, lr: 0.1, nesterov: true, momentum: 0}\n",
        ["optimizer.nesterov: nesterov needs momentum above 0, such as 0.9, but got 0"],
    ),
    (START + "optimizer: {name: adamw, lr: 0.1, spare: [bias, bias]}\n", ["spared twice"]),
    (START + "optimizer: {name: adam, lr: 0.1}\n", ["unknown value 'adam'", "'adamw'"]),
    (SGD + "networks: 3\n", ["networks", "a mapping", "got 3"]),
    (SGD + "networks: {a*: 3}\n", ["mine.yaml:5:16", "networks.a*", "edits are a mapping"]),
    (SGD + "networks: {a*: {epoch.x: 3}}\n", ["networks.a*.epoch.x", "did you mean 'epochs'"]),
    (SGD + "networks: {a*: {optimizer.lr: -1}}\n", ["mine.yaml:5:31", "optimizer.lr", "-1"]),
    (SGD + "networks: {b: {epochs: 2}, a*: {epochs: 0}}\n", ["mine.yaml:5:41", "epochs", "got 0"]),
]


@pytest.mark.parametrize(("text", "words"), ERRORS, ids=[text[26:] for text, _ in ERRORS])
def test_a_broken_recipe_is_told_in_one_line(text: str, words: list[str], tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    source.write_text(text, "utf-8")
    with pytest.raises(SpecError) as caught:
        check_recipe(source)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(SpecError, match="no shipped recipe is called 'convnex': did you mean"):
        read_recipe("convnex")


def test_a_recipe_is_frozen() -> None:
    recipe = read_recipe("quick")
    with pytest.raises(ValueError, match="frozen"):
        recipe.epochs = 3
