from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.errors import LawError
from archspec.expressions import FUNCTIONS, MAX_LENGTH, Number, by8, parse

SCOPE: dict[str, object] = {
    "w": 64,
    "w_out": 256,
    "w_in": 96.0,
    "heads": 3,
    "zero": 0,
    "flag": True,
    "none": None,
    "act": "gelu",
    "big": 10**14,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1_000", 1000),
        (".5", 0.5),
        ("1e-6", 1e-6),
        ("true", True),
        ("false", False),
        ("w", 64),
        ("w_out/4", 64.0),
        ("w_out//4", 64),
        ("w % 10", 4),
        ("-w + 2*heads", -58),
        ("- -w", 64),
        ("w_in", 96.0),
        ("2 - 3 - 4", -5),
        ("2*(3 + 4)", 14),
        ("w > 3", True),
        ("0 < heads < 3", False),
        ("1 < 2 < 3 <= 3 != 4", True),
        ("w == 64", True),
        ("not flag", False),
        ("flag and w > 3", True),
        ("zero or heads", 3),
        ("zero and 1/zero", 0),
        ("true or 1/zero", True),
        ("1 if w > 3 else 1/zero", 1),
        ("2 if zero else 3 if flag else 4", 3),
        ("int(7/2)", 3),
        ("int(-3.5)", -3),
        ("round(2.5)", 2),
        ("round(3.5)", 4),
        ("ceil(w/10)", 7),
        ("floor(w/10)", 6),
        ("min(w, 3, heads)", 3),
        ("max(1, int(0.25*w_in))", 24),
        ("by8(w*0.9)", 56),
        ("none == null", True),
        ("null != none", False),
        ("act == null", False),
        ("w != null", True),
        ("none == null or w/zero", True),
        ("heads if none == null else none", 3),
        ("  w  ", 64),
        ("((((((((((((((((((((((((w))))))))))))))))))))))))", 64),
    ],
)
def test_values(text: str, value: Number) -> None:
    result = parse(text).evaluate(SCOPE)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("width", ["'width'", "legal: w, w_out"]),
        ("w_uot/4", ["'w_uot'", "did you mean 'w_out'"]),
        ("sqrt(w)", ["function 'sqrt'", "round"]),
        ("cel(w)", ["did you mean 'ceil'"]),
        ("w**2", ["powers (**)"]),
        ("w @ w", ["(@)"]),
        ("w & 1", ["(&)"]),
        ("w << 99", ["(<<)"]),
        ("~w", ["(~)"]),
        ("+w", ["leading +"]),
        ("w.real", ["attributes"]),
        ("w[0]", ["subscripts"]),
        ("lambda: 3", ["lambda"]),
        ("(w := 3)", ["(:=)"]),
        ("'a'", ["strings"]),
        ('act == "gelu"', ["strings"]),
        ("f'{w}'", ["strings"]),
        ("[w]", ["lists"]),
        ("{w}", ["sets"]),
        ("{}", ["dicts"]),
        ("(w, 3)", ["tuples"]),
        ("max(x for x in w)", ["argument"]),
        ("min(1, (x for x in w))", ["comprehensions"]),
        ("min(*w)", ["starred"]),
        ("min(1, **w)", ["keyword"]),
        ("round(w, ndigits=2)", ["keyword arguments", "round"]),
        ("round(w, 2)", ["one argument", "got 2"]),
        ("min(w)", ["two or more", "got 1"]),
        ("by8()", ["one argument", "got 0"]),
        ("w.bit_length()", ["attributes"]),
        ("(min)(1, 2)(3)", ["named function"]),
        ("w is 64", ["`is`"]),
        ("w in heads", ["`in`"]),
        ("...", ["..."]),
        ("True", ["write `true`"]),
        ("None", ["write `null`"]),
        ("null", ["compared"]),
        ("null + 1", ["compared"]),
        ("w > null", ["== or !="]),
        ("1 < none == null", ["null"]),
        ("w + 1 == null", ["one word"]),
        ("null == null", ["one word"]),
        ("true == null", ["never null"]),
        ("__import__('os').system('ls')", ["strings"]),
        ("__import__(w)", ["function '__import__'"]),
        ("2w", ["'2w'", "2*w"]),
        ("0x10", ["'0x10'"]),
        ("1j", ["'1j'"]),
        ("1if w else 2", ["'1if'"]),
        ("1e99", ["1e+15"]),
        ("1e999", ["1e+15"]),
        ("w = 3", ["cannot be read", "character 3"]),
        ("w +", ["cannot be read"]),
        ("017", ["cannot be read"]),
        ("", ["empty"]),
        ("  ", ["empty"]),
        ("w # c", ["'#'"]),
        ("w\n+1", ["'\\n'"]),
        ("w\\a", ["sign"]),
        ("ｗ", ["sign"]),
        ("w\0", ["sign"]),
        ("w" * 201, ["200", "201"]),
        ("-" * 30 + "w", ["20 deep"]),
        ("+".join("w" * 30), ["20 deep"]),
        ("(" * 199, ["cannot be read"]),
        ("w/zero", ["by zero", "w=64", "zero=0"]),
        ("w//zero", ["by zero"]),
        ("w % zero", ["by zero"]),
        ("big*100", ["1e+15", "big="]),
        ("1e15*1e15*1e15", ["1e+15"]),
        ("*".join(["1e15"] * 21), ["deep"]),
        ("int(" + "*".join(["big"] * 15) + "*1.0)", ["1e+15"]),
        ("none + 1", ["'none'", "null", "none == null"]),
        ("not none", ["'none'"]),
        ("none", ["'none'"]),
        ("act * 1000000000", ["'act'", "'gelu'", "number"]),
        ("act % 3", ["'act'"]),
        ("act == act", ["'act'", "number"]),
        ("min(act, act)", ["'act'"]),
    ],
)
def test_refusals_say_what_and_how(text: str, words: list[str]) -> None:
    with pytest.raises(LawError) as caught:
        parse(text).evaluate(SCOPE)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("text", ["w", "w*2", "int(w)", "by8(w)", "round(w)"])
def test_results_are_finite(text: str, value: float) -> None:
    with pytest.raises(LawError, match="finite"):
        parse(text).evaluate({"w": value})


def test_words_are_the_names_a_scope_must_hold() -> None:
    text = "by8(w_in*ratio) if groups != null and true else min(w, min)"
    assert parse(text).words == {"w_in", "ratio", "groups", "w", "min"}
    assert parse("3 + 4").words == frozenset()


def test_expressions_compare_travel_and_are_read_once() -> None:
    expression = parse("w_out/4")
    assert expression.text == "w_out/4"
    assert parse("w_out/4") is expression
    assert pickle.loads(pickle.dumps(expression)) == expression
    assert copy.deepcopy(expression) == expression
    assert hash(expression) == hash(parse("w_out/4"))
    assert expression != parse("w_out/2")


@pytest.mark.parametrize(
    ("multiplier", "width"),
    # The stems of EfficientNet-B1 to B7 (B0 and B1 share 1.0), whose base width is 32.
    [(1.0, 32), (1.1, 32), (1.2, 40), (1.4, 48), (1.6, 48), (1.8, 56), (2.0, 64)],
)
def test_by8_gives_the_published_efficientnet_stems(multiplier: float, width: int) -> None:
    assert by8(32 * multiplier) == width
    assert parse("by8(32*w)").evaluate({"w": multiplier}) == width


@given(st.floats(0, 1e6))
def test_by8_is_a_multiple_of_8_and_not_far_below(x: float) -> None:
    width = by8(x)
    assert width % 8 == 0
    assert width >= 8
    assert width >= 0.9 * x
    assert width <= max(8, x + 8)


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.integers(-1000, 1000))
def test_arithmetic_is_exact(a: int, b: int, c: int) -> None:
    scope = {"a": a, "b": b, "c": c}
    assert parse("a*b - c").evaluate(scope) == a * b - c
    assert parse("(a + c)//b").evaluate(scope) == math.floor(Fraction(a + c, b))
    assert parse("a - a//b*b == a % b").evaluate(scope) is True
    assert parse("a*b/b").evaluate(scope) == a


@given(st.text("w01.+-*/%()<>=!,[]{} \"'ifelsnotadr_by8:@&", max_size=MAX_LENGTH + 2))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse(text).evaluate({"w": 3})
    except LawError:
        return
    assert isinstance(value, int | float)


def test_functions_are_those_of_the_language() -> None:
    assert set(FUNCTIONS) == {"int", "round", "ceil", "floor", "min", "max", "by8"}
