"""What an exam is asked: its sizes, and the folder that remembers them between sittings.

OUT/exam.json           data, size with all that it means, seed: the same in every sitting
OUT/clock.json          seconds that the search and random search ran, over all sittings
OUT/networks/*.yaml     the families on the budget, and what the searches found
OUT/search/, OUT/random/  the runs of both searches
OUT/final.yaml, OUT/final/  the study of all networks
OUT/table.md            the table so far
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from archspec.errors import DataError, RunError
from archspec.quantities import several
from archspec.runs import make_folder, now, read_record, versions_of, write_whole, written
from archspec.train.folder import WATCHED
from archspec.train.images import open_images
from exam_parts.families import CLASSES


@dataclass(frozen=True)
class Size:
    """How large the exam is.

    budget: as the command line takes it, limit the same in multiply-adds. images, test_images: so
    many of a split, None is all. epochs, seeds: of the final training. judged: epochs of a
    training by which the ladder's last rung, and random search, rank. ladder: its rungs.
    """

    budget: str
    limit: float
    images: int | None
    test_images: int | None
    epochs: int
    seeds: int
    judged: int
    ladder: str


FULL = Size(
    budget="100MFLOPs",
    limit=100e6,
    images=None,
    test_images=None,
    epochs=30,
    seeds=3,
    judged=10,
    ladder="64 by train for 10 epochs, 6 by train for 10 epochs with 2 seeds",
)
#: what two cores without a GPU do in some hours: a tenth of the FLOPs and images, for four epochs
SMALL = Size(
    budget="10MFLOPs",
    limit=10e6,
    images=5000,
    test_images=2000,
    epochs=4,
    seeds=3,
    judged=4,
    ladder="40 by train for 4 epochs on 5,000 images, "
    "6 by train for 4 epochs with 2 seeds on 5,000 images",
)
#: to see that all of it works, on two cores in minutes; what comes of it means nothing
TINY = Size(
    budget="20MFLOPs",
    limit=20e6,
    images=500,
    test_images=300,
    epochs=1,
    seeds=2,
    judged=1,
    ladder="8 by train for 1 epoch on 500 images, "
    "2 by train for 1 epoch with 2 seeds on 500 images",
)

SizeName = Literal["full", "small", "tiny"]
SIZES: dict[SizeName, Size] = {"full": FULL, "small": SMALL, "tiny": TINY}


@dataclass(frozen=True)
class Asked:
    """What an exam was asked when it began; enough to go on with it.

    size_name: which of SIZES, size: what it was then. seed: of both searches. The final trainings
    have seeds 0, 1, ...
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    data: str
    size_name: SizeName
    size: Size
    seed: int
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def open_exam(out: Path, data: str | None, size_name: SizeName, seed: int) -> Asked:
    """The exam of a folder, begun where there is none; raises RunError or DataError in one line.

    data: an absolute path or a name, tried before anything is written; None is what the exam began
    with.
    """
    if (out / "exam.json").is_file():
        known = read_record(out, "exam.json", Asked, "folder of an exam")
        for name, before, given in (
            ("--data", known.data, known.data if data is None else data),
            ("--size", known.size_name, size_name),
            ("--seed", known.seed, seed),
        ):
            if before != given:
                raise RunError(
                    f"{out} was begun with {name} {before}, not {given}; leave {name} as it was, "
                    "or name another folder by --out"
                )
        if known.size != SIZES[size_name]:
            raise RunError(
                f"{out} was begun when --size {size_name} was {size_words(known.size)}; name "
                "another folder by --out"
            )
        return known
    if data is None:
        raise RunError("an exam begins with --data, such as a folder with CIFAR-10 as parquet")
    _check_data(data, SIZES[size_name])
    make_folder(out, "exam.json")
    asked = Asked(data, size_name, SIZES[size_name], seed, now(), versions_of(WATCHED))
    with written(out):
        write_whole(out / "exam.json", json.dumps(asdict(asked), indent=1))
    return asked


def _check_data(data: str, size: Size) -> None:
    """Raise DataError where there is no such data, or not of as many classes as networks have."""
    images = open_images(data, images=size.images, test_images=size.test_images)
    if len(images.classes) != CLASSES:
        raise DataError(
            f"networks are on the budget with {CLASSES} classes, but {data} has "
            f"{len(images.classes)}; take data of {CLASSES}, such as CIFAR-10"
        )


def size_words(size: Size) -> str:
    """The sizes in one line."""
    images = "all training images" if size.images is None else f"{size.images} training images"
    return (
        f"{size.budget}, {images}, {several(size.epochs, 'epoch')}, "
        f"{several(size.seeds, 'seed')}; ladder: {size.ladder}"
    )


__all__ = ["SIZES", "Asked", "Size", "SizeName", "open_exam", "size_words"]
