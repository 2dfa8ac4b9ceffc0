"""Checkpoint files: tensors by name, read and written without ever running what a file says."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.serialization import safe_globals

from archspec.errors import WeightsError
from archspec.spec import NetworkSpec
from archspec.strict import shown

State = dict[str, Tensor]

#: where training scripts put the tensors; averaged ones first, as they are what was evaluated
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state", "module")
ENDINGS = (".safetensors", ".pth", ".pt")
#: what wrappers put before every name
_PREFIX = re.compile(r"^(module\.|_orig_mod\.)+")
HUB = "timm:"
#: in our own files: the resolution that they were made for, such as 224x224
RESOLUTION = "resolution"
#: likewise: mean and deviation of the images' channels
CHANNELS = "channels"


class Channels(NamedTuple):
    """Mean and deviation of each channel of the images that a network expects, in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Checkpoint(NamedTuple):
    """Tensors by name, what stood around them, and, of our own files, the aspect of the images
    and their channels."""

    state: State
    inside: str = ""
    aspect: tuple[int, int] | None = None
    channels: Channels | None = None


def read_checkpoint(source: str | Path) -> Checkpoint:
    """A .safetensors file, a torch file, or `timm:NAME` from the hub.

    A torch file is read with weights_only: it may hold tensors, plain values and the options of a
    training script (argparse.Namespace). Raises WeightsError.
    """
    if isinstance(source, str) and source.startswith(HUB):
        source = _download(source.removeprefix(HUB))
    path = Path(source)
    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder; give a file, or timm:NAME")
        with path.open("rb") as file:
            head = file.read(2)
        # a zip archive, or the pickle protocol of older versions; a safetensors file begins with a
        # length, which may look like that
        torch_file = head == b"PK" or head.startswith(b"\x80")
        if path.suffix == ".safetensors" and (not torch_file or _is_safetensors(path)):
            aspect, channels = _told(path)
            return _tensors(load_file(path), path)._replace(aspect=aspect, channels=channels)
        if torch_file:
            return _tensors(_read_torch(path), path)
        raise WeightsError(f"{path} is no checkpoint: neither safetensors nor a torch file")
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file; give a file, or timm:NAME") from None
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)|(\w+(\.\w+)+)", str(error).partition(":")[2])
        what = next(filter(None, found.groups()), "") if found else ""
        raise WeightsError(
            f"{path} holds more than tensors{f' ({what})' if what else ''}, and reading that could "
            "run code; save its state dict alone, best as .safetensors"
        ) from None
    except WeightsError:
        raise
    except Exception as error:  # a damaged file may fail anywhere in its reader
        raise WeightsError(f"{shown(str(path))} is no checkpoint: {_first_line(error)}") from None


def _is_safetensors(path: Path) -> bool:
    try:
        with safe_open(path, "pt"):
            return True
    except SafetensorError:
        return False


def _read_torch(path: Path) -> object:
    # training scripts keep their options beside the tensors; a Namespace only holds values
    with warnings.catch_warnings(), safe_globals([argparse.Namespace]):
        # of files that older versions wrote, or that are none
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def told_of(spec: NetworkSpec, layout: str, channels: Channels | None = None) -> dict[str, str]:
    """What a file of ours says of itself."""
    shape = spec.input.shape
    told = {
        "format": "pt",
        "name": spec.name,
        "layout": layout,
        RESOLUTION: f"{shape.height}x{shape.width}",
        "spec": spec.dump(),
    }
    return told if channels is None else {**told, CHANNELS: json.dumps(channels)}


def _told(path: Path) -> tuple[tuple[int, int] | None, Channels | None]:
    """Height and width, and channels, for which one of our own files was made."""
    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", told.get(RESOLUTION, ""))
    aspect = (int(sides[1]), int(sides[2])) if sides else None
    try:
        mean, std = json.loads(told[CHANNELS])
        channels = Channels(tuple(map(float, mean)), tuple(map(float, std)))
    except (KeyError, ValueError, TypeError):
        channels = None
    return aspect, channels


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0][:200]


def _tensors(raw: object, path: Path) -> Checkpoint:
    inside = ""
    for key in _NESTED:
        found = raw.get(key) if isinstance(raw, Mapping) else None
        if isinstance(found, Mapping) and any(isinstance(item, Tensor) for item in found.values()):
            raw, inside = found, key
            break
    named = list(raw.items()) if isinstance(raw, Mapping) else []
    state = {_PREFIX.sub("", str(name)): item for name, item in named if isinstance(item, Tensor)}
    if not state:
        raise WeightsError(f"{path} holds no tensors by name")
    if len(state) < sum(isinstance(item, Tensor) for _, item in named):
        raise WeightsError(f"{path} holds a name both behind `module.` and without it")
    for name, tensor in state.items():
        dense = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
        if not dense or tensor.is_complex():
            raise WeightsError(f"{path}: {name} is no dense tensor of real numbers")
    return Checkpoint(state, inside)


def check_ending(path: Path) -> None:
    """Raise WeightsError where nothing can be written under such a name; before the long work."""
    if not path.parent.is_dir():
        raise WeightsError(f"{path.parent} is no folder; make it first, or name another with -o")
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
        umask = os.umask(0)
        os.umask(umask)
        half.chmod(0o666 & ~umask)
        os.replace(half, path)
    except (OSError, RuntimeError, SafetensorError) as error:
        with suppress(OSError):  # a name that the system refuses
            half.unlink(missing_ok=True)
        raise WeightsError(f"{path} cannot be written: {_first_line(error)}") from None


def _download(name: str) -> str:
    """The file of timm's weights of that name, from the hub's cache or the network."""
    page = f"https://huggingface.co/timm/{name}"
    by_hand = f"download model.safetensors from {page} by hand and give its path"
    if not re.fullmatch(r"\w+([.-]\w+)*", name, re.ASCII) or name.endswith(".git"):
        raise WeightsError(f"timm:{name} is no name of timm's, such as timm:resnet50.a1_in1k")
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import RepositoryNotFoundError
    except ImportError:
        raise WeightsError(
            f"timm:{name} needs huggingface_hub: pip install huggingface_hub, or {by_hand}"
        ) from None
    place = (f"timm/{name}", "model.safetensors")
    try:
        cached = hub.try_to_load_from_cache(*place)
        if isinstance(cached, str):
            return cached
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
