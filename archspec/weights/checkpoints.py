"""Checkpoint files: tensors by name, read and written without ever running what a file says."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.serialization import safe_globals

from archspec.errors import WeightsError

State = dict[str, Tensor]

#: where training scripts put the tensors; averaged ones first, as they are what was evaluated
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state", "module")
ENDINGS = (".safetensors", ".pth", ".pt")
#: what wrappers put before every name
_PREFIX = re.compile(r"^(module\.|_orig_mod\.)+")
HUB = "timm:"


def read_checkpoint(source: str | Path) -> State:
    """Tensors by name, of a .safetensors file, a torch file, or `timm:NAME` from the hub.

    A torch file is read with weights_only: it may hold tensors and plain values alone. Raises
    WeightsError.
    """
    if isinstance(source, str) and source.startswith(HUB):
        source = _download(source.removeprefix(HUB))
    path = Path(source)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; give a file, or timm:NAME")
    try:
        raw = _read(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, and reading that could run code "
            f"({_first_line(error)}); save its state dict alone, best as .safetensors"
        ) from None
    except (OSError, RuntimeError, EOFError, SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is no checkpoint: {_first_line(error)}") from None
    return _tensors(raw, path)


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    # training scripts keep their options beside the tensors; a Namespace only holds values
    with warnings.catch_warnings(), safe_globals([argparse.Namespace]):
        # of files that older versions wrote, or that are none
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0][:200]


def _tensors(raw: object, path: Path) -> State:
    for key in _NESTED:
        inside = raw.get(key) if isinstance(raw, Mapping) else None
        if isinstance(inside, Mapping) and any(
            isinstance(item, Tensor) for item in inside.values()
        ):
            raw = inside
            break
    named = raw.items() if isinstance(raw, Mapping) else ()
    state = {_PREFIX.sub("", str(name)): item for name, item in named if isinstance(item, Tensor)}
    if not state:
        raise WeightsError(f"{path} holds no tensors by name")
    return state


def check_ending(path: Path) -> None:
    """Raise WeightsError where nothing is written under such a name; before the long work."""
    if path.suffix not in ENDINGS:
        raise WeightsError(f"weights are written as {', '.join(ENDINGS)}, but got {path.name}")


def write_checkpoint(path: Path, state: State, told: Mapping[str, str]) -> None:
    """Write tensors: .safetensors with what is told about them, or a torch file (.pth, .pt).

    The file appears whole or not at all. Raises WeightsError.
    """
    check_ending(path)
    half = path.with_name(f".{path.name}.part")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        if path.suffix == ".safetensors":
            save_file(whole, half, dict(told))
        else:
            torch.save(whole, half)
        os.replace(half, path)
    except (OSError, RuntimeError, SafetensorError) as error:
        half.unlink(missing_ok=True)
        raise WeightsError(f"{path} cannot be written: {_first_line(error)}") from None


def _download(name: str) -> str:
    """The file of timm's weights of that name, from the hub's cache or the network."""
    page = f"https://huggingface.co/timm/{name}"
    by_hand = f"download model.safetensors from {page} by hand and give its path"
    if not re.fullmatch(r"[\w.-]+", name):
        raise WeightsError(f"timm:{name} is no name of timm's, such as timm:resnet50.a1_in1k")
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import RepositoryNotFoundError
    except ImportError:
        raise WeightsError(
            f"timm:{name} needs huggingface_hub: pip install huggingface_hub, or {by_hand}"
        ) from None
    place = (f"timm/{name}", "model.safetensors")
    cached = hub.try_to_load_from_cache(*place)
    if isinstance(cached, str):
        return cached
    try:
        # asked first without the patience of a download, so that no network is told at once
        hub.get_hf_file_metadata(hub.hf_hub_url(*place))
        return str(hub.hf_hub_download(*place))
    except RepositoryNotFoundError:
        tag = "" if "." in name else f"; timm's names have a tag, such as timm:{name}.a1_in1k"
        raise WeightsError(f"timm:{name}: there is no {page}{tag}") from None
    except Exception as error:  # what a network can do has no common base class
        raise WeightsError(
            f"timm:{name} is not in the cache and cannot be downloaded ({_first_line(error)}); "
            f"with a connection try again, or {by_hand}"
        ) from None
