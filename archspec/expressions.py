"""Arithmetic on the words of a spec: `w_out/4`, `max(1, int(se*w_in))`, `expansion > 1`.

A text is read by Python's own parser, passed through a whitelist and turned into nested closures;
nothing is ever evaluated as code. Every error is a LawError: the text has no place here yet.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

from archspec.errors import LawError, did_you_mean

Number: TypeAlias = int | float | bool
Scope: TypeAlias = Mapping[str, object]
_Run: TypeAlias = Callable[[Scope], Number]
_Compare: TypeAlias = Callable[[object, object], bool]

MAX_LENGTH = 200
MAX_DEPTH = 20
LIMIT = 1e15


def by8(x: float) -> int:
    """The multiple of 8 nearest to `x`, at least 8, and one more where that is under 0.9 x.

    EfficientNet's round_filters with a depth divisor of 8 (tensorflow/tpu, models/official/
    efficientnet/efficientnet_model.py).
    """
    width = max(8, int(x + 4) // 8 * 8)
    return width + 8 if width < 0.9 * x else width


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "int": int,
    "round": round,
    "ceil": math.ceil,
    "floor": math.floor,
    "min": min,
    "max": max,
    "by8": by8,
}
_MANY = frozenset({"min", "max"})
_CONSTANTS = {"true": True, "false": False}
_NUMBERS = frozenset({int, float, bool})

_ARITHMETIC: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], _Compare] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: cast(_Compare, operator.lt),
    ast.LtE: cast(_Compare, operator.le),
    ast.Gt: cast(_Compare, operator.gt),
    ast.GtE: cast(_Compare, operator.ge),
}
_FORBIDDEN: dict[type[ast.AST], str] = {
    ast.Pow: "powers (**)",
    ast.MatMult: "matrix products (@)",
    ast.BitAnd: "bit operations (&)",
    ast.BitOr: "bit operations (|)",
    ast.BitXor: "bit operations (^)",
    ast.LShift: "bit operations (<<)",
    ast.RShift: "bit operations (>>)",
    ast.Invert: "bit operations (~)",
    ast.UAdd: "a leading +",
    ast.Is: "`is`",
    ast.IsNot: "`is not`",
    ast.In: "`in`",
    ast.NotIn: "`not in`",
    ast.Attribute: "attributes (a.b)",
    ast.Subscript: "subscripts (a[b])",
    ast.Lambda: "lambda",
    ast.NamedExpr: "assignments (:=)",
    ast.JoinedStr: "strings",
    ast.Starred: "a starred argument",
    ast.Tuple: "tuples (a, b)",
    ast.List: "lists",
    ast.Set: "sets",
    ast.Dict: "dicts",
    ast.ListComp: "comprehensions",
    ast.SetComp: "comprehensions",
    ast.DictComp: "comprehensions",
    ast.GeneratorExp: "comprehensions",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
}
_GRAMMAR = (
    "an expression is made of numbers, words, + - * / // %, comparisons, and/or/not, "
    f"`a if c else b`, parentheses and the functions {' '.join(FUNCTIONS)}"
)
_LEGAL_SIGNS = re.compile(r"[ -~]*")
_NUMERAL = re.compile(r"(?<![\w.])\.?[0-9](?:[eE][-+](?=[0-9])|[\w.])*")
_PROPER = re.compile(r"(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Expression:
    """A text that was read; `words` are the names that a scope must hold to evaluate it."""

    __slots__ = ("_run", "text", "words")

    def __init__(self, text: str, words: frozenset[str], run: _Run) -> None:
        self.text, self.words, self._run = text, words, run

    def evaluate(self, scope: Scope) -> Number:
        """The value where the words mean what `scope` says; raises LawError.

        `/` gives a float even where it is a whole number, `round` goes half to even, and `and`
        and `or` give one of their two sides, as in Python.
        """
        try:
            value = self._run(scope)
        except LawError:  # a ValueError too, and clear already
            raise
        except ZeroDivisionError:
            raise LawError(f"{self.text!r} divides by zero{self._values(scope)}") from None
        except (OverflowError, ValueError):
            raise self._too_large(scope) from None
        if -LIMIT <= value <= LIMIT:
            return value
        raise self._too_large(scope)

    def _too_large(self, scope: Scope) -> LawError:
        law = f"{self.text!r} must be a finite number of at most {LIMIT:g} in size"
        return LawError(f"{law}, but it is not{self._values(scope)}")

    def _values(self, scope: Scope) -> str:
        known = [f"{word}={scope[word]!r:.40}" for word in sorted(self.words) if word in scope]
        return f" ({', '.join(known)})" if known else ""

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        # Closures do not travel to another process; the text does.
        return parse, (self.text,)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read an expression; raises LawError for whatever is not in the grammar."""
    if len(text) > MAX_LENGTH:
        problem = f"an expression may have at most {MAX_LENGTH} characters, but got {len(text):,}"
        raise LawError(f"{problem}; give a part of it to a knob: {text[:30]!r}...")
    if not text.strip():
        raise LawError(f"an expression must not be empty; {_GRAMMAR}")
    # Also keeps out comments, line breaks and letters that only look like ASCII.
    for sign in text:
        if not _LEGAL_SIGNS.fullmatch(sign) or sign in "#\\;$?`":
            raise LawError(f"{text!r} holds the sign {sign!r}; {_GRAMMAR}")
    if "'" in text or '"' in text:
        raise _forbidden(text, "strings")
    for numeral in _NUMERAL.findall(text):
        if not _PROPER.fullmatch(numeral):
            problem = f"{numeral!r} in {text!r} is no number"
            raise LawError(f"{problem}; write a product as 2*w and a number as 16, 0.25 or 1e-6")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        offset = getattr(error, "offset", None)
        place = f" at character {offset}" if offset else ""
        raise LawError(f"{text!r} cannot be read{place}; {_GRAMMAR}") from None
    words: set[str] = set()
    run = _read(tree.body, text, words, 1)
    return Expression(text, frozenset(words), run)


def _read(node: ast.expr, text: str, words: set[str], depth: int) -> _Run:
    if depth > MAX_DEPTH:
        problem = f"an expression may be nested at most {MAX_DEPTH} deep, but {text!r} is deeper"
        raise LawError(f"{problem}; give a part of it to a knob")

    def inner(child: ast.expr) -> _Run:
        return _read(child, text, words, depth + 1)

    match node:
        case ast.Constant(value=value):
            return _constant(value, text)
        case ast.Name(id="null"):
            problem = f"`null` in {text!r} is not a number; it can only be compared by == or !="
            raise LawError(f"{problem}, as in `groups == null`")
        case ast.Name(id=name) if name in _CONSTANTS:
            flag = _CONSTANTS[name]
            return lambda scope: flag
        case ast.Name(id=name):
            words.add(name)
            return _word(name, text)
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) not in _ARITHMETIC:
                raise _forbidden(text, _FORBIDDEN.get(type(op), type(op).__name__))
            return _arithmetic(_ARITHMETIC[type(op)], inner(left), inner(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            run = inner(operand)
            return lambda scope: -run(scope)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            run = inner(operand)
            return lambda scope: not run(scope)
        case ast.UnaryOp(op=sign):
            raise _forbidden(text, _FORBIDDEN[type(sign)])
        case ast.BoolOp(op=ast.And(), values=values):
            return _every([inner(value) for value in values])
        case ast.BoolOp(values=values):
            return _any([inner(value) for value in values])
        case ast.IfExp(test=test, body=body, orelse=other):
            ask, yes, no = inner(test), inner(body), inner(other)
            return lambda scope: yes(scope) if ask(scope) else no(scope)
        case ast.Compare():
            return _comparison(node, text, words, inner)
        case ast.Call():
            return _call(node, text, inner)
    raise _forbidden(text, _FORBIDDEN.get(type(node), type(node).__name__))


def _constant(value: object, text: str) -> _Run:
    if value is True or value is False or value is None:
        word = "null" if value is None else str(value).lower()
        raise LawError(f"`{value}` in {text!r} is no word of the language; write `{word}`")
    if not isinstance(value, int | float):
        raise _forbidden(text, "..." if value is Ellipsis else f"{type(value).__name__} values")
    if not value <= LIMIT:
        raise LawError(f"a number must be at most {LIMIT:g} in size; {text!r} holds a larger one")
    number = value
    return lambda scope: number


def _word(name: str, text: str) -> _Run:
    def run(scope: Scope) -> Number:
        try:
            value = scope[name]
        except KeyError:
            raise _unknown(name, text, scope) from None
        # Exact types first: it is the common case, and text must never reach the arithmetic,
        # where 'ab' * 10**9 would be a string.
        if type(value) in _NUMBERS or isinstance(value, int | float):
            return cast(Number, value)
        shown = "null" if value is None else f"{value!r:.40}"
        problem = f"the word {name!r} in {text!r} must be a number here, but it is {shown}"
        raise LawError(problem + (f"; ask `{name} == null` first" if value is None else ""))

    return run


def _raw_word(name: str, text: str) -> Callable[[Scope], object]:
    def run(scope: Scope) -> object:
        try:
            return scope[name]
        except KeyError:
            raise _unknown(name, text, scope) from None

    return run


def _arithmetic(op: Callable[[Number, Number], Number], left: _Run, right: _Run) -> _Run:
    return lambda scope: op(left(scope), right(scope))


def _every(runs: list[_Run]) -> _Run:
    def run(scope: Scope) -> Number:
        value: Number = True
        for part in runs:
            value = part(scope)
            if not value:
                break
        return value

    return run


def _any(runs: list[_Run]) -> _Run:
    def run(scope: Scope) -> Number:
        value: Number = False
        for part in runs:
            value = part(scope)
            if value:
                break
        return value

    return run


def _comparison(
    node: ast.Compare, text: str, words: set[str], inner: Callable[[ast.expr], _Run]
) -> _Run:
    for op in node.ops:
        if type(op) not in _COMPARISONS:
            raise _forbidden(text, _FORBIDDEN[type(op)])
    operands = [node.left, *node.comparators]
    nulls = [isinstance(operand, ast.Name) and operand.id == "null" for operand in operands]
    if any(nulls):
        other = operands[nulls.index(False)] if not all(nulls) else None
        equality = isinstance(node.ops[0], ast.Eq | ast.NotEq)
        if len(operands) > 2 or not equality or not isinstance(other, ast.Name):
            law = f"`null` in {text!r} can only be compared with one word, by == or !="
            raise LawError(f"{law}, as in `groups == null`")
        if other.id not in _CONSTANTS:
            words.add(other.id)
            raw = _raw_word(other.id, text)
            wanted = isinstance(node.ops[0], ast.Eq)
            return lambda scope: (raw(scope) is None) is wanted
        raise LawError(f"`{other.id}` in {text!r} is never null; compare a word")
    runs = [inner(operand) for operand in operands]
    ops = [_COMPARISONS[type(op)] for op in node.ops]
    if len(ops) == 1:
        left, compare, right = runs[0], ops[0], runs[1]
        return lambda scope: compare(left(scope), right(scope))

    def run(scope: Scope) -> bool:
        value = runs[0](scope)
        for compare, operand in zip(ops, runs[1:], strict=True):
            following = operand(scope)
            if not compare(value, following):
                return False
            value = following
        return True

    return run


def _call(node: ast.Call, text: str, inner: Callable[[ast.expr], _Run]) -> _Run:
    if not isinstance(node.func, ast.Name):
        kind = _FORBIDDEN.get(type(node.func), "calls of anything but a named function")
        raise _forbidden(text, kind)
    name = node.func.id
    if name not in FUNCTIONS:
        law = f"unknown function {name!r} in {text!r}"
        raise LawError(f"{law}; {did_you_mean(name, FUNCTIONS)}")
    if node.keywords:
        raise _forbidden(text, f"keyword arguments, as in {name}(...)")
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        raise _forbidden(text, _FORBIDDEN[ast.Starred])
    count = len(node.args)
    if count < 2 if name in _MANY else count != 1:
        law = "two or more arguments" if name in _MANY else "one argument"
        raise LawError(f"{name} takes {law}, but got {count} in {text!r}")
    function, runs = FUNCTIONS[name], [inner(argument) for argument in node.args]
    if count == 1:
        only = runs[0]
        return lambda scope: function(only(scope))
    if count == 2:
        first, second = runs
        return lambda scope: function(first(scope), second(scope))
    return lambda scope: function(*[run(scope) for run in runs])


def _unknown(name: str, text: str, scope: Scope) -> LawError:
    legal = [*scope, *_CONSTANTS]
    return LawError(f"unknown word {name!r} in {text!r}; {did_you_mean(name, legal)}")


def _forbidden(text: str, construct: str) -> LawError:
    return LawError(f"{text!r} must not use {construct}; {_GRAMMAR}")
