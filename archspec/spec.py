"""The spec: one network as written, checked.

A NetworkSpec is frozen. `read_spec` makes one from a file or shipped name, `make_spec` from a
tree, and `planning.plan_network` opens it to layers and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from archspec.binding import STAGE_WORDS, WORDS, bind
from archspec.dump import dump_yaml
from archspec.errors import LawError, QuantityError, did_you_mean
from archspec.layers import Defaults, Shape
from archspec.layers.shape import MOST_SIDE
from archspec.load import parse_yaml
from archspec.marks import copy_tree
from archspec.nodes import MOST_TIMES, NodeList, dump_nodes, parse_nodes
from archspec.quantities import parse_count
from archspec.resolve import FORMAT, YAML, locate, placed, resolve
from archspec.rules import check_name
from archspec.shipped import shipped_weights
from archspec.strict import Strict, law_of, shown, whole
from archspec.units import Unit, make_units, shipped_units


def _mapping(raw: object) -> object:
    # kept as it is, not copied: units are remembered by the object that they were read from
    if not isinstance(raw, Mapping):
        raise LawError(f"a mapping is needed, but got {shown(raw)}")
    return raw


#: a memory is emptied at this size; a search fills it slowly
MOST_REMEMBERED = 4_000


class Memory:
    """What specs of one space share: node lists and units that were read and tied before.

    Keyed by the raw object, which is kept, so that a key can never be taken by another one.
    """

    def __init__(self) -> None:
        self._under: dict[int, tuple[object, Memory]] = {}
        self.nodes: dict[int, tuple[object, NodeList]] = {}
        self.units: dict[int, tuple[object, dict[str, Unit]]] = {}
        self.parts: dict[tuple[int, str | None], tuple[object, Any]] = {}

    def under(self, units: object) -> Memory:
        """The memory of specs whose own units are these: nodes are tied to one set of units."""
        for known in (self.nodes, self.units, self.parts, self._under):
            if len(known) > MOST_REMEMBERED:
                known.clear()
        if not units:
            return self
        own = self._under.get(id(units))
        if own is None:
            own = self._under[id(units)] = (units, Memory())
        return own[1]


def _nodes(raw: object, info: ValidationInfo) -> NodeList:
    if isinstance(raw, NodeList):
        return raw
    memory = info.context
    if not isinstance(memory, Memory):
        return parse_nodes(raw)
    known = memory.nodes.get(id(raw))
    if known is None:
        known = memory.nodes[id(raw)] = (raw, parse_nodes(raw))
    return known[1]


def _remembered(raw: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """A part of a text, read once for all specs of a space that hold the very same part."""
    memory = info.context
    if raw is None or not isinstance(memory, Memory):
        return read(raw)
    key = (id(raw), info.field_name)
    known = memory.parts.get(key)
    if known is None:
        known = memory.parts[key] = (raw, read(raw))
    return known[1]


Remembered = WrapValidator(_remembered)
Nodes = Annotated[Any, BeforeValidator(_nodes), PlainSerializer(dump_nodes)]
Whole = BeforeValidator(whole)
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


def _count(raw: object) -> float:
    try:
        return parse_count(raw)  # type: ignore[arg-type]
    except QuantityError as error:
        raise LawError(str(error)) from None


def _side(raw: object) -> object:
    """A side or [height, width]; checked here, so that the path of an error stays the text's."""
    sides: Sequence[Any] = raw if isinstance(raw, (list, tuple)) else [raw]
    if isinstance(raw, (list, tuple)) and len(raw) != 2:
        raise LawError(f"a resolution is a side or [height, width], but got {shown(raw)}")
    for side in sides:
        whole(side)
        if not 1 <= side <= MOST_SIDE:
            raise LawError(f"1 <= side <= {MOST_SIDE} must hold, but got {shown(side)}")
    return tuple(raw) if isinstance(raw, list) else raw


Count = Annotated[float, BeforeValidator(_count)]


class Input(Strict):
    """What the network is fed: resolution in pixels, a side or [height, width]."""

    channels: Annotated[int, Field(ge=1, le=4096), Whole] = 3
    resolution: Annotated[Side | tuple[Side, Side], BeforeValidator(_side)] = 224

    @property
    def shape(self) -> Shape:
        """Input shape of one image."""
        side = self.resolution
        height, width = side if isinstance(side, tuple) else (side, side)
        return Shape(self.channels, height, width)


class Reference(Strict):
    """Published figures and their source; they are shown, never used.

    misprints: which of the figures are known not to be those of the network as published.
    """

    params: Count | None = None
    flops: Count | None = None
    top1: float | None = None
    source: str = ""
    note: str = ""
    misprints: tuple[Literal["params", "flops", "top1"], ...] = ()


class Turn(Strict):
    """One block list; `times` where blocks are spelled out, None where they take turns."""

    block: Nodes
    times: Annotated[int, Field(strict=True, ge=0, le=MOST_TIMES)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: object) -> object:
        return {"block": raw} if isinstance(raw, (list, tuple)) else raw


class Stage(Strict):
    """Blocks at one width; `down` takes the stride, else the first block does."""

    width: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    depth: Annotated[int, Field(strict=True, ge=1, le=MOST_TIMES)] | None = None
    stride: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    down: Nodes = NodeList()
    block: Nodes | None = None
    blocks: Annotated[tuple[Turn, ...] | None, Remembered] = None

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if (self.block is None) == (self.blocks is None):
            got = "neither" if self.block is None else "both"
            raise LawError(f"a stage has either block or blocks, but got {got}")
        if self.blocks is not None:
            if not self.blocks:
                raise LawError("blocks lists one block or more", ("blocks",))
            spelled = [turn.times is not None for turn in self.blocks]
            if any(spelled) and not all(spelled):
                raise LawError("blocks are all in turn or all spelled out with times", ("blocks",))
            if all(spelled) and self.depth is not None and self.depth != self.count:
                raise LawError(
                    f"depth is the sum of times here, {self.count}, but got {self.depth}",
                    ("depth",),
                )
        return self

    @property
    def turns(self) -> tuple[tuple[int | None, NodeList], ...]:
        """Block lists as (times, nodes), in turn (times None) or spelled out."""
        if self.blocks is None:
            return ((None, self.block or NodeList()),)
        return tuple((turn.times, turn.block) for turn in self.blocks)

    @property
    def count(self) -> int:
        """Number of blocks."""
        if self.blocks is not None and self.blocks[0].times is not None:
            return sum(turn.times or 0 for turn in self.blocks)
        return 1 if self.depth is None else self.depth


def _plain_name(name: str) -> str:
    # names become file and folder names, comments and lines of tables
    if not name.isprintable() or "/" in name or "\\" in name or name.startswith("."):
        raise LawError(
            f"a name has printable characters, no slash and no leading dot, but got {shown(name)}"
        )
    return name


def _known_weights(family: str) -> str:
    if not family.endswith(YAML) and family not in shipped_weights():
        known = did_you_mean(family, shipped_weights())
        raise LawError(f"no family of weights is called {shown(family)}: {known}")
    return family


def _known_rule(rule: str) -> str:
    return rule if rule.endswith(YAML) else check_name(rule)


class NetworkSpec(Strict):
    """A whole network."""

    format: Literal[1] = FORMAT
    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_name)]
    doc: str = ""
    form: Literal["train", "merged"] = "train"
    input: Input = Input()
    classes: Annotated[int, Field(ge=1, le=1_000_000), Whole] = 1000
    defaults: Annotated[Defaults, Remembered] = Defaults()
    units: Annotated[Any, BeforeValidator(_mapping)] = {}
    stem: Nodes = NodeList()
    stages: tuple[Stage, ...] = ()
    head: Nodes = NodeList()
    weights: Annotated[str, AfterValidator(_known_weights)] | None = None
    scaling: Annotated[str, AfterValidator(_known_rule)] | None = None
    reference: Reference | None = None

    _tree: Any = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # where a spec was read from is no part of it
        return isinstance(other, NetworkSpec) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _bound(self, info: ValidationInfo) -> NetworkSpec:
        table = _table(self.units, info.context if isinstance(info.context, Memory) else Memory())
        _bind_at(("stem",), self.stem, table, WORDS)
        for index, stage in enumerate(self.stages):
            words = WORDS if stage.width is None else STAGE_WORDS
            _bind_at(("stages", index, "down"), stage.down, table, words)
            if stage.blocks is None:
                _bind_at(("stages", index, "block"), stage.turns[0][1], table, words)
            else:
                for number, turn in enumerate(stage.blocks):
                    spelled = ("block",) if turn.times is not None else ()
                    place = ("stages", index, "blocks", number, *spelled)
                    _bind_at(place, turn.block, table, words)
        _bind_at(("head",), self.head, table, WORDS)
        return self

    def folder(self, key: str) -> Path:
        """Where a file that the text names under this key stands: in the folder of that text."""
        place = getattr(self._tree, "marks", {}).get(key)
        return Path(place.file).parent if place is not None else Path()

    @property
    def tree(self) -> Any:
        """The tree that this spec was made from, with places; None for one made in Python."""
        return self._tree

    def without_files(self) -> NetworkSpec:
        """This network as a text that may stand anywhere: files beside it are no longer named."""
        named = {key: getattr(self, key) for key in ("weights", "scaling")}
        beside = [key for key, name in named.items() if name is not None and name.endswith(YAML)]
        return self.model_copy(update=dict.fromkeys(beside)) if beside else self

    def architecture(self) -> NetworkSpec:
        """What the network is: without its name, notes, published figures, weights and rule."""
        words = dict.fromkeys(("weights", "scaling", "reference"))
        return self.model_copy(update={"name": "x", "doc": "", **words})

    def text(self) -> Any:
        """A tree of the whole text that may be changed: that which the spec was read from, or
        where it is no longer that one, its dump."""
        if self._tree is not None and make_spec(self._tree) == self:
            return copy_tree(self._tree)
        return parse_yaml(self.dump(), self.name)

    def at(self, side: tuple[int, int]) -> NetworkSpec:
        """This network for images of height x width pixels; positions and windows follow."""
        shape = self.input.shape
        if (shape.height, shape.width) == side:
            return self
        resolution = side if side[0] != side[1] else side[0]
        given = self.input.model_copy(update={"resolution": resolution})
        return self.model_copy(update={"input": given})

    def dump(self) -> str:
        """The whole spec as YAML that reads back to an equal spec; nothing is inherited."""
        raw = self.model_dump(mode="json", exclude_defaults=True, exclude={"units"})
        for stage, spec in zip(raw.get("stages", ()), self.stages, strict=True):
            if spec.blocks is not None:
                stage["blocks"] = [
                    dump_nodes(turn.block)
                    if turn.times is None
                    else {"times": turn.times, "block": dump_nodes(turn.block)}
                    for turn in spec.blocks
                ]
        if self.units:
            raw["units"] = {name: _plain(unit) for name, unit in self.units.items()}
        order = ["format", *type(self).model_fields]
        raw["format"] = FORMAT
        return dump_yaml({key: raw[key] for key in dict.fromkeys(order) if key in raw})


def _plain(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return {key: _plain(value) for key, value in raw.items()}
    return [_plain(item) for item in raw] if isinstance(raw, (list, tuple)) else raw


def _table(raw: Mapping[str, Any], memory: Memory) -> dict[str, Unit]:
    """Shipped units below the spec's own."""
    if not raw:
        return shipped_units()
    known = memory.units.get(id(raw))
    if known is None:
        try:
            own = make_units(raw, shipped_units(), own=True)
        except LawError as error:
            raise error.under("units") from None
        known = memory.units[id(raw)] = (raw, {**shipped_units(), **own})
    return known[1]


def _bind_at(
    place: tuple[str | int, ...],
    nodes: NodeList,
    table: Mapping[str, Unit],
    words: frozenset[str],
) -> None:
    if nodes.bound is not None and nodes.bound[0] is table and nodes.bound[1] == words:
        return
    try:
        bind(nodes, table, words)
    except LawError as error:
        raise error.under(*place) from None
    nodes.bound = (table, words)
    nodes.memory.clear()  # of plans made of what the names meant before


def make_spec(tree: Mapping[str, Any], memory: Memory | None = None) -> NetworkSpec:
    """A checked spec from a resolved tree; raises SpecError with the place.

    memory: shared by the specs of one space, so that equal parts are read once.
    """
    try:
        context = None if memory is None else memory.under(tree.get("units"))
        spec = NetworkSpec.model_validate(tree, context=context)
    except ValidationError as error:
        raise placed(law_of(error), tree) from None
    except LawError as error:
        raise placed(error, tree) from None
    except RecursionError:
        raise placed(LawError("nodes stand too deep inside each other"), tree) from None
    spec._tree = tree
    return spec


def read_spec(source: str | Path, edits: Sequence[tuple[str, str]] = ()) -> NetworkSpec:
    """A spec from a file or a shipped name; edits are (path, YAML value) pairs.

    Raises SpecError with file, line, column, path and law where the text is wrong.
    """
    path = source if isinstance(source, Path) else locate(source)
    return make_spec(resolve(path, edits))


def parse_spec(text: str, name: str = "text") -> NetworkSpec:
    """A spec from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    return make_spec(tree)


__all__ = ["NetworkSpec", "Stage", "make_spec", "parse_spec", "read_spec"]
