"""The recipe: how a network is trained, as written, checked.

A Recipe is frozen. `read_recipe` makes one from a file or shipped name; `archspec.train.scaling`
takes it to another data set or number of epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError
from archspec.load import parse_yaml
from archspec.marks import MarkedDict
from archspec.resolve import FORMAT, Kind, apply_settings, edit, locate, placed, resolve
from archspec.shipped import shipped_recipes
from archspec.spec import Side
from archspec.strict import Number, Strict, law_of, shown

#: pictures in ImageNet-1K's training set, for which most recipes were written
IMAGENET = 1_281_167


Share = Annotated[float, Field(ge=0, le=1), Number]
Rate = Annotated[float, Field(ge=0, lt=1), Number]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), Number]
Whole = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
#: parameters that weight decay may spare, by what they are
Spared = Literal["norm", "bias", "scale", "position", "table", "token"]


class Optimizer(Strict):
    """Who takes the steps, and how large they are.

    lr: the peak, at the recipe's batch. rule: how lr follows another batch: in proportion (Goyal
    et al., arXiv 1706.02677), SGD's usual, or by its square root (Malladi et al., arXiv
    2205.10287), that of the adaptive ones. spare: what is not decayed: norms' weights,
    biases, layer scales, position embeddings, tables of position biases, extra tokens.
    layer_decay: lr of a block is that of the next one times this (Bao et al., arXiv 2106.08254,
    appendix); layer_every: so many blocks share one. clip: largest norm of the gradient.
    """

    name: Literal["sgd", "adamw", "lamb"]
    lr: Positive
    rule: Literal["linear", "sqrt"] | None = None
    weight_decay: NotNegative = 0.0
    spare: tuple[Spared, ...] = ("norm", "bias", "scale", "position", "token")
    momentum: Rate | None = None
    nesterov: bool | None = None
    betas: tuple[Rate, Rate] | None = None
    eps: Positive | None = None
    clip: Positive | None = None
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    layer_every: Whole = 1

    @model_validator(mode="after")
    def _own_knobs(self) -> Optimizer:
        foreign = ("betas", "eps") if self.name == "sgd" else ("momentum", "nesterov")
        for knob in foreign:
            if getattr(self, knob) is not None:
                legal = "momentum, nesterov" if self.name == "sgd" else "betas, eps"
                raise LawError(f"{self.name} has no {knob}; it has {legal}", (knob,), True)
        if self.nesterov and not self.momentum:
            got = "none" if self.momentum is None else shown(self.momentum)
            law = f"nesterov needs momentum above 0, such as 0.9, but got {got}"
            raise LawError(law, ("nesterov",), True)
        if len(set(self.spare)) < len(self.spare):
            raise LawError(f"a kind is spared twice, {shown(self.spare)}", ("spare",))
        return self

    @property
    def follows(self) -> Literal["linear", "sqrt"]:
        """The rule that holds."""
        return self.rule or ("linear" if self.name == "sgd" else "sqrt")


class Schedule(Strict):
    """How lr moves over the training, step by step.

    warmup: epochs of a linear rise from warmup_lr. cosine: from there down to end_lr, then
    cooldown epochs at end_lr, which come on top of the recipe's epochs (timm's `cooldown_epochs`).
    step: times factor at each of `at`, shares of all epochs.
    """

    kind: Literal["cosine", "step", "constant"] = "cosine"
    warmup: NotNegative = 0.0
    warmup_lr: NotNegative = 0.0
    end_lr: NotNegative | None = None
    cooldown: NotNegative = 0.0
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _own_knobs(self) -> Schedule:
        foreign = {"cosine": ("at", "factor"), "step": ("end_lr",)}.get(
            self.kind, ("at", "factor", "end_lr")
        )
        for knob in foreign:
            if getattr(self, knob) is not None:
                raise LawError(f"a {self.kind} schedule has no {knob}; remove it", (knob,), True)
        if self.kind == "step" and not self.at:
            raise LawError("a step schedule needs `at`, shares of all epochs such as [0.5, 0.75]")
        if self.at is not None and list(self.at) != sorted(set(self.at)):
            raise LawError(f"shares rise, but got {shown(self.at)}", ("at",))
        return self


class RandAugment(Strict):
    """`layers` random operations an image (Cubuk et al., arXiv 1909.13719).

    magnitude: of 10, as timm writes it; deviation: of the magnitude, drawn normally.
    """

    layers: Annotated[int, Field(strict=True, ge=1, le=10)] = 2
    magnitude: Annotated[float, Field(gt=0, le=30)] = 9.0
    deviation: NotNegative = 0.0


class Crop(Strict):
    """What of an image is seen in training: a random part that is resized (Szegedy et al., arXiv
    1409.4842, section 6), or all of it, moved by up to `padding` of its side."""

    scale: (
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] | None
    ) = None
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    padding: Share | None = None

    @model_validator(mode="after")
    def _one(self) -> Crop:
        if (self.scale is None) == (self.padding is None):
            got = "neither" if self.scale is None else "both"
            raise LawError(f"a crop has either scale or padding, but got {got}")
        for knob in ("scale", "ratio"):
            ends = getattr(self, knob)
            if ends is not None and ends[0] > ends[1]:
                raise LawError(f"low <= high must hold, but got {shown(ends)}", (knob,))
        return self


class Augment(Strict):
    """What is done to images in training.

    flip: how likely an image is mirrored. color_jitter: strength of brightness, contrast and
    saturation; left out beside rand_augment, as timm does, whatever a recipe says. erasing: how
    likely a box is filled with noise (Zhong et al., arXiv 1708.04896). mixup, cutmix: alpha of
    the Beta distribution that shares are drawn from (arXiv 1710.09412, 1905.04899); mixed: how
    likely a batch is mixed, switch: how often by cutmix where both are given. repeats: how often
    an image comes in a batch, each time augmented anew (Hoffer et al., arXiv 1901.09335).
    """

    crop: Crop | None = None
    flip: Share = 0.5
    color_jitter: Positive | None = None
    rand_augment: RandAugment | None = None
    erasing: Share | None = None
    mixup: Positive | None = None
    cutmix: Positive | None = None
    mixed: Share = 1.0
    switch: Share = 0.5
    repeats: Annotated[int, Field(strict=True, ge=1, le=16)] = 1


class Resolution(Strict):
    """Pixels in training and in tests; null is the network's own.

    crop: the share of the resized image that a test sees, from its centre. Images that are no
    larger than the resolution are seen whole.
    """

    train: Side | None = None
    test: Side | None = None
    crop: Annotated[float, Field(gt=0, le=1)] = 0.875


class Recipe(Strict):
    """How a network is trained.

    images: size of the training set that it was written for. drop_path: the rate; the spec says
    where. dropout: before the classifier; null is what the spec's head says. ema: decay a step of
    the averaged weights, batch norms' statistics included. networks: edits for networks whose name
    matches, as a mapping of path: value.
    """

    format: Literal[1] = FORMAT
    name: Annotated[str, Field(min_length=1, max_length=200)]
    doc: str = ""
    source: str = ""
    images: Whole = IMAGENET
    epochs: Annotated[int, Field(strict=True, ge=1, le=100_000)]
    batch: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    loss: Literal["softmax", "binary"] = "softmax"
    label_smoothing: Rate = 0.0
    drop_path: Rate = 0.0
    dropout: Rate | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    augment: Augment = Augment()
    resolution: Resolution = Resolution()

    @model_validator(mode="after")
    def _laws(self) -> Recipe:
        if self.schedule.warmup >= self.epochs:
            raise LawError(
                f"warmup < epochs must hold, but got (warmup={self.schedule.warmup:g}, "
                f"epochs={self.epochs})",
                ("epochs",),
            )
        return self

    @property
    def all_epochs(self) -> int:
        """Epochs with the schedule's cooldown."""
        return self.epochs + round(self.schedule.cooldown)

    def dump(self) -> str:
        """The whole recipe as YAML that reads back to an equal one."""
        return dump_yaml({"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)})


_FIELDS = tuple(Recipe.model_fields)
RECIPE = Kind(
    "recipe",
    ("format", "name", "doc", "extends", "set", *_FIELDS[3:], "networks"),
    merged=("schedule", "augment", "resolution", "networks"),
    own=("format", "name", "doc", "source"),
    known=shipped_recipes,
    find=lambda name: shipped_recipes().get(name),
)


def read_recipe(
    source: str | Path, edits: Sequence[tuple[str, str]] = (), network: str | None = None
) -> Recipe:
    """A recipe from a file or a shipped name, for the network of a name; edits come last.

    Of its `networks`, those whose pattern the name matches are applied in the order of the text.
    Raises SpecError with file, line, column, path and law where the text is wrong.
    """
    tree, networks = _read(source)
    for pattern in networks:
        if network is not None and fnmatchcase(network, pattern):
            _apply(tree, networks, pattern)
    edit(tree, edits, RECIPE)
    return make_recipe(tree)


def check_recipe(source: str | Path) -> Recipe:
    """A recipe as it stands, each of its `networks` tried, so that none is wrong unseen.

    Raises SpecError with file, line, column, path and law where the text is wrong.
    """
    recipe = read_recipe(source)
    for pattern in network_patterns(source):
        tree, networks = _read(source)
        _apply(tree, networks, pattern)
        make_recipe(tree)
    return recipe


def at_own_resolution(recipe: Recipe) -> Recipe:
    """The recipe for networks that are trained and tested at their own resolution.

    Small networks are: the resolutions of a recipe are those of large images.
    """
    plain = recipe.resolution.model_copy(update={"train": None, "test": None})
    return recipe.model_copy(update={"resolution": plain})


def network_patterns(source: str | Path) -> tuple[str, ...]:
    """The patterns of a recipe's `networks`, such as `convnext_tiny*`, in order."""
    return tuple(_read(source)[1])


def _read(source: str | Path) -> tuple[MarkedDict, MarkedDict]:
    """The resolved tree of a recipe, and its `networks`, taken out of it."""
    path = source if isinstance(source, Path) else locate(source, RECIPE)
    tree = resolve(path, (), RECIPE)
    networks = tree.pop("networks", None)
    if networks is None:
        networks = MarkedDict(tree.mark)
    if not isinstance(networks, MarkedDict):
        law = "networks is a mapping of name: {path: value}"
        raise SpecError(f"{law}, but got {shown(networks)}", tree.marks.get("networks"), "networks")
    return tree, networks


def _apply(tree: MarkedDict, networks: MarkedDict, pattern: str) -> None:
    try:
        apply_settings(tree, networks[pattern], networks.marks.get(pattern), RECIPE)
    except SpecError as error:
        # `set` is the word for such edits everywhere else; here they stand under a name
        place = error.path.removeprefix("set").lstrip(".")
        path = ".".join(part for part in ("networks", pattern, place) if part)
        problem = error.problem.replace("set is a mapping", "edits are a mapping", 1)
        raise SpecError(problem, error.mark, path) from None


def make_recipe(tree: MarkedDict) -> Recipe:
    """A checked recipe from a resolved tree; raises SpecError with the place."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise placed(law_of(error), tree) from None


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """A recipe from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    return make_recipe(tree)


__all__ = [
    "RECIPE",
    "Recipe",
    "at_own_resolution",
    "check_recipe",
    "make_recipe",
    "network_patterns",
    "parse_recipe",
    "read_recipe",
]
