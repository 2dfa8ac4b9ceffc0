"""A head for the classes of a data set, and dropout before it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from archspec.build import Network
from archspec.errors import TrainError
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.spec import NetworkSpec
from archspec.train.images import ImageSet


def for_classes(spec: NetworkSpec, images: ImageSet) -> tuple[NetworkSpec, NetworkPlan]:
    """The spec with a head for the classes of a data set; raises TrainError where it has none."""
    spec = spec.model_copy(update={"classes": len(images.classes)})
    plan = plan_network(spec)
    out = plan.out
    if out.positions != 1 or out.extras or out.channels != len(images.classes):
        raise TrainError(
            f"{spec.name} does not end in {len(images.classes)} classes but in {out}; end its "
            "head with {linear: classes} to train it"
        )
    if plan.shape.channels not in (1, 3):
        raise TrainError(
            f"images have 3 channels, or 1 in grey, but {spec.name} takes {plan.shape.channels}"
        )
    return spec, plan


def set_dropout(model: Network, rate: float) -> None:
    """Dropout before the classifier: the head's own, or one in front of its last linear layer."""
    own = [module for module in model.head.modules() if isinstance(module, nn.Dropout)]
    if own:
        own[-1].p = rate
        return
    layers = [module for module in model.head.modules() if isinstance(module, nn.Linear)]
    if not rate or not layers:
        return

    def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (functional.dropout(inputs[0], rate, module.training), *inputs[1:])

    # a hook, not a module: the names in the state dict stay those of the spec
    layers[-1].register_forward_pre_hook(drop)
