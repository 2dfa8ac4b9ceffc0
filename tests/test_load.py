from __future__ import annotations

import copy
import math
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archspec import load
from archspec.dump import dump_yaml
from archspec.errors import Mark, SpecError
from archspec.load import parse_yaml, read_yaml
from archspec.marks import copy_tree, find_mark

TEXT = """\
name: example
input: {channels: 3, resolution: 224}
stages:
- width: 96
  block: [convnext, {mlp: {expansion: 4}}]
- &second {width: 192}
- *second
"""

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["on", "null", "~", "1", "<<", "=", "", "stages.*.depth", "- a", "#2", "a: b", "1e3", "%x"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | KEYS
    | st.text("ab0.-+e:#_ ,[]{}'\"\\\n\t*&!|>%@`~=<x", max_size=30)
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=25,
    ),
    max_size=5,
)


@pytest.fixture(params=["fast", "pure"])
def _both_loaders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(load, "_Loader", yaml.SafeLoader)


def bits(tree: Any) -> Any:
    """A tree in which 1, 1.0, True and -0.0 differ, and tuples are lists."""
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [bits(value) for value in tree]
    return (type(tree), tree.hex() if isinstance(tree, float) else tree)


@pytest.mark.usefixtures("_both_loaders")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5E+3", -2500.0),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("31:29", "31:29"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("-3", -3),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2001-01-01", "2001-01-01"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("nULL", "nULL"),
        ("=", "="),
        ("<<", "<<"),
        ("'1'", "1"),
        ('"null"', "null"),
        ("28.6M", "28.6M"),
        ("w_out/4", "w_out/4"),
        ("-w", "-w"),
        (".", "."),
        ("'.nan'", ".nan"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert bits(parse_yaml(f"a: {text}", "x.yaml")) == bits({"a": value})


def test_each_value_and_key_keeps_its_place() -> None:
    tree = parse_yaml(TEXT, "x.yaml")
    assert tree.mark == Mark("x.yaml", 1, 1)
    assert tree.marks["name"] == Mark("x.yaml", 1, 7)
    assert tree.key_marks["stages"] == Mark("x.yaml", 3, 1)
    assert tree["stages"].marks[1] == Mark("x.yaml", 6, 3)
    assert tree["stages"][0].marks["block"] == Mark("x.yaml", 5, 10)
    assert tree["input"].key_marks["resolution"] == Mark("x.yaml", 2, 22)


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("input", "resolution"), 2, 34),
        (("stages", 0, "block", 1, "mlp", "expansion"), 5, 39),
        (("stages", 0, "depth"), 4, 3),
        (("stages", 9), 4, 1),
        (("stages", -1), 4, 1),
        (("stages", "x"), 4, 1),
        (("nowhere", 3), 1, 1),
        (("name", "deeper"), 1, 7),
        (("stages", 2), 7, 3),
        (("stages", 2, "width"), 6, 19),
    ],
)
def test_find_mark_gives_the_deepest_known_place(
    path: tuple[str | int, ...], line: int, column: int
) -> None:
    assert find_mark(parse_yaml(TEXT, "x.yaml"), path) == Mark("x.yaml", line, column)


def test_find_mark_after_edits() -> None:
    tree, other = parse_yaml(TEXT, "x.yaml"), parse_yaml("a: 1\nb: {c: 2}", "y.yaml")
    tree["input"] = other["b"]
    tree["stages"].append(3)
    tree["head"] = {"plain": 1}
    assert find_mark(tree, ("input", "c")) == Mark("y.yaml", 2, 8)
    assert find_mark(tree, ("stages", 3)) == Mark("x.yaml", 4, 1)
    assert find_mark(tree, ("head", "plain")) == Mark("x.yaml", 1, 1)
    assert find_mark({"a": [1]}, ("a", 0)) is None


def test_aliases_are_separate_copies() -> None:
    tree = parse_yaml(TEXT, "x.yaml")
    tree["stages"][2]["width"] = 7
    assert tree["stages"][1]["width"] == 192


@pytest.mark.parametrize(
    "copied",
    [copy_tree, copy.deepcopy, lambda tree: pickle.loads(pickle.dumps(tree))],
    ids=["copy_tree", "deepcopy", "pickle"],
)
def test_copies_are_deep_and_keep_marks(copied: Any) -> None:
    tree = parse_yaml(TEXT, "x.yaml")
    twin = copied(tree)
    assert twin == tree
    for path in [(), ("name",), ("stages", 0, "block", 1), ("stages", 2, "width")]:
        assert find_mark(twin, path) == find_mark(tree, path)
    assert twin.key_marks == tree.key_marks
    twin["stages"][0]["block"].append("mlp")
    twin.marks["name"] = Mark("z", 9, 9)
    assert len(tree["stages"][0]["block"]) == 2
    assert tree.marks["name"].file == "x.yaml"


def test_copy_tree_takes_plain_trees() -> None:
    tree = {"a": [1, (2, {"b": 3})]}
    twin = copy_tree(tree)
    assert twin == tree
    assert twin["a"] is not tree["a"]


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
TALL = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40


@pytest.mark.usefixtures("_both_loaders")
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "3:1", ["key 'a'", "twice", "line 1, column 1"]),
        ("x: {k: 1, 'k': 2}", "1:11", ["twice", "line 1, column 5"]),
        ("a: 1\n\tb: 2", "2:1", ["indents with spaces", "tab"]),
        ("a:\n\t- b", "2:1", ["indents with spaces"]),
        ("a:\n  \tb: 1", "2:3", ["indents with spaces"]),
        ("", "1:1", ["empty", "name: example"]),
        ("# nothing\n", "1:1", ["empty"]),
        ("---\n", "1:1", ["mapping", "null"]),
        ("- 1", "1:1", ["mapping", "a list"]),
        ("word", "1:1", ["mapping", "'word'"]),
        ("1: 2", "1:1", ["key", "string", 'quote it: "1"']),
        ("true: 2", "1:1", ["key", "true"]),
        ("a: {~: 2}", "1:5", ["key", "null"]),
        ("1.5: 2", "1:1", ["key", '"1.5"']),
        ("? [a]\n: 3", "1:3", ["key", "a list"]),
        ("? {a: 1}\n: 3", "1:3", ["key", "a mapping"]),
        ("a: &k b\n*k : 3", "2:1", ["key", "an alias"]),
        ("a: !!python/object/apply:os.system [ls]", "1:4", ["tags", "!!python/object/apply"]),
        ("a: !!python/name:os.system", "1:4", ["tags"]),
        ("a: !choice [1]", "1:4", ["tags", "!choice"]),
        ("a: !!str 1", "1:4", ["tags", "!!str"]),
        ("a: ! 1", "1:4", ["tags"]),
        ("a: !x {b: 1}", "1:4", ["tags"]),
        ("<<: {a: 1}", "1:1", ["merge keys", "extends"]),
        ("a: &a {b: 1}\nc: {<<: *a}", "2:5", ["merge keys"]),
        ("a: .nan", "1:4", ["finite", ".nan"]),
        ("a: [-.inf]", "1:5", ["finite", "-.inf"]),
        ("a: 1e999", "1:4", ["finite", "1e999"]),
        ("a: " + "9" * 5000, "1:4", ["100 characters", "5,000"]),
        ("a: 0x" + "f" * 5000, "1:4", ["100 characters"]),
        ("a: " + "[" * 100_000, "1:67", ["64 levels"]),
        ("a: " + "{a: " * 70, "1:256", ["64 levels"]),
        (TALL, "2:44", ["64 levels"]),
        (BOMB, "", ["100,000"]),
        ("a: [" + "1, " * 100_000 + "]", "", ["100,000"]),
        ("a: &a 1\nb: [" + "*a, " * 1001 + "]", "2:4005", ["1,000 aliases"]),
        ("a: &a [*a]", "1:8", ["*a", "inside its own anchor"]),
        ("a: &a {b: [1, *a]}", "1:15", ["inside its own anchor"]),
        ("a: *stem", "1:4", ["*stem", "anchor"]),
        ("a: &steam 1\nb: *stem", "2:4", ["did you mean 'steam'"]),
        ("a: &a 1\nb: &a 2", "2:4", ["&a", "twice", "line 1"]),
        ("a: 1\n---\nb: 2", "2:1", ["one document"]),
        ("a: [1, 2", "1:9", ["not YAML", "brackets", "line 1"]),
        ("a: 'x", "1:6", ["not YAML", "quotes"]),
        ("a: b: c", "1:5", ["not YAML", "': '"]),
        ("a: @x", "1:4", ["not YAML", "quote"]),
        ("a: 1\n  b: 2", "2:4", ["not YAML", "indentation"]),
        ("a: x\x00y", "1:5", ["U+0000"]),
        ("a: 1\nb: \x1b[31m", "2:4", ["U+001B"]),
        ("a: \ud800", "1:4", ["U+D800"]),
        ('a: "\\UFFFFFFFF"', "", ["not YAML"]),
        ("# " + "x" * (1 << 20), "1:1", ["1 MiB"]),
    ],
)
def test_refusals_name_place_law_and_way_out(text: str, place: str, words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "x.yaml")
    message = str(caught.value)
    assert caught.value.mark is not None
    assert message.startswith(f"x.yaml:{place}")
    assert "\n" not in message
    assert len(message) < 300
    for word in words:
        assert word in message


def test_limits_are_reached_before_they_are_refused() -> None:
    parse_yaml("a: " + "[" * 63 + "]" * 63, "x")
    assert len(parse_yaml("a: &a 1\nb: [" + "*a, " * 1000 + "]", "x")["b"]) == 1000
    assert parse_yaml("'<<': 1", "x") == {"<<": 1}


def test_read_yaml_shows_the_name_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: n\xc3\xa4t\r\nb: 2\r\n")
    tree = read_yaml(path, "net")
    assert tree == {"name": "nät", "b": 2}
    assert tree.marks["b"] == Mark("net", 2, 4)
    assert read_yaml(path).mark.file == str(path)


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"a: 1\nb: \xff\xfe", "2:4", ["UTF-8", "0xff"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "1:1", ["UTF-8", "0x89"]),
        ("a: 1".encode("utf-16"), "1:1", ["UTF-8"]),
        (b"a: \x00\x00", "1:4", ["U+0000"]),
        (b"a" * (1 << 20) + b": 1", "1:1", ["1 MiB"]),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, place: str, words: list[str]) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        read_yaml(path, "net.yaml")
    assert str(caught.value).startswith(f"net.yaml:{place}: ")
    for word in words:
        assert word in str(caught.value)


def test_places_that_are_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, word in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "directory"),
        (pipe, "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (Path("a\0b"), "cannot be read"),
    ]:
        with pytest.raises(SpecError, match=word) as caught:
            read_yaml(path, "shown.yaml")
        assert caught.value.mark == Mark("shown.yaml", 1, 1)


@given(TREES)
def test_dump_and_parse_is_the_identity(tree: dict[str, Any]) -> None:
    text = dump_yaml(tree)
    again = parse_yaml(text, "x.yaml")
    assert bits(again) == bits(tree)
    assert list(again) == list(tree)
    assert dump_yaml(again) == text


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse_yaml(text, "x.yaml")
    except SpecError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 (no error is fine too)


@given(st.text("ab: -[]{},*&!\n\t#\"'|>?%@12.~<", max_size=60))
def test_any_signs_are_refused_or_survive_the_round_trip(text: str) -> None:
    try:
        tree = parse_yaml(text, "x.yaml")
    except SpecError:
        return
    assert bits(parse_yaml(dump_yaml(tree), "x.yaml")) == bits(tree)


def test_dump_is_readable() -> None:
    tree = {
        "name": "cmt_s",
        "defaults": {"eps": 1e-6, "act": "gelu"},
        "set": {"stages.*.depth": [3, 4]},
        "stages": [
            {"width": 64 * 2**n, "depth": 3, "block": ["lpu", {"lmhsa": {"heads": 2**n}}]}
            for n in range(3)
        ],
        "doc": "two\nlines",
        "when": "se > 0",
        "label": "31:29",
        "flag": "true",
        "pair": (1, 2.0),
    }
    assert dump_yaml(tree) == (
        "name: cmt_s\n"
        "defaults: {eps: 1e-6, act: gelu}\n"
        "set: {stages.*.depth: [3, 4]}\n"
        "stages:\n"
        "- {width: 64, depth: 3, block: [lpu, {lmhsa: {heads: 1}}]}\n"
        "- {width: 128, depth: 3, block: [lpu, {lmhsa: {heads: 2}}]}\n"
        "- {width: 256, depth: 3, block: [lpu, {lmhsa: {heads: 4}}]}\n"
        'doc: "two\\nlines"\n'
        "when: se > 0\n"
        'label: "31:29"\n'
        'flag: "true"\n'
        "pair: [1, 2.0]\n"
    )


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": math.inf}, "finite"),
        ({"a": math.nan}, "finite"),
        ({"a": 10**5000}, "99 digits"),
        ({"k" * 2000: 1}, "1,000 characters"),
        ({"a": "\ud800"}, "surrogate"),
    ],
)
def test_dump_refuses_what_the_language_cannot_say(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        dump_yaml(tree)


def test_dump_refuses_endless_trees_and_other_types() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SpecError, match="64 levels"):
        dump_yaml({"a": endless})
    with pytest.raises(TypeError):
        dump_yaml({"a": object()})
    with pytest.raises(TypeError):
        dump_yaml({1: 2})


def test_dump_reaches_the_deepest_level() -> None:
    tree: dict[str, Any] = {"a": 1}
    for _ in range(63):
        tree = {"some_rather_long_key": tree}
    assert parse_yaml(dump_yaml(tree), "x") == tree
    with pytest.raises(SpecError, match="64 levels"):
        dump_yaml({"a": tree})
