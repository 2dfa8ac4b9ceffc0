"""RegNet's quantised line: four numbers and a group width that stand for a net's stages.

Radosavovic et al., arXiv 2003.13678, section 3.3. A `Line` gives `Stages`; `fit_line` finds the
line nearest to the stages of any net; `scaled_line` grows a line. Widths are channels, depths are
counts of blocks.

Axes of arrays: W starts w0, S steps of wm, B blocks, N intervals of wa.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

from archspec.errors import LawError, did_you_mean
from archspec.scaling.rounding import rounded_group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: widths before group rounding are multiples of this, as in pycls (`generate_regnet`, q=8)
STEP = 8
#: more than any net has, and few enough that a line that is wrong allocates nothing absurd
DEEPEST, WIDEST = 10_000, 100_000

_LARGEST_FACTOR = 1_000_000
_MOST_BLOCKS = 64  # that choose w0 and wm; a deeper net is thinned for that
_MOST_STEPS = 512  # of wm from the narrowest width to the widest
_MOST_STARTS = 16  # of one wm among the finalists
_MOST_FINALISTS = 128  # pairs of w0 and wm whose best wa are compared in the end
_EQUAL = 1e-9  # errors nearer than this are one
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_FIELDS = {"d": "depth", "w0": "w0", "wa": "wa", "wm": "wm", "g": "group_width"}
_FORM = "write it like d=13,w0=24,wa=36.44,wm=2.49,g=8"


class Stages(NamedTuple):
    """What a line stands for, one entry a stage."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    group_widths: tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """`depth` blocks whose widths begin at `w0` and grow by `wa` a block, in steps of `wm`.

    Raises LawError where a number is outside its law.
    """

    depth: int
    w0: int
    wa: float
    wm: float
    group_width: int

    def __post_init__(self) -> None:
        for name, number, most in (
            ("d", self.depth, DEEPEST),
            ("w0", self.w0, WIDEST),
            ("g", self.group_width, WIDEST),
        ):
            if not 1 <= number <= most:
                raise LawError(f"a line needs 1 <= {name} <= {most}, but got {name}={number:g}")
        if self.w0 % STEP:
            near = _multiple(self.w0)
            raise LawError(
                f"w0 of a line is a multiple of {STEP}, but got w0={self.w0}; {near} is the nearest"
            )
        if not (math.isfinite(self.wa) and self.wa >= 0):
            raise LawError(f"a line needs a finite wa >= 0, but got wa={self.wa:g}")
        if not (math.isfinite(self.wm) and self.wm > 1):
            raise LawError(f"a line needs a finite wm > 1, but got wm={self.wm:g}")
        last = self._width(self.depth - 1)
        if not last <= WIDEST:
            raise LawError(
                f"the last block of {self} is {last:g} wide, above {WIDEST}; lower d, wa or wm"
            )

    def __str__(self) -> str:
        """The text that `parse_line` reads back to this very line."""
        numbers = (f"{key}={_short(getattr(self, name))}" for key, name in _FIELDS.items())
        return ",".join(numbers)

    def stages(self) -> Stages:
        """The stages: runs of equal width, then widths rounded to multiples of their group.

        With u_j = w0 + wa*j and s_j = round(log(u_j/w0) / log(wm)), block j is
        round(w0*wm^s_j / 8)*8 wide (equations 2 to 4); halves round to even, as numpy does. Then a
        stage has g = min(g, w) and w = max(g, round(w/g)*g): bottleneck ratio 1. The order is that
        of pycls (`generate_regnet`, `adjust_block_compatibility`), so two neighbouring stages may
        come out equally wide.
        """
        depths: dict[int, int] = {}
        for block in range(self.depth):
            width = round(self._width(block) / STEP) * STEP
            depths[width] = depths.get(width, 0) + 1
        groups = tuple(min(self.group_width, width) for width in depths)
        widths = (max(g, round(width / g) * g) for width, g in zip(depths, groups, strict=True))
        return Stages(tuple(widths), tuple(depths.values()), groups)

    def _width(self, block: int) -> float:
        """The width of a block before it is rounded; infinite where it leaves the floats."""
        try:
            steps = math.log((self.w0 + self.wa * block) / self.w0) / math.log(self.wm)
            return float(self.w0 * self.wm ** round(steps))
        except OverflowError:
            return math.inf


class LineFit(NamedTuple):
    """The line nearest to a net.

    `error`: the mean over blocks of |log(width of the line / width of the net)|: e_fit, which the
    paper words as the mean log-ratio of predicted to observed widths.
    `exact`: the line's widths and depths are the net's.
    """

    line: Line
    error: float
    exact: bool


def parse_line(text: str) -> Line:
    """`d=13,w0=24,wa=36.44,wm=2.49,g=8`, in any order. Raises LawError."""
    numbers: dict[str, float] = {}
    for part in text.split(","):
        key, equals, number = (piece.strip() for piece in part.partition("="))
        shown = part.strip()[:40]
        if not equals:
            raise LawError(f"{shown!r} of a line is no `name=number`; {_FORM}")
        if key not in _FIELDS:
            raise LawError(f"unknown {key[:40]!r} in a line; {did_you_mean(key, _FIELDS)}")
        if key in numbers:
            raise LawError(f"{key!r} stands twice in a line; {_FORM}")
        if not _NUMBER.fullmatch(number):
            raise LawError(f"{shown!r} of a line has no number after `=`; {_FORM}")
        numbers[key] = float(number)
        if key not in ("wa", "wm") and not numbers[key].is_integer():
            raise LawError(f"{key!r} of a line is a whole number, but got {shown!r}; {_FORM}")
    if missing := [key for key in _FIELDS if key not in numbers]:
        raise LawError(f"a line lacks {', '.join(missing)}; {_FORM}")
    whole = {key: int(numbers[key]) for key in ("d", "w0", "g")}
    return Line(whole["d"], whole["w0"], numbers["wa"], numbers["wm"], whole["g"])


def scaled_line(line: Line, depth_factor: float, width_factor: float, group_factor: float) -> Line:
    """The line with its depth, its widths and its group width multiplied.

    Our way; the paper scales no line. d is rounded and at least 1; w0 goes to the nearest multiple
    of 8, and wm so that the last stage's width keeps the factor nevertheless; wa so that the last
    block stands where it did between the steps of wm, and stages keep their shares of the depth.
    Raises LawError for a factor that is not above 0 and at most 1,000,000, and for a line outside
    its laws.
    """
    factors = {"depth": depth_factor, "width": width_factor, "group width": group_factor}
    for name, factor in factors.items():
        if not 0 < factor <= _LARGEST_FACTOR:
            raise LawError(
                f"a {name} factor is above 0 and at most {_LARGEST_FACTOR}, but got {factor:g}"
            )
    depth = max(1, round(line.depth * depth_factor))
    group = rounded_group(line.group_width * group_factor)
    w0 = _multiple(line.w0 * width_factor)
    # steps of wm from the first block to the last
    away = math.log((line.w0 + line.wa * (line.depth - 1)) / line.w0) / math.log(line.wm)
    if round(away) == 0 or depth == 1:
        return Line(depth, w0, line.wa * width_factor, line.wm, group)
    wm = line.wm * (line.w0 * width_factor / w0) ** (1 / round(away))
    if not wm > 1:
        raise LawError(f"a width factor of {width_factor:g} leaves nothing of the line {line}")
    return Line(depth, w0, w0 * (wm**away - 1) / (depth - 1), wm, group)


def fit_line(widths: Sequence[int], depths: Sequence[int], group_width: int) -> LineFit:
    """The line with the least e_fit for a net of these stages, at this group width.

    As in the paper, d is the net's depth, and w0 and wm are tried on a grid: here multiples of 8
    and hundredths, then thousandths near the best. wa needs no grid: for given w0 and wm each block
    changes its width at known values of wa, and a walk over these in order finds the best interval.
    Among lines of equal error the one of the shortest text is taken. That need not be the line that
    a net was made from, since many lines give the same stages; and where none is exact it may have
    more or fewer stages than the net, since e_fit looks at blocks alone.

    Raises LawError where no net has such stages.
    """
    _check_stages(widths, depths, group_width)
    net = _Net(tuple(widths), tuple(depths), group_width)
    low, high = min(widths), max(widths)
    # Below the finest wm a sweep would need much memory; far above the range of the net's widths
    # there is but one width.
    most = 4 * high / low
    finest = max(1.01, most ** (1 / _MOST_STEPS))
    ratios = [wm / 100 for wm in range(math.ceil(finest * 100), 401)]
    while ratios[-1] < most:
        ratios.append(round(ratios[-1] * 1.02, 2))
    # Only these can give the first stage exactly, and they are few.
    near = _around(widths[0])
    same = {w0 for w0 in near if Line(1, w0, 0, 2, group_width).stages().widths[0] == widths[0]}
    if same and (best := net.best_line(same, ratios)).exact:
        return best
    spread = {min(_multiple(low / 4 * most ** (part / 60)), WIDEST) for part in range(61)}
    # The median is the best of the flat lines, so no fit is worse than a flat line.
    median = _multiple(median_low(chain.from_iterable(map(repeat, widths, depths))))
    flat = {w0 for w0 in (median - STEP, median, median + STEP) if STEP <= w0 <= WIDEST}
    best = net.best_line(near | spread | flat, ratios)
    if best.exact:
        return best
    middle = round(best.line.wm * 1000)
    lowest = max(math.ceil(finest * 1000), middle - 50)
    finer = net.best_line(_around(best.line.w0), [wm / 1000 for wm in range(lowest, middle + 51)])
    return min(best, finer, key=net.rank)


class _Net(NamedTuple):
    """The stages that a line is fitted to."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    group_width: int

    def best_line(self, starts: Iterable[int], ratios: Iterable[float]) -> LineFit:
        """The best line among these w0 and wm, at any wa."""
        import numpy as np

        depth = sum(self.depths)
        logs = np.repeat(np.log(self.widths), self.depths)
        every = np.arange(depth)
        few = np.linspace(0, depth - 1, min(depth, _MOST_BLOCKS)).round().astype(int)
        w0 = np.array(sorted(starts), dtype=np.float64)
        found: list[tuple[float, int, float, int]] = []
        for wm in ratios:
            errors = self._sweep(w0, wm, few, logs[few])[0].min(axis=1) / len(few)
            for place in np.argsort(errors, kind="stable")[:_MOST_STARTS]:
                error = round(float(errors[place]) / _EQUAL)
                found.append((error, len(_short(wm)), wm, int(w0[place])))
        fits = []
        finalists = max(8, _MOST_FINALISTS * len(few) // depth)
        for _, _, wm, start in sorted(found)[:finalists]:
            sums, edges = self._sweep(np.array([float(start)]), wm, every, logs)
            for low, high in _best_intervals(sums[0].tolist(), edges[0].tolist()):
                line = Line(depth, start, _roundest(low, high), wm, self.group_width)
                fits.append(self._rated(line))
        return min(fits, key=self.rank)

    def _sweep(
        self, w0: Floats, wm: float, blocks: NDArray[np.int64], logs: Floats
    ) -> tuple[Floats, Floats]:
        """Sum over blocks of |log ratio| by interval of wa, (W, N), and the edges, (W, N + 1).

        Block j steps from width s to s + 1 where w0 + wa*j = w0*wm^(s + 1/2). An interval that is
        empty or leads above the widest width has the sum infinity.
        """
        import numpy as np

        steps = 1 + max(1, math.ceil(math.log(max(self.widths) / w0.min()) / math.log(wm)))
        exact_WS = w0[:, None] * wm ** np.arange(steps + 1)
        logs_WS = np.log(self._rounded(exact_WS))
        # Relative to w0 the edges are the same for all w0, so one sort serves them all.
        turns = wm ** (np.arange(steps + 1) + 0.5) - 1
        edges_BS = turns[:-1] / np.maximum(blocks[:, None], 0.5)
        edges_BS[blocks == 0] = np.inf  # the first block is w0 wide whatever wa
        order = np.argsort(edges_BS, axis=None, kind="stable")[: steps * np.count_nonzero(blocks)]
        block, step = np.divmod(order, steps)
        misses = np.abs(logs_WS[:, step + 1] - logs[block]) - np.abs(logs_WS[:, step] - logs[block])
        first = np.abs(logs_WS[:, :1] - logs).sum(axis=1, keepdims=True)
        sums = np.concatenate([first, first + np.cumsum(misses, axis=1)], axis=1)
        top = np.count_nonzero(exact_WS <= WIDEST, axis=1) - 1
        end = turns[top] / max(1, blocks[-1])
        inner = np.broadcast_to(edges_BS.ravel()[order], misses.shape)
        relative = np.concatenate([np.zeros((len(w0), 1)), inner, end[:, None]], axis=1)
        edges = w0[:, None] * np.minimum(relative, end[:, None])
        sums[edges[:, 1:] <= edges[:, :-1]] = np.inf
        return sums, edges

    def _rounded(self, widths: Floats) -> Floats:
        """Widths as `Line.stages` rounds them, to multiples of 8 and then of the group width."""
        import numpy as np

        widths = np.round(widths / STEP) * STEP
        groups = np.minimum(self.group_width, widths)
        return np.maximum(groups, np.round(widths / groups) * groups)

    def _rated(self, line: Line) -> LineFit:
        """A line with its error, by its own stages rather than by the sweep that found it."""
        stages = line.stages()
        ours = (w for w, d in zip(stages.widths, stages.depths, strict=True) for _ in range(d))
        net = (w for w, d in zip(self.widths, self.depths, strict=True) for _ in range(d))
        ratios = (abs(math.log(one / other)) for one, other in zip(ours, net, strict=True))
        exact = stages.widths == self.widths and stages.depths == self.depths
        return LineFit(line, math.fsum(ratios) / line.depth, exact)

    def rank(self, fit: LineFit) -> tuple[bool, int, bool, int, int, float, int]:
        """As many stages first, then the least error, the same stages, the shortest text, and the
        nearest w0."""
        line, error = fit.line, round(fit.error / _EQUAL)
        other = len(line.stages().widths) != len(self.widths)
        moved = abs(line.w0 - self.widths[0])
        return other, error, not fit.exact, len(str(line)), moved, line.wm, line.w0


def _best_intervals(sums: list[float], edges: list[float]) -> Iterator[tuple[float, float]]:
    """Where the sum is least: neighbours that are equally good as one interval."""
    least = min(sums) + _EQUAL
    start: float | None = None
    for place, total in enumerate(sums):
        if total <= least and start is None:
            start = edges[place]
        if least < total < math.inf and start is not None:
            yield start, edges[place]
            start = None
    if start is not None:
        yield start, edges[-1]


def _roundest(low: float, high: float) -> float:
    """The number between two with the fewest decimals, and of these the nearest to the middle."""
    if low == 0:
        return 0.0
    middle = (low + high) / 2
    tries = (round(middle, decimals) for decimals in range(17))
    return next((number for number in tries if low < number < high), middle)


def _check_stages(widths: Sequence[int], depths: Sequence[int], group_width: int) -> None:
    if len(widths) != len(depths) or not widths:
        raise LawError(
            "a line is fitted to one width and one depth a stage, at least one stage, but got "
            f"{len(widths)} widths and {len(depths)} depths"
        )
    for name, numbers, most in (
        ("widths", widths, WIDEST),
        ("depths", depths, DEEPEST),
        ("a group width", (group_width,), WIDEST),
    ):
        for number in numbers:
            if not 1 <= number <= most:
                raise LawError(f"a line is fitted to {name} of 1 to {most}, but got {number:g}")
    if sum(depths) > DEEPEST:
        raise LawError(f"a line is fitted to at most {DEEPEST} blocks, but got {sum(depths)}")


def _around(width: int) -> set[int]:
    """The 64 multiples of 8 nearest to a width, from half of it on, as far as a line allows them.

    Group rounding moves a width by a third at most.
    """
    places = range(_multiple(width) - 32 * STEP, _multiple(width) + 33 * STEP, STEP)
    return {place for place in places if max(STEP, width / 2) <= place <= WIDEST}


def _multiple(width: float) -> int:
    return max(STEP, round(width / STEP) * STEP)


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")
