"""A spec opened to its plan."""

from __future__ import annotations

from archspec.cost import totals
from archspec.errors import LawError, SpecError
from archspec.expand import Expander
from archspec.layers import Shape
from archspec.nodes import NodeList
from archspec.plan import NetworkPlan, Run, SequencePlan, StagePlan
from archspec.resolve import placed
from archspec.spec import NetworkSpec, Stage

#: repeats are counts here, but a module holds every layer: more would exhaust its memory
MOST_LAYERS = 100_000


def plan_network(spec: NetworkSpec) -> NetworkPlan:
    """Layers with their shapes; raises SpecError where a shape law breaks."""
    try:
        plan = _plan(spec)
        layers = totals(plan).layers
        if layers > MOST_LAYERS:
            shown = f"{layers:,}" if layers < 10**9 else f"{layers:.3g}"
            raise LawError(f"a network may have {MOST_LAYERS:,} layers at most, but got {shown}")
    except LawError as error:
        if spec.tree is None:
            raise SpecError(error.problem, None, ".".join(map(str, error.path))) from None
        raise placed(error, spec.tree) from None
    except RecursionError:
        raise SpecError("nodes stand too deep inside each other", None, spec.name) from None
    return plan


def _plan(spec: NetworkSpec) -> NetworkPlan:
    expander = Expander(spec.defaults, spec.form, spec.classes)
    entry = spec.input.shape
    stem = _at("stem", expander, spec.stem, entry)
    shape = stem.out
    stages = []
    for index, stage in enumerate(spec.stages):
        try:
            plan = _stage(expander, stage, shape)
        except LawError as error:
            raise error.under("stages", index) from None
        stages.append(plan)
        shape = plan.out
    head = _at("head", expander, spec.head, shape)
    return NetworkPlan(
        spec.name, stem, tuple(stages), head, entry, head.out, spec.defaults.drop_path
    )


def _at(key: str, expander: Expander, nodes: NodeList, shape: Shape) -> SequencePlan:
    try:
        plan, _ = expander.part(nodes, shape, 1, None)
    except LawError as error:
        raise error.under(key) from None
    return plan


def _stage(expander: Expander, stage: Stage, entry: Shape) -> StagePlan:
    stride = stage.stride
    try:
        down, stride_left = expander.part(stage.down, entry, stride, stage.width)
    except LawError as error:
        raise error.under("down") from None
    left = 1 if stage.down else stride_left
    runs, out = _blocks(expander, stage, down.out, left)
    made = StagePlan(down, runs, entry, out)
    _check_stride(stage, made)
    if stage.width is not None and out.channels != stage.width:
        raise LawError(
            f"the blocks of a stage end at its width, but got (width={stage.width}, "
            f"blocks end at {out.channels}); change the width in a `down`, or in a first block "
            "that ends at w_out",
            ("width",),
        )
    return made


def _check_stride(stage: Stage, made: StagePlan) -> None:
    stride, entry, out = stage.stride, made.shape, made.out
    rounded = all(
        after in (before // stride, -(-before // stride))
        for before, after in ((entry.height, out.height), (entry.width, out.width))
    )
    # windows without padding take more from the borders; what they move by is the stride
    if rounded or (out[1:] != entry[1:] and totals(made).stride == stride):
        return
    law = (
        f"the map must shrink by the stride, but got (stride={stride}, "
        f"map {entry.height}x{entry.width} -> {out.height}x{out.width})"
    )
    if not stage.down and out[1:] == entry[1:]:
        law += "; no unit of the first block used the word `stride`: give the stage a `down`"
    raise LawError(law, ("stride",))


def _blocks(
    expander: Expander, stage: Stage, shape: Shape, stride: int
) -> tuple[tuple[Run, ...], Shape]:
    """Blocks as runs: as soon as a whole turn keeps the shape, it is held as a count."""
    turns = stage.turns
    if turns[0][0] is None:
        return _in_turn(expander, stage, list(range(len(turns))), stage.count, shape, stride)
    runs: list[Run] = []
    for number, (times, _) in enumerate(turns):
        if times:
            part, shape = _in_turn(expander, stage, [number], times, shape, stride)
            runs.extend(part)
            stride = 1
    return tuple(runs), shape


def _in_turn(
    expander: Expander, stage: Stage, numbers: list[int], count: int, shape: Shape, stride: int
) -> tuple[tuple[Run, ...], Shape]:
    period, turns = len(numbers), stage.turns
    runs: list[Run] = []
    done = 0
    while done < count:
        start, size = shape, min(period, count - done)
        blocks = []
        for number in numbers[:size]:
            try:
                plan, _ = expander.part(turns[number][1], shape, stride, stage.width)
            except LawError as error:
                raise _under_block(error, stage, number) from None
            blocks.append(plan)
            shape = plan.out
        steady = shape == start and stride == 1
        stride = 1
        times = (count - done) // period if steady and size == period else 1
        runs.append(Run(times, tuple(blocks)))
        done += times * size
    return tuple(runs), shape


def _under_block(error: LawError, stage: Stage, number: int) -> LawError:
    """The error with the path of the block list that it is in."""
    if stage.blocks is None:
        return error.under("block")
    spelled = ("block",) if stage.turns[number][0] is not None else ()
    return error.under("blocks", number, *spelled)
