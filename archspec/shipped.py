"""Where the shipped specs lie: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def specs_folder() -> Path:
    """The folder that holds units/, spaces/ and the families."""
    package = Path(__file__).resolve().parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def shipped_files(*folders: str) -> list[Path]:
    """All YAML files of some folders of the shipped specs, in order of their path."""
    return sorted(specs_folder().joinpath(*folders).rglob("*.yaml"))


#: folders of the shipped specs that hold no network
NOT_NETWORKS = (
    "units", "spaces", "weights", "roadmaps", "recipes", "studies", "ladders", "rules",
    "rule_spaces",
)  # fmt: skip


@cache
def shipped_networks() -> dict[str, Path]:
    """Shipped networks by name; the family is the folder's name."""
    root = specs_folder()
    return {
        path.stem: path
        for path in shipped_files()
        if path.relative_to(root).parts[0] not in NOT_NETWORKS
    }


@cache
def shipped_spaces() -> dict[str, Path]:
    """Shipped search spaces by name."""
    return {path.stem: path for path in shipped_files("spaces")}


@cache
def shipped_specs() -> dict[str, Path]:
    """Shipped networks and spaces by name."""
    return {**shipped_networks(), **shipped_spaces()}


@cache
def shipped_recipes() -> dict[str, Path]:
    """Shipped training recipes by name."""
    return {path.stem: path for path in shipped_files("recipes")}


@cache
def shipped_studies() -> dict[str, Path]:
    """Shipped studies by name."""
    return {path.stem: path for path in shipped_files("studies")}


@cache
def shipped_roadmaps() -> dict[str, Path]:
    """Shipped roadmaps by name."""
    return {path.stem: path for path in shipped_files("roadmaps")}


@cache
def shipped_ladders() -> dict[str, Path]:
    """Shipped ladders of searches by name."""
    return {path.stem: path for path in shipped_files("ladders")}


@cache
def shipped_rules() -> dict[str, Path]:
    """Shipped scaling rules by name."""
    return {path.stem: path for path in shipped_files("rules")}


@cache
def shipped_rule_spaces() -> dict[str, Path]:
    """Shipped spaces of scaling rules by name."""
    return {path.stem: path for path in shipped_files("rule_spaces")}


@cache
def shipped_weights() -> dict[str, Path]:
    """Files of layouts of published weights by family."""
    return {path.stem: path for path in shipped_files("weights")}


def find_shipped(name: str) -> Path | None:
    """A shipped network or space by its name, or by what stands before `_patch` in it.

    Of several that begin so, the one at 224 pixels is meant.
    """
    known = shipped_specs()
    if name in known:
        return known[name]
    longer = [stem for stem in known if stem.startswith(name + "_patch")]
    if len(longer) > 1:
        longer = [stem for stem in longer if stem.endswith("_224")]
    return known[longer[0]] if len(longer) == 1 else None
