"""One forward pass of one network over the named batch, on the device at hand."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archspec.build import build
from archspec.cost import leaves
from archspec.errors import ScoreError, did_you_mean
from archspec.layers.convolution import DwConv
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from archspec.train.data import load_batch
from search.scores.initialise import initialise
from search.scores.naswot import Agreement, gathered

#: from this depthwise kernel on, channels-last is faster on CPU and GPU alike
LARGE_KERNEL = 7
DEVICES = ("cuda", "mps", "cpu")


class Passed(NamedTuple):
    """The score and the seconds that building and the pass took."""

    value: float
    build: float
    score: float


def best_device() -> str:
    """cuda, else mps, else cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class Forward:
    """Keeps the batch; a call builds, initialises and runs one network."""

    def __init__(self, data: str, batch: int, seed: int, device: str | None) -> None:
        self.seed = seed
        name = device or best_device()
        if name.partition(":")[0] not in DEVICES:
            raise ScoreError(f"no device is called {name!r}: {did_you_mean(name, DEVICES)}")
        try:
            self.device = torch.device(name)
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ScoreError(f"no device {name!r} here: {str(error).splitlines()[0]}") from error
        loaded = load_batch(data, batch, seed)
        self.name = loaded.name
        self.images = torch.from_numpy(loaded.images).to(self.device)

    def __call__(self, spec: NetworkSpec, plan: NetworkPlan) -> Passed:
        """NASWOT of the network; raises ScoreError where undefined or out of memory."""
        try:
            return self._pass(spec, plan)
        except torch.OutOfMemoryError as error:
            raise ScoreError(
                f"out of memory on {self.device}: {str(error).splitlines()[0]}"
            ) from None
        except RuntimeError as error:
            # torch's one error for whatever its kernels refuse; the search goes on without it
            raise ScoreError(f"torch refused: {str(error).splitlines()[0]}") from error

    def _pass(self, spec: NetworkSpec, plan: NetworkPlan) -> Passed:
        started = time.perf_counter()
        model = build(spec, plan)
        initialise(model, self.seed)
        layout = torch.channels_last if _large_kernels(plan) else torch.contiguous_format
        model = model.to(self.device).to(memory_format=layout)  # type: ignore[call-overload]
        # batch norms take the batch's own statistics: running ones would mean nothing yet
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        images = self._sized(spec).contiguous(memory_format=layout)
        built = time.perf_counter()
        agreement = Agreement(len(images))
        with torch.inference_mode(), gathered(model, agreement):
            logits = model(images)
            if not torch.isfinite(logits).all():
                raise ScoreError("the forward pass gave no finite numbers")
            value = agreement.score()
        return Passed(value, built - started, time.perf_counter() - built)

    def _sized(self, spec: NetworkSpec) -> Tensor:
        """The batch at the network's resolution and channels."""
        shape = spec.input.shape
        images = F.interpolate(
            self.images, size=(shape.height, shape.width), mode="bilinear", align_corners=False
        )
        if shape.channels == images.shape[1]:
            return images
        return images.mean(1, keepdim=True).expand(-1, shape.channels, -1, -1)


def _large_kernels(plan: NetworkPlan) -> bool:
    return any(
        isinstance(leaf.layer, DwConv) and max(leaf.layer.kernel) >= LARGE_KERNEL
        for _, part in plan.parts()
        for _, _, leaf in leaves(part)
    )
