"""From a spec, a recipe and a data set to a training that can begin: sizes met, costs told."""

from __future__ import annotations

from typing import NamedTuple

from archspec.build import build
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.runs import now
from archspec.spec import NetworkSpec
from archspec.train.devices import USUAL, Setting, accelerator, check_count
from archspec.train.folder import Asked
from archspec.train.head import for_classes
from archspec.train.images import ImageSet, open_images
from archspec.train.recipe import Recipe
from archspec.train.run import load_start
from archspec.train.scaling import changes, scaled
from archspec.train.trainer import steps_an_epoch


class Prepared(NamedTuple):
    """What is trained, as it will be recorded; changes: what scaling did to the recipe;
    started: what was loaded of first weights."""

    asked: Asked
    spec: NetworkSpec
    recipe: Recipe
    images: ImageSet
    changes: tuple[str, ...]
    started: str


def prepare(
    spec: NetworkSpec,
    recipe: Recipe,
    data: str,
    *,
    epochs: int | None = None,
    as_written: bool = False,
    subset: int | None = None,
    test_subset: int | None = None,
    holdout: float | None = None,
    seed: int = 0,
    setting: Setting = USUAL,
    devices: int = 1,
    weights: str | None = None,
    keep_weights: bool = True,
    command: str = "",
) -> Prepared:
    """Scale the recipe to the data, give the network its classes, and count; nothing is written.

    as_written: the recipe is taken as it stands. The device, the data and the first weights are
    tried, so that what is wrong with them is told before a run begins.
    """
    handle = accelerator(setting)
    check_count(handle.device, devices)
    images = open_images(data, images=subset, test_images=test_subset, holdout=holdout)
    used = recipe if as_written else scaled(recipe, images.train_count, epochs)
    side = used.resolution.train
    own = spec if side is None else spec.at((side, side))
    trained, plan = for_classes(own, images)
    test = used.resolution.test
    if test is not None:
        plan_network(trained.at((test, test)))
    started = ""
    if weights is not None:
        started = load_start(build(trained, plan), trained, weights)
    shape = plan.shape
    steps = steps_an_epoch(used, images)
    asked = Asked(
        name=spec.name,
        data=data,
        recipe=recipe.name,
        seed=seed,
        command=command,
        classes=len(images.classes),
        params=totals(plan_network(own)).params,
        params_trained=totals(plan).params,
        flops=totals(plan).flops,
        images=images.train_count,
        test_images=images.test_count,
        resolution=f"{shape.height}x{shape.width}",
        epochs=used.all_epochs,
        batch=used.batch,
        steps=steps * used.all_epochs,
        device=setting.device or handle.device.type,
        precision={"no": "fp32"}.get(handle.mixed_precision, handle.mixed_precision),
        fingerprint=images.fingerprint,
        channels_last=setting.channels_last,
        compile=setting.compile,
        micro_batch=setting.micro_batch,
        devices=devices,
        subset=subset,
        test_subset=test_subset,
        holdout=holdout,
        weights=weights,
        keep_weights=keep_weights,
        created=now(),
    )
    return Prepared(asked, trained, used, images, tuple(changes(recipe, used)), started)
