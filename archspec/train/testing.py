"""How good a network is on a split: top-1, top-5 and loss, at the resolution of the test."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from archspec.build import Network, build
from archspec.errors import TrainError
from archspec.spec import NetworkSpec
from archspec.train.augment import test_view
from archspec.train.devices import out_of_memory
from archspec.train.feed import Feed, Sides
from archspec.train.images import ImageSet
from archspec.weights.loading import load_state
from archspec.weights.matching import OWN

#: a batch in a test is at least so large: no gradients are kept
TEST_BATCH = 256


class Tested(NamedTuple):
    """Top-1 and top-5 in percent (top5 None for fewer than six classes), mean cross-entropy."""

    top1: float
    top5: float | None
    loss: float
    images: int


class Tester:
    """Tests networks of one spec on one split, each process its part.

    side: of the test; where it is not the spec's, a second network is built for it and position
    embeddings and tables are resized, as `archspec weights import` does.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        images: ImageSet,
        handle: Accelerator,
        *,
        side: Sides | None = None,
        crop: float = 0.875,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        batch: int = TEST_BATCH,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        shape = spec.input.shape
        self.spec, self.handle, self.crop = spec, handle, crop
        self.side = side or (shape.height, shape.width)
        self.aspect = (shape.height, shape.width)
        self.mean, self.std = mean or images.mean, std or images.std
        self.batch, self.layout = batch, layout
        self.classes = len(images.classes)
        self.feed = Feed(
            images,
            images.test,
            handle.device,
            self.side,
            test_crop=crop,
            process=handle.process_index,
            processes=handle.num_processes,
        )
        self.other: Network | None = None
        if self.side != self.aspect:
            self.other = build(spec.at(self.side)).to(handle.device)

    def __call__(self, model: nn.Module) -> Tested:
        """Test a network, in smaller batches where memory runs out; its mode is left as it was."""
        while True:
            try:
                return self._tested(model)
            except (RuntimeError, MemoryError) as error:
                alone = self.handle.num_processes == 1
                if not (alone and out_of_memory(error) and self.batch > 1):
                    raise
            self.batch //= 2
            torch.cuda.empty_cache()  # does nothing where there is no GPU

    def _tested(self, model: nn.Module) -> Tested:
        network = self._resized(model)
        training = network.training
        network.eval()
        # Apple's devices have no float64
        exact = torch.float32 if self.handle.device.type == "mps" else torch.float64
        sums = torch.zeros(4, dtype=exact, device=self.handle.device)
        with torch.inference_mode(), self.handle.autocast():
            for pixels, labels in self.feed.whole(self.batch * self.handle.num_processes):
                images = test_view(pixels, self.side, self.crop, self.mean, self.std)
                if self.spec.input.channels == 1:
                    images = images.mean(1, keepdim=True)
                logits = network(images.contiguous(memory_format=self.layout)).float()
                sums += _counts(logits, labels).to(sums)
        network.train(training)
        total: Tensor = self.handle.reduce(sums)
        first, fifth, loss, count = total.tolist()
        if not count:
            raise TrainError("there is no image to test on")
        top5 = None if self.classes < 6 else 100 * fifth / count
        return Tested(100 * first / count, top5, loss / count, int(count))

    def _resized(self, model: nn.Module) -> nn.Module:
        if self.other is None:
            return model
        with torch.no_grad():
            load_state(
                self.other,
                self.spec.at(self.side),
                model.state_dict(),
                OWN,
                aspect=self.aspect,
            )
        return self.other


def _counts(logits: Tensor, labels: Tensor) -> Tensor:
    """Right at the first guess, among five, sum of losses, images; logits (N, K)."""
    hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    loss = F.cross_entropy(logits, labels, reduction="sum")
    count = torch.full_like(loss, len(labels))
    return torch.stack([hits[:, 0].sum().to(loss), hits.any(1).sum().to(loss), loss, count])
